//! The other CPUs: interference where a lock is taken, guarantees where it is released, and the log.

pub(crate) mod channels;
pub(crate) mod cpu;
pub(crate) mod guarantee;
pub(crate) mod history;
pub(crate) mod interference;
pub(crate) mod lock;
