//! The symbolic domain and machine agree with the native ones.
//!
//! The symbolic runs are those of the proofs: unknown states, unknown arguments, interference. Only the solver is
//! replaced, by one that knows the value of every unknown ([`concrete`]). So exactly one path is walked, the one that
//! these values take, and every term on it has a value, which is compared with the native one.
mod calls;
pub(crate) mod concrete;
mod hosted;
mod maps;
mod primitives;
mod side;
mod values;
#[path = "../../tests/z3/mod.rs"]
pub(crate) mod z3;
