//! Page directories: those that were set up for each thread at boot.
use super::{Entries, page_entry};
use crate::mm::direct_map::DirectMap;
use crate::mm::user_space::{REGIONS, Spaces};
use core::ops::Range;
use domain::Domain;
use layer::core::constants::{ADR_HIGH, ADR_LOW, NUM_PROC};
use layer::core::fields::Pde;
use layer::core::geometry::{Geometry, X64};
use layer::objects::queue::root;

/// Directory entries of the user window, which exist in memory.
const WINDOW: Range<u32> = ADR_LOW / X64::REGION..ADR_HIGH / X64::REGION;
const _: () = assert!(REGIONS.start <= WINDOW.start as u64 && WINDOW.end as u64 <= REGIONS.end);

/// The page directories of a CPU's threads.
///
/// Boot sets up each thread's top levels in frames of its own (`user_space` checks the arithmetic), so different keys
/// are different entries. Directory entries that are the kernel's identity map, [`Pde::Id`] (of thread 0, and outside
/// the user window), are not stored: the value follows from the key. The hardware walks exactly these entries once the
/// thread's root is in CR3.
///
/// All CPUs share this memory. A thread belongs to the CPU of the main thread from which it descends, and its number
/// determines this CPU. So the maps of different CPUs are about different threads. It is proved of the layer that a
/// primitive accesses only threads of its own CPU; debug assertions check it here.
pub struct Directories {
    map: DirectMap,
    spaces: Spaces,
    main: u32,
}

impl Directories {
    /// The directories of CPU `cpu`'s threads. `spaces` has one space for each thread.
    ///
    /// # Safety
    /// `map` maps the spaces' frames, whose tables are set up, for good. Only the processor and the directories
    /// of other CPUs access this memory otherwise.
    pub unsafe fn new(map: DirectMap, spaces: Spaces, cpu: u32) -> Self {
        Directories { map, spaces, main: cpu + 1 }
    }

    /// Physical address of the root of a thread's page map.
    ///
    /// # Panics
    /// When there is no such thread.
    #[inline(always)]
    pub fn root(&self, thread: u32) -> u64 {
        self.spaces.root(thread.into()).expect("every thread has a page map")
    }

    /// Address of an entry that exists.
    #[inline]
    fn entry(&self, [thread, index]: [u32; 2]) -> *mut u64 {
        let at = self.spaces.directory_entry(thread.into(), index.into());
        self.map.pointer(at.expect("the window has entries"))
    }

    /// Whether the key has an entry in memory. With debug assertions, the thread must belong to this CPU.
    #[inline(always)]
    fn has_entry(&self, [thread, index]: [u32; 2]) -> bool {
        assert!(thread < NUM_PROC && index < X64::DIRS, "there is no entry {index} of thread {thread}");
        if thread == 0 || !WINDOW.contains(&index) {
            return false;
        }
        debug_assert_eq!(root(thread), self.main, "thread {thread} is another CPU's");
        true
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Pde<D>> for Directories {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..NUM_PROC, 0..X64::DIRS]
    }

    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Pde<D> {
        if !self.has_entry(key) {
            return Pde::Id;
        }
        // SAFETY: `entry` returns the address of a word of a directory of this CPU's threads. The processor itself sets
        // only bits that decoding ignores, so two reads give the same result.
        page_entry::from_directory(unsafe { self.entry(key).read() })
    }

    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Pde<D>) {
        let (entry, bits) = (self.has_entry(key), page_entry::directory(value));
        assert_eq!(entry, bits.is_some(), "entry {} of thread {} is {value:?}", key[1], key[0]);
        let Some(bits) = bits else { return };
        // SAFETY: as in `load`. The entry is set to a frame with a page table, which the layer has filled before and
        // which only this entry leads to. Or the entry becomes absent; then the layer makes the processor forget it
        // (`Machine::unmapped`) before the frame is free. ARCHITECTURE.md explains why this is enough.
        unsafe { self.entry(key).write_volatile(bits) }
    }

    fn search_row(&self, thread: u32, from: u32, to: u32, wanted: fn(Pde<D>) -> bool) -> Option<Option<u32>> {
        if thread == 0 || from < WINDOW.start || to > WINDOW.end {
            return None;
        }
        // The directories of a thread are consecutive in memory.
        let first = self.entry([thread, WINDOW.start]);
        // SAFETY: as in `load`.
        let read = |index| unsafe { first.wrapping_add((index - WINDOW.start) as usize).read() };
        Some(page_entry::first_of(from..to, read, |bits| wanted(page_entry::from_directory(bits))))
    }

    // Leaves out the threads of other CPUs, which this map does not hold.
    fn define(&mut self, make: impl Fn([u32; 2]) -> Pde<D>) {
        let mine = self.main;
        for thread in (0..NUM_PROC).filter(|&thread| thread == 0 || root(thread) == mine) {
            (0..X64::DIRS).for_each(|index| self.store([thread, index], make([thread, index])));
        }
    }
}
