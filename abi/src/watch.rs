//! What whoever watches a machine tells it, a byte each: it answers with a dump of its state.

/// A checkpoint is wanted.
pub const CHECKPOINT: u8 = b'c';
/// A checkpoint is wanted, and after it the machine shall end.
pub const LAST_CHECKPOINT: u8 = b'e';
