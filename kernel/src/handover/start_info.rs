//! The data that a boot loader hands over: memory map, boot archive, ACPI root pointer. `pvh.rs` and `multiboot2.rs`
//! read it.

use crate::mm::memory_map::{Kind, MemoryMap, TooManyRegions};
use core::ops::Range;

/// The maximum number of entries of a memory map that are read: far more than any loader writes, and few enough that a
/// damaged length is noticed soon.
pub const MOST_ENTRIES: u32 = 4096;
/// The maximum number of bytes of a command line, its 0 byte included.
pub const MOST_TEXT: u64 = 64 << 10;

/// What is wrong with a start info: the boot loader's fault, unless the variant says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartInfoError {
    /// The magic number is missing: the image was booted neither by PVH nor by multiboot2.
    #[error("its boot loader speaks neither PVH nor multiboot2")]
    Unknown,
    /// There is no memory map.
    #[error("its boot loader reports no memory map")]
    NoMemoryMap,
    /// A structure lies outside memory, or is damaged.
    #[error("the information from its boot loader is damaged")]
    Unreadable,
    /// The memory map is too long.
    #[error("its memory map is too long")]
    TooManyRegions,
    /// The command line is longer than [`MOST_TEXT`] (the user's fault).
    #[error("its boot options are longer than 64 KiB")]
    LongCommandLine,
    /// The command line is not UTF-8 (the user's fault).
    #[error("its boot options are not UTF-8")]
    NoText,
}

impl From<TooManyRegions> for StartInfoError {
    fn from(_: TooManyRegions) -> Self {
        StartInfoError::TooManyRegions
    }
}

/// A field of a record, or [`StartInfoError::Unreadable`] where the record is too short.
pub fn known<T>(value: Option<T>) -> Result<T, StartInfoError> {
    value.ok_or(StartInfoError::Unreadable)
}

/// The kind of a memory region, by its number in a memory map. PVH and multiboot2 have taken the numbers from the BIOS.
pub fn kind(number: u32) -> Kind {
    match number {
        1 => Kind::Ram,
        3 => Kind::Acpi,
        _ => Kind::Reserved,
    }
}

/// The command line in these bytes, up to the first 0 byte.
pub fn command_line(bytes: &[u8]) -> Result<&str, StartInfoError> {
    let end = bytes.iter().position(|&byte| byte == 0);
    let too_long =
        if bytes.len() as u64 >= MOST_TEXT { StartInfoError::LongCommandLine } else { StartInfoError::Unreadable };
    let line = &bytes[..end.filter(|&end| (end as u64) < MOST_TEXT).ok_or(too_long)?];
    str::from_utf8(line).map_err(|_| StartInfoError::NoText)
}

/// The data that the boot loader handed over.
#[derive(Clone, Debug)]
pub struct StartInfo<'a> {
    /// The memory map.
    pub map: MemoryMap,
    /// Physical addresses of the first module, which is the boot archive; `None` without one.
    pub archive: Option<Range<u64>>,
    /// Physical address of the ACPI root pointer; `None` if the loader found none.
    pub rsdp: Option<u64>,
    /// The command line.
    pub command_line: &'a str,
}

#[cfg(test)]
pub mod cases {
    //! What the tests of every reader check.
    use super::*;
    use crate::mm::memory_map::ADDRESSES_END;
    use std::string::String;

    /// Checks that a long command line is read or refused, and never cut. `length` returns the length of the command
    /// line that is read if the loader passes this text.
    pub fn long_command_lines_are_read_or_refused(length: impl Fn(&str) -> Result<usize, StartInfoError>) {
        let words = |count: usize| -> String { "lock=mcs ".repeat(count) };
        assert_eq!(length(&words(700)), Ok(6300));
        assert_eq!(length(&words(7281)), Ok(65529));
        assert_eq!(length(&words(7282)), Err(StartInfoError::LongCommandLine));
    }

    /// Checks the result for information that may be damaged.
    pub fn is_read_or_refused(info: Result<StartInfo<'_>, StartInfoError>) {
        if let Ok(info) = info {
            assert!(info.map.ram_bytes() <= ADDRESSES_END);
            assert!(info.archive.is_none_or(|range| range.start <= range.end));
        }
    }
}
