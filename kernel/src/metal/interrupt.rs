//! Interrupts: what each vector from 32 on asks for, whether it meets a program or an idle CPU.

use super::apic::LocalApic;
use super::{console, cpu, timer};
use crate::vectors;
use core::sync::atomic::{AtomicU32, Ordering};

/// Interrupts that nobody has asked for.
static SPURIOUS: AtomicU32 = AtomicU32::new(0);

/// How many interrupts nobody has asked for.
pub fn spurious() -> u32 {
    SPURIOUS.load(Ordering::Relaxed)
}

/// What an interrupt means to the program that it meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Something has happened: others shall have their turn.
    Event,
    /// Nothing has happened.
    Nothing,
}

/// Deals with the interrupt of this vector, which this CPU is in.
pub fn accept(vector: u8) -> Cause {
    let apic = LocalApic::here();
    let cause = match vector {
        vectors::SPURIOUS => {
            SPURIOUS.fetch_add(1, Ordering::Relaxed);
            // The APIC is in no interrupt.
            return Cause::Nothing;
        }
        // That the CPU looks around is all that it asks for.
        vectors::WAKE => Cause::Event,
        vectors::COM1 => {
            console::receive();
            Cause::Event
        }
        vectors::TIMER => timer::accept(cpu::number(), apic),
        _ => {
            SPURIOUS.fetch_add(1, Ordering::Relaxed);
            Cause::Nothing
        }
    };
    apic.end_of_interrupt();
    cause
}
