//! The allocation table: which frames are free, with its rely condition and its lock invariant.
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::keys::Keys;
use crate::core::machine::{Machine, Object, Spec, Visit};
use crate::objects::queue::Threads;
use domain::{Flag, Ghost, Map, Storage};

/// The page allocation table.
pub struct AllocTable<M: Machine> {
    /// The entries, one for each frame.
    pub frames: <M as Storage<Frames>>::Map,
    /// No frame below this one is free.
    pub cursor: M::Word,
    /// Ghost state: which CPU each frame was allocated to.
    pub owner: M::Ghost<AllocGhost<M>>,
    /// Log of `PALLOC` and `PFREE` events.
    pub log: M::Log,
}

/// The ghost state of [`AllocTable`].
pub struct AllocGhost<M: Machine> {
    /// Which CPU each frame was allocated to.
    pub owners: <M as Storage<Owners>>::Map,
}

impl<M: Machine> AllocTable<M> {
    /// The table at boot (reference, section 6.2): frame `p` is free iff it lies in the user area below `nps` and
    /// is usable memory.
    pub fn boot(place: M::Place, nps: M::Word) -> Self {
        let mut table = Self::new(place);
        table.frames.define(move |[p]| {
            let kind = if p < KERN_LOW || p >= KERN_HIGH || p >= nps {
                kind::KERN
            } else if M::usable(p).holds() {
                kind::NORM
            } else {
                kind::RESV
            };
            Frame { kind: kind.into(), alloc: false.into() }
        });
        table.owner.update(|ghost| ghost.owners.define(|_| Owner { cpu: TOTAL_CPU.into() }));
        table
    }
}

impl<M: Machine> Frame<M> {
    /// Whether the frame can be allocated.
    #[inline(always)]
    #[track_caller]
    pub fn is_free(self) -> bool {
        self.kind == kind::NORM && !self.alloc.holds()
    }
}

impl<M: Machine> Object<M> for AllocTable<M> {
    const NAME: &'static str = "AT";
    const RANK: u32 = 4;
    const QUEUES: Option<u32> = None;
    const KEYS: Keys = &[("AT", &[0])];

    fn new(place: M::Place) -> Self {
        AllocTable {
            frames: <M as Storage<Frames>>::at(place),
            cursor: 0.into(),
            owner: M::ghost(|| AllocGhost { owners: <M as Storage<Owners>>::at(place) }),
            log: M::log(place),
        }
    }

    fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.word("cursor", &mut self.cursor);
    }

    fn snapshot(&self) -> Self
    where
        M: Spec,
    {
        AllocTable {
            frames: self.frames.clone(),
            cursor: self.cursor,
            owner: M::ghost(|| AllocGhost { owners: M::present(&self.owner).owners.clone() }),
            log: self.log.clone(),
        }
    }

    fn rely(old: &Self, new: &Self, me: M::Word, key: &[M::Word]) -> bool
    where
        M: Spec,
    {
        let p = key[0];
        let (before, after) = (old.frames.get([p]), new.frames.get([p]));
        let owner_before = M::present(&old.owner).owners.get([p]).cpu;
        let owner_after = M::present(&new.owner).owners.get([p]).cpu;
        // Kinds never change, so the table follows the machine's memory map for ever (theorem `init_adt`). The frames of
        // `me` stay its own, and no other frame becomes one of them: other CPUs may allocate free frames and release
        // their own.
        before.kind == after.kind && (owner_before == me) == (owner_after == me)
    }

    fn lock_invariant(&self, _: M::Word, _: &Threads<M>, key: &[M::Word]) -> bool
    where
        M: Spec,
    {
        let p = key[0];
        let frame = self.frames.get([p]);
        let owner = M::present(&self.owner).owners.get([p]).cpu;
        // D11: only frames of the user area can be free or allocated.
        (frame.kind != kind::NORM || (p >= KERN_LOW && p < KERN_HIGH))
            && (!frame.alloc.holds() || frame.kind == kind::NORM)
            && frame.alloc.holds() == (owner < TOTAL_CPU)
            && owner <= TOTAL_CPU
            && (p >= self.cursor || frame.kind != kind::NORM || frame.alloc.holds())
            && self.cursor <= MAX_PAGE
    }
}
