//! What differs between the reference's 32-bit processor and x86-64: the sizes of the page tables, and a selector. No
//! other place defines them.
use core::fmt::Debug;
use domain::Domain;

/// A two-level view of a 4 GiB address space, and the segments of a program in it.
pub trait Geometry: Copy + Debug + 'static {
    /// Its name in the prover's output.
    const NAME: &'static str;
    /// Entries of one page table.
    const ENTRIES: u32;
    /// Directory entries; together they cover 2^20 pages.
    const DIRS: u32 = (1 << 20) / Self::ENTRIES;
    /// Bytes that one directory entry covers.
    const REGION: u32 = 4096 * Self::ENTRIES;
    /// User code selector (`CPU_GDT_UCODE`, P45).
    const USER_CODE: u32;
}

/// A domain whose machine has page tables.
pub trait Paged: Domain {
    /// Sizes of the page tables, and the selector of a program's code.
    type Geometry: Geometry;
}

/// The reference's machine: 1024 entries in a table, 1024 directory entries.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl Geometry for Reference {
    const NAME: &'static str = "reference";
    const ENTRIES: u32 = 1024;
    const USER_CODE: u32 = 0x1B;
}

/// Long mode: 512 entries in a table, 2048 directory entries of 2 MiB.
#[derive(Clone, Copy, Debug)]
pub struct X64;

impl Geometry for X64 {
    const NAME: &'static str = "x86-64";
    const ENTRIES: u32 = 512;
    // `sysret` takes the segment behind that of the data.
    const USER_CODE: u32 = 0x2B;
}
