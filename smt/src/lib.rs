//! Terms over integers and truth values, the solvers that decide them, and the models that solvers return.
//!
//! A query passes through these modules:
//!
//! 1. [`term`]: the caller builds terms in an arena. Equal terms are one term, and each is simplified a little.
//! 2. [`solver`]: a [`Solver`](solver::Solver) gets assertions and a query, and returns a verdict. It asks in this order:
//!    `cache`, the answers of earlier runs; one of the two kinds of solvers, `smt_lib`, a process that reads text, or
//!    `embedded`, which turns the query into clauses of a SAT solver; and `cross_check`, further solvers that get the
//!    same query. `backend` defines what all of these offer.
//! 3. [`model`]: if the query can be satisfied, the values of all terms.
//!
//! The crate does not depend on the layer. So it is compiled only once, with optimisation, and not again when a
//! primitive is edited.
#![forbid(unsafe_code)]

mod backend;
mod cache;
mod cross_check;
mod embedded;
pub mod model;
mod smt_lib;
pub mod solver;
pub mod term;
