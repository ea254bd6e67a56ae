//! The symbolic domain and machine agree with the native ones.
//!
//! The symbolic runs are like those of the proofs: with unknown states, unknown arguments, and interference. Only the
//! solver is replaced, by one that knows the value of every unknown ([`concrete`]). So exactly one path is walked.
//! Every term on it has a value, which is compared with the native one.
pub(crate) mod concrete;
mod maps;
mod primitives;
mod side;
mod values;
#[path = "../../tests/z3/mod.rs"]
pub(crate) mod z3;
