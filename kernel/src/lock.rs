//! The kernel's lock: a ticket lock whose tickets are for those who have waited in vain.
//!
//! Whoever comes takes the lock if nobody has it and nobody waits in line. Only after asking often does it take the next
//! ticket and wait until that number is served; from then on everybody queues up behind it, so that none starves.
//!
//! Always to wait in line would be fairer, and on an emulator ruinous: the next in line is a thread of the host that may
//! not be running, and nobody else gets the lock until it does. Eight CPUs on two cores took up to forty seconds for
//! what takes them one this way.
//!
//! The lock is not re-entrant, and there is nothing to switch off around it: interrupts are never on in ring 0.

mod shim;

use core::ops::{Deref, DerefMut};
use shim::{AtomicU32, MutPtr, Ordering, UnsafeCell, spin};

/// How often a CPU asks for a lock before it waits in line: some milliseconds on a processor, longer than the slice of a
/// host's thread on an emulator.
#[cfg(not(loom))]
const PATIENCE: u32 = 100_000;
/// Loom tries every interleaving, of which there must not be too many.
#[cfg(loom)]
const PATIENCE: u32 = 1;

/// A value that one CPU at a time may reach.
pub struct Lock<T> {
    /// The ticket that the next comer takes.
    next: AtomicU32,
    /// The ticket whose holder has the lock.
    serving: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and `lock` and `try_lock` give out one guard at a
// time; so sharing the lock moves the value between CPUs, which `T: Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: moving the lock moves the value.
unsafe impl<T: Send> Send for Lock<T> {}

/// Access to a locked value; dropping it hands the lock to the next in line.
pub struct Guard<'a, T> {
    // Declared first, so that the access to the value has ended when the ticket is given back.
    value: MutPtr<T>,
    _ticket: Ticket<'a>,
}

/// The ticket that is being served; dropping it serves the next.
struct Ticket<'a> {
    serving: &'a AtomicU32,
    number: u32,
}

impl<T> Lock<T> {
    /// A free lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Lock<T> {
        Lock { next: AtomicU32::new(0), serving: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// A free lock around `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Lock<T> {
        Lock { next: AtomicU32::new(0), serving: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        for _ in 0..PATIENCE {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            spin();
        }
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        while self.serving.load(Ordering::Acquire) != ticket {
            spin();
        }
        self.guard(ticket)
    }

    /// Takes the lock if nobody has it or waits for it.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let ticket = self.serving.load(Ordering::Acquire);
        self.next
            .compare_exchange(ticket, ticket.wrapping_add(1), Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| self.guard(ticket))
    }

    /// Takes the lock from whoever holds or awaits it, for a last report.
    ///
    /// # Safety
    /// No other CPU may touch the value from now on: they have been stopped, and this CPU never goes back
    /// to code that holds a guard. The value may be in any state in which its holder can have left it.
    pub unsafe fn seize(&self) -> Guard<'_, T> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.serving.store(ticket, Ordering::Relaxed);
        self.guard(ticket)
    }

    #[inline]
    fn guard(&self, number: u32) -> Guard<'_, T> {
        Guard { value: self.value.get_mut(), _ticket: Ticket { serving: &self.serving, number } }
    }
}

impl Lock<()> {
    /// Waits for the lock, and keeps it until [`give_back`](Lock::give_back): for what is guarded beside it.
    #[inline]
    pub fn hold(&self) {
        core::mem::forget(self.lock());
    }

    /// Hands a lock that was taken by [`hold`](Lock::hold) to the next in line.
    #[inline]
    pub fn give_back(&self) {
        let number = self.serving.load(Ordering::Relaxed);
        drop(Ticket { serving: &self.serving, number });
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard's ticket is being served, so this guard is the only one, and `&self` keeps
        // `deref_mut` away.
        unsafe { self.value.deref() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` makes this the only reference from this guard.
        unsafe { self.value.deref() }
    }
}

impl Drop for Ticket<'_> {
    #[inline]
    fn drop(&mut self) {
        self.serving.store(self.number.wrapping_add(1), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_update_is_lost() {
        static COUNTER: Lock<u64> = Lock::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        *COUNTER.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*COUNTER.lock(), 8_000);
    }

    #[test]
    fn a_held_lock_cannot_be_had() {
        let lock = Lock::new(1);
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert_eq!(lock.try_lock().map(|guard| *guard), Some(1));
        assert_eq!(*lock.lock(), 1);
    }

    #[test]
    fn a_lock_that_is_kept_is_had_until_it_is_given_back() {
        let lock = Lock::new(());
        for _ in 0..3 {
            lock.hold();
            assert!(lock.try_lock().is_none());
            lock.give_back();
        }
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn tickets_wrap_around() {
        let lock =
            Lock { next: AtomicU32::new(u32::MAX), serving: AtomicU32::new(u32::MAX), value: UnsafeCell::new(0) };
        for _ in 0..3 {
            *lock.lock() += 1;
        }
        assert_eq!(lock.try_lock().map(|guard| *guard), Some(3));
    }

    #[test]
    fn a_seized_lock_gives_the_value_whoever_held_it() {
        let lock = Lock::new(5);
        core::mem::forget(lock.lock());
        // SAFETY: the forgotten guard is never used again.
        assert_eq!(*unsafe { lock.seize() }, 5);
        assert!(lock.try_lock().is_some());
    }
}
