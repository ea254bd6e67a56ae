//! What physical memory there is, as the firmware reports it.

use crate::layout::{GIB, PAGE_SIZE, USER_FRAMES_END, USER_FRAMES_START};
use core::ops::Range;

/// Most entries that a map keeps; emulated and real PCs report fewer than 32.
pub const MAX_REGIONS: usize = 64;

/// What a range of physical addresses is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Memory that is free for use.
    Ram,
    /// Memory that holds ACPI tables.
    Acpi,
    /// Anything else: devices, firmware, broken memory.
    Reserved,
}

/// A range of physical addresses, `start` included, `end` not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// First byte after the region.
    pub end: u64,
    /// What it is.
    pub kind: Kind,
}

/// The map was longer than [`MAX_REGIONS`] (the environment's fault: no known firmware does this).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRegions;

/// The regions that the firmware reported, in its order.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    regions: [Region; MAX_REGIONS],
    count: usize,
}

impl Default for MemoryMap {
    fn default() -> Self {
        MemoryMap { regions: [Region { start: 0, end: 0, kind: Kind::Reserved }; MAX_REGIONS], count: 0 }
    }
}

impl MemoryMap {
    /// Adds a region; an empty one is dropped.
    pub fn push(&mut self, region: Region) -> Result<(), TooManyRegions> {
        if region.start >= region.end {
            return Ok(());
        }
        *self.regions.get_mut(self.count).ok_or(TooManyRegions)? = region;
        self.count += 1;
        Ok(())
    }

    /// The regions.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }

    /// The free memory as whole pages. Careless firmware claims parts of it for other things as well
    /// ([`others`](MemoryMap::others)).
    pub fn ram(&self) -> impl Iterator<Item = Range<u64>> {
        self.regions()
            .iter()
            .filter(|region| region.kind == Kind::Ram)
            .map(|region| region.start.next_multiple_of(PAGE_SIZE)..region.end / PAGE_SIZE * PAGE_SIZE)
            .filter(|range| !range.is_empty())
    }

    /// Bytes of free memory.
    pub fn ram_bytes(&self) -> u64 {
        self.ram().map(|range| range.end - range.start).sum()
    }

    /// Whether any byte of `range` is memory, so that caching it is right.
    pub fn is_memory(&self, range: Range<u64>) -> bool {
        self.regions()
            .iter()
            .any(|region| region.kind != Kind::Reserved && region.start < range.end && range.start < region.end)
    }

    /// Whether all of frame `number` is free memory, and nothing else claims a part of it.
    pub fn is_ram(&self, number: u32) -> bool {
        let start = u64::from(number) * PAGE_SIZE;
        self.ram().any(|range| range.start <= start && start + PAGE_SIZE <= range.end)
            && !self.others().any(|range| range.start < start + PAGE_SIZE && start < range.end)
    }

    /// What is not free memory.
    pub fn others(&self) -> impl Iterator<Item = Range<u64>> {
        self.regions().iter().filter(|region| region.kind != Kind::Ram).map(|region| region.start..region.end)
    }

    /// Bytes of free memory from 4 GiB on, which the kernel leaves alone.
    pub fn bytes_beyond(&self) -> u64 {
        self.ram().map(|range| range.end.saturating_sub(range.start.max(4 * GIB))).sum()
    }

    /// Number of the first frame behind all free memory below 4 GiB.
    pub fn end_frame(&self) -> u32 {
        let below = self.ram().filter(|range| range.start < 4 * GIB);
        let end = below.map(|range| range.end.min(4 * GIB)).max().unwrap_or(0);
        (end / PAGE_SIZE) as u32
    }

    /// Users' page frames without a hole: from 1 GiB to the end of the memory that lies there, at most to 3.75 GiB.
    /// Empty where there is no memory at 1 GiB.
    pub fn user_frames(&self) -> Range<u64> {
        let end =
            self.ram().find(|range| range.contains(&USER_FRAMES_START)).map_or(USER_FRAMES_START, |range| range.end);
        USER_FRAMES_START..end.min(USER_FRAMES_END)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::Frames;

    fn map(regions: &[(u64, u64, Kind)]) -> MemoryMap {
        let mut map = MemoryMap::default();
        for &(start, end, kind) in regions {
            map.push(Region { start, end, kind }).expect("few regions");
        }
        map
    }

    #[test]
    fn user_frames_end_with_the_memory_or_the_window() {
        let pc = [(0, 0x9fc00, Kind::Ram), (0xf0000, 1 << 20, Kind::Reserved)];
        let with = |end| map(&[pc[0], pc[1], (1 << 20, end, Kind::Ram)]).user_frames();
        assert_eq!(with(2 * GIB - 0x20000), GIB..2 * GIB - 0x20000);
        assert_eq!(with(4 * GIB), GIB..USER_FRAMES_END);
        assert!(with(GIB / 2).is_empty());
        assert!(with(GIB).is_empty());
    }

    #[test]
    fn ram_is_rounded_inwards() {
        let map = map(&[(0x1001, 0x4fff, Kind::Ram), (0x5001, 0x5fff, Kind::Ram)]);
        assert!(map.ram().eq(core::iter::once(0x2000..0x4000)));
        assert_eq!(map.ram_bytes(), 0x2000);
    }

    #[test]
    fn a_frame_is_memory_if_all_of_it_is() {
        let map = map(&[(0x1800, 0x3800, Kind::Ram), (0x8000, 0x9000, Kind::Ram), (0x9000, 0xa000, Kind::Acpi)]);
        assert!((0..16).filter(|&frame| map.is_ram(frame)).eq([2, 8]));
        assert_eq!(map.end_frame(), 9);
        assert_eq!(MemoryMap::default().end_frame(), 0);
    }

    #[test]
    fn memory_above_4_gib_is_left_alone() {
        let map = map(&[(1 << 20, 2 * GIB, Kind::Ram), (4 * GIB, 6 * GIB, Kind::Ram)]);
        assert_eq!((map.end_frame(), map.bytes_beyond()), (1 << 19, 2 * GIB));
    }

    #[test]
    fn holes_are_no_memory() {
        let map = map(&[
            (1 << 20, GIB, Kind::Ram),
            // A hole where users' frames begin, one in between, and one that the firmware says is memory as well.
            (GIB + 0x4000, 2 * GIB, Kind::Ram),
            (2 * GIB + 0x3000, 3 * GIB, Kind::Ram),
            (3 * GIB - 0x1800, 3 * GIB - 0x1000, Kind::Reserved),
        ]);
        let frame = |address: u64| (address / PAGE_SIZE) as u32;
        let around = |address: u64| [-1i64, 0, 1].map(|by| map.is_ram((i64::from(frame(address)) + by) as u32));
        assert_eq!(around(GIB), [true, false, false]);
        assert_eq!(around(GIB + 0x4000), [false, true, true]);
        assert_eq!(around(2 * GIB + 0x1000), [false, false, false]);
        assert_eq!(around(3 * GIB - 0x2000), [true, false, true]);
        let users = Frames::of_users(&map).expect("few regions");
        assert_eq!(users.free_bytes(), 2 * GIB - 0x4000 - 0x3000 - 0x1000);
        assert_eq!(
            users.free_bytes() / PAGE_SIZE,
            (frame(GIB)..frame(4 * GIB)).filter(|&n| map.is_ram(n)).count() as u64
        );
    }

    #[test]
    fn devices_are_not_memory() {
        let map = map(&[
            (0, 2 * GIB, Kind::Ram),
            (2 * GIB, 2 * GIB + 0x1000, Kind::Acpi),
            (3 * GIB, 4 * GIB, Kind::Reserved),
        ]);
        assert!(map.is_memory(2 * GIB..2 * GIB + 1));
        assert!(!map.is_memory(3 * GIB..4 * GIB));
        assert!(!map.is_memory(2 * GIB + 0x1000..3 * GIB));
    }

    #[test]
    fn an_overlong_map_is_refused() {
        let mut map = MemoryMap::default();
        for _ in 0..MAX_REGIONS {
            assert!(map.push(Region { start: 0, end: 1, kind: Kind::Ram }).is_ok());
        }
        assert_eq!(map.push(Region { start: 0, end: 0, kind: Kind::Ram }), Ok(()));
        assert_eq!(map.push(Region { start: 0, end: 1, kind: Kind::Ram }), Err(TooManyRegions));
    }
}
