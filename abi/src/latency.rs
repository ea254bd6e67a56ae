//! The interface between the bench image that measures interrupt latency and its program.

/// Number of a call that only the bench image answers. It returns the kernel entry that delayed an interrupt
/// longest since the previous call.
///
/// The results are the delay in ticks of the time-stamp counter, the kind of the entry ([`CALL`] and the others), its
/// number within the kind, and how often the kernel had admitted interrupts since that entry.
pub const LONGEST: u32 = 0xC000_0000;

/// A system call; the number is the call's.
pub const CALL: u32 = 0;
/// A page fault.
pub const PAGE_FAULT: u32 = 1;
/// Another exception; the number is its vector.
pub const EXCEPTION: u32 = 2;
/// An interrupt; the number is its vector.
pub const INTERRUPT: u32 = 3;
