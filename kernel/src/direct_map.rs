//! Physical memory, where it is mapped as a whole.

/// Where physical address 0 is.
#[derive(Clone, Copy, Debug)]
pub struct DirectMap(*mut u8);

// SAFETY: it is an address; whoever uses it says why that is right.
unsafe impl Send for DirectMap {}
// SAFETY: as above.
unsafe impl Sync for DirectMap {}

impl DirectMap {
    /// The map that has physical address 0 at `base`, which may be an address of nothing: only what is mapped counts.
    pub const fn at(base: *mut u8) -> Self {
        DirectMap(base)
    }

    /// Where a physical address is.
    #[inline(always)]
    pub fn pointer<T>(self, physical: u64) -> *mut T {
        self.0.wrapping_add(physical as usize).cast()
    }
}
