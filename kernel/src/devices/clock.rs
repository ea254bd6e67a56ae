//! The clock that measures the kernel's timers and time limits: the first working clock of known speed.

use super::counter::{Counter, Stopped};
use crate::cpu::registers;
use crate::handover::acpi::clocks::{Clocks, PmTimer};
use crate::mm::direct_map::direct;
use core::fmt;
use x86_64::instructions::port::Port;

/// Frequencies of the power-management timer and of the interval timer, in hertz; they are the same on every PC.
const PM_TIMER_HERTZ: u64 = 3_579_545;
const PIT_HERTZ: u64 = 1_193_182;

/// Ports of the 8254 interval timer: channel 0, and its commands.
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (periodic), binary.
const PERIODIC: u8 = 0b0011_0100;
/// Latches the count of channel 0 until it has been read.
const LATCH: u8 = 0;

/// Registers of the HPET: its identity, with the period in femtoseconds in the high half; its configuration; and its
/// count.
const HPET_IDENTITY: u64 = 0;
const HPET_SETTING: u64 = 0x10;
const HPET_COUNT: u64 = 0xF0;
/// The HPET runs.
const HPET_ENABLE: u32 = 1;
/// The longest period that the specification allows, in femtoseconds.
const HPET_LONGEST: u64 = 100_000_000;

/// A clock of known speed.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    source: Source,
    counter: Counter,
}

/// The device that a clock reads.
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
            Source::TimeStamps => "the time-stamp counter, at the frequency that CPUID reports",
        })
    }
}

impl Source {
    /// The current count.
    fn read(self) -> u64 {
        match self {
            // SAFETY: the tables place the timer at this port; reading it has no effect.
            Source::PmTimer { port } => unsafe { Port::<u32>::new(port).read() }.into(),
            // SAFETY: the caller of `hpet` ensures the condition on the registers; reading the count
            // has no effect.
            Source::Hpet { registers } => unsafe { direct::<u32>(registers + HPET_COUNT).read_volatile() }.into(),
            Source::IntervalTimer => {
                let mut channel = Port::<u8>::new(CHANNEL_0);
                // SAFETY: these are the interval timer's ports on every PC, and nothing else uses them.
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
    /// Finds the machine's clock. It first tries the clocks that the tables name, then those that every PC may
    /// have.
    ///
    /// # Safety
    /// There is no memory where the tables place the HPET's registers; the direct map has the registers, uncached;
    /// and nothing else uses the clocks.
    pub(crate) unsafe fn find(named: Clocks) -> Option<Clock> {
        let pm_timer = || {
            let PmTimer { port, bits } = named.pm_timer?;
            Some(Clock { source: Source::PmTimer { port }, counter: Counter { hertz: PM_TIMER_HERTZ, bits } })
        };
        // SAFETY: the caller has the same obligation.
        let hpet = || named.hpet.and_then(|registers| unsafe { hpet(registers) });
        let time_stamps = || {
            let hertz = registers::time_stamp_hertz()?;
            Some(Clock { source: Source::TimeStamps, counter: Counter { hertz, bits: 64 } })
        };
        let candidates: [&dyn Fn() -> Option<Clock>; 4] = [&pm_timer, &hpet, &interval_timer, &time_stamps];
        let mut found = candidates.into_iter().filter_map(|candidate| candidate());
        found.find(|clock| clock.counter.runs(|| clock.source.read()))
    }

    /// Waits at least `microseconds`, or until `done` returns true.
    pub(crate) fn wait(self, microseconds: u32, done: impl FnMut() -> bool) -> Result<(), Stopped> {
        self.counter.wait(microseconds, || self.source.read(), done)
    }
}

/// Starts the HPET with registers at this physical address; `None` if there is no HPET.
///
/// # Safety
/// The same as for [`Clock::find`].
unsafe fn hpet(registers: u64) -> Option<Clock> {
    let register = |at: u64| direct::<u32>(registers + at);
    // SAFETY: the caller ensures the condition on the registers; reading this one has no effect.
    let femtoseconds = u64::from(unsafe { register(HPET_IDENTITY + 4).read_volatile() });
    if !(1..=HPET_LONGEST).contains(&femtoseconds) {
        return None;
    }
    // SAFETY: as above; the HPET's timers do not interrupt unless they are told to.
    unsafe { register(HPET_SETTING).write_volatile(register(HPET_SETTING).read_volatile() | HPET_ENABLE) };
    let hertz = 1_000_000_000_000_000 / femtoseconds;
    Some(Clock { source: Source::Hpet { registers }, counter: Counter { hertz, bits: 32 } })
}

/// Starts channel 0 of the 8254. Unlike the other channels, it needs no gate at port 0x61.
fn interval_timer() -> Option<Clock> {
    let mut channel = Port::<u8>::new(CHANNEL_0);
    // SAFETY: these are the timer's ports on every PC; its interrupt is masked in every interrupt controller.
    unsafe {
        Port::<u8>::new(COMMAND).write(PERIODIC);
        // 0 means 65,536, the longest count of 16 bits.
        channel.write(0);
        channel.write(0);
    }
    Some(Clock { source: Source::IntervalTimer, counter: Counter { hertz: PIT_HERTZ, bits: 16 } })
}
