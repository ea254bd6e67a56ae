//! Sizes of the page tables. No other place defines them.
use core::fmt::Debug;
use domain::Domain;

/// A two-level view of a 4 GiB address space.
pub trait Geometry: Copy + Debug + 'static {
    /// Its name in the prover's output.
    const NAME: &'static str;
    /// Entries of one page table.
    const ENTRIES: u32;
    /// Directory entries; together they cover 2^20 pages.
    const DIRS: u32 = (1 << 20) / Self::ENTRIES;
    /// Bytes that one directory entry covers.
    const REGION: u32 = 4096 * Self::ENTRIES;
}

/// A domain whose machine has page tables.
pub trait Paged: Domain {
    /// Sizes of the page tables.
    type Geometry: Geometry;
}

/// The reference's machine: 1024 entries in a table, 1024 directory entries.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl Geometry for Reference {
    const NAME: &'static str = "reference";
    const ENTRIES: u32 = 1024;
}

/// Long mode: 512 entries in a table, 2048 directory entries of 2 MiB.
#[derive(Clone, Copy, Debug)]
pub struct X64;

impl Geometry for X64 {
    const NAME: &'static str = "x86-64";
    const ENTRIES: u32 = 512;
}
