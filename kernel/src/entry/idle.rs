//! Halting of idle CPUs, and waking them when another CPU has put work before them.

use super::stubs;
use crate::cpu::running;
use crate::cpu::vectors;
use crate::devices::power::refuse;
use crate::irq::apic::LocalApic;
use crate::mm::layout::MAX_CPUS;
use crate::sync::doorbell::Doorbell;
use core::sync::atomic::{AtomicU32, Ordering};

static BELLS: [Doorbell; MAX_CPUS] = [const { Doorbell::new() }; MAX_CPUS];
/// How often each CPU has halted.
static HALTS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Called by CPU `cpu` when it has found no work: halts it until an interrupt comes, unless another CPU has rung in the
/// meantime. Afterwards the caller looks for work again.
pub fn rest(cpu: usize) {
    let bell = &BELLS[cpu];
    if bell.may_halt() {
        HALTS[cpu].fetch_add(1, Ordering::Relaxed);
        stubs::wait_for_interrupt();
        bell.wake();
    }
}

/// Signals to CPU `cpu`, which is not the caller, that there is work for it; wakes it if it halts.
pub fn ring(cpu: usize) {
    if BELLS[cpu].ring()
        && let Err(undelivered) = LocalApic::here().send(running::apic(cpu), vectors::WAKE)
    {
        // Without this message, that CPU would sleep for ever.
        refuse(undelivered)
    }
}

/// How often CPU `cpu` has halted.
pub fn halts(cpu: usize) -> u32 {
    HALTS[cpu].load(Ordering::Relaxed)
}
