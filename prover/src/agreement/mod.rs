//! The symbolic domain and machine agree with the native ones.
//!
//! What is run symbolically here is what the proofs run: unknown states, unknown arguments, others that move. Only the
//! solver is another: one that knows the value of everything unknown ([`concrete`]), so that the one path is walked that
//! these values take, and every term on it has a value to compare with the native one.
pub(crate) mod concrete;
mod maps;
mod primitives;
mod side;
mod values;
#[path = "../../tests/z3/mod.rs"]
pub(crate) mod z3;
