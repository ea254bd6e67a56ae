//! The kernel's locks: a value that one CPU at a time may reach, behind one of two kinds of lock with the same interface,
//! [`Ticket`] and [`Mcs`]. Which one the kernel uses is a boot option.
//!
//! Whoever comes takes the lock if nobody has it and nobody waits in line. Only after asking often does it wait in line;
//! from then on everybody queues up behind it, so that none starves.
//!
//! Always to wait in line would be fairer, and on an emulator ruinous: the next in line is a thread of the host that may
//! not be running, and nobody else gets the lock until it does. Eight CPUs on two cores took up to forty seconds for
//! what takes them one this way.
//!
//! The locks are not re-entrant, and there is nothing to switch off around them: interrupts are never on in ring 0 but where
//! an idle CPU halts, which holds none.

mod either;
mod mcs;
mod shim;
mod ticket;

pub use either::{Either, Kind, choose, chosen};
pub use mcs::Mcs;
pub use ticket::Ticket;

use core::ops::{Deref, DerefMut};
use shim::{MutPtr, UnsafeCell, spin};

/// How often a CPU asks for a lock before it waits in line: some milliseconds on a processor, longer than the slice of a
/// host's thread on an emulator.
#[cfg(not(loom))]
const PATIENCE: u32 = 100_000;
/// Loom tries every interleaving, of which there must not be too many.
#[cfg(loom)]
const PATIENCE: u32 = 1;

/// A lock without what it guards. Whoever has acquired it has it until it is released; what was written before a release is
/// seen after the next acquisition.
pub trait Raw {
    /// A free lock.
    #[cfg(not(loom))]
    const FREE: Self;

    /// A free lock.
    #[cfg(loom)]
    fn free() -> Self;

    /// Acquires the lock if nobody has it or waits in line for it; whether it did.
    fn try_acquire(&self) -> bool;

    /// Acquires the lock after all who wait in line for it.
    fn wait_in_line(&self);

    /// Gives the lock to the next in line.
    ///
    /// # Safety
    /// The caller has acquired it.
    unsafe fn release(&self);

    /// Acquires the lock from whoever holds or awaits it.
    ///
    /// # Safety
    /// Nobody else who has it, or waits for it, goes on.
    unsafe fn seize(&self);
}

/// A value that one CPU at a time may reach.
pub struct Lock<T, R: Raw = Either> {
    raw: R,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and `lock` and `try_lock` give out one guard at a
// time; so sharing the lock moves the value between CPUs, which `T: Send` allows.
unsafe impl<T: Send, R: Raw + Sync> Sync for Lock<T, R> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: Send, R: Raw + Send> Send for Lock<T, R> {}

/// Access to a locked value; dropping it hands the lock to the next in line.
pub struct Guard<'a, T, R: Raw = Either> {
    // Declared first, so that the access to the value has ended when the lock is released.
    value: MutPtr<T>,
    _held: Held<'a, R>,
}

/// A lock that was acquired; dropping it releases it.
struct Held<'a, R: Raw>(&'a R);

impl<T, R: Raw> Lock<T, R> {
    /// A free lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Lock<T, R> {
        Lock { raw: R::FREE, value: UnsafeCell::new(value) }
    }

    /// A free lock around `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Lock<T, R> {
        Lock { raw: R::free(), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    #[inline(always)]
    pub fn lock(&self) -> Guard<'_, T, R> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    /// Waits for the lock, which was asked for in vain.
    #[cold]
    fn wait(&self) -> Guard<'_, T, R> {
        for _ in 1..PATIENCE {
            spin();
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        self.raw.wait_in_line();
        self.guard()
    }

    /// Takes the lock if nobody has it or waits for it.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<Guard<'_, T, R>> {
        self.raw.try_acquire().then(|| self.guard())
    }

    /// Takes the lock from whoever holds or awaits it, for a last report.
    ///
    /// # Safety
    /// No other CPU may touch the value from now on: they have been stopped, and this CPU never goes back
    /// to code that holds a guard. The value may be in any state in which its holder can have left it.
    pub unsafe fn seize(&self) -> Guard<'_, T, R> {
        // SAFETY: the caller's obligation covers it.
        unsafe { self.raw.seize() };
        self.guard()
    }

    /// The guard of the lock, which has just been acquired.
    #[inline(always)]
    fn guard(&self) -> Guard<'_, T, R> {
        Guard { value: self.value.get_mut(), _held: Held(&self.raw) }
    }
}

impl<R: Raw> Lock<(), R> {
    /// Waits for the lock, and keeps it until [`give_back`](Lock::give_back): for what is guarded beside it.
    #[inline(always)]
    pub fn hold(&self) {
        core::mem::forget(self.lock());
    }

    /// Hands a lock that was taken by [`hold`](Lock::hold) to the next in line.
    ///
    /// # Safety
    /// This CPU holds it.
    #[inline(always)]
    pub unsafe fn give_back(&self) {
        drop(Held(&self.raw));
    }
}

impl<T, R: Raw> Deref for Guard<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held by this guard, so this guard is the only one, and `&self` keeps
        // `deref_mut` away.
        unsafe { self.value.deref() }
    }
}

impl<T, R: Raw> DerefMut for Guard<'_, T, R> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference from this guard.
        unsafe { self.value.deref() }
    }
}

impl<R: Raw> Drop for Held<'_, R> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: this was made where the lock had been acquired.
        unsafe { self.0.release() };
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
