//! Users' page maps, as arithmetic: the addresses of a process's tables and of their entries.
//!
//! A *space* is five consecutive frames: the PML4, the page-directory-pointer table of its entry 0, and the page
//! directories of GiB 1, 2 and 3. They are set up once. Afterwards one page-directory entry refers to exactly one
//! thing: the frame of a page table, for a 2 MiB region. All spaces are consecutive too, so an entry's physical address
//! is a sum, and different (space, region) give different addresses.

use super::layout::{GIB, PAGE_SIZE, REGION_SIZE};
use core::ops::Range;

/// Frames of one space: PML4, page-directory-pointer table, three page directories.
pub const SPACE_FRAMES: u64 = 5;
/// The numbers of the GiB for which a space has a page directory.
pub const DIRECTORY_GIBS: Range<u64> = 1..4;
/// Numbers of the page-directory regions (`va >> 21`) that have an entry.
pub const REGIONS: Range<u64> = DIRECTORY_GIBS.start * GIB / REGION_SIZE..DIRECTORY_GIBS.end * GIB / REGION_SIZE;
/// Entries of a table of any level.
pub const ENTRIES: u64 = 512;

/// Bits of a page-table entry. The layer's permission codes are such bits: 1, 3, 5, 7, 259.
pub mod entry {
    /// P: the entry leads to a page or table.
    pub const PRESENT: u64 = 1;
    /// R/W: stores are allowed.
    pub const WRITABLE: u64 = 1 << 1;
    /// U/S: ring 3 has access.
    pub const USER: u64 = 1 << 2;
    /// G: the translation survives a change of page map. The kernel leaves CR4.PGE off. The layer's code 259 sets this
    /// bit in user maps, where it would let one process use another's translation.
    pub const GLOBAL: u64 = 1 << 8;
    /// XD or NX: fetches are forbidden. The bit is reserved if the processor does not have it.
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The bits of the physical address.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    /// The bits of an entry that leads to a table. It allows all accesses; the page-table entry restricts them.
    pub const TABLE: u64 = PRESENT | WRITABLE | USER;
}

/// All users' spaces: consecutive frames in kernel memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spaces {
    base: u64,
    count: u64,
}

impl Spaces {
    /// Frames that `count` spaces need.
    pub const fn frames(count: u64) -> u64 {
        count * SPACE_FRAMES
    }

    /// `count` spaces in the [`Spaces::frames`] frames from physical address `base` on.
    pub const fn at(base: u64, count: u64) -> Spaces {
        Spaces { base, count }
    }

    /// Number of spaces.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Physical address of the PML4 of space `index`, as CR3 takes it.
    #[inline(always)]
    pub fn root(&self, index: u64) -> Option<u64> {
        (index < self.count).then(|| self.base + index * SPACE_FRAMES * PAGE_SIZE)
    }

    /// The space whose PML4 is at physical address `root`, if there is one.
    pub fn space(&self, root: u64) -> Option<u64> {
        let bytes = root.checked_sub(self.base)?;
        let index = bytes / (SPACE_FRAMES * PAGE_SIZE);
        (self.root(index) == Some(root)).then_some(index)
    }

    /// Physical address of the page-directory-pointer table of space `index`.
    pub fn pointer_table(&self, index: u64) -> Option<u64> {
        Some(self.root(index)? + PAGE_SIZE)
    }

    /// Physical address of the page directory of space `index` for `gib`, one of [`DIRECTORY_GIBS`].
    #[inline(always)]
    pub fn directory(&self, index: u64, gib: u64) -> Option<u64> {
        let place = gib.checked_sub(DIRECTORY_GIBS.start).filter(|_| DIRECTORY_GIBS.contains(&gib))?;
        Some(self.root(index)? + (2 + place) * PAGE_SIZE)
    }

    /// Physical address of the page-directory entry of space `index` for `region`, one of [`REGIONS`].
    #[inline(always)]
    pub fn directory_entry(&self, index: u64, region: u64) -> Option<u64> {
        let directory = self.directory(index, region / ENTRIES)?;
        Some(directory + region % ENTRIES * 8)
    }
}

/// Physical address of entry `index` (0 to 511) of the page table in the frame at `table`.
#[inline(always)]
pub fn table_entry(table: u64, index: u64) -> Option<u64> {
    (index < ENTRIES && table.is_multiple_of(PAGE_SIZE)).then(|| table + index * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const SPACES: Spaces = Spaces::at(0x40_0000, 3);

    #[test]
    fn different_entries_are_different_memory() {
        let mut seen = HashSet::new();
        for index in 0..3 {
            let tables = [SPACES.root(index), SPACES.pointer_table(index)].map(|table| table.expect("in range"));
            assert!(tables.iter().all(|&table| seen.insert(table)));
            for region in REGIONS {
                assert!(seen.insert(SPACES.directory_entry(index, region).expect("in range")));
            }
        }
        let end = 0x40_0000 + Spaces::frames(3) * PAGE_SIZE;
        assert!(seen.iter().all(|address| (0x40_0000..end).contains(address)));
    }

    #[test]
    fn a_root_leads_back_to_its_space() {
        for index in 0..3 {
            let root = SPACES.root(index).expect("in range");
            assert_eq!(SPACES.space(root), Some(index));
            assert_eq!(SPACES.space(root + PAGE_SIZE), None);
        }
        assert_eq!([0, 0x40_0000 + 3 * SPACE_FRAMES * PAGE_SIZE].map(|root| SPACES.space(root)), [None; 2]);
    }

    #[test]
    fn nothing_outside_has_an_address() {
        assert_eq!(SPACES.root(3), None);
        assert_eq!(SPACES.directory_entry(0, REGIONS.start - 1), None);
        assert_eq!(SPACES.directory_entry(0, REGIONS.end), None);
        assert_eq!(table_entry(0x1000, 512), None);
        assert_eq!(table_entry(0x1001, 0), None);
    }

    proptest! {
        #[test]
        fn the_walk_of_the_hardware_arrives(va in GIB..4 * GIB) {
            let region = va / REGION_SIZE;
            let directory = SPACES.directory(1, va >> 30 & 511).expect("GiB 1 to 3");
            prop_assert_eq!(SPACES.directory_entry(1, region), Some(directory + (va >> 21 & 511) * 8));
        }
    }
}
