//! The start info that a PVH boot loader, such as QEMU, hands over (Xen's `hvm_start_info`, version 1). All of it is
//! untrusted input: no code here indexes or overflows.

use super::record::Record;
use super::start_info::{MOST_ENTRIES, MOST_TEXT, StartInfo, StartInfoError, command_line, kind, known};
use crate::mm::memory_map::{MemoryMap, Region};
use core::ops::Range;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// Bytes of `hvm_start_info`.
const INFO_BYTES: u64 = 56;
/// Bytes of `hvm_modlist_entry`.
const MODULE_BYTES: u64 = 32;
/// Bytes of `hvm_memmap_table_entry`.
const REGION_BYTES: u64 = 24;

/// The text at `start`, up to its 0 byte.
fn text<'a>(start: u64, read: &impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Result<&'a str, StartInfoError> {
    let is_end = |at: &u64| at.checked_add(1).and_then(|end| read(*at..end)).is_none_or(|byte| byte == [0]);
    let length = (start..start.saturating_add(MOST_TEXT)).take_while(|at| !is_end(at)).count() as u64;
    let end = start.saturating_add(length).checked_add(1).ok_or(StartInfoError::Unreadable)?;
    command_line(known(read(start..end))?)
}

/// Reads the start info at physical address `address`; `read` returns the bytes of a physical range.
pub fn parse<'a>(address: u64, read: impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Result<StartInfo<'a>, StartInfoError> {
    let record = |table: u64, index: u32, bytes: u64| {
        let start = table.checked_add(u64::from(index) * bytes).ok_or(StartInfoError::Unreadable)?;
        let end = start.checked_add(bytes).ok_or(StartInfoError::Unreadable)?;
        read(start..end).map(Record).ok_or(StartInfoError::Unreadable)
    };
    let info = record(address, 0, INFO_BYTES)?;
    if known(info.u32(0))? != MAGIC {
        return Err(StartInfoError::Unknown);
    }
    if known(info.u32(4))? == 0 {
        return Err(StartInfoError::NoMemoryMap);
    }

    let mut map = MemoryMap::default();
    let table = known(info.u64(40))?;
    let entries = known(info.u32(48))?;
    if entries > MOST_ENTRIES {
        return Err(StartInfoError::TooManyRegions);
    }
    for index in 0..entries {
        let entry = record(table, index, REGION_BYTES)?;
        let start = known(entry.u64(0))?;
        let kind = kind(known(entry.u32(16))?);
        map.push(Region::sized(start, known(entry.u64(8))?, kind))?;
    }

    let archive = match known(info.u32(12))? {
        0 => None,
        _ => {
            let module = record(known(info.u64(16))?, 0, MODULE_BYTES)?;
            let start = known(module.u64(0))?;
            Some(start..start.checked_add(known(module.u64(8))?).ok_or(StartInfoError::Unreadable)?)
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
    use crate::handover::start_info::cases;
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

    fn parse_at_0(bytes: &[u8]) -> Result<StartInfo<'_>, StartInfoError> {
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
        assert_eq!(with(0, 7), StartInfoError::Unknown);
        assert_eq!(with(4, 0), StartInfoError::NoMemoryMap);
        assert_eq!(with(16, 4000), StartInfoError::Unreadable);
        assert_eq!(with(48, 3), StartInfoError::Unreadable);
        assert_eq!(with(48, u32::MAX), StartInfoError::TooManyRegions);
        assert_eq!(with(24, 4000), StartInfoError::Unreadable);
        assert_eq!(with(144, 0xFF), StartInfoError::NoText);
    }

    #[test]
    fn a_long_command_line_is_read_or_refused_but_never_cut() {
        let with = |line: &str| {
            let mut bytes = sample();
            bytes.truncate(144);
            bytes.extend(line.as_bytes());
            bytes.push(0);
            parse_at_0(&bytes).map(|info| info.command_line.len())
        };
        cases::long_command_lines_are_read_or_refused(with);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn a_damaged_info_is_read_or_refused(bytes in damaged(sample())) {
            cases::is_read_or_refused(parse_at_0(&bytes));
        }
    }
}
