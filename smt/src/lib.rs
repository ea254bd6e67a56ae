//! Terms over integers and truth values, the solvers that decide them, and the models that solvers return.
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
