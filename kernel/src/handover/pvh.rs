//! The start info that a PVH boot loader, such as QEMU, hands over (Xen's `hvm_start_info`, version 1). All of it is
//! untrusted input: no code here indexes or overflows.

use super::record::Record;
use super::start_info::{Error, MOST_ENTRIES, MOST_TEXT, StartInfo, command_line};
use crate::mm::memory_map::{Kind, MemoryMap, Region};
use core::ops::Range;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// Bytes of `hvm_start_info`.
const INFO_BYTES: u64 = 56;
/// Bytes of `hvm_modlist_entry`.
const MODULE_BYTES: u64 = 32;
/// Bytes of `hvm_memmap_table_entry`.
const REGION_BYTES: u64 = 24;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const TYPE_RAM: u32 = 1;
/// `XEN_HVM_MEMMAP_TYPE_ACPI`.
const TYPE_ACPI: u32 = 3;

/// A field of a record, or [`Error::Unreadable`] if the record is too short.
fn known<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::Unreadable)
}

/// The text at `start`, up to its 0 byte.
fn text<'a>(start: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Result<&'a str, Error> {
    let is_end = |at: &u64| at.checked_add(1).and_then(|end| read(*at..end)).is_none_or(|byte| byte == [0]);
    let length = (start..start.saturating_add(MOST_TEXT)).take_while(|at| !is_end(at)).count() as u64;
    let end = start.saturating_add(length).checked_add(1).ok_or(Error::Unreadable)?;
    command_line(known(read(start..end))?)
}

/// Reads the start info at physical address `address`; `read` returns the bytes of a physical range.
pub fn parse<'a>(address: u64, read: impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Result<StartInfo<'a>, Error> {
    let record = |table: u64, index: u32, bytes: u64| {
        let start = table.checked_add(u64::from(index) * bytes).ok_or(Error::Unreadable)?;
        let end = start.checked_add(bytes).ok_or(Error::Unreadable)?;
        read(start..end).map(Record).ok_or(Error::Unreadable)
    };
    let info = record(address, 0, INFO_BYTES)?;
    if known(info.u32(0))? != MAGIC {
        return Err(Error::Unknown);
    }
    if known(info.u32(4))? == 0 {
        return Err(Error::NoMemoryMap);
    }

    let mut map = MemoryMap::default();
    let table = known(info.u64(40))?;
    let entries = known(info.u32(48))?;
    if entries > MOST_ENTRIES {
        return Err(Error::TooManyRegions);
    }
    for index in 0..entries {
        let entry = record(table, index, REGION_BYTES)?;
        let start = known(entry.u64(0))?;
        let kind = match known(entry.u32(16))? {
            TYPE_RAM => Kind::Ram,
            TYPE_ACPI => Kind::Acpi,
            _ => Kind::Reserved,
        };
        map.push(Region::sized(start, known(entry.u64(8))?, kind))?;
    }

    let archive = match known(info.u32(12))? {
        0 => None,
        _ => {
            let module = record(known(info.u64(16))?, 0, MODULE_BYTES)?;
            let start = known(module.u64(0))?;
            Some(start..start.checked_add(known(module.u64(8))?).ok_or(Error::Unreadable)?)
        }
    };
    let rsdp = Some(known(info.u64(32))?).filter(|&address| address != 0);
    let command_line = match known(info.u64(24))? {
        0 => "",
        start => text(start, &read)?,
    };
    Ok(StartInfo { map, archive, rsdp, command_line })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::record::fuzz::{damaged, read_from};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// A start info at 0 with one module (list at 64) and two regions (table at 96).
    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC, 1, 0, 1] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [64u64, 144, 0xf5a40, 96, 2, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [0x7000_0000u64, 0x2800, 0, 0] {
            bytes.extend(word.to_le_bytes());
        }
        for word in [0u64, 0x9fc00, 1, 0x10_0000, 0x7fee_0000, 1] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"lock=mcs\0rest");
        bytes
    }

    fn parse_at_0(bytes: &[u8]) -> Result<StartInfo<'_>, Error> {
        parse(0, read_from(0, bytes))
    }

    #[test]
    fn reads_what_the_loader_wrote() {
        let bytes = sample();
        let info = parse_at_0(&bytes).expect("well formed");
        assert_eq!(info.archive, Some(0x7000_0000..0x7000_2800));
        assert_eq!(info.rsdp, Some(0xf5a40));
        assert_eq!(info.command_line, "lock=mcs");
        assert!(info.map.ram().eq([0..0x9f000, 0x10_0000..0x7ffe_0000]));
    }

    #[test]
    fn names_what_is_wrong() {
        let with = |at: usize, value: u32| {
            let mut bytes = sample();
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            parse_at_0(&bytes).expect_err("broken")
        };
        assert_eq!(with(0, 7), Error::Unknown);
        assert_eq!(with(4, 0), Error::NoMemoryMap);
        assert_eq!(with(16, 4000), Error::Unreadable);
        assert_eq!(with(48, 3), Error::Unreadable);
        assert_eq!(with(48, u32::MAX), Error::TooManyRegions);
        assert_eq!(with(24, 4000), Error::Unreadable);
        assert_eq!(with(144, 0xFF), Error::NoText);
    }

    #[test]
    fn a_long_command_line_is_read_or_refused_but_never_cut() {
        let with = |words: usize| {
            let mut bytes = sample();
            bytes.truncate(144);
            bytes.extend(b"lock=mcs ".repeat(words));
            bytes.push(0);
            parse_at_0(&bytes).map(|info| info.command_line.len())
        };
        assert_eq!(with(700), Ok(6300));
        assert_eq!(with(7281), Ok(65529));
        assert_eq!(with(7282), Err(Error::LongCommandLine));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn a_damaged_info_is_read_or_refused(bytes in damaged(sample())) {
            if let Ok(info) = parse_at_0(&bytes) {
                prop_assert!(info.map.ram_bytes() <= crate::mm::memory_map::ADDRESSES_END);
                prop_assert!(info.archive.is_none_or(|range| range.start <= range.end));
            }
        }
    }
}
