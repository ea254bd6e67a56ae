//! The layer's state as the prover knows it: its symbolic parts, and their versions.

pub(crate) mod parts;
pub(crate) mod record;
pub(crate) mod sym;
pub(crate) mod unknown;
pub(crate) mod visit;
