//! The CPUs that run: how many, and the number of each one's APIC.

use crate::mm::layout::MAX_CPUS;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Number of CPUs that have arrived, including CPU 0.
static ARRIVED: AtomicUsize = AtomicUsize::new(1);
/// APIC numbers of the CPUs.
static APICS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// APIC number of CPU `cpu`, once it runs.
pub fn apic(cpu: usize) -> u32 {
    APICS[cpu].load(Ordering::Relaxed)
}

/// Number of CPUs that run.
pub fn arrived() -> usize {
    ARRIVED.load(Ordering::Acquire)
}

/// Records that the first `count` CPUs run.
pub(crate) fn set_arrived(count: usize) {
    ARRIVED.store(count, Ordering::Release);
}

/// Records that CPU `cpu` has the APIC with this number.
pub(crate) fn set_apic(cpu: usize, apic: u32) {
    APICS[cpu].store(apic, Ordering::Relaxed);
}
