//! Measures time by a counter that runs at a known speed; any kind of counter will do.

/// A counter that only counts up, and wraps to 0 after its last bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Counts per second.
    pub hertz: u64,
    /// Width of the counter: 1 to 64 bits.
    pub bits: u32,
}

/// The counter has stopped (the machine's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("its clock has stopped")]
pub struct Stopped;

/// After this many reads without a change, a counter counts as stopped. A read takes a processor about a microsecond,
/// and the slowest counter changes about as often.
const VAIN_READS: u32 = 1_000_000;

impl Counter {
    /// Waits at least `microseconds`, or until `done` returns true. `read` returns the counter's value. The wait is
    /// longer if the counter wraps more than once between two reads.
    ///
    /// # Errors
    /// [`Stopped`] if the counter does not change any more.
    pub fn wait(
        self,
        microseconds: u32,
        mut read: impl FnMut() -> u64,
        mut done: impl FnMut() -> bool,
    ) -> Result<(), Stopped> {
        let mask = u64::MAX >> (64 - self.bits.clamp(1, 64));
        // The first count may end at once, because the counter may be just about to change.
        let ticks = u128::from(microseconds) * u128::from(self.hertz) / 1_000_000 + 1;
        let (mut passed, mut vain) = (0, 0);
        let mut last = read() & mask;
        while passed <= ticks && !done() {
            let now = read() & mask;
            vain = if now == last { vain + 1 } else { 0 };
            if vain == VAIN_READS {
                return Err(Stopped);
            }
            passed += u128::from(now.wrapping_sub(last) & mask);
            last = now;
        }
        Ok(())
    }

    /// Whether the counter runs at all.
    pub fn runs(self, read: impl FnMut() -> u64) -> bool {
        self.wait(1, read, || false).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEGAHERTZ: u64 = 1_000_000;

    #[test]
    fn a_counter_that_stands_still_has_stopped() {
        let counter = Counter { hertz: MEGAHERTZ, bits: 16 };
        assert!(!counter.runs(|| 0xFFFF));
        assert!(!counter.runs(|| u64::MAX));
        let mut count = 0;
        let stops = || {
            count = (count + 1).min(50);
            count
        };
        assert_eq!(counter.wait(100, stops, || false), Err(Stopped));
        assert_eq!(counter.wait(100, || 7, || true), Ok(()));
    }

    proptest! {
        #[test]
        fn it_waits_as_long_as_it_should_and_not_much_longer(
            bits in 8u32..=64,
            start in any::<u64>(),
            steps in proptest::collection::vec(0u64..200, 1..20),
            microseconds in 0u32..2000,
            hertz in 1..4 * MEGAHERTZ,
        ) {
            prop_assume!(steps.iter().any(|&step| step > 0));
            let counter = Counter { hertz, bits };
            // The model adds up the time that passes; the counter shows its low bits.
            let (mut time, mut first) = (0u64, None);
            let mut steps = steps.iter().cycle();
            let read = || {
                time += steps.next().expect("it never ends");
                first.get_or_insert(time);
                start.wrapping_add(time)
            };
            counter.wait(microseconds, read, || false).expect("it runs");
            let passed = time - first.expect("it was read");
            // The counter may change just after the first read, so one more count must pass.
            prop_assert!(u128::from(passed) * u128::from(MEGAHERTZ) >= u128::from(microseconds) * u128::from(hertz));
            prop_assert!(passed <= u64::from(microseconds) * hertz / MEGAHERTZ + 2 + 200);
        }
    }
}
