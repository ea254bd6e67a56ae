//! The direct map: physical memory, mapped as a whole at one virtual address.

use super::layout::DIRECT_MAP;
use core::ptr;

/// Virtual address of physical address 0.
#[derive(Clone, Copy, Debug)]
pub struct DirectMap(*mut u8);

// SAFETY: this computes an address and makes no access; each use states why its access is right.
unsafe impl Send for DirectMap {}
// SAFETY: as above.
unsafe impl Sync for DirectMap {}

impl DirectMap {
    /// The map with physical address 0 at `base`. Nothing needs to be mapped at `base` itself: only the addresses that
    /// are used must be mapped.
    pub const fn at(base: *mut u8) -> Self {
        DirectMap(base)
    }

    /// Virtual address of a physical address.
    #[inline(always)]
    pub fn pointer<T>(self, physical: u64) -> *mut T {
        self.0.wrapping_add(physical as usize).cast()
    }
}

/// The direct map of the kernel: every page map has it.
pub fn direct_map() -> DirectMap {
    DirectMap::at(ptr::with_exposed_provenance_mut(DIRECT_MAP as usize))
}

/// A pointer to physical address `physical` in the direct map.
#[inline(always)]
pub fn direct<T>(physical: u64) -> *mut T {
    direct_map().pointer(physical)
}

/// Physical address of an object in the direct map.
pub fn physical<T>(object: *const T) -> u64 {
    (object.addr() as u64).wrapping_sub(DIRECT_MAP)
}
