//! The facts that a proof assumes.

pub(crate) mod assumed;
pub(crate) mod invariant_set;
