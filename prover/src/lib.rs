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
mod assumed;
mod call_rule;
mod clause;
mod counterexample;
mod document;
mod effects;
mod entry;
mod equivalent;
mod explained;
mod history;
mod interface;
mod loop_rule;
mod machine;
mod mutants;
mod prove;
mod reference;
mod report;
mod sources;
mod state;
mod suite;
mod system;
mod theorems;
mod visit;

pub use counterexample::{Test, emit_test};
pub use effects::{Effects, Places, effects};
pub use entry::prove_entry;
pub use equivalent::Equivalent;
pub use interface::{Entry, Interface, ObjectEntries, Written};
pub use machine::Sym;
pub use mutants::{Fate, MutantProgress, MutantReport, Sample, Trial, try_mutants};
pub use prove::{InvariantSet, prove_primitive};
pub use reference::{Instance, Page, Proof, Shown, Standing};
pub use report::{ASSUMED, Assumption, Clause, Opinion, Part, Report, Row, Status, Summary};
pub use sources::with_engine;
pub use suite::{Options, Progress, Subject, SuiteError, run, subjects};
pub use theorems::{Theorem, theorems};

pub use symbolic::coverage::{Branches, Coverage, Explained, OneWay};
pub use symbolic::explore::catch_panics;
pub use symbolic::failure::{Counts, Failure, Reason, Slowest};
pub use symbolic::mutant::{Change, Operator};
pub use symbolic::proof::Outcome;
pub use symbolic::solvers::{Choice, Others};
