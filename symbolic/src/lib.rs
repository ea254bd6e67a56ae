//! Symbolic execution of ordinary Rust code that is generic in its values.
//!
//! Code that is generic over a [`domain::Domain`] runs here over symbolic values: a word is a term ([`word`]), a map is a
//! list of writes over an unknown map ([`map`]), and a comparison returns a real `bool`, so that `if` and `?` need no
//! translation. The pipeline:
//!
//! 1. [`proof::run_paths`] runs a piece of code once for each feasible path ([`explore`]). At each decision
//!    ([`branch`]) the solver finds out which answers are feasible.
//! 2. The knowledge of the start state consists of quantified [`facts`]. An instance is made where the code or a goal
//!    reads a map, and is asserted only if the solver's model violates it.
//! 3. A clause is a closure. [`merge::goal`] makes one term of all its paths, and [`query::prove`] asks the solver.
//! 4. A clause that fails has a model. A [`counterexample::Runner`] completes the model to a state and runs the call
//!    from it.
//! 5. [`mutant`] puts wrong operators into the same code, without compiling it again, and [`coverage`] finds which
//!    sides of its branches are taken.
//!
//! The crate contains nothing about a particular kernel: `prover` applies it to Cairn's layer, and `examples/` to a
//! table of file descriptors.
#![forbid(unsafe_code)]

pub mod branch;
pub mod calls;
pub mod counterexample;
pub mod coverage;
pub mod engine;
pub mod explore;
pub mod facts;
pub mod failure;
pub mod inlining;
pub mod map;
pub mod merge;
pub mod mutant;
pub mod mutation;
pub mod operation;
mod operator;
pub mod origin;
pub mod path;
pub mod proof;
pub mod query;
pub mod reads;
pub mod rules;
pub mod settings;
pub mod solvers;
pub mod source;
pub mod terms;
pub mod trace;
pub mod valuation;
pub mod word;
