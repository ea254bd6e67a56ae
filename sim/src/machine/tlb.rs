//! The TLB of a processor: the translations that it caches from its page map, and the page tables of directory
//! entries.
//!
//! This models a translation lookaside buffer and paging-structure caches in the worst case. It caches every
//! translation that programs have used, and no change of a page map affects it. It drops only what every processor
//! must drop (Intel's manual, volume 3, 4.10.4):
//!
//! - When the root of a page map is loaded, all translations: the kernel uses neither PCIDs nor global
//!   pages.
//! - At `invlpg`, which is [`unmapped`](layer::core::machine::Machine::unmapped), the page of the address and all page
//!   tables. A processor may walk the page map at any time, so a translation that still exists is cached again at once.
//! - When an access faults, the page and the page table of the address.
//!
//! Absent translations are not cached. If a cached translation forbids an access, the access faults even if the page
//! map now allows it: a processor may walk the map again, but need not. The kernel never changes a permission, so no
//! program can notice this.
//!
//! Unlike a processor, the model does not cache translations that no program uses, and sets no bits in page tables.
//! If a walk uses a cached page table that is no longer a page table, the result is [`Stuck::FrameNotTable`],
//! whatever the frame contains. If a frame is freed while a CPU caches a translation to it, this is a [`Stale`]
//! translation, even if it is not used.
use super::Sim;
use domain::Map;
use layer::core::constants::{PAGE_SIZE, TOTAL_CPU};
use layer::core::fields::{Pde, Pte};
use layer::core::geometry::{Geometry, Paged};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::page_table::{Walk, directory, entry, pdx, ptx};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// The TLB of one processor.
#[derive(Default)]
pub(crate) struct Tlb {
    /// The thread whose page map is in use.
    thread: u32,
    /// By page number: the frame of the page, and its permission code.
    pages: FxHashMap<u32, (u32, u32)>,
    /// The number of cached translations to each frame.
    reached: FxHashMap<u32, u32>,
    /// By directory index: the frame of the page table.
    tables: FxHashMap<u32, u32>,
    /// The first frame that was freed while a translation to it was cached. It is cleared when it
    /// is read.
    stale: Option<Stale>,
}

/// A frame that was freed while the processor still cached a translation to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale {
    /// The frame.
    pub frame: u32,
    /// An address that is translated to the frame. For a page table, the first address that it
    /// covers.
    pub address: u32,
}

impl Tlb {
    /// Translates an address in the page map of `thread`, which the processor uses.
    ///
    /// # Errors
    /// The errors of the ownership checks of page tables.
    pub(crate) fn walk(&mut self, cpu: &Cpu<'_, Sim>, thread: u32, address: u32) -> Result<Walk<Sim>, Stuck> {
        self.thread = thread;
        if let Some(&(page, perm)) = self.pages.get(&(address / PAGE_SIZE)) {
            return Ok(Walk::Mapped { page, perm });
        }
        let index = pdx::<Sim>(address);
        let table = match self.tables.get(&index) {
            Some(&table) => table,
            None => match directory(cpu, thread, index)? {
                Pde::Id => return Ok(Walk::Identity),
                Pde::UnPresent => return Ok(Walk::Absent),
                Pde::Table { frame } => frame,
            },
        };
        self.tables.insert(index, table);
        let Pte::Valid { page, perm } = entry(cpu, thread, index, table, ptx::<Sim>(address))? else {
            return Ok(Walk::Absent);
        };
        self.pages.insert(address / PAGE_SIZE, (page, perm));
        *self.reached.entry(page).or_default() += 1;
        Ok(Walk::Mapped { page, perm })
    }

    /// An access to this address has faulted.
    pub(crate) fn faulted(&mut self, address: u32) {
        self.forget_page(address);
        self.tables.remove(&pdx::<Sim>(address));
    }

    /// `invlpg` of an address. If the page was cached, the processor then walks to it again.
    fn invalidate(&mut self, cpu: &Cpu<'_, Sim>, address: u32) {
        let dirs = &cpu.own.dirs;
        let is_there = |index, table| matches!(dirs.get([self.thread, index]), Pde::Table { frame } if frame == table);
        self.tables.retain(|&index, &mut table| is_there(index, table));
        if self.forget_page(address) {
            // The result of the walk is cached. A processor ignores a failed walk.
            let _ = self.walk(cpu, self.thread, address);
        }
    }

    /// Drops the translation of an address. Returns whether there was one.
    fn forget_page(&mut self, address: u32) -> bool {
        let Some((frame, _)) = self.pages.remove(&(address / PAGE_SIZE)) else { return false };
        if let Some(count) = self.reached.get_mut(&frame) {
            *count -= 1;
        }
        true
    }

    /// An address with a cached translation to the frame, if there is one.
    fn address_of(&self, frame: u32) -> Option<u32> {
        if self.reached.get(&frame).is_some_and(|&count| count > 0) {
            return self.pages.iter().find(|(_, (at, _))| *at == frame).map(|(page, _)| page * PAGE_SIZE);
        }
        let region = <Sim as Paged>::Geometry::REGION;
        self.tables.iter().find(|(_, table)| **table == frame).map(|(index, _)| index * region)
    }
}

thread_local! {
    /// The TLB of each CPU of this thread's machine.
    static TLBS: RefCell<[Tlb; TOTAL_CPU as usize]> = RefCell::default();
}

/// Calls `work` with the TLB of CPU `cpu`. In an artificial state there may be no such CPU; then the TLB is
/// empty.
pub(crate) fn of<R>(cpu: u32, work: impl FnOnce(&mut Tlb) -> R) -> R {
    TLBS.with_borrow_mut(|tlbs| match tlbs.get_mut(cpu as usize) {
        Some(tlb) => work(tlb),
        None => work(&mut Tlb::default()),
    })
}

/// Clears the TLB of CPU `cpu`, which is switched on.
pub(crate) fn switch_on(cpu: u32) {
    of(cpu, |tlb| *tlb = Tlb::default());
}

/// The root of the page map of `thread` is loaded on CPU `cpu`.
pub fn load_root(cpu: u32, thread: u32) {
    of(cpu, |tlb| *tlb = Tlb { thread, stale: tlb.stale, ..Tlb::default() });
}

/// `invlpg` of an address on the CPU.
pub(crate) fn invalidate(cpu: &Cpu<'_, Sim>, address: u32) {
    of(cpu.own.cpu, |tlb| tlb.invalidate(cpu, address));
}

/// CPU `cpu` has freed a frame.
pub(crate) fn freed(cpu: u32, frame: u32) {
    of(cpu, |tlb| {
        if let Some(address) = tlb.address_of(frame) {
            tlb.stale.get_or_insert(Stale { frame, address });
        }
    });
}

/// The first frame that CPU `cpu` has freed while the CPU still cached a translation to it, since the last
/// call of this function.
pub fn stale(cpu: u32) -> Option<Stale> {
    of(cpu, |tlb| tlb.stale.take())
}
