//! What the image of the bench that measures how long interrupts wait, and its program, tell each other.

/// Number of a call that this image answers and no kernel has: which entry kept an interrupt waiting longest since the call
/// was made last.
///
/// It gives the time-stamp counter's ticks, what the entry was ([`CALL`] and the others), which one of these, and how often the
/// kernel had let interrupts in since that entry.
pub const LONGEST: u32 = 0xC000_0000;

/// A system call; with its number.
pub const CALL: u32 = 0;
/// A page fault.
pub const PAGE_FAULT: u32 = 1;
/// Another exception; with its vector.
pub const EXCEPTION: u32 = 2;
/// An interrupt; with its vector.
pub const INTERRUPT: u32 = 3;
