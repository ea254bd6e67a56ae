//! What a boot loader hands over: memory map, boot archive, ACPI root pointer. `pvh.rs` and `multiboot2.rs` read it.

use crate::memory_map::{MemoryMap, TooManyRegions};
use core::fmt;
use core::ops::Range;

/// What is wrong with a start info: the boot loader's fault, all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// A magic number is not there: the image was booted neither by PVH nor by multiboot2.
    Unknown,
    /// There is no memory map.
    NoMemoryMap,
    /// A structure lies where there is no memory.
    Unreadable,
    /// The memory map is absurdly long.
    TooManyRegions,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::Unknown => "its boot loader speaks neither PVH nor multiboot2",
            Error::NoMemoryMap => "its boot loader says nothing of the memory",
            Error::Unreadable => "what its boot loader says is damaged",
            Error::TooManyRegions => "its memory map is too long",
        })
    }
}

impl From<TooManyRegions> for Error {
    fn from(_: TooManyRegions) -> Self {
        Error::TooManyRegions
    }
}

/// What the boot loader said.
#[derive(Clone, Debug)]
pub struct StartInfo<'a> {
    /// The memory map.
    pub map: MemoryMap,
    /// Physical addresses of the first module, the boot archive; `None` without one.
    pub archive: Option<Range<u64>>,
    /// Physical address of the ACPI root pointer; `None` if the loader found none.
    pub rsdp: Option<u64>,
    /// The command line; as much of it as is text.
    pub command_line: &'a str,
}
