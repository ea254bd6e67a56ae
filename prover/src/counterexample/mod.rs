//! Counterexamples: completed to a state, run on the hosted machine, minimised, and written as tests.

pub(crate) mod call;
mod complete;
pub(crate) mod emit;
mod ending;
mod minimise;
mod run;
