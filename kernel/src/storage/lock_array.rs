//! The lock array of a map: one object for each row, behind a lock of its own. Locks are taken in the order of their
//! ranks.
use crate::mm::layout::MAX_CPUS;
use crate::sync::lock::{self, Lock};
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};

/// The ranks of the locks that each CPU holds: bit `r` is set while the CPU holds a lock of rank `r`.
///
/// Only builds with debug assertions keep this.
static HELD: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// The lock array of a map: one object for each row, each behind its lock.
///
/// Different rows are different elements of one slice, and each lock guards a value of its own.
pub struct LockArray<T: 'static>(&'static [Lock<T>]);

impl<T> LockArray<T> {
    /// The lock array with these locks.
    pub fn new(locks: &'static [Lock<T>]) -> Self {
        LockArray(locks)
    }

    /// Waits for the lock of `row` on behalf of CPU `by`. The lock is called `name` and has this `rank`.
    ///
    /// # Panics
    /// If the row does not exist. With debug assertions, if the CPU holds a lock of this rank or a higher one.
    #[inline(always)]
    pub fn lock(&self, by: u32, row: u32, rank: u32, name: &'static str) -> Guard<'_, T> {
        let rank = Rank::take(by, rank, name);
        Guard { object: self.0[row as usize].lock(), _rank: rank }
    }
}

/// A lock that is held; dropping it releases the lock.
pub struct Guard<'a, T> {
    object: lock::Guard<'a, T>,
    _rank: Rank,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

/// Records that CPU `by` is about to take the lock called `name`, with this `rank`, and holds it until [`given_back`].
///
/// # Panics
/// With debug assertions, if the CPU holds a lock of this rank or a higher one.
#[inline(always)]
pub fn kept(by: u32, rank: u32, name: &str) {
    if cfg!(debug_assertions) {
        let held = HELD[by as usize].fetch_or(1 << rank, Ordering::Relaxed);
        assert!(held >> rank == 0, "CPU {by} takes the lock of {name} while it holds those of ranks {held:#b}");
    }
}

/// Records that CPU `by` releases a lock of this rank.
///
/// # Panics
/// With debug assertions, if the CPU holds no lock of this rank.
#[inline(always)]
pub fn given_back(by: u32, rank: u32) {
    if cfg!(debug_assertions) {
        let held = HELD[by as usize].fetch_and(!(1 << rank), Ordering::Relaxed);
        assert!(held >> rank & 1 == 1, "CPU {by} gives back a lock of rank {rank}; it holds those of ranks {held:#b}");
    }
}

/// The record that a CPU holds a lock of some rank; dropping it removes the record.
struct Rank {
    by: u32,
    rank: u32,
}

impl Rank {
    #[inline(always)]
    fn take(by: u32, rank: u32, name: &str) -> Rank {
        kept(by, rank, name);
        Rank { by, rank }
    }
}

impl Drop for Rank {
    #[inline(always)]
    fn drop(&mut self) {
        given_back(self.by, self.rank);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::boxed::Box;

    fn rows() -> LockArray<u32> {
        LockArray::new(Box::leak(Box::new([Lock::new(10), Lock::new(11)])))
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

    #[test]
    #[should_panic(expected = "CPU 4 takes the lock of a channel")]
    #[cfg(debug_assertions)]
    fn nor_one_of_the_same_rank_as_one_that_is_kept() {
        kept(4, 1, "a channel");
        given_back(4, 1);
        kept(4, 1, "a channel");
        kept(4, 1, "a channel");
    }

    #[test]
    #[should_panic(expected = "CPU 5 gives back a lock of rank 1")]
    #[cfg(debug_assertions)]
    fn what_is_not_held_is_not_given_back() {
        kept(5, 1, "a channel");
        given_back(5, 1);
        given_back(5, 1);
    }
}
