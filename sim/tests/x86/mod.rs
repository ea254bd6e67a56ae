//! What the tests of the interpreter share.

pub mod kernel;
pub mod space;
