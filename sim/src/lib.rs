//! Hosted machine.
pub mod x86;
