//! The prover: proofs of the layer by symbolic execution and an SMT solver.
//!
//! For each primitive, `prove` executes its code on the symbolic machine (`machine`), from an unknown state in which the
//! invariant holds. `explore` walks every feasible path, `call_rule` is the call rule, `loop_rule` is the loop rule, and `facts`
//! instantiates the facts of the invariant. `entry` proves the entries of the kernel, and `theorems` has the theorems about
//! the whole layer. `replay` runs counterexamples on the hosted machine, and `mutants` tests the proofs. `suite` runs
//! everything, and `report` has the results.
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
pub use report::effects::{Effects, Places, effects};
pub use report::interface::{Entry, Interface, ObjectEntries, Written};
pub use report::reference::{Instance, Page, Proof, Shown, Standing};
pub use report::row::{Part, Row, Status};
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
