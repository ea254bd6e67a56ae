//! Page directories: the ones that were set up for each thread at boot.
use super::Place;
use crate::home::{Entries, page_entry};
use crate::metal::paging;
use crate::user_space::{REGIONS, Spaces};
use core::ops::Range;
use domain::{Domain, Geometry, X64};
use layer::constants::{ADR_HIGH, ADR_LOW, NUM_PROC};
use layer::fields::Pde;
use layer::queue::root;

/// Directory entries of the user window, which the hardware has.
const WINDOW: Range<u32> = ADR_LOW / X64::REGION..ADR_HIGH / X64::REGION;
const _: () = assert!(REGIONS.start <= WINDOW.start as u64 && WINDOW.end as u64 <= REGIONS.end);

/// The page directories of a CPU's threads.
///
/// Each thread had its top levels set up at boot, in frames of its own (`user_space` proves the arithmetic), so that
/// different keys are different entries. Where a map has the kernel's identity map, [`Pde::Id`] (thread 0, and outside
/// the user window), there is no entry: that value is known from the key and nothing is stored. The hardware walks
/// exactly these entries once the thread's root is in CR3.
///
/// All CPUs share this memory. A thread is at home on the CPU of the root that it descends from, and its number says
/// which that is, so each CPU's map is about different threads; that is checked here.
pub struct Directories {
    spaces: Spaces,
    root: u32,
}

impl Directories {
    pub(super) fn new(place: Place) -> Self {
        Directories { spaces: place.board.spaces, root: place.cpu + 1 }
    }

    /// Whether the key has an entry, of a thread of this CPU.
    fn has_entry(&self, [thread, index]: [u32; 2]) -> bool {
        assert!(thread < NUM_PROC && index < X64::DIRS, "there is no entry {index} of thread {thread}");
        if thread == 0 || !WINDOW.contains(&index) {
            return false;
        }
        assert_eq!(root(thread), self.root, "thread {thread} is another CPU's");
        true
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Pde<D>> for Directories {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..NUM_PROC, 0..X64::DIRS]
    }

    fn load(&self, key: [u32; 2]) -> Pde<D> {
        if !self.has_entry(key) {
            return Pde::Id;
        }
        let [thread, index] = key.map(u64::from);
        let bits = paging::directory_entry(&self.spaces, thread, index);
        page_entry::from_directory(bits.expect("the window has entries"))
    }

    fn store(&mut self, key: [u32; 2], value: Pde<D>) {
        let (entry, bits) = (self.has_entry(key), page_entry::directory(value));
        assert_eq!(entry, bits.is_some(), "entry {} of thread {} is {value:?}", key[1], key[0]);
        let Some(bits) = bits else { return };
        let [thread, index] = key.map(u64::from);
        // SAFETY: the frame holds a page table that the layer has filled before, for this entry alone, and a present
        // entry is never changed: both are proved of the layer.
        unsafe { paging::set_directory_entry(&self.spaces, thread, index, bits) }.expect("the window has entries");
    }

    // Of the other CPUs' threads, what they are is none of this map's business.
    fn define(&mut self, make: impl Fn([u32; 2]) -> Pde<D>) {
        let mine = self.root;
        for thread in (0..NUM_PROC).filter(|&thread| thread == 0 || root(thread) == mine) {
            (0..X64::DIRS).for_each(|index| self.store([thread, index], make([thread, index])));
        }
    }
}
