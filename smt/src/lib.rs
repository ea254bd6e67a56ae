//! Terms over integers and truth values, the solvers that decide them, and the models that solvers give.
//!
//! It knows nothing of the layer: it is compiled once, and fast, however often a primitive is edited.
#![forbid(unsafe_code)]

mod cache;
mod cross_check;
mod embedded;
pub mod model;
mod smt_lib;
pub mod solver;
pub mod term;
