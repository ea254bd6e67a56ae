//! The clock by which the kernel measures its timers and its patience: the first that the machine has, and that runs, of those
//! that run at a known speed.

use super::paging::direct;
use super::registers;
use crate::acpi::clocks::{Clocks, PmTimer};
use crate::clock::{Counter, Stopped};
use core::fmt;
use x86_64::instructions::port::Port;

/// Frequencies of the power-management timer and of the interval timer, the same on every PC.
const PM_TIMER_HERTZ: u64 = 3_579_545;
const PIT_HERTZ: u64 = 1_193_182;

/// Ports of the 8254 interval timer: channel 0, and commands.
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (it begins again by itself), binary.
const PERIODIC: u8 = 0b0011_0100;
/// Keeps what channel 0 shows until it has been read.
const LATCH: u8 = 0;

/// Registers of the HPET: what it is, with femtoseconds a count in the high half; whether it runs; and the count.
const HPET_IDENTITY: u64 = 0;
const HPET_SETTING: u64 = 0x10;
const HPET_COUNT: u64 = 0xF0;
/// It runs.
const HPET_ENABLE: u32 = 1;
/// The longest count that the specification allows, in femtoseconds.
const HPET_LONGEST: u64 = 100_000_000;

/// A clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    counter: Counter,
}

/// What a clock reads.
#[derive(Clone, Copy, Debug)]
enum Source {
    PmTimer { port: u16 },
    Hpet { registers: u64 },
    IntervalTimer,
    TimeStamps,
}

impl fmt::Display for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.source {
            Source::PmTimer { .. } => "the ACPI power-management timer",
            Source::Hpet { .. } => "the HPET",
            Source::IntervalTimer => "the 8254 interval timer",
            Source::TimeStamps => "the time-stamp counter, whose speed CPUID knows",
        })
    }
}

impl Source {
    /// What it shows.
    fn read(self) -> u64 {
        match self {
            // SAFETY: the tables say that the timer is at this port; reading it has no effect.
            Source::PmTimer { port } => unsafe { Port::<u32>::new(port).read() }.into(),
            // SAFETY: `hpet`'s caller vouches for the registers; reading the count has no effect.
            Source::Hpet { registers } => unsafe { direct::<u32>(registers + HPET_COUNT).read_volatile() }.into(),
            Source::IntervalTimer => {
                let mut channel = Port::<u8>::new(CHANNEL_0);
                // SAFETY: the interval timer's ports on every PC, which nothing else uses.
                let down = unsafe {
                    Port::<u8>::new(COMMAND).write(LATCH);
                    u16::from_le_bytes([channel.read(), channel.read()])
                };
                down.wrapping_neg().into()
            }
            Source::TimeStamps => registers::time_stamp(),
        }
    }
}

impl Clock {
    /// The machine's clock, of those that its tables name and those that need no naming.
    ///
    /// # Safety
    /// What the tables say of the HPET's registers is no memory; the direct map has them, uncached; and nobody else uses the
    /// clocks.
    pub(super) unsafe fn find(named: Clocks) -> Option<Clock> {
        let pm_timer = || {
            let PmTimer { port, bits } = named.pm_timer?;
            Some(Clock { source: Source::PmTimer { port }, counter: Counter { hertz: PM_TIMER_HERTZ, bits } })
        };
        // SAFETY: the caller's obligation is the very same.
        let hpet = || named.hpet.and_then(|registers| unsafe { hpet(registers) });
        let time_stamps = || {
            let hertz = registers::time_stamp_hertz()?;
            Some(Clock { source: Source::TimeStamps, counter: Counter { hertz, bits: 64 } })
        };
        let candidates: [&dyn Fn() -> Option<Clock>; 4] = [&pm_timer, &hpet, &interval_timer, &time_stamps];
        let mut found = candidates.into_iter().filter_map(|candidate| candidate());
        found.find(|clock| clock.counter.runs(|| clock.source.read()))
    }

    /// Waits at least `microseconds`, or less as soon as `done` says so.
    pub(super) fn wait(self, microseconds: u32, done: impl FnMut() -> bool) -> Result<(), Stopped> {
        self.counter.wait(microseconds, || self.source.read(), done)
    }
}

/// The HPET with registers at this physical address, which begins to run; `None` if what is there is none.
///
/// # Safety
/// As for [`Clock::find`].
unsafe fn hpet(registers: u64) -> Option<Clock> {
    let register = |at: u64| direct::<u32>(registers + at);
    // SAFETY: the caller vouches for the registers; reading this one has no effect.
    let femtoseconds = u64::from(unsafe { register(HPET_IDENTITY + 4).read_volatile() });
    if !(1..=HPET_LONGEST).contains(&femtoseconds) {
        return None;
    }
    // SAFETY: as above; no timer of it interrupts before it is told to.
    unsafe { register(HPET_SETTING).write_volatile(register(HPET_SETTING).read_volatile() | HPET_ENABLE) };
    let hertz = 1_000_000_000_000_000 / femtoseconds;
    Some(Clock { source: Source::Hpet { registers }, counter: Counter { hertz, bits: 32 } })
}

/// The 8254, whose channel 0 begins to run. That needs no gate, which other channels have at port 0x61.
fn interval_timer() -> Option<Clock> {
    let mut channel = Port::<u8>::new(CHANNEL_0);
    // SAFETY: the timer's ports on every PC; its interrupt is masked wherever it could come.
    unsafe {
        Port::<u8>::new(COMMAND).write(PERIODIC);
        // 0 means 65,536, all that 16 bits can count.
        channel.write(0);
        channel.write(0);
    }
    Some(Clock { source: Source::IntervalTimer, counter: Counter { hertz: PIT_HERTZ, bits: 16 } })
}
