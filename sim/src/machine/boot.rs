//! The shared objects and the CPUs of a hosted machine at boot.
use super::Sim;
use super::lock::{LockArray, SharedChannels, SharedLinks};
use super::{platform, tlb};
use layer::core::constants::*;
use layer::core::machine::Object;
use layer::core::state::{Boot, Cpu, IoApic, Lapic, Own, Shared};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Threads};

/// The shared objects of a machine at boot, with the memory of this thread's platform.
pub fn shared() -> Shared<Sim> {
    let memory = &platform::current().memory;
    let nps = memory.frames.min(MAX_PAGE);
    let norm = (KERN_LOW..KERN_HIGH.min(nps)).filter(|&frame| memory.is_usable(frame)).count() as u32;
    Shared {
        at: LockArray::new([AllocTable::boot((), nps)]),
        pending: LockArray::new((0..TOTAL_CPU).map(|_| Queue::new(()))),
        sleep: LockArray::new((0..NUM_CV).map(|_| Queue::new(()))),
        channels: SharedChannels::new(Channels::boot(())),
        links: SharedLinks::new(Threads::boot(())),
        boot: Boot { nps, norm },
    }
}

/// CPU `cpu` before `sched_init`, with an I/O APIC of 24 lines and the reference's local APIC.
pub fn processor(shared: &Shared<Sim>, cpu: u32) -> Cpu<'_, Sim> {
    tlb::switch_on(cpu);
    let lines = IOAPIC_LINES;
    let ioapic = IoApic { max_intr: lines - 1, irqs: lines, enables: lines, init: false };
    Cpu { own: Own::init_adt((), cpu, ioapic, Lapic::reset()), shared }
}
