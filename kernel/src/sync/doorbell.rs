//! A doorbell: one CPU informs another CPU that it has put work before it. This costs little while the other CPU is
//! awake, and no work is ever missed.

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};

/// The CPU looks for work by itself before it halts.
const AWAKE: u32 = 0;
/// The CPU halts, or is about to halt: it needs an interrupt.
const HALTED: u32 = 1;
/// Another CPU has rung since the owner halted last.
const RUNG: u32 = 2;

/// A CPU's doorbell.
///
/// No ring is missed, because each change is a read-modify-write of one word, so all changes have an order. A ring
/// before the owner's [`may_halt`](Doorbell::may_halt) makes `may_halt` return false; the owner then sees all that was
/// written before the ring, and looks for work again. A ring after it finds the CPU halted, and the CPU that rang sends
/// an interrupt. That interrupt may come before the owner executes its halt; the processor holds it back until then
/// (`entry::stubs::wait_for_interrupt`).
#[derive(Debug)]
pub struct Doorbell(AtomicU32);

impl Doorbell {
    /// The doorbell of a CPU that is awake.
    #[cfg(not(loom))]
    pub const fn new() -> Doorbell {
        Doorbell(AtomicU32::new(AWAKE))
    }

    /// The doorbell of a CPU that is awake.
    #[cfg(loom)]
    pub fn new() -> Doorbell {
        Doorbell(AtomicU32::new(AWAKE))
    }

    /// Rings: there is work for the owner. Returns whether the caller must send the owner an interrupt.
    #[must_use]
    pub fn ring(&self) -> bool {
        self.0.swap(RUNG, Ordering::AcqRel) == HALTED
    }

    /// Called by the owner when it has found no work; whether it may halt. If not, the owner looks for work again.
    #[must_use]
    pub fn may_halt(&self) -> bool {
        let halted = self.0.compare_exchange(AWAKE, HALTED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !halted {
            self.wake();
        }
        halted
    }

    /// Called by the owner when its CPU no longer halts, for whatever reason. The owner then looks for work again.
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
