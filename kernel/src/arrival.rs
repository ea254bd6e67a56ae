//! The arrival of a CPU that is being started: either it arrives, or it is given up, and both sides agree on which.

use core::sync::atomic::{AtomicU32, Ordering};

/// Nobody is awaited: whoever was has arrived.
const ARRIVED: u32 = 0;
/// Whoever was awaited was given up.
const GIVEN_UP: u32 = u32::MAX;

/// Which attempt to start a CPU is under way. Attempts have numbers from 1 on, none of which is used twice.
#[derive(Debug)]
pub struct Arrival(AtomicU32);

impl Arrival {
    /// Nobody is awaited.
    pub const fn new() -> Arrival {
        Arrival(AtomicU32::new(ARRIVED))
    }

    /// The CPU of this attempt is awaited from now on.
    pub fn expect(&self, attempt: u32) {
        self.0.store(attempt, Ordering::Release);
    }

    /// The CPU of this attempt, which calls this, is there. If not, it comes too late, and must do nothing any more.
    #[must_use]
    pub fn arrive(&self, attempt: u32) -> bool {
        self.0.compare_exchange(attempt, ARRIVED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether whoever was awaited has arrived.
    pub fn has_arrived(&self) -> bool {
        self.0.load(Ordering::Acquire) == ARRIVED
    }

    /// The CPU of this attempt is awaited no longer; if not, it has arrived just now.
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
