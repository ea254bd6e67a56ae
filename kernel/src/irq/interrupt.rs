//! Interrupts: the action for each vector from 32 on. It is the same for an interrupted program and
//! an idle CPU.

use super::apic::LocalApic;
use super::cause::Cause;
use super::timer;
use crate::cpu::{block, vectors};
use crate::devices::console;
use core::sync::atomic::{AtomicU32, Ordering};

/// Number of interrupts that no device of the kernel has raised.
static SPURIOUS: AtomicU32 = AtomicU32::new(0);

/// Number of spurious interrupts.
pub fn spurious() -> u32 {
    SPURIOUS.load(Ordering::Relaxed)
}

/// Handles the interrupt of this vector on this CPU.
pub fn accept(vector: u8) -> Cause {
    let apic = LocalApic::here();
    let cause = match vector {
        vectors::SPURIOUS => {
            SPURIOUS.fetch_add(1, Ordering::Relaxed);
            // A spurious interrupt needs no end of interrupt, because the APIC does not count it as
            // being handled.
            return Cause::Nothing;
        }
        // Nothing else to do: the CPU looks for work.
        vectors::WAKE => Cause::Event,
        vectors::COM1 => {
            console::receive();
            Cause::Event
        }
        vectors::TIMER => timer::accept(block::number(), apic),
        _ => {
            SPURIOUS.fetch_add(1, Ordering::Relaxed);
            Cause::Nothing
        }
    };
    apic.end_of_interrupt();
    cause
}
