//! The physical memory, as the firmware reports it.

use super::layout::{GIB, PAGE_SIZE, USER_FRAMES_END, USER_FRAMES_START};
use super::range_set::{Full, RangeSet};
use core::ops::Range;

/// The maximum number of pieces of each kind that a map keeps. Regions that overlap or touch are one piece. PCs report
/// fewer than 32 regions, and UEFI firmware reports fewer than 128 pieces.
pub const MAX_REGIONS: usize = 128;

/// End of all physical addresses: no x86-64 processor has more than 52 address bits.
pub const ADDRESSES_END: u64 = 1 << 52;

/// The use of a range of physical addresses.
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
    /// Its use.
    pub kind: Kind,
}

impl Region {
    /// The region of `bytes` bytes from `start` on, cut off at the end of 64-bit addresses.
    pub fn sized(start: u64, bytes: u64, kind: Kind) -> Region {
        Region { start, end: start.saturating_add(bytes), kind }
    }
}

/// The map has more than [`MAX_REGIONS`] pieces (the environment's fault: no known firmware does this).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyRegions;

impl From<Full> for TooManyRegions {
    fn from(Full: Full) -> Self {
        TooManyRegions
    }
}

/// The use of each physical address, from all regions that the firmware reported, in any order. If memory is reported
/// both as free and as something else, it is not free. If memory is reported twice, it counts once.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    /// Free memory, without the addresses in `acpi` or `reserved`.
    ram: RangeSet<MAX_REGIONS>,
    acpi: RangeSet<MAX_REGIONS>,
    reserved: RangeSet<MAX_REGIONS>,
}

impl Default for MemoryMap {
    fn default() -> Self {
        MemoryMap { ram: RangeSet::EMPTY, acpi: RangeSet::EMPTY, reserved: RangeSet::EMPTY }
    }
}

impl MemoryMap {
    /// Adds a region. Empty regions, and addresses from [`ADDRESSES_END`] on, are dropped.
    ///
    /// # Errors
    /// [`TooManyRegions`]; afterwards the map must not be used.
    pub fn push(&mut self, region: Region) -> Result<(), TooManyRegions> {
        let range = region.start..region.end.min(ADDRESSES_END);
        match region.kind {
            Kind::Ram => {
                self.ram.insert(range)?;
                let others = self.acpi.pieces().iter().chain(self.reserved.pieces());
                Ok(others.cloned().try_for_each(|other| self.ram.remove(other))?)
            }
            Kind::Acpi => {
                self.acpi.insert(range.clone())?;
                Ok(self.ram.remove(range)?)
            }
            Kind::Reserved => {
                self.reserved.insert(range.clone())?;
                Ok(self.ram.remove(range)?)
            }
        }
    }

    /// The free memory as whole pages, in the order of their addresses.
    pub fn ram(&self) -> impl Iterator<Item = Range<u64>> {
        // No address is near the end of 64 bits, so rounding up does not overflow.
        self.ram
            .pieces()
            .iter()
            .map(|piece| piece.start.next_multiple_of(PAGE_SIZE)..piece.end / PAGE_SIZE * PAGE_SIZE)
            .filter(|range| !range.is_empty())
    }

    /// Bytes of free memory.
    pub fn ram_bytes(&self) -> u64 {
        self.ram().map(|range| range.end - range.start).sum()
    }

    /// Whether some byte of `range` is free memory or holds ACPI tables, so that the range may be cached.
    pub fn is_memory(&self, range: Range<u64>) -> bool {
        self.ram.meets(&range) || self.acpi.meets(&range)
    }

    /// Whether the whole frame `number` is free memory.
    pub fn is_ram(&self, number: u32) -> bool {
        let start = u64::from(number) * PAGE_SIZE;
        self.ram().any(|range| range.contains(&start))
    }

    /// Bytes of free memory from 4 GiB on, which the kernel does not use.
    pub fn bytes_beyond(&self) -> u64 {
        self.ram().map(|range| range.end.saturating_sub(range.start.max(4 * GIB))).sum()
    }

    /// The number after the last frame of free memory below 4 GiB.
    pub fn end_frame(&self) -> u32 {
        let below = self.ram().filter(|range| range.start < 4 * GIB);
        let end = below.map(|range| range.end.min(4 * GIB)).max().unwrap_or(0);
        (end / PAGE_SIZE) as u32
    }

    /// Users' page frames up to the first hole: from 1 GiB to the end of the memory there, at most to 3.75 GiB. Empty
    /// if there is no memory at 1 GiB.
    pub fn user_frames(&self) -> Range<u64> {
        let end =
            self.ram().find(|range| range.contains(&USER_FRAMES_START)).map_or(USER_FRAMES_START, |range| range.end);
        USER_FRAMES_START..end.min(USER_FRAMES_END)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::frames::Frames;
    use crate::mm::layout::KERNEL_MEMORY_START;
    use proptest::prelude::*;
    use std::vec::Vec;

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
            // A hole where users' frames begin, one in between, and one that the firmware reports as memory as well.
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
        for piece in 0..MAX_REGIONS as u64 {
            let start = piece * 2 * PAGE_SIZE;
            assert_eq!(map.push(Region { start, end: start + PAGE_SIZE, kind: Kind::Ram }), Ok(()));
        }
        let more = |start| Region { start, end: start + PAGE_SIZE, kind: Kind::Ram };
        assert_eq!(map.push(Region { start: GIB, end: GIB, kind: Kind::Ram }), Ok(()));
        assert_eq!(map.push(more(0)), Ok(()), "that is there already");
        assert_eq!(map.push(more(GIB)), Err(TooManyRegions));
    }

    #[test]
    fn as_many_pieces_as_the_map_holds_can_be_used() {
        let mut map = MemoryMap::default();
        for piece in 0..MAX_REGIONS as u64 {
            map.push(Region::sized(GIB + piece * 2 * PAGE_SIZE, PAGE_SIZE, Kind::Ram)).expect("few regions");
        }
        let users = Frames::of_users(&map).expect("few ranges");
        assert_eq!(users.free_bytes(), MAX_REGIONS as u64 * PAGE_SIZE);
    }

    #[test]
    fn nothing_lies_behind_the_last_address() {
        for start in [u64::MAX, u64::MAX - 1, u64::MAX - 0x7ff, u64::MAX - PAGE_SIZE + 1, ADDRESSES_END] {
            let mut map = map(&[(0x1000, 0x2000, Kind::Ram)]);
            map.push(Region::sized(start, PAGE_SIZE, Kind::Ram)).expect("few regions");
            map.push(Region::sized(start, u64::MAX, Kind::Ram)).expect("few regions");
            assert!(map.ram().eq(core::iter::once(0x1000..0x2000)), "{start:#x}");
        }
        let mut all = map(&[(0, u64::MAX, Kind::Ram), (0, u64::MAX, Kind::Ram)]);
        assert_eq!((all.ram_bytes(), all.bytes_beyond()), (ADDRESSES_END, ADDRESSES_END - 4 * GIB));
        assert_eq!(all.user_frames(), USER_FRAMES_START..USER_FRAMES_END);
        all.push(Region::sized(0x1001, u64::MAX, Kind::Reserved)).expect("few regions");
        assert!(all.ram().eq(core::iter::once(0..0x1000)));
    }

    /// Addresses near the ends of the ranges that matter, of pages, and of 64 bits.
    fn an_address() -> impl Strategy<Value = u64> {
        let near = prop_oneof![
            Just(0),
            Just(KERNEL_MEMORY_START),
            Just(GIB),
            Just(USER_FRAMES_END),
            Just(4 * GIB),
            Just(ADDRESSES_END),
            Just(u64::MAX),
        ];
        let far = prop_oneof![-0x8000i64..0x8000, (-8i64..8).prop_map(|page| page * PAGE_SIZE as i64)];
        (near, far).prop_map(|(near, by)| near.saturating_add_signed(by))
    }

    fn a_kind() -> impl Strategy<Value = Kind> {
        prop_oneof![3 => Just(Kind::Ram), 1 => Just(Kind::Acpi), 1 => Just(Kind::Reserved)]
    }

    proptest! {
        /// The model evaluates the reports for each byte that may differ from its neighbours.
        #[test]
        fn a_page_is_free_if_each_byte_is_reported_free_and_as_nothing_else(
            reports in proptest::collection::vec((an_address(), an_address(), a_kind()), 0..20),
        ) {
            let reports: Vec<_> = reports.into_iter().map(|(a, b, kind)| (a.min(b), a.max(b), kind)).collect();
            let map = map(&reports);
            let is = |byte: u64, wanted: &dyn Fn(Kind) -> bool| {
                reports.iter().any(|&(start, end, kind)| wanted(kind) && start <= byte && byte < end)
            };
            let is_free = |byte: u64| is(byte, &|kind| kind == Kind::Ram) && !is(byte, &|kind| kind != Kind::Ram);
            // Within a page, the use of a byte changes only where a report begins or ends.
            let is_free_page = |page: u64| {
                let changes = reports.iter().flat_map(|&(start, end, _)| [start, end]);
                let inside = changes.filter(|byte| (page..page + PAGE_SIZE).contains(byte));
                core::iter::once(page).chain(inside).all(is_free)
            };
            // Likewise, only the pages around each change need a check.
            let around = |at: u64| {
                let page = at.min(ADDRESSES_END) / PAGE_SIZE * PAGE_SIZE;
                [-1i64, 0, 1].map(|by| page.saturating_add_signed(by * PAGE_SIZE as i64))
            };
            let mut pages: Vec<u64> = reports.iter().flat_map(|&(start, end, _)| [start, end]).flat_map(around).collect();
            pages.retain(|&page| page < ADDRESSES_END);
            let kernel = Frames::new(&map, KERNEL_MEMORY_START..GIB).expect("few ranges");
            for page in pages {
                let free = is_free_page(page);
                prop_assert_eq!(map.ram().any(|range| range.contains(&page)), free, "{:#x}", page);
                if let Ok(number) = u32::try_from(page / PAGE_SIZE) {
                    prop_assert_eq!(map.is_ram(number), free, "{:#x}", page);
                }
                let in_window = (KERNEL_MEMORY_START..GIB).contains(&page);
                prop_assert_eq!(kernel.has(page), free && in_window, "{:#x}", page);
            }
            prop_assert!(map.ram_bytes() <= ADDRESSES_END && map.bytes_beyond() <= map.ram_bytes());
            prop_assert!(map.ram().all(|range| range.start % PAGE_SIZE == 0 && range.end % PAGE_SIZE == 0));
            prop_assert!(map.user_frames().end <= USER_FRAMES_END);
        }
    }
}
