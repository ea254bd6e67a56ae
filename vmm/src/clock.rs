//! Converts the time-stamp counter of a guest to the clock pulses of its devices, and back.
use crate::pit::HERTZ;

/// A time-stamp counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    hertz: u64,
}

impl Clock {
    /// A counter with `hertz` ticks a second; `None` if it is slower than the devices' clock.
    pub const fn new(hertz: u64) -> Option<Clock> {
        if hertz >= HERTZ { Some(Clock { hertz }) } else { None }
    }

    /// Ticks a second.
    pub fn hertz(self) -> u64 {
        self.hertz
    }

    /// The number of clock pulses until this tick.
    pub fn pulses(self, ticks: u64) -> u64 {
        (u128::from(ticks) * u128::from(HERTZ) / u128::from(self.hertz)) as u64
    }

    /// The first tick by which `pulses` pulses have passed; the largest `u64` if the tick's number does not fit.
    pub fn ticks(self, pulses: u64) -> u64 {
        let ticks = (u128::from(pulses) * u128::from(self.hertz)).div_ceil(u128::from(HERTZ));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_a_second() {
        let clock = Clock::new(200_000_000).unwrap();
        assert_eq!((clock.pulses(200_000_000), clock.ticks(1_193_182)), (1_193_182, 200_000_000));
        assert_eq!((clock.pulses(167), clock.pulses(168), clock.ticks(1)), (0, 1, 168));
        assert_eq!((Clock::new(1_193_181), clock.ticks(u64::MAX)), (None, u64::MAX));
        assert_eq!(Clock::new(1_193_182).unwrap().pulses(77), 77);
    }

    proptest! {
        #[test]
        fn the_tick_of_a_pulse_is_the_first_one(hertz in 1_193_182u64..10_000_000_000, pulses in 1u64..1 << 45) {
            let clock = Clock::new(hertz).unwrap();
            let tick = clock.ticks(pulses);
            prop_assert_eq!(clock.pulses(tick), pulses);
            prop_assert!(clock.pulses(tick - 1) < pulses);
        }
    }
}
