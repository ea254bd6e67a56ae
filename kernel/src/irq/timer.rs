//! Time slices: the timer of each CPU's APIC ends the slice of the program that runs. The timer does not interrupt the
//! kernel. If the slice ends there, the program loses the CPU before its next instruction.

use super::apic::LocalApic;
use super::cause::Cause;
use crate::cpu::{registers, vectors};
use crate::devices::clock::Clock;
use crate::devices::counter::Stopped;
use crate::mm::layout::MAX_CPUS;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// How long a program runs before all others of its CPU get their turns, in microseconds.
pub const SLICE: u32 = 10_000;

/// How often the timer is measured. A delay can only make a measurement too long, so the smallest one is
/// used.
const MEASUREMENTS: usize = 3;
/// How long each measurement takes, in microseconds.
const MEASURED: u32 = 2_000;

/// Ticks of a slice. All CPUs' timers have the same clock.
static TICKS: AtomicU32 = AtomicU32::new(0);

/// Increments of the time-stamp counter in a millisecond.
static STAMPS: AtomicU64 = AtomicU64::new(0);

/// Whether the slice that the CPU's timer measured last is over.
static OVER: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(true) }; MAX_CPUS];

/// Why the timers cannot be set (the machine's fault).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimerError {
    /// The local APIC's timer does not run.
    #[error("the timer of its local APIC does not run")]
    NoTimer,
    /// The clock that measures the timer has stopped.
    #[error(transparent)]
    Clock(#[from] Stopped),
}

/// Measures the speed of the timers by this clock.
pub(crate) fn calibrate(apic: LocalApic, clock: Clock) -> Result<(), TimerError> {
    apic.set_timer(None);
    let (mut least, mut stamps) = (u32::MAX, u64::MAX);
    for _ in 0..MEASUREMENTS {
        apic.start_timer(u32::MAX);
        let begin = registers::time_stamp();
        clock.wait(MEASURED, || false)?;
        least = least.min(u32::MAX - apic.timer_left());
        stamps = stamps.min(registers::time_stamp().wrapping_sub(begin));
    }
    STAMPS.store(stamps.saturating_mul(1000) / u64::from(MEASURED), Ordering::Relaxed);
    let ticks = u64::from(least) * u64::from(SLICE) / u64::from(MEASURED);
    let ticks = u32::try_from(ticks).ok().filter(|&ticks| ticks > 0).ok_or(TimerError::NoTimer)?;
    TICKS.store(ticks, Ordering::Relaxed);
    apic.start_timer(0);
    Ok(())
}

/// Lets this CPU's timer interrupt at its end.
pub(crate) fn set_up(apic: LocalApic) {
    apic.set_timer(Some(vectors::TIMER));
}

/// Begins the time slice of the program that CPU `cpu`, which runs this, enters next. If the program is `another` one
/// than before, it gets a whole slice. Otherwise it keeps the rest of its slice, or gets a whole slice if nothing is
/// left.
#[inline]
pub fn begin(cpu: usize, another: bool) {
    if another || OVER[cpu].load(Ordering::Relaxed) {
        OVER[cpu].store(false, Ordering::Relaxed);
        LocalApic::here().start_timer(TICKS.load(Ordering::Relaxed));
    }
}

/// Increments of the time-stamp counter in a slice.
pub fn slice() -> u64 {
    STAMPS.load(Ordering::Relaxed) * u64::from(SLICE) / 1000
}

/// Milliseconds since the machine was switched on, by the time-stamp counter, modulo 2^32.
pub fn uptime() -> u32 {
    (registers::time_stamp() / STAMPS.load(Ordering::Relaxed).max(1)) as u32
}

/// Handles the timer interrupt of CPU `cpu`, which runs this.
pub(crate) fn accept(cpu: usize, apic: LocalApic) -> Cause {
    if apic.timer_left() > 0 {
        // The slice ended in the kernel, which has then begun another one.
        return Cause::Nothing;
    }
    OVER[cpu].store(true, Ordering::Relaxed);
    Cause::Event
}
