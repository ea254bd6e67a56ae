//! The atomics that the locks use: the processor's own, or loom's, which try every interleaving.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
#[cfg(loom)]
pub use loom::{
    cell::{MutPtr, UnsafeCell},
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

/// Waits a moment for another CPU.
#[cfg(not(loom))]
pub fn spin() {
    core::hint::spin_loop();
}

/// Lets another thread run.
#[cfg(loom)]
pub fn spin() {
    loom::thread::yield_now();
}

/// `core`'s cell with the part of loom's interface that the lock uses.
#[cfg(not(loom))]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell with `value`.
    pub const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(core::cell::UnsafeCell::new(value))
    }

    /// A pointer through which the value may be changed.
    #[inline(always)]
    pub fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

/// A pointer to the value of an [`UnsafeCell`]. Neither `Send` nor `Sync`.
#[cfg(not(loom))]
pub struct MutPtr<T>(*mut T);

#[cfg(not(loom))]
impl<T> MutPtr<T> {
    /// The value.
    ///
    /// # Safety
    /// The cell exists, and nothing else accesses its value while the reference lives.
    #[expect(clippy::mut_from_ref, reason = "loom's signature")]
    #[inline(always)]
    pub unsafe fn deref(&self) -> &mut T {
        // SAFETY: the caller has the same obligation.
        unsafe { &mut *self.0 }
    }
}
