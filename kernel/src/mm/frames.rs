//! Kernel memory at boot: ranges of free physical memory. Page frames are cut from them and never freed. The layer
//! hands out users' page frames, which are not in these ranges.

use super::layout::{PAGE_SIZE, USER_FRAMES_END, USER_FRAMES_START};
use super::memory_map::{MAX_REGIONS, MemoryMap};
use super::range_set::{Full, RangeSet};
use core::ops::Range;

/// The maximum number of separate free ranges: all that a memory map can have, and one more for each of up to 64
/// exclusions.
const MAX_RANGES: usize = MAX_REGIONS + 64;

/// Why memory could not be allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FramesError {
    /// No free range is large enough (the environment's fault: too little memory).
    #[error("too little memory below 1 GiB")]
    OutOfMemory,
    /// The free memory is in too many pieces (the environment's fault).
    #[error("its memory is in too many pieces")]
    TooManyRanges,
}

impl From<Full> for FramesError {
    fn from(Full: Full) -> Self {
        FramesError::TooManyRanges
    }
}

/// The free ranges, page-aligned.
#[derive(Clone, Debug)]
pub struct Frames(RangeSet<MAX_RANGES>);

impl Frames {
    /// No free memory.
    pub const NONE: Frames = Frames(RangeSet::EMPTY);

    /// The free memory of `map` that lies in `window`.
    pub fn new(map: &MemoryMap, window: Range<u64>) -> Result<Frames, FramesError> {
        let mut frames = Frames::NONE;
        for range in map.ram() {
            frames.0.insert(range.start.max(window.start)..range.end.min(window.end))?;
        }
        Ok(frames)
    }

    /// Users' page frames. The kernel only counts them; the layer hands them out.
    pub fn of_users(map: &MemoryMap) -> Result<Frames, FramesError> {
        Frames::new(map, USER_FRAMES_START..USER_FRAMES_END)
    }

    /// Removes every page that `taken` touches from the free memory.
    pub fn exclude(&mut self, taken: Range<u64>) -> Result<(), FramesError> {
        if taken.is_empty() {
            return Ok(());
        }
        let end = taken.end.checked_next_multiple_of(PAGE_SIZE).unwrap_or(u64::MAX);
        Ok(self.0.remove(taken.start / PAGE_SIZE * PAGE_SIZE..end)?)
    }

    /// Allocates `count` consecutive free frames, aligned to `align` bytes (a power of two, at least a page). Returns
    /// the least physical address at which they fit.
    pub fn allocate(&mut self, count: u64, align: u64) -> Result<u64, FramesError> {
        let bytes = count.checked_mul(PAGE_SIZE).ok_or(FramesError::OutOfMemory)?;
        let align = align.max(PAGE_SIZE);
        let room = self.0.pieces().iter().find_map(|piece| {
            let start = piece.start.checked_next_multiple_of(align)?;
            let end = start.checked_add(bytes).filter(|&end| end <= piece.end)?;
            Some((piece.start, start, end))
        });
        let (first, start, end) = room.ok_or(FramesError::OutOfMemory)?;
        // The gap before the aligned address stays free. If that would make one piece too many, the gap is lost, which
        // is harmless.
        self.0.remove(start..end).or_else(|Full| self.0.remove(first..end))?;
        Ok(start)
    }

    /// Bytes that are still free.
    pub fn free_bytes(&self) -> u64 {
        self.0.len()
    }

    /// Whether the frame at physical address `start` is free.
    #[cfg(test)]
    pub(crate) fn has(&self, start: u64) -> bool {
        self.0.meets(&(start..start.saturating_add(PAGE_SIZE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::layout::{GIB, KERNEL_MEMORY_START};
    use crate::mm::memory_map::{Kind, Region};
    use proptest::prelude::*;

    fn pc() -> Frames {
        let mut map = MemoryMap::default();
        for (start, end) in [(0, 0x9fc00), (1 << 20, 2 * GIB)] {
            map.push(Region { start, end, kind: Kind::Ram }).expect("few regions");
        }
        Frames::new(&map, KERNEL_MEMORY_START..GIB).expect("few regions")
    }

    #[test]
    fn stays_in_the_window() {
        let mut frames = pc();
        assert_eq!(frames.free_bytes(), GIB - KERNEL_MEMORY_START);
        assert_eq!(frames.allocate(GIB / PAGE_SIZE, PAGE_SIZE), Err(FramesError::OutOfMemory));
        assert_eq!(frames.allocate(u64::MAX, PAGE_SIZE), Err(FramesError::OutOfMemory));
        assert_eq!(frames.allocate(1, PAGE_SIZE), Ok(KERNEL_MEMORY_START));
    }

    #[test]
    fn what_is_claimed_twice_is_handed_out_once_or_not_at_all() {
        let mut map = MemoryMap::default();
        let regions = [
            (2 << 20, 4 << 20, Kind::Ram),
            (3 << 20, 5 << 20, Kind::Ram),
            (0x38_0800, 0x38_1000, Kind::Acpi),
            (0, u64::MAX, Kind::Reserved),
        ];
        for &(start, end, kind) in &regions[..3] {
            map.push(Region { start, end, kind }).expect("few regions");
        }
        let mut frames = Frames::new(&map, KERNEL_MEMORY_START..GIB).expect("few regions");
        assert_eq!(frames.free_bytes(), (3 << 20) - PAGE_SIZE);
        let mut seen = std::collections::BTreeSet::new();
        while let Ok(frame) = frames.allocate(1, PAGE_SIZE) {
            assert!(frame != 0x38_0000 && seen.insert(frame), "{frame:#x}");
        }
        map.push(Region { start: regions[3].0, end: regions[3].1, kind: regions[3].2 }).expect("few regions");
        assert_eq!(Frames::new(&map, KERNEL_MEMORY_START..GIB).map(|frames| frames.free_bytes()), Ok(0));
    }

    #[test]
    fn alignment_wastes_nothing() {
        let mut frames = pc();
        let before = frames.free_bytes();
        assert_eq!(frames.allocate(1, 2 << 20), Ok(2 << 20));
        assert_eq!(frames.free_bytes(), before - PAGE_SIZE);
    }

    proptest! {
        #[test]
        fn never_hands_out_a_page_twice_or_an_excluded_one(
            excluded in proptest::collection::vec((0u64..2 * GIB, 1u64..64 << 20), 0..6),
            requests in proptest::collection::vec((1u64..5000, 12u32..22), 1..20),
        ) {
            let mut frames = pc();
            let mut taken: std::vec::Vec<Range<u64>> = std::vec![];
            for (start, bytes) in excluded {
                frames.exclude(start..start + bytes).expect("few ranges");
                taken.push(start..start + bytes);
            }
            for (count, shift) in requests {
                let free = frames.free_bytes();
                if let Ok(start) = frames.allocate(count, 1 << shift) {
                    let new = start..start + count * PAGE_SIZE;
                    prop_assert_eq!(start % (1 << shift), 0);
                    prop_assert!(new.start >= KERNEL_MEMORY_START && new.end <= GIB);
                    prop_assert!(taken.iter().all(|old| old.end <= new.start || new.end <= old.start));
                    prop_assert_eq!(frames.free_bytes(), free - count * PAGE_SIZE);
                    taken.push(new);
                }
            }
        }
    }
}
