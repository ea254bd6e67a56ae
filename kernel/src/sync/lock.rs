//! The kernel's locks: only one CPU at a time may access the value behind a lock. There are two kinds of lock with
//! the same interface, [`Ticket`] and [`Mcs`]; a boot option chooses the kind.
//!
//! A CPU takes a lock at once if it is free and no CPU waits in line. Otherwise it tries `PATIENCE` times, and then
//! joins the line. From then on every other CPU queues after it, so no CPU starves.
//!
//! Waiting in line at once would be fairer, but is ruinous on an emulator: the next CPU in line is a thread of the host
//! that may not be running, and no other CPU gets the lock until it does. Eight CPUs on two cores took up to forty
//! seconds for work that takes one second in this way.
//!
//! The locks are not re-entrant. They need not switch interrupts off. In ring 0, interrupts are on only where an
//! idle CPU halts and where a CPU admits waiting interrupts between two steps; a CPU holds no lock there.

mod either;
mod mcs;
mod shim;
mod ticket;

pub use either::{Either, Kind, choose, chosen};
pub use mcs::Mcs;
pub use ticket::Ticket;

use core::ops::{Deref, DerefMut};
use shim::{MutPtr, UnsafeCell, spin};

/// How often a CPU tries to take a lock before it waits in line. The tries take some milliseconds on a processor, and
/// longer than the time slice of a host's thread on an emulator.
#[cfg(not(loom))]
const PATIENCE: u32 = 100_000;
/// Loom tries every interleaving, so their number must stay small.
#[cfg(loom)]
const PATIENCE: u32 = 1;

/// A lock without the value that it guards. The CPU that acquires it holds it until it releases it. Writes before a
/// release are visible after the next acquisition.
pub trait Raw {
    /// A free lock.
    #[cfg(not(loom))]
    const FREE: Self;

    /// A free lock.
    #[cfg(loom)]
    fn free() -> Self;

    /// Acquires the lock if it is free and no CPU waits in line for it; returns whether it did.
    fn try_acquire(&self) -> bool;

    /// Waits in line, and acquires the lock after all CPUs that came before.
    fn wait_in_line(&self);

    /// Releases the lock to the next in line.
    ///
    /// # Safety
    /// The caller holds the lock.
    unsafe fn release(&self);

    /// Acquires the lock, even if another CPU holds it or waits for it.
    ///
    /// # Safety
    /// No other CPU that holds the lock, or waits for it, ever continues.
    unsafe fn seize(&self);
}

/// A value that one CPU at a time may reach.
pub struct Lock<T, R: Raw = Either> {
    raw: R,
    value: UnsafeCell<T>,
}

// SAFETY: the value is accessed only through a guard, and `lock` and `try_lock` return one guard at a
// time; so sharing the lock moves the value between CPUs, which `T: Send` allows.
unsafe impl<T: Send, R: Raw + Sync> Sync for Lock<T, R> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: Send, R: Raw + Send> Send for Lock<T, R> {}

/// Access to a locked value; dropping it hands the lock to the next in line.
pub struct Guard<'a, T, R: Raw = Either> {
    // This field is declared first, so that the access to the value has ended when the lock is
    // released.
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

    /// Waits for the lock and acquires it.
    #[inline(always)]
    pub fn lock(&self) -> Guard<'_, T, R> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    /// Waits for the lock after the first try has failed.
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

    /// Takes the lock if it is free and no CPU waits for it.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<Guard<'_, T, R>> {
        self.raw.try_acquire().then(|| self.guard())
    }

    /// Takes the lock for a last report, even if another CPU holds it or waits for it.
    ///
    /// # Safety
    /// No other CPU may access the value from now on: they have been stopped, and this CPU never returns
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
    /// Waits for the lock, and holds it until [`give_back`](Lock::give_back). This is for data that the lock guards but
    /// does not contain.
    #[inline(always)]
    pub fn hold(&self) {
        core::mem::forget(self.lock());
    }

    /// Releases a lock that was taken by [`hold`](Lock::hold) to the next in line.
    ///
    /// # Safety
    /// This CPU holds the lock.
    #[inline(always)]
    pub unsafe fn give_back(&self) {
        drop(Held(&self.raw));
    }
}

impl<T, R: Raw> Deref for Guard<'_, T, R> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock, so it is the only guard, and `&self` excludes
        // `deref_mut`.
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
        // SAFETY: a `Held` is made only after the lock has been acquired.
        unsafe { self.0.release() };
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
