//! The arrival of a CPU that is being started: the CPU arrives, or CPU 0 gives it up, and both agree on which of the
//! two.

use core::sync::atomic::{AtomicU32, Ordering};

/// No CPU is awaited: the last one has arrived.
const ARRIVED: u32 = 0;
/// The awaited CPU was given up.
const GIVEN_UP: u32 = u32::MAX;

/// The current attempt to start a CPU. Attempts are numbered from 1, and no number is used twice.
#[derive(Debug)]
pub struct Arrival(AtomicU32);

impl Arrival {
    /// An arrival that awaits no CPU.
    pub const fn new() -> Arrival {
        Arrival(AtomicU32::new(ARRIVED))
    }

    /// Awaits the CPU of this attempt from now on.
    pub fn expect(&self, attempt: u32) {
        self.0.store(attempt, Ordering::Release);
    }

    /// Called by the CPU of this attempt; whether it has arrived in time. A CPU that comes too late must do nothing
    /// more.
    #[must_use]
    pub fn arrive(&self, attempt: u32) -> bool {
        self.0.compare_exchange(attempt, ARRIVED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the awaited CPU has arrived.
    pub fn has_arrived(&self) -> bool {
        self.0.load(Ordering::Acquire) == ARRIVED
    }

    /// Stops waiting for the CPU of this attempt; `false` if it has arrived in the meantime.
    #[must_use]
    pub fn give_up(&self, attempt: u32) -> bool {
        self.0.compare_exchange(attempt, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Default for Arrival {
    fn default() -> Self {
        Arrival::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival;

    #[test]
    fn who_is_given_up_does_not_arrive_in_the_place_of_the_next() {
        let arrival = Arrival::new();
        arrival.expect(1);
        assert!(!arrival.has_arrived());
        assert!(arrival.give_up(1));
        assert!(!arrival.arrive(1) && !arrival.has_arrived());
        arrival.expect(2);
        assert!(!arrival.arrive(1) && !arrival.has_arrived());
        assert!(arrival.arrive(2) && arrival.has_arrived());
        assert!(!arrival.give_up(2), "it is there");
    }
}
