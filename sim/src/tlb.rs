//! What a processor remembers of the page map that it uses: pages, and which page table a directory entry names.
//!
//! This is a translation lookaside buffer, with the caches of paging structures, in the worst case: it holds whatever programs
//! have used, however much that is, and no change of a page map changes it. It forgets only where every processor has to (Intel's
//! manual, volume 3, 4.10.4):
//!
//! - everything, where the root of a page map is loaded: the kernel uses neither PCIDs nor global pages;
//! - the page of an address and all page tables, at `invlpg`, which is [`unmapped`](layer::machine::Machine::unmapped); but
//!   a processor may walk the page map at any time, so that what is still there is remembered again at once;
//! - the page and the page table of an address, where an access to it has faulted.
//!
//! What is absent is not remembered. An access that a remembered page forbids faults, also where the page map has come to allow it:
//! processors may look once more, and need not. The kernel never changes a permission, so no program can tell.
//!
//! Unlike a processor it does not look at pages that no program has touched, and sets no bit in page tables. A walk by a remembered page
//! table that is none any more is [`Stuck::FrameNotTable`](layer::stuck::Stuck::FrameNotTable), whatever is in the frame; and a
//! frame that is given back while a CPU remembers it is a [`Stale`] translation, used or not.
use crate::check::Violation;
use crate::machine::Sim;
use domain::{Domain, Geometry, Map};
use layer::constants::{PAGE_SIZE, TOTAL_CPU};
use layer::fields::{Pde, Pte};
use layer::page_table::{Walk, directory, entry, pdx, ptx};
use layer::state::Cpu;
use layer::stuck::Stuck;
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// What one processor remembers.
#[derive(Default)]
pub(crate) struct Tlb {
    /// Whose page map it uses.
    thread: u32,
    /// By page number: the frame that is there, and its permission code.
    pages: FxHashMap<u32, (u32, u32)>,
    /// At how many pages each frame is remembered.
    reached: FxHashMap<u32, u32>,
    /// By directory index: the frame of the page table.
    tables: FxHashMap<u32, u32>,
    /// The first frame that was free too early, until somebody asks.
    stale: Option<Stale>,
}

/// A frame was given back to the allocation table, and the processor still remembered it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale {
    /// The frame.
    pub frame: u32,
    /// An address at which it was remembered; of a page table, the first one that it is for.
    pub address: u32,
}

impl Tlb {
    /// What the processor takes the page map of `thread`, which it uses, to say of an address.
    ///
    /// # Errors
    /// The ownership checks of page tables.
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

    /// An access to an address has faulted.
    pub(crate) fn faulted(&mut self, address: u32) {
        self.forget_page(address);
        self.tables.remove(&pdx::<Sim>(address));
    }

    /// `invlpg` of an address; then it looks again at what it has forgotten.
    fn invalidate(&mut self, cpu: &Cpu<'_, Sim>, address: u32) {
        let dirs = &cpu.own.dirs;
        let is_there = |index, table| matches!(dirs.get([self.thread, index]), Pde::Table { frame } if frame == table);
        self.tables.retain(|&index, &mut table| is_there(index, table));
        if self.forget_page(address) {
            // What comes of it is remembered; that it cannot be made is nothing to a processor.
            let _ = self.walk(cpu, self.thread, address);
        }
    }

    /// Whether it was remembered.
    fn forget_page(&mut self, address: u32) -> bool {
        let Some((frame, _)) = self.pages.remove(&(address / PAGE_SIZE)) else { return false };
        if let Some(count) = self.reached.get_mut(&frame) {
            *count -= 1;
        }
        true
    }

    /// An address at which a frame is remembered, if it is.
    fn address_of(&self, frame: u32) -> Option<u32> {
        if self.reached.get(&frame).is_some_and(|&count| count > 0) {
            return self.pages.iter().find(|(_, (at, _))| *at == frame).map(|(page, _)| page * PAGE_SIZE);
        }
        let region = <Sim as Domain>::Geometry::REGION;
        self.tables.iter().find(|(_, table)| **table == frame).map(|(index, _)| index * region)
    }
}

impl Stale {
    /// As a fact that does not hold: the lemma of ARCHITECTURE.md.
    pub(crate) fn violation(self, cpu: u32) -> Violation {
        let keys = vec![vec![self.frame, self.address]];
        Violation { number: "TLB", name: "no CPU remembers a free frame", cpu, keys, places: 1 }
    }
}

thread_local! {
    /// What each CPU of this thread's machine remembers.
    static TLBS: RefCell<[Tlb; TOTAL_CPU as usize]> = RefCell::default();
}

/// Gives what CPU `cpu` remembers to `work`; nothing where there is no such CPU, as in a state that was made up.
pub(crate) fn of<R>(cpu: u32, work: impl FnOnce(&mut Tlb) -> R) -> R {
    TLBS.with_borrow_mut(|tlbs| match tlbs.get_mut(cpu as usize) {
        Some(tlb) => work(tlb),
        None => work(&mut Tlb::default()),
    })
}

/// CPU `cpu` is switched on.
pub(crate) fn switch_on(cpu: u32) {
    of(cpu, |tlb| *tlb = Tlb::default());
}

/// The root of the page map of `thread` is loaded on CPU `cpu`.
pub fn load_root(cpu: u32, thread: u32) {
    of(cpu, |tlb| *tlb = Tlb { thread, stale: tlb.stale, ..Tlb::default() });
}

/// `invlpg` of an address.
pub(crate) fn invalidate(cpu: &Cpu<'_, Sim>, address: u32) {
    of(cpu.own.cpu, |tlb| tlb.invalidate(cpu, address));
}

/// CPU `cpu` has given a frame back.
pub(crate) fn freed(cpu: u32, frame: u32) {
    of(cpu, |tlb| {
        if let Some(address) = tlb.address_of(frame) {
            tlb.stale.get_or_insert(Stale { frame, address });
        }
    });
}

/// The first frame that CPU `cpu` has given back too early, since this was asked last.
pub fn stale(cpu: u32) -> Option<Stale> {
    of(cpu, |tlb| tlb.stale.take())
}
