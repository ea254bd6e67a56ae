//! The search for those tables of ACPI (revision 6.5, section 5.2) that the kernel reads. [`madt`] reads which CPUs and
//! interrupt controllers the machine has, and [`clocks`] reads which clocks it has.
//!
//! The tables are untrusted input. A damaged table counts as missing; if there is an undamaged copy, it is used
//! instead. Several ways lead to a table: the root pointer of the boot loader, and those in the BIOS areas. Each
//! root pointer may lead to a list with addresses of 64 bits (XSDT) and to a list with addresses of 32 bits (RSDT).

pub mod clocks;
pub mod madt;

pub use madt::{Controllers, CpuList, Wire, controllers};

use super::record::Record;
use core::ops::Range;

/// Why the CPUs or the interrupt controller are not known. Every reason is the firmware's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AcpiError {
    /// There is no root pointer.
    #[error("it has no ACPI tables, which list the CPUs and interrupt controllers")]
    NoRoot,
    /// No root pointer leads to an undamaged list of tables.
    #[error("its ACPI tables are damaged")]
    Damaged,
    /// There is no undamaged MADT.
    #[error("its ACPI tables do not list the CPUs and interrupt controllers (no MADT)")]
    NoMadt,
    /// The MADT lists no I/O APIC for COM1.
    #[error("it has no I/O APIC")]
    NoIoApic,
}

/// Physical address of the word that holds the segment of the firmware's extended data area. The area's first KiB is
/// searched.
const EXTENDED_DATA: u64 = 0x40E;
const EXTENDED_DATA_BYTES: u64 = 1 << 10;
/// The other area that is searched.
const BIOS_AREA: Range<u64> = 0xE_0000..0x10_0000;
/// Alignment of a root pointer, in bytes.
const ROOT_ALIGN: u64 = 16;
/// Bytes of a root pointer of revision 0, then the least and the most bytes of one of revision 2 or later.
const ROOT_BYTES: u64 = 20;
const NEWER_ROOT_BYTES: u32 = 36;
const MOST_ROOT_BYTES: u32 = 4096;
/// Bytes of every table's header, and most bytes of a table. A longer table counts as damaged.
const HEADER_BYTES: u32 = 36;
const MOST_TABLE_BYTES: u32 = 1 << 20;

/// Searches for undamaged tables with this signature, and returns the first result of `accept` that is not `None`.
/// `root` is the physical address of the root pointer, as the loader reports it; the root pointers in the BIOS areas
/// are tried as well. `read` returns the bytes of a physical range.
///
/// # Errors
/// [`AcpiError::NoMadt`] stands for a table of any signature.
fn find<'a, T>(
    signature: &[u8; 4],
    root: Option<u64>,
    read: &impl Fn(Range<u64>) -> Option<&'a [u8]>,
    mut accept: impl FnMut(Record<'a>) -> Option<T>,
) -> Result<T, AcpiError> {
    let (mut has_root, mut has_list) = (root.is_some(), false);
    for address in root.into_iter().chain(places(read)) {
        let Some(root) = root_pointer(address, read) else { continue };
        has_root = true;
        for (address, kind, entry_bytes) in [(root.xsdt, b"XSDT", 8), (root.rsdt, b"RSDT", 4)] {
            let Some(list) = table(kind, address, read) else { continue };
            has_list = true;
            for entry in list.0.get(HEADER_BYTES as usize..).unwrap_or(&[]).chunks_exact(entry_bytes).map(Record) {
                let address = entry.u64(0).or(entry.u32(0).map(u64::from));
                if let Some(found) = address.and_then(|at| table(signature, at, read)).and_then(&mut accept) {
                    return Ok(found);
                }
            }
        }
    }
    Err(match (has_root, has_list) {
        (_, true) => AcpiError::NoMadt,
        (true, false) => AcpiError::Damaged,
        (false, false) => AcpiError::NoRoot,
    })
}

/// The addresses in the BIOS areas at which a root pointer may be.
fn places<'a>(read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> impl Iterator<Item = u64> {
    let segment = read(EXTENDED_DATA..EXTENDED_DATA + 2).and_then(|bytes| Record(bytes).u16(0));
    let extended = u64::from(segment.unwrap_or(0)) << 4;
    let places = [extended..extended + EXTENDED_DATA_BYTES, BIOS_AREA].into_iter().flatten();
    places.filter(|address| address % ROOT_ALIGN == 0 && *address != 0)
}

/// Physical addresses of the lists that a root pointer leads to; 0 if there is none.
struct Root {
    xsdt: u64,
    rsdt: u64,
}

/// The root pointer at `address`. If the part that only revision 2 has is damaged, the older part is still used.
fn root_pointer<'a>(address: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<Root> {
    let bytes = |length: u64| read(address..address.checked_add(length)?);
    let record = Record(bytes(ROOT_BYTES)?);
    if !record.0.starts_with(b"RSD PTR ") || !sums_to_0(record.0) {
        return None;
    }
    // The rest exists from revision 2 on; its length field gives the number of bytes that the second
    // checksum covers.
    let newer = || {
        record.u8(15).filter(|&revision| revision >= 2)?;
        let length = Record(bytes(NEWER_ROOT_BYTES.into())?).u32(20)?;
        let length = Some(length).filter(|length| (NEWER_ROOT_BYTES..=MOST_ROOT_BYTES).contains(length))?;
        Record(bytes(length.into()).filter(|bytes| sums_to_0(bytes))?).u64(24)
    };
    Some(Root { xsdt: newer().unwrap_or(0), rsdt: record.u32(16)?.into() })
}

/// The table at `address`, if it is undamaged and has this signature.
fn table<'a>(signature: &[u8; 4], address: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<Record<'a>> {
    let bytes = |length: u32| read(address..address.checked_add(length.into())?);
    let header = Record(bytes(HEADER_BYTES).filter(|bytes| address != 0 && bytes.starts_with(signature))?);
    let length = header.u32(4).filter(|length| (HEADER_BYTES..=MOST_TABLE_BYTES).contains(length))?;
    bytes(length).filter(|bytes| sums_to_0(bytes)).map(Record)
}

fn sums_to_0(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0
}

#[cfg(test)]
mod sample;

#[cfg(test)]
mod tests {
    use super::sample::*;
    use super::*;
    use crate::handover::record::fuzz::{damaged, read_from};
    use proptest::prelude::*;
    use std::vec::Vec;

    fn controllers_of(memory: &[u8]) -> Result<Controllers, AcpiError> {
        let found = controllers(Some(ROOT as u64), 0, read_from(0, memory));
        let searched = controllers(None, 0, read_from(0, memory));
        assert_eq!(found.is_ok(), searched.is_ok(), "it is found where BIOSes have it");
        found
    }

    fn entries() -> Vec<Vec<u8>> {
        [cpu(0, true).to_vec(), cpu(2, true).to_vec(), cpu(3, false).to_vec(), io_apic(0xFEC0_0000, 0)].to_vec()
    }

    /// The table at `address` has one bit changed.
    fn with_damage(memory: &[u8], at: usize) -> Vec<u8> {
        let mut memory = memory.to_vec();
        memory[at] ^= 0x10;
        memory
    }

    #[test]
    fn all_revisions_of_the_root_pointer_are_read() {
        for revision in [0, 1, 2, 6, 255] {
            let found = controllers_of(&machine(revision, &entries())).expect("well formed");
            assert_eq!((found.cpus.ids(), found.is_whole), (&[0, 2][..], true), "revision {revision}");
            assert_eq!((found.io_apic, found.com1.line), (0xFEC0_0000, 4));
        }
    }

    #[test]
    fn names_what_is_wrong() {
        for (revision, entry_bytes) in [(0, 4), (2, 8)] {
            let good = machine(revision, &entries());
            let error = |at: usize| controllers_of(&with_damage(&good, at)).expect_err("broken");
            let list = if revision < 2 { RSDT } else { XSDT };
            let mut alone = good.clone();
            alone[if revision < 2 { XSDT } else { RSDT }] = 0;
            assert_eq!(controllers_of(&with_damage(&alone, list + 36)).expect_err("broken"), AcpiError::Damaged);
            assert_eq!(error(MADT + 50), AcpiError::NoMadt, "{entry_bytes}");
            let root = controllers(Some(ROOT as u64), 0, read_from(0, &with_damage(&good, ROOT + 9)));
            assert_eq!(root.expect_err("broken"), AcpiError::Damaged);
        }
        let nothing = std::vec![0; BYTES];
        assert_eq!(controllers(None, 0, read_from(0, &nothing)).expect_err("nothing there"), AcpiError::NoRoot);
        assert_eq!(controllers_of(&machine(0, &[cpu(0, true)])).expect_err("no I/O APIC"), AcpiError::NoIoApic);
    }

    #[test]
    fn what_is_whole_serves_in_the_place_of_what_is_damaged() {
        let good = machine(2, &entries());
        // The newer part of the root pointer, its length, the list with 64 bits, and each of the other tables.
        for at in [ROOT + 33, ROOT + 20, ROOT + 23, XSDT, XSDT + 4, XSDT + 36, FADT + 40, HPET + 40] {
            assert!(controllers_of(&with_damage(&good, at)).is_ok(), "{at:#x}");
        }
        // The list with 32 bits, while the other list is undamaged.
        assert!(controllers_of(&with_damage(&good, RSDT + 36)).is_ok());
        // The loader's root pointer, while the firmware has another one.
        let elsewhere = controllers(Some(0x500), 0, read_from(0, &good));
        assert!(elsewhere.is_ok());
        // A list whose pointer leads to no table, to no memory, or to itself, while the other list
        // is right.
        for address in [0u64, XSDT as u64, ROOT as u64, BYTES as u64 - 4, u64::MAX - 3, 1 << 40] {
            let mut memory = good.clone();
            put(&mut memory, XSDT, &table_of(b"XSDT", &address.to_le_bytes()));
            assert!(controllers_of(&memory).is_ok(), "{address:#x}");
        }
        // A second table with the same signature.
        let mut memory = with_damage(&good, MADT + 50);
        assert!(controllers_of(&memory).is_err());
        let second = 0x7000;
        put(&mut memory, second, &good[MADT..MADT + 0x200]);
        let list = [MADT, second].map(|at| (at as u64).to_le_bytes()).concat();
        put(&mut memory, XSDT, &table_of(b"XSDT", &list));
        assert!(controllers_of(&memory).is_ok());
        // The first is undamaged, but the caller does not accept it.
        put(&mut memory, MADT, &table_of(b"APIC", &[0; 8]));
        assert!(controllers_of(&memory).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn damaged_tables_are_read_or_refused(
            tables in damaged(tables(&entries())),
            root in damaged(root_pointer_of(2)),
            seals in any::<bool>(),
        ) {
            let mut memory = machine(2, &entries());
            put(&mut memory, FIRST, &tables);
            put(&mut memory, ROOT, &root);
            if seals {
                // Damage that the checksums do not show.
                memory[ROOT + 8] = 0;
                seal(&mut memory[ROOT..ROOT + 20], 8);
                seal(&mut memory[ROOT..ROOT + 36], 32);
                for at in [RSDT, XSDT, MADT, FADT, HPET] {
                    let length = Record(&memory).u32(at + 4).map_or(0, |length| length as usize);
                    let table = memory.get_mut(at..at.saturating_add(length)).filter(|table| table.len() > 9);
                    table.into_iter().for_each(|table| seal(table, 9));
                }
            }
            for root in [Some(ROOT as u64), None] {
                if let Ok(found) = controllers(root, 0, read_from(0, &memory)) {
                    prop_assert!(found.io_apic != 0 && found.io_apic < 1 << 32);
                    prop_assert!((1..=8).contains(&found.cpus.ids().len()));
                }
                let clocks = clocks::clocks(root, read_from(0, &memory));
                prop_assert!(clocks.hpet.is_none_or(|at| at < 1 << 32));
            }
        }
    }
}
