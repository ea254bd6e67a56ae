//! What is known of the layer's state: its symbolic parts, and their versions.

pub(crate) mod parts;
pub(crate) mod record;
pub(crate) mod sym;
pub(crate) mod unknown;
pub(crate) mod visit;
