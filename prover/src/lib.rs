//! Proofs of the layer, by a button.
#![forbid(unsafe_code)]

mod engine;
mod explore;
mod facts;
mod machine;
mod map;
mod model;
mod prove;
mod solver;
mod state;
mod term;
mod word;

pub use engine::{Counts, Failure, Reason, with_engine};
pub use explore::catch_panics;
pub use machine::Sym;
pub use prove::{Ground, Outcome, prove_primitive};
pub use solver::{Solver, SolverError};
