//! The layer's state at boot: the shared objects, and the part that each CPU owns.
use super::locks::Locks;
use super::metal::Metal;
use super::platform::{Place, Platform};
use crate::irq::apic::{DESCRIPTION, Description, LocalApic};
use crate::storage::Of;
use crate::storage::channels::{self, Pool};
use crate::sync::lock::Lock;
use layer::core::constants::{NUM_CHAN, NUM_CV, PAGE_SIZE, TOTAL_CPU};
use layer::core::machine::Object;
use layer::core::state::{Boot, Cpu, IoApic, Lapic, Own, Shared};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Queue, Threads};

/// Makes the shared objects of this machine at boot. It is called once.
pub fn shared(platform: &'static Platform) -> &'static Shared<Metal> {
    let place = Place { platform, cpu: 0 };
    // Boot has already checked that the memory consists of few enough pieces.
    let users = crate::mm::frames::Frames::of_users(&platform.memory).map_or(0, |frames| frames.free_bytes());
    let Channels { pool: Of(blocks), mailbox: Of(mail), .. } = Channels::<Metal>::boot(place);
    let locks = platform.keep_each(NUM_CHAN as usize, channels::LOCK, |_| Lock::new(()));
    let Threads { next: Of(links), .. } = Threads::<Metal>::boot(place);
    let make = |_| Shared {
        at: Locks::new(place, 1, |_| AllocTable::boot(place, platform.nps)),
        pending: Locks::new(place, TOTAL_CPU as usize, |_| Queue::new(place)),
        sleep: Locks::new(place, NUM_CV as usize, |_| Queue::new(place)),
        channels: Pool::new(locks, blocks, mail),
        links,
        boot: Boot { nps: platform.nps, norm: (users / u64::from(PAGE_SIZE)) as u32 },
    };
    &platform.keep_each(1, "shared objects", make)[0]
}

/// The state of CPU `cpu` before `sched_init`.
pub fn processor(platform: &'static Platform, shared: &'static Shared<Metal>, cpu: u32) -> Cpu<'static, Metal> {
    let lines = platform.io_apic_lines;
    let ioapic = IoApic { max_intr: lines - 1, irqs: lines, enables: lines, init: false };
    let Description { spurious, error, lint1_masked } = DESCRIPTION;
    let lapic = Lapic {
        max_lvt: LocalApic::here().last_entry().into(),
        spurious: spurious.into(),
        error_irq: error.into(),
        lint1_mask: lint1_masked,
        ..Lapic::reset()
    };
    Cpu { own: Own::init_adt(Place { platform, cpu }, cpu, ioapic, lapic), shared }
}
