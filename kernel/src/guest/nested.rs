//! Nested page tables: the storage of the layer's `ept`.
//!
//! The tables are the processor's own: four levels, for 4 GiB of guest-physical memory, static for each CPU. A table of
//! the last level counts as absent until one of its pages is mapped; so emptying all tables means emptying the
//! directories.
//!
//! VT-x and SVM have different entries of the last level. VT-x's are the layer's values. SVM's are those of ordinary page
//! tables, in which bits 9 to 11 belong to software: they hold the layer's memory type, which SVM does not need.

use super::virtualisation::Virtualisation;
use crate::mm::direct_map::physical;
use crate::storage::Entries;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use domain::Domain;
use layer::core::constants::{EPT_DIRS, EPT_ENTRIES, PAGE_SIZE};
use layer::core::fields::Cell;
use layer::objects::vmx::ept::MAPPED;

/// A table of any level. The processor reads it, and sets bits in it that decoding ignores.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Table([AtomicU64; EPT_ENTRIES as usize]);

impl Table {
    /// A table without entries.
    const fn empty() -> Table {
        Table([const { AtomicU64::new(0) }; EPT_ENTRIES as usize])
    }

    fn clear(&self) {
        self.0.iter().for_each(|entry| entry.store(0, Relaxed));
    }
}

/// Number of tables of the second level: one for each GiB.
const GIBS: usize = (EPT_DIRS / EPT_ENTRIES) as usize;

/// The tables of the upper levels.
#[derive(Debug)]
pub struct Upper {
    root: Table,
    pointers: Table,
    directories: [Table; GIBS],
}

impl Upper {
    /// Tables without entries.
    pub const fn empty() -> Upper {
        Upper { root: Table::empty(), pointers: Table::empty(), directories: [const { Table::empty() }; GIBS] }
    }
}

/// A table of the last level, which need not be initialised before it has an entry.
pub type Leaf = MaybeUninit<Table>;
/// Number of tables of the last level.
pub const LEAVES: usize = EPT_DIRS as usize;

/// An entry that leads to a table, with every right. It is the same in both formats.
const TABLE: u64 = 7;
/// The address in an entry.
const ADDRESS: u64 = 0xffff_f000;
/// SVM's entry of a page: present, writable, user's. The processor treats every access of a guest as a user's.
const SVM_PAGE: u64 = 7;
/// Where SVM's entry holds the memory type.
const SVM_TYPE: u32 = 9;
/// Where VT-x's entry has the memory type.
const TYPE: u32 = 3;

/// The processor's entry for an entry of the layer's; 0 is absent.
fn encode(kind: Virtualisation, value: u32) -> u64 {
    match kind {
        Virtualisation::VtX => value.into(),
        Virtualisation::Svm if value == 0 => 0,
        Virtualisation::Svm => {
            assert!(value & MAPPED == MAPPED, "the layer maps pages with every right, not as {value:#x}");
            u64::from(value) & ADDRESS | u64::from(value >> TYPE & 7) << SVM_TYPE | SVM_PAGE
        }
    }
}

/// The layer's entry for an entry of the processor's.
fn decode(kind: Virtualisation, entry: u64) -> u32 {
    match kind {
        Virtualisation::VtX => entry as u32,
        Virtualisation::Svm if entry == 0 => 0,
        Virtualisation::Svm => (entry & ADDRESS) as u32 | ((entry >> SVM_TYPE & 7) as u32) << TYPE | MAPPED,
    }
}

/// What the processor may still believe of earlier tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stale {
    /// No virtual machine was ever set up.
    Never,
    /// Everything: a virtual machine was set up and has not run since.
    Fresh,
    /// An entry that was present has changed.
    Changed,
    /// Nothing.
    Current,
}

/// The nested page tables of a CPU.
///
/// Different keys are different entries of the tables, and the tables are this CPU's alone. The last level needs no
/// initialisation at boot: a table of it is emptied when its directory entry becomes present.
#[derive(Debug)]
pub struct Nested {
    kind: Virtualisation,
    upper: &'static Upper,
    leaves: &'static mut [Leaf],
    stale: Stale,
}

impl Nested {
    /// Empty tables in this memory.
    ///
    /// # Panics
    /// When there are not [`LEAVES`] tables of the last level: a bug.
    pub fn new(kind: Virtualisation, upper: &'static Upper, leaves: &'static mut [Leaf]) -> Nested {
        assert_eq!(leaves.len(), LEAVES, "a table for each directory entry");
        upper.root.0[0].store(physical(&upper.pointers) | TABLE, Relaxed);
        for (pointer, directory) in upper.pointers.0.iter().zip(&upper.directories) {
            pointer.store(physical(directory) | TABLE, Relaxed);
        }
        Nested { kind, upper, leaves, stale: Stale::Never }
    }

    /// Physical address of the root.
    pub fn root(&self) -> u64 {
        physical(&self.upper.root)
    }

    /// What the processor may still believe, which the caller makes it forget.
    pub fn take_stale(&mut self) -> Stale {
        let stale = self.stale;
        if stale != Stale::Never {
            self.stale = Stale::Current;
        }
        stale
    }

    fn directory_entry(&self, directory: u32) -> &AtomicU64 {
        &self.upper.directories[(directory / EPT_ENTRIES) as usize].0[(directory % EPT_ENTRIES) as usize]
    }

    /// The table of a directory entry, if it is present.
    fn leaf(&self, directory: u32) -> Option<&Table> {
        let is_there = self.directory_entry(directory).load(Relaxed) != 0;
        // SAFETY: `store` has initialised the table before its directory entry became present.
        is_there.then(|| unsafe { self.leaves[directory as usize].assume_init_ref() })
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Cell<D>> for Nested {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..EPT_DIRS, 0..EPT_ENTRIES]
    }

    fn load(&self, [directory, index]: [u32; 2]) -> Cell<D> {
        let entry = self.leaf(directory).map_or(0, |table| table.0[index as usize].load(Relaxed));
        Cell { value: decode(self.kind, entry) }
    }

    fn store(&mut self, [directory, index]: [u32; 2], Cell { value }: Cell<D>) {
        let entry = encode(self.kind, value);
        if self.leaf(directory).is_none() {
            if entry == 0 {
                return;
            }
            let table = physical(self.leaves[directory as usize].write(Table::empty()));
            self.directory_entry(directory).store(table | TABLE, Relaxed);
        }
        let Some(table) = self.leaf(directory) else { unreachable!("it has just become present") };
        let old = table.0[index as usize].swap(entry, Relaxed);
        if old != 0 && old != entry && self.stale == Stale::Current {
            self.stale = Stale::Changed;
        }
    }

    /// `vmx_init` defines all entries, each as absent.
    fn define(&mut self, make: impl Fn([u32; 2]) -> Cell<D>) {
        self.upper.directories.iter().for_each(Table::clear);
        self.stale = Stale::Fresh;
        // A definition by one value needs no look at each of a million keys: the layer has no other.
        assert_eq!(make([0, 0]).value, 0, "new tables are empty");
    }
}

/// Of a processor without virtualisation: there is nothing that a guest could reach, and no primitive reads an entry.
impl<D: Domain<Word = u32>> Entries<[u32; 2], Cell<D>> for Option<Nested> {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..EPT_DIRS, 0..EPT_ENTRIES]
    }

    fn load(&self, key: [u32; 2]) -> Cell<D> {
        self.as_ref().map_or(Cell { value: 0 }, |nested| nested.load(key))
    }

    fn store(&mut self, key: [u32; 2], value: Cell<D>) {
        if let Some(nested) = self {
            nested.store(key, value);
        }
    }

    fn define(&mut self, make: impl Fn([u32; 2]) -> Cell<D>) {
        if let Some(nested) = self {
            nested.define(make);
        }
    }
}

const _: () = assert!(GIBS as u32 * EPT_ENTRIES == EPT_DIRS && size_of::<Table>() == PAGE_SIZE as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::host::Host;
    use std::boxed::Box;
    use std::vec::Vec;

    fn tables(kind: Virtualisation) -> Nested {
        let leaves = (0..LEAVES).map(|_| Leaf::uninit()).collect::<Vec<_>>().leak();
        Nested::new(kind, Box::leak(Box::new(Upper::empty())), leaves)
    }

    fn get(tables: &Nested, key: [u32; 2]) -> u32 {
        Entries::<_, Cell<Host>>::load(tables, key).value
    }

    fn set(tables: &mut Nested, key: [u32; 2], value: u32) {
        Entries::<_, Cell<Host>>::store(tables, key, Cell { value });
    }

    fn empty(tables: &mut Nested) {
        Entries::<_, Cell<Host>>::define(tables, |_| Cell { value: 0 });
    }

    /// The key of a guest-physical address, and the layer's entry, as the layer has them.
    fn nested(address: u32) -> [u32; 2] {
        [address >> 21, address >> 12 & 511]
    }

    fn entry(frame: u32, memory: u32) -> u32 {
        frame + 8 * memory + MAPPED
    }

    /// Follows the tables from the root as the manuals say, and returns the entry of a guest-physical address.
    fn walk(tables: &Nested, address: u32) -> u64 {
        let mut table = tables.root();
        let mut entry = 0;
        for level in (0..4).rev() {
            let index = u64::from(address) >> (12 + 9 * level) & 511;
            let at = (table & !0xfff).wrapping_add(crate::mm::layout::DIRECT_MAP) + 8 * index;
            // SAFETY: the root, and every entry that is present, is the address of a table.
            entry = unsafe { *std::ptr::with_exposed_provenance::<u64>(at as usize) };
            if entry & 7 == 0 {
                return 0;
            }
            table = entry;
        }
        entry
    }

    #[test]
    fn the_processor_finds_what_the_layer_maps() {
        for kind in [Virtualisation::VtX, Virtualisation::Svm] {
            let mut tables = tables(kind);
            // The walk reaches the tables by addresses.
            for table in &*tables.leaves {
                table.as_ptr().expose_provenance();
            }
            let Upper { root, pointers, directories } = tables.upper;
            for table in [root, pointers].into_iter().chain(directories) {
                std::ptr::from_ref(table).expose_provenance();
            }
            empty(&mut tables);
            for (gpa, hpa, memory) in
                [(0, 0x4000_0000, 6), (0xffff_f000, 0xefff_f000, 0), (0x1fff_f000, 0x4000_1000, 4)]
            {
                assert_eq!(walk(&tables, gpa), 0);
                set(&mut tables, nested(gpa), entry(hpa, memory));
                assert_eq!(get(&tables, nested(gpa)), entry(hpa, memory));
                let found = walk(&tables, gpa);
                assert_eq!((found & 0xf_ffff_ffff_f000, found & 7), (hpa.into(), 7));
                if kind == Virtualisation::VtX {
                    assert_eq!(found >> 3 & 7, memory.into());
                } else {
                    assert_eq!(found & 0x1f8, 0, "no bit that SVM would obey");
                }
            }
            assert_eq!(walk(&tables, 0x1000), 0, "a neighbour stays absent");
            empty(&mut tables);
            assert_eq!((walk(&tables, 0), get(&tables, [0, 0])), (0, 0));
            set(&mut tables, [0, 1], entry(0x4000_0000, 6));
            assert_eq!(walk(&tables, 0), 0, "an entry of an earlier machine does not come back");
        }
    }

    #[test]
    fn only_a_change_of_a_present_entry_is_stale() {
        let mut tables = tables(Virtualisation::VtX);
        assert_eq!(tables.take_stale(), Stale::Never);
        empty(&mut tables);
        set(&mut tables, [3, 4], entry(0x4000_0000, 6));
        assert_eq!([tables.take_stale(), tables.take_stale()], [Stale::Fresh, Stale::Current]);
        set(&mut tables, [3, 5], entry(0x4000_0000, 6));
        set(&mut tables, [3, 4], entry(0x4000_0000, 6));
        assert_eq!(tables.take_stale(), Stale::Current);
        set(&mut tables, [3, 4], entry(0x4000_1000, 6));
        assert_eq!(tables.take_stale(), Stale::Changed);
    }
}
