//! The protocol between a machine and its watcher, one byte for each message. The machine reports that it is ready.
//! From then on it answers each request with a dump of its state.

/// The machine is ready.
pub const READY: u8 = b'r';
/// The watcher requests a checkpoint.
pub const CHECKPOINT: u8 = b'c';
/// The watcher requests a checkpoint, after which the machine ends.
pub const LAST_CHECKPOINT: u8 = b'e';
