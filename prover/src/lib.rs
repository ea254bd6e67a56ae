//! The prover: proofs of the layer by symbolic execution and an SMT solver.
//!
//! `symbolic` executes code, instantiates facts and asks the solver. This crate defines what is proved of Cairn. Read
//! it in this order; each module imports only those before it:
//!
//! 1. `state`: the layer's state as symbolic parts, and their versions.
//! 2. `facts`: the facts of the invariant that a proof assumes.
//! 3. `environment`: interference by other CPUs when a lock is taken, and this CPU's guarantees to
//!    them.
//! 4. `proof`: the obligations, the call rule and the loop rule, and the symbolic machine that applies them.
//! 5. `counterexample`: a model is completed to a state, run on the hosted machine, and minimised.
//! 6. `subjects`: the proofs of primitives, entries of the kernel, and theorems.
//! 7. `suite` runs all proofs, `report` has the results, and `mutants` tests the proofs.
#![forbid(unsafe_code)]

#[cfg(test)]
mod agreement;
mod clause;
mod counterexample;
mod environment;
mod facts;
mod mutants;
mod proof;
mod report;
mod sources;
mod state;
mod subjects;
mod suite;
mod workers;

pub use counterexample::emit::{Test, emit_test};
pub use facts::invariant_set::InvariantSet;
pub use mutants::equivalent::Equivalent;
pub use mutants::trial::{Fate, MutantProgress, MutantReport, Sample, Trial, try_mutants};
pub use mutants::weakening::{Notice, WeakeningReport, WeakeningTrial, try_weakenings};
pub use report::effects::{Effects, Places, effects};
pub use report::interface::{Entry, Interface, ObjectEntries, Written};
pub use report::reference::{Instance, Page, Proof, Shown, Standing};
pub use report::row::{Part, ReportRow, Status};
pub use report::run::{ASSUMED, Assumption, Clause, Opinion, Report, Summary};
pub use sources::with_engine;
pub use state::sym::Sym;
pub use subjects::entries::prove_entry;
pub use subjects::primitives::prove_primitive;
pub use subjects::theorems::{Theorem, theorems};
pub use suite::{Options, Progress, Subject, SuiteError, run, subjects};

pub use symbolic::coverage::{Branches, Coverage, Explained, OneWay};
pub use symbolic::explore::catch_panics;
pub use symbolic::failure::{Counts, Failure, Reason, Slowest};
pub use symbolic::mutant::{Change, Operator};
pub use symbolic::proof::Outcome;
pub use symbolic::solvers::{Choice, Others};
