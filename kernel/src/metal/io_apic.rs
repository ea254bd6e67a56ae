//! The I/O APIC: as yet only how many lines it has.

use super::paging::direct;

/// Where to write the number of a register.
const SELECT: u64 = 0;
/// Where that register then is.
const WINDOW: u64 = 0x10;
/// The version register; bits 16 to 23 are the number of the last line.
const VERSION: u32 = 1;

/// How many lines the I/O APIC has, whose registers are at physical address `base`.
///
/// # Safety
/// There is an I/O APIC, in the direct map, and no other CPU uses it meanwhile.
pub unsafe fn lines(base: u64) -> u32 {
    // SAFETY: selecting a register and reading the version have no other effect; the caller vouches for the rest.
    let version = unsafe {
        direct::<u32>(base + SELECT).write_volatile(VERSION);
        direct::<u32>(base + WINDOW).read_volatile()
    };
    (version >> 16 & 0xFF) + 1
}
