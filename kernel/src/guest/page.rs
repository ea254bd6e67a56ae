//! Pages that the processor reads and writes as well: control structures.

use crate::mm::direct_map::physical;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A page of memory in the format of the processor. Only the CPU that owns it touches it, either by its kernel or by its
/// virtualisation; the words are atomic because the latter is not visible to the compiler.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Page([AtomicU64; 512]);

impl Page {
    /// A page of zeros.
    pub const fn zero() -> Page {
        Page([const { AtomicU64::new(0) }; 512])
    }

    /// The 32-bit word at byte `offset`, a multiple of 4.
    pub fn word(&self, offset: usize) -> u32 {
        (self.wide(offset & !4) >> (8 * (offset & 4))) as u32
    }

    /// Replaces the 32-bit word at byte `offset`.
    pub fn set_word(&self, offset: usize, value: u32) {
        let (at, shift) = (offset & !4, 8 * (offset & 4));
        self.set_wide(at, self.wide(at) & !(u64::from(u32::MAX) << shift) | u64::from(value) << shift);
    }

    /// The 64-bit word at byte `offset`, a multiple of 8.
    pub fn wide(&self, offset: usize) -> u64 {
        self.0[offset / 8].load(Relaxed)
    }

    /// Replaces the 64-bit word at byte `offset`.
    pub fn set_wide(&self, offset: usize, value: u64) {
        self.0[offset / 8].store(value, Relaxed);
    }

    /// Physical address of the page, which lies in the direct map.
    pub fn physical(&self) -> u64 {
        physical(self)
    }
}
