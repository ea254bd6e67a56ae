//! Which CPUs and which I/O APIC there are, and how COM1 is wired to it: the multiple APIC description table (MADT) of ACPI
//! (revision 6.5, sections 5.2.5 to 5.2.12). CPUID's topology leaves are not asked; emulators fill them as they like.
//!
//! The tables are untrusted input: one that is damaged is as good as none.

use crate::layout::MAX_CPUS;
use crate::record::Record;
use core::fmt;
use core::ops::Range;

/// Why the CPUs or the interrupt controller are not known: the firmware's fault, all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no root pointer.
    NoRoot,
    /// The root pointer, or the table that it leads to, is damaged.
    Damaged,
    /// There is no MADT that is whole.
    NoMadt,
    /// The MADT lists no I/O APIC for COM1.
    NoIoApic,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::NoRoot => "it has no ACPI tables, which say what CPUs and interrupt controllers there are",
            Error::Damaged => "its ACPI tables are damaged",
            Error::NoMadt => "its ACPI tables do not say what CPUs and interrupt controllers there are (no MADT)",
            Error::NoIoApic => "it has no I/O APIC",
        })
    }
}

/// APIC numbers of the CPUs that can be used, at most [`MAX_CPUS`]: first that of the CPU that the machine started with,
/// then the others in the order of the table.
#[derive(Clone, Copy, Debug)]
pub struct CpuList {
    ids: [u32; MAX_CPUS],
    count: usize,
    /// CPUs that the machine has beyond [`MAX_CPUS`], or that messages of an xAPIC do not reach.
    pub left_out: usize,
}

impl CpuList {
    /// The list that has only the CPU with this APIC number.
    pub fn of(first: u32) -> CpuList {
        let mut list = CpuList { ids: [0; MAX_CPUS], count: 0, left_out: 0 };
        list.add(first);
        list
    }

    /// The APIC numbers.
    pub fn ids(&self) -> &[u32] {
        &self.ids[..self.count]
    }

    /// Adds a CPU, unless it is there.
    fn add(&mut self, id: u32) {
        if self.ids().contains(&id) {
            return;
        }
        match self.ids.get_mut(self.count).filter(|_| id < BROADCAST) {
            Some(place) => {
                *place = id;
                self.count += 1;
            }
            None => self.left_out += 1,
        }
    }
}

/// The APIC number that means all CPUs; an xAPIC's messages reach those below.
const BROADCAST: u32 = 0xFF;

/// What the MADT says.
#[derive(Clone, Copy, Debug)]
pub struct Controllers {
    /// The CPUs.
    pub cpus: CpuList,
    /// Physical address of the I/O APIC that has the line of COM1.
    pub io_apic: u64,
    /// That line.
    pub com1: Wire,
}

/// How a device is wired to an I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wire {
    /// The I/O APIC's line, from 0.
    pub line: u32,
    /// The line is low where the device asks for an interrupt.
    pub active_low: bool,
    /// The device asks as long as the line is so; otherwise when it becomes so.
    pub level: bool,
}

/// Line of COM1 on the ISA bus.
const COM1_IRQ: u8 = 4;

/// Where a PC's firmware keeps the segment of its extended data area, of which the first KiB is searched.
const EXTENDED_DATA: u64 = 0x40E;
const EXTENDED_DATA_BYTES: u64 = 1 << 10;
/// The other place that is searched.
const BIOS_AREA: Range<u64> = 0xE_0000..0x10_0000;
/// Where a root pointer may begin.
const ROOT_ALIGN: u64 = 16;
/// Bytes of a root pointer of revision 0, and the least of a later one.
const ROOT_BYTES: u64 = 20;
const NEWER_ROOT_BYTES: u32 = 36;
/// Bytes of every table's header, and of the MADT's own before its entries.
const HEADER_BYTES: u32 = 36;
const MADT_BYTES: usize = 44;

/// Reads the MADT that the root pointer at physical address `root` leads to; without one, the BIOS areas are searched for
/// it. `read` gives the bytes of a physical range, and `boot_cpu` is the APIC number of the CPU that runs this.
pub fn controllers<'a>(
    root: Option<u64>,
    boot_cpu: u32,
    read: impl Fn(Range<u64>) -> Option<&'a [u8]>,
) -> Result<Controllers, Error> {
    let root = root.or_else(|| search(&read)).ok_or(Error::NoRoot)?;
    let root = root_pointer(root, &read).ok_or(Error::Damaged)?;
    let (address, entry_bytes) = root;
    let list = table(address, &read).ok_or(Error::Damaged)?;
    let entries = list.0.get(HEADER_BYTES as usize..).unwrap_or(&[]).chunks_exact(entry_bytes);
    let mut tables = entries.filter_map(|entry| match entry_bytes {
        8 => Record(entry).u64(0),
        _ => Record(entry).u32(0).map(u64::from),
    });
    let madt = tables.find_map(|address| table(address, &read).filter(|table| table.0.starts_with(b"APIC")));
    interpret(madt.ok_or(Error::NoMadt)?, boot_cpu)
}

/// The address of a root pointer in the BIOS areas.
fn search<'a>(read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<u64> {
    let segment = read(EXTENDED_DATA..EXTENDED_DATA + 2).and_then(|bytes| Record(bytes).u16(0));
    let extended = u64::from(segment.unwrap_or(0)) << 4;
    let places = [extended..extended + EXTENDED_DATA_BYTES, BIOS_AREA].into_iter().flatten();
    places
        .filter(|address| address % ROOT_ALIGN == 0)
        .find(|&address| address != 0 && root_pointer(address, read).is_some())
}

/// The table that the root pointer at `address` leads to, and the bytes of each of its entries.
fn root_pointer<'a>(address: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<(u64, usize)> {
    let bytes = |length: u64| read(address..address.checked_add(length)?);
    let record = Record(bytes(ROOT_BYTES)?);
    if !record.0.starts_with(b"RSD PTR ") || !sums_to_0(record.0) {
        return None;
    }
    let older = record.u32(16)?;
    // What follows is there from revision 2 on; its length says how far the second checksum goes.
    if record.u8(15)? >= 2 {
        let length = Record(bytes(NEWER_ROOT_BYTES.into())?).u32(20)?;
        let newer = Record(bytes(length.max(NEWER_ROOT_BYTES).into())?);
        if !sums_to_0(newer.0) {
            return None;
        }
        if let Some(address @ 1..) = newer.u64(24) {
            return Some((address, 8));
        }
    }
    Some((older.into(), 4))
}

/// The table at `address`, if it is whole.
fn table<'a>(address: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Option<Record<'a>> {
    let bytes = |length: u32| read(address..address.checked_add(length.into())?);
    let length = Record(bytes(HEADER_BYTES)?).u32(4).filter(|&length| length >= HEADER_BYTES)?;
    bytes(length).filter(|bytes| sums_to_0(bytes)).map(Record)
}

fn sums_to_0(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte)) == 0
}

/// An entry of the MADT, of those that matter here.
enum Entry {
    Cpu { id: u32, flags: u32 },
    IoApic { address: u64, first: u32 },
    Override { bus: u8, source: u8, line: u32, flags: u16 },
    Other,
}

/// Bit 0 of a CPU's flags: it can be used.
const ENABLED: u32 = 1;

fn entry(record: Record) -> Option<Entry> {
    Some(match record.u8(0)? {
        0 => Entry::Cpu { id: record.u8(3)?.into(), flags: record.u32(4)? },
        1 => Entry::IoApic { address: record.u32(4)?.into(), first: record.u32(8)? },
        2 => Entry::Override { bus: record.u8(2)?, source: record.u8(3)?, line: record.u32(4)?, flags: record.u16(8)? },
        9 => Entry::Cpu { id: record.u32(4)?, flags: record.u32(8)? },
        _ => Entry::Other,
    })
}

/// The entries of the MADT, up to the first that is damaged.
fn entries(madt: Record) -> impl Iterator<Item = Entry> {
    let mut rest = madt.0.get(MADT_BYTES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let length = usize::from(*rest.get(1)?).max(2);
        let (one, others) = rest.split_at_checked(length)?;
        rest = others;
        entry(Record(one))
    })
}

fn interpret(madt: Record, boot_cpu: u32) -> Result<Controllers, Error> {
    let mut cpus = CpuList::of(boot_cpu);
    // On the ISA bus, lines are active high and edge-triggered, and come to the line of the same number.
    let (mut global, mut com1) = (u32::from(COM1_IRQ), Wire { line: 0, active_low: false, level: false });
    for entry in entries(madt) {
        match entry {
            Entry::Cpu { id, flags } if flags & ENABLED != 0 => cpus.add(id),
            Entry::Override { bus: 0, source: COM1_IRQ, line, flags } => {
                global = line;
                com1 = Wire { line: 0, active_low: flags & 0b11 == 0b11, level: flags >> 2 & 0b11 == 0b11 };
            }
            _ => {}
        }
    }
    // Each I/O APIC has the lines from its first one to that of the next.
    let io_apics = entries(madt).filter_map(|entry| match entry {
        Entry::IoApic { address, first } if first <= global => Some((first, address)),
        _ => None,
    });
    let (first, io_apic) = io_apics.max_by_key(|&(first, _)| first).ok_or(Error::NoIoApic)?;
    Ok(Controllers { cpus, io_apic, com1: Wire { line: global - first, ..com1 } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Where the root pointer and the tables are put.
    const ROOT: usize = 0xE_0010;
    const LIST: usize = 0x1000;
    const MADT: usize = 0x2000;
    const BYTES: usize = 0x10_0000;

    fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Makes `bytes` sum to 0 by the byte at `at`.
    fn seal(bytes: &mut [u8], at: usize) {
        bytes[at] = 0;
        let sum = bytes.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
        bytes[at] = sum.wrapping_neg();
    }

    fn table_of(signature: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut table = vec![0; 36];
        put(&mut table, 0, signature);
        table.extend(rest);
        let length = table.len() as u32;
        put(&mut table, 4, &length.to_le_bytes());
        seal(&mut table, 9);
        table
    }

    /// A machine's memory with a root pointer of this revision and a MADT with these entries.
    fn machine(revision: u8, entries: &[&[u8]]) -> Vec<u8> {
        let mut memory = vec![0; BYTES];
        let mut root = b"RSD PTR \0CAIRN ".to_vec();
        root.push(revision);
        root.extend((LIST as u32).to_le_bytes());
        seal(&mut root, 8);
        let list = if revision < 2 {
            // What is behind it need not be 0.
            root.extend([0x55; 16]);
            table_of(b"RSDT", &[0x3000u32.to_le_bytes(), (MADT as u32).to_le_bytes()].concat())
        } else {
            root.extend(36u32.to_le_bytes());
            root.extend((LIST as u64).to_le_bytes());
            root.extend([0; 4]);
            seal(&mut root, 32);
            table_of(b"XSDT", &[0x3000u64.to_le_bytes(), (MADT as u64).to_le_bytes()].concat())
        };
        put(&mut memory, ROOT, &root);
        put(&mut memory, LIST, &list);
        put(&mut memory, 0x3000, &table_of(b"FACP", &[0; 8]));
        put(&mut memory, MADT, &table_of(b"APIC", &[&[0; 8], &*entries.concat()].concat()));
        memory
    }

    fn cpu(id: u8, enabled: bool) -> [u8; 8] {
        [0, 8, 0, id, enabled.into(), 0, 0, 0]
    }

    fn x2apic_cpu(id: u32) -> Vec<u8> {
        [&[9, 16, 0, 0], &id.to_le_bytes()[..], &1u32.to_le_bytes(), &[0; 4]].concat()
    }

    fn io_apic(address: u32, first: u32) -> Vec<u8> {
        [&[1, 12, 0, 0], &address.to_le_bytes()[..], &first.to_le_bytes()].concat()
    }

    fn source_override(source: u8, line: u32, flags: u16) -> Vec<u8> {
        [&[2, 10, 0, source], &line.to_le_bytes()[..], &flags.to_le_bytes()].concat()
    }

    fn read<'a>(memory: &'a [u8]) -> impl Fn(Range<u64>) -> Option<&'a [u8]> {
        move |range| memory.get(range.start as usize..range.end as usize)
    }

    fn controllers_of(memory: &[u8]) -> Result<Controllers, Error> {
        let found = controllers(Some(ROOT as u64), 0, read(memory));
        let searched = controllers(None, 0, read(memory));
        assert_eq!(found.is_ok(), searched.is_ok(), "it is found where BIOSes have it");
        found
    }

    #[test]
    fn both_revisions_of_the_root_pointer_are_read() {
        for revision in [0, 2] {
            let memory = machine(revision, &[&cpu(0, true), &cpu(2, true), &cpu(3, false), &io_apic(0xFEC0_0000, 0)]);
            let Controllers { cpus, io_apic, com1 } = controllers_of(&memory).expect("well formed");
            assert_eq!(cpus.ids(), [0, 2], "revision {revision}");
            assert_eq!((io_apic, com1), (0xFEC0_0000, Wire { line: 4, active_low: false, level: false }));
        }
    }

    #[test]
    fn the_cpu_that_runs_is_the_first_and_no_more_than_eight_are_used() {
        let cpus: Vec<_> = (0..12).map(|id| cpu(id, true)).collect();
        let mut entries: Vec<&[u8]> = cpus.iter().map(|cpu| &cpu[..]).collect();
        let (far, io_apic) = (x2apic_cpu(0x100), io_apic(0xFEC0_0000, 0));
        entries.extend([&far[..], &io_apic[..]]);
        let memory = machine(0, &entries);
        let list = controllers(Some(ROOT as u64), 9, read(&memory)).expect("well formed").cpus;
        assert_eq!((list.ids(), list.left_out), (&[9, 0, 1, 2, 3, 4, 5, 6][..], 5));
    }

    #[test]
    fn a_cpu_beyond_an_xapics_messages_is_left_out() {
        let memory = machine(2, &[&x2apic_cpu(7), &x2apic_cpu(255), &cpu(7, true), &io_apic(0xFEC0_0000, 0)]);
        let list = controllers_of(&memory).expect("well formed").cpus;
        assert_eq!((list.ids(), list.left_out), (&[0, 7][..], 1));
    }

    #[test]
    fn an_override_moves_the_line_of_com1() {
        let apics = [io_apic(0xFEC0_0000, 0), io_apic(0xFEC1_0000, 24)];
        let com1 = |entry: &[u8]| {
            let controllers = controllers_of(&machine(0, &[&apics[1], &apics[0], entry])).expect("well formed");
            (controllers.io_apic, controllers.com1)
        };
        assert_eq!(com1(&source_override(0, 2, 0)).1, Wire { line: 4, active_low: false, level: false });
        let moved = com1(&source_override(4, 30, 0b1111));
        assert_eq!(moved, (0xFEC1_0000, Wire { line: 6, active_low: true, level: true }));
    }

    #[test]
    fn names_what_is_wrong() {
        let good = machine(2, &[&io_apic(0xFEC0_0000, 0)]);
        let with = |at: usize| {
            let mut memory = good.clone();
            memory[at] ^= 0x10;
            controllers(Some(ROOT as u64), 0, read(&memory)).expect_err("broken")
        };
        assert_eq!(with(ROOT + 9), Error::Damaged);
        assert_eq!(with(ROOT + 33), Error::Damaged);
        assert_eq!(with(LIST + 36), Error::Damaged);
        assert_eq!(with(MADT + 50), Error::NoMadt);
        assert_eq!(controllers(None, 0, read(&vec![0; BYTES])).expect_err("nothing there"), Error::NoRoot);
        assert_eq!(controllers_of(&machine(0, &[&cpu(0, true)])).expect_err("no I/O APIC"), Error::NoIoApic);
        // Beyond COM1's line: it has none.
        assert_eq!(controllers_of(&machine(0, &[&io_apic(0, 16)])).expect_err("not its own"), Error::NoIoApic);
    }

    proptest! {
        #[test]
        fn never_panics_on_damaged_tables(
            damage in proptest::collection::vec((prop_oneof![0usize..36, 0x1000usize..0x1040, 0x2000usize..0x2080], any::<u8>()), 1..8),
            seals in any::<bool>(),
            revision in prop_oneof![Just(0), Just(2)],
        ) {
            let mut memory = machine(revision, &[&cpu(0, true), &io_apic(0xFEC0_0000, 0), &source_override(4, 5, 0)]);
            for (at, value) in damage {
                memory[if at < 36 { ROOT + at } else { at }] = value;
            }
            if seals {
                // Damage that the checksums do not show.
                let length = Record(&memory).u32(MADT + 4).map_or(0, |length| length as usize);
                if let Some(table) = memory.get_mut(MADT..MADT.saturating_add(length)).filter(|table| table.len() > 9) {
                    seal(table, 9);
                }
            }
            let _ = controllers(Some(ROOT as u64), 0, read(&memory));
            let _ = controllers(None, 0, read(&memory));
        }
    }
}
