//! A ticket lock serves waiting CPUs in the order in which they came: each takes a number, and the number that is
//! served has the lock.
//!
//! All waiting CPUs read the same word.

use super::Raw;
use super::shim::{AtomicU32, Ordering, spin};

/// The lock.
pub struct Ticket {
    /// The next number to be taken.
    next: AtomicU32,
    /// The number that has the lock.
    serving: AtomicU32,
}

impl Raw for Ticket {
    #[cfg(not(loom))]
    const FREE: Ticket = Ticket { next: AtomicU32::new(0), serving: AtomicU32::new(0) };

    #[cfg(loom)]
    fn free() -> Ticket {
        Ticket { next: AtomicU32::new(0), serving: AtomicU32::new(0) }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        let ticket = self.serving.load(Ordering::Acquire);
        self.next.compare_exchange(ticket, ticket.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn wait_in_line(&self) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != ticket {
            spin();
        }
    }

    #[inline]
    unsafe fn release(&self) {
        // Only the holder of the lock changes the word.
        let ticket = self.serving.load(Ordering::Relaxed);
        self.serving.store(ticket.wrapping_add(1), Ordering::Release);
    }

    unsafe fn seize(&self) {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.serving.store(ticket, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
impl super::tests::Line for Ticket {
    fn last(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn tickets_wrap_around() {
        let lock = Ticket { next: AtomicU32::new(u32::MAX), serving: AtomicU32::new(u32::MAX) };
        for _ in 0..3 {
            lock.wait_in_line();
            assert!(!lock.try_acquire());
            // SAFETY: the test has just acquired it.
            unsafe { lock.release() };
        }
        assert!(lock.try_acquire());
    }
}
