//! Pages that the processor reads and writes as well: control structures.

use crate::mm::direct_map::physical;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A page of memory in the format of the processor. Only the CPU that owns it touches it, either by its kernel or by its
/// virtualisation; the words are atomic because the latter is not visible to the compiler.
#[repr(C, align(4096))]
#[derive(Debug)]
pub struct Page([AtomicU32; 1024]);

impl Page {
    /// A page of zeros.
    pub const fn zero() -> Page {
        Page([const { AtomicU32::new(0) }; 1024])
    }

    /// The 32-bit word at byte `offset`, a multiple of 4.
    pub fn word(&self, offset: usize) -> u32 {
        self.0[offset / 4].load(Relaxed)
    }

    /// Replaces the 32-bit word at byte `offset`.
    pub fn set_word(&self, offset: usize, value: u32) {
        self.0[offset / 4].store(value, Relaxed);
    }

    /// The 64-bit word at byte `offset`, a multiple of 4.
    pub fn wide(&self, offset: usize) -> u64 {
        u64::from(self.word(offset)) | u64::from(self.word(offset + 4)) << 32
    }

    /// Replaces the 64-bit word at byte `offset`.
    pub fn set_wide(&self, offset: usize, value: u64) {
        self.set_word(offset, value as u32);
        self.set_word(offset + 4, (value >> 32) as u32);
    }

    /// Physical address of the page, which lies in the direct map.
    pub fn physical(&self) -> u64 {
        physical(self)
    }
}
