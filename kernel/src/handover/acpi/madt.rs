//! The multiple APIC description table (ACPI 6.5, section 5.2.12): which CPUs and which I/O APIC the machine has, and
//! how COM1 is wired to that I/O APIC. CPUID's topology leaves are not read, because emulators fill them in arbitrary
//! ways.

use super::{AcpiError, find};
use crate::handover::record::Record;
use crate::mm::layout::MAX_CPUS;
use core::ops::Range;

/// APIC numbers of the usable CPUs, at most [`MAX_CPUS`]: first the CPU that the machine started with, then the others
/// in the order of the table.
#[derive(Clone, Copy, Debug)]
pub struct CpuList {
    ids: [u32; MAX_CPUS],
    count: usize,
    /// Number of CPUs that are not in the list: those beyond [`MAX_CPUS`], and those that an xAPIC's messages do not
    /// reach.
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

    /// Adds a CPU that is not in the list.
    pub(crate) fn add(&mut self, id: u32) {
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

/// The APIC number that means all CPUs. An xAPIC's messages reach the numbers below it.
const BROADCAST: u32 = 0xFF;

/// What the kernel reads from the MADT.
#[derive(Clone, Copy, Debug)]
pub struct Controllers {
    /// The CPUs.
    pub cpus: CpuList,
    /// Physical address of the I/O APIC that COM1 is wired to.
    pub io_apic: u64,
    /// How COM1 is wired to that I/O APIC.
    pub com1: Wire,
    /// Whether every entry of the table could be read. If it could not, the first damaged entry and all later ones are
    /// left out.
    pub is_whole: bool,
}

/// How a device is wired to an I/O APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wire {
    /// The I/O APIC's line, from 0.
    pub line: u32,
    /// Whether the line requests an interrupt while it is low; otherwise it does while it is high.
    pub active_low: bool,
    /// Whether the line's level requests an interrupt (level-triggered); otherwise its change does (edge-triggered).
    pub level: bool,
}

/// Line of COM1 on the ISA bus.
const COM1_IRQ: u8 = 4;
/// Bytes of the table before its entries.
const HEAD_BYTES: usize = 44;
/// Bytes of an I/O APIC's registers, and the address below which they lie.
const IO_APIC_BYTES: u64 = 0x20;
const IO_APICS_END: u64 = 1 << 32;

/// Reads the first undamaged MADT that has an I/O APIC for COM1. `root` and `read` are as for `find`, and `boot_cpu`
/// is the APIC number of the CPU that runs this function.
pub fn controllers<'a>(
    root: Option<u64>,
    boot_cpu: u32,
    read: impl Fn(Range<u64>) -> Option<&'a [u8]>,
) -> Result<Controllers, AcpiError> {
    let mut whole = false;
    let accept = |madt| {
        whole = true;
        interpret(madt, boot_cpu)
    };
    find(b"APIC", root, &read, accept).map_err(|error| if whole { AcpiError::NoIoApic } else { error })
}

/// An entry of the MADT, of the kinds that the kernel reads.
enum Entry {
    Cpu { id: u32, flags: u32 },
    IoApic { address: u64, first: u32 },
    Override { bus: u8, source: u8, line: u32, flags: u16 },
    Other,
}

/// Bit 0 of a CPU's flags: the CPU is usable.
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

/// The entries of the MADT. The first damaged entry is `None` and ends them.
fn entries(madt: Record) -> impl Iterator<Item = Option<Entry>> {
    let mut rest = madt.0.get(HEAD_BYTES..).unwrap_or(&[]);
    core::iter::from_fn(move || {
        let (&_kind, after) = rest.split_first()?;
        // The length covers the type and the length itself.
        let length = after.first().map(|&length| usize::from(length)).filter(|&length| length >= 2);
        let one = length.and_then(|length| rest.split_at_checked(length));
        let read = one.and_then(|(one, _)| entry(Record(one)));
        rest = one.filter(|_| read.is_some()).map_or(&[], |(_, others)| others);
        Some(read)
    })
}

/// The contents of the table, if it has an I/O APIC for COM1.
fn interpret(madt: Record, boot_cpu: u32) -> Option<Controllers> {
    let mut cpus = CpuList::of(boot_cpu);
    // By default a line of the ISA bus is active high, edge-triggered, and wired to the line of the same number.
    let (mut global, mut com1) = (u32::from(COM1_IRQ), Wire { line: 0, active_low: false, level: false });
    let mut is_whole = true;
    for entry in entries(madt) {
        let Some(entry) = entry else {
            is_whole = false;
            break;
        };
        match entry {
            Entry::Cpu { id, flags } if flags & ENABLED != 0 => cpus.add(id),
            Entry::Override { bus: 0, source: COM1_IRQ, line, flags } => {
                global = line;
                com1 = Wire { line: 0, active_low: flags & 0b11 == 0b11, level: flags >> 2 & 0b11 == 0b11 };
            }
            _ => {}
        }
    }
    // Each I/O APIC has the lines from its first one up to the first one of the next I/O APIC.
    let io_apics = entries(madt).flatten().filter_map(|entry| match entry {
        Entry::IoApic { address, first } if first <= global => Some((first, address)),
        _ => None,
    });
    let usable = io_apics.filter(|(_, address)| *address != 0 && address + IO_APIC_BYTES <= IO_APICS_END);
    let (first, io_apic) = usable.max_by_key(|&(first, _)| first)?;
    Some(Controllers { cpus, io_apic, com1: Wire { line: global - first, ..com1 }, is_whole })
}

#[cfg(test)]
mod tests {
    use super::super::sample::*;
    use super::*;
    use crate::handover::record::fuzz::read_from;
    use std::vec::Vec;

    /// The contents of a MADT with these entries, read by the CPU with this APIC number.
    fn controllers_of(boot_cpu: u32, entries: &[Vec<u8>]) -> Result<Controllers, AcpiError> {
        controllers(None, boot_cpu, read_from(0, &machine(2, entries)))
    }

    #[test]
    fn the_cpu_that_runs_is_the_first_and_no_more_than_eight_are_used() {
        let mut entries: Vec<_> = (0..12).map(|id| cpu(id, true).to_vec()).collect();
        entries.extend([x2apic_cpu(0x100), io_apic(0xFEC0_0000, 0)]);
        let list = controllers_of(9, &entries).expect("well formed").cpus;
        assert_eq!((list.ids(), list.left_out), (&[9, 0, 1, 2, 3, 4, 5, 6][..], 5));
    }

    #[test]
    fn a_cpu_beyond_an_xapics_messages_is_left_out() {
        let entries = [x2apic_cpu(7), x2apic_cpu(255), cpu(7, true).to_vec(), io_apic(0xFEC0_0000, 0)];
        let list = controllers_of(0, &entries).expect("well formed").cpus;
        assert_eq!((list.ids(), list.left_out), (&[0, 7][..], 1));
    }

    #[test]
    fn an_override_moves_the_line_of_com1() {
        let com1 = |entry: Vec<u8>| {
            let read =
                controllers_of(0, &[io_apic(0xFEC1_0000, 24), io_apic(0xFEC0_0000, 0), entry]).expect("well formed");
            (read.io_apic, read.com1)
        };
        assert_eq!(com1(source_override(0, 2, 0)).1, Wire { line: 4, active_low: false, level: false });
        let moved = com1(source_override(4, 30, 0b1111));
        assert_eq!(moved, (0xFEC1_0000, Wire { line: 6, active_low: true, level: true }));
        // No I/O APIC has such a line; `io_apic::set_up` notices it.
        assert_eq!(com1(source_override(4, u32::MAX, 0)).1.line, u32::MAX - 24);
    }

    #[test]
    fn an_io_apic_that_cannot_be_is_none() {
        for entry in [io_apic(0, 0), io_apic(u32::MAX, 0), io_apic(u32::MAX - 0x1E, 0), io_apic(0xFEC0_0000, 16)] {
            assert_eq!(controllers_of(0, core::slice::from_ref(&entry)).expect_err("none"), AcpiError::NoIoApic);
            assert!(controllers_of(0, &[entry, io_apic(0xFEC0_0000, 0)]).is_ok());
        }
    }

    #[test]
    fn what_comes_behind_a_damaged_entry_is_left_out_and_that_is_said() {
        for bad in [&[0][..], &[0, 0], &[0, 1], &[9, 2], &[77, 0], &[77, 255], &[1, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            let entries = [cpu(1, true).to_vec(), io_apic(0xFEC0_0000, 0), bad.to_vec(), cpu(2, true).to_vec()];
            let read = controllers_of(0, &entries).expect("what comes before serves");
            assert_eq!((read.cpus.ids(), read.is_whole), (&[0, 1][..], false), "{bad:?}");
        }
        // An unknown entry is passed over.
        let read = controllers_of(0, &[[77, 3, 0].to_vec(), cpu(1, true).to_vec(), io_apic(0xFEC0_0000, 0)])
            .expect("well formed");
        assert_eq!((read.cpus.ids(), read.is_whole), (&[0, 1][..], true));
    }
}
