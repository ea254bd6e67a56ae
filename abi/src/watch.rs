//! What a machine and whoever watches it tell each other, a byte each. The machine says that it is ready; from then on it
//! answers what it is asked with a dump of its state.

/// The machine is ready.
pub const READY: u8 = b'r';
/// A checkpoint is wanted.
pub const CHECKPOINT: u8 = b'c';
/// A checkpoint is wanted, and after it the machine shall end.
pub const LAST_CHECKPOINT: u8 = b'e';
