//! Families of shared objects, each behind a ticket lock of its own; locks are taken in the order of their ranks.
use crate::layout::MAX_CPUS;
use crate::lock::{self, Lock};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};

/// Ranks of the locks that each CPU holds: bit `r` is set while it holds one of rank `r`.
///
/// Kept in builds with debug assertions only.
static HELD: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// A family of objects: one a row, each behind its lock.
///
/// Different rows are different elements of one slice, and each lock is around a value of its own.
pub struct Rows<T: 'static>(&'static [Lock<T>]);

impl<T> Rows<T> {
    /// The objects behind these locks.
    pub fn new(locks: &'static [Lock<T>]) -> Self {
        Rows(locks)
    }

    /// CPU `by` waits in line for the lock of `row`, which is called `name` and has this `rank`.
    ///
    /// # Panics
    /// When the row does not exist. With debug assertions, when the CPU holds a lock of this rank or a higher one.
    #[inline]
    pub fn lock(&self, by: u32, row: u32, rank: u32, name: &'static str) -> Guard<'_, T> {
        let rank = Rank::take(by, rank, name);
        Guard { object: self.0[row as usize].lock(), _rank: rank }
    }
}

/// A lock that is held.
pub struct Guard<'a, T> {
    object: lock::Guard<'a, T>,
    _rank: Rank,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

/// CPU `by` is about to take a lock, called `name`, that comes before those of all ranks.
///
/// # Panics
/// With debug assertions, when it holds one of any rank.
#[inline]
pub fn holds_nothing(by: u32, name: &str) {
    if cfg!(debug_assertions) {
        let held = HELD[by as usize].load(Ordering::Relaxed);
        assert!(held == 0, "CPU {by} takes the lock of {name} while it holds those of ranks {held:#b}");
    }
}

/// The note that a CPU holds a lock of some rank; dropping it takes the note back.
struct Rank {
    by: u32,
    rank: u32,
}

impl Rank {
    #[inline]
    fn take(by: u32, rank: u32, name: &'static str) -> Rank {
        if cfg!(debug_assertions) {
            let held = HELD[by as usize].fetch_or(1 << rank, Ordering::Relaxed);
            assert!(held >> rank == 0, "CPU {by} takes the lock of {name} while it holds those of ranks {held:#b}");
        }
        Rank { by, rank }
    }
}

impl Drop for Rank {
    #[inline]
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD[self.by as usize].fetch_and(!(1 << self.rank), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::boxed::Box;

    fn rows() -> Rows<u32> {
        Rows::new(Box::leak(Box::new([Lock::new(10), Lock::new(11)])))
    }

    #[test]
    fn each_row_has_its_own_object_and_lock() {
        let rows = rows();
        let mut first = rows.lock(0, 0, 2, "test");
        *first += 5;
        assert_eq!(*rows.lock(1, 1, 2, "test"), 11);
        drop(first);
        assert_eq!(*rows.lock(0, 0, 2, "test"), 15);
    }

    #[test]
    fn a_lock_of_a_higher_rank_may_follow() {
        let rows = rows();
        let _low = rows.lock(2, 0, 2, "low");
        let _high = rows.lock(2, 1, 3, "high");
    }

    #[test]
    #[should_panic(expected = "CPU 3 takes the lock of low")]
    #[cfg(debug_assertions)]
    fn one_of_a_lower_rank_may_not() {
        let rows = rows();
        let _high = rows.lock(3, 1, 3, "high");
        let _low = rows.lock(3, 0, 2, "low");
    }
}
