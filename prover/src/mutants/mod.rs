//! Trying mutants, and the equivalent ones.

pub(crate) mod equivalent;
pub(crate) mod trial;
pub(crate) mod weakening;
