//! How one CPU tells another that it has put something before it: at no cost while that CPU is awake, and without ever
//! being missed.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};

/// Its CPU looks for work by itself before it halts.
const AWAKE: u32 = 0;
/// Its CPU halts, or is about to: it needs an interrupt.
const HALTED: u32 = 1;
/// It was rung since its CPU halted last.
const RUNG: u32 = 2;

/// A CPU's doorbell.
///
/// Why nothing is missed: each change is a read-modify-write of one word, so all changes have an order. A ring that comes
/// before the owner's [`may_halt`](Doorbell::may_halt) makes that say no, and what was put there before the ring is seen by
/// the owner, which looks again. One that comes after it finds the CPU halted, and whoever rang sends an interrupt; that
/// it may come before the CPU executes the halt is the processor's business, which holds it back until then
/// (`metal::entry::wait_for_interrupt`).
#[derive(Debug)]
pub struct Doorbell(AtomicU32);

impl Doorbell {
    /// That of a CPU that is awake.
    #[cfg(not(loom))]
    pub const fn new() -> Doorbell {
        Doorbell(AtomicU32::new(AWAKE))
    }

    /// That of a CPU that is awake.
    #[cfg(loom)]
    pub fn new() -> Doorbell {
        Doorbell(AtomicU32::new(AWAKE))
    }

    /// Something is there for the owner: whether its CPU must be sent an interrupt, so that it looks.
    #[must_use]
    pub fn ring(&self) -> bool {
        self.0.swap(RUNG, Ordering::AcqRel) == HALTED
    }

    /// The owner, which has found nothing: whether its CPU may halt. If not, it looks again.
    #[must_use]
    pub fn may_halt(&self) -> bool {
        let halted = self.0.compare_exchange(AWAKE, HALTED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !halted {
            self.wake();
        }
        halted
    }

    /// The owner's CPU no longer halts, whatever has woken it: it looks again.
    pub fn wake(&self) {
        self.0.swap(AWAKE, Ordering::AcqRel);
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Doorbell::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_halted_cpu_needs_an_interrupt() {
        let bell = Doorbell::new();
        assert!(!bell.ring(), "it looks before it halts");
        assert!(!bell.may_halt(), "it was rung");
        assert!(bell.may_halt());
        assert!(bell.ring());
        assert!(!bell.ring(), "one interrupt is enough");
        bell.wake();
        assert!(bell.may_halt());
    }
}
