//! Proofs of the layer, by a button.
#![forbid(unsafe_code)]

mod assumed;
mod emit;
mod engine;
mod entry;
mod explore;
mod facts;
mod lemma;
mod machine;
mod map;
mod prove;
mod replay;
mod report;
mod state;
mod suite;
mod system;
mod theorems;
mod word;

pub use emit::Test;
pub use engine::{Counts, Failure, Reason, with_engine};
pub use entry::prove_entry;
pub use explore::catch_panics;
pub use machine::Sym;
pub use prove::{Ground, Outcome, prove_primitive};
pub use report::{ASSUMED, Clause, Part, Report, Row, Status, Summary};
pub use suite::{Options, Progress, Subject, SuiteError, run, solver_version, subjects};
pub use theorems::{Theorem, theorems};
