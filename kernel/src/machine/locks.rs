//! The layer's locks.
use super::{Metal, Place};
use crate::entry::idle;
use crate::storage::lock_array::{Guard, LockArray};
use crate::sync::lock::Lock;
use core::ops::{Deref, DerefMut};
use layer::core::constants::MSG_Q;
use layer::core::machine::{self, Object};

/// The lock array of a map: shared objects, each behind its lock.
pub struct Locks<T: 'static>(LockArray<T>);

impl<T: Object<Metal>> Locks<T> {
    /// A lock array of `rows` objects, in kernel memory of their own.
    pub(super) fn new(place: Place, rows: usize, mut make: impl FnMut(usize) -> T) -> Self {
        Locks(LockArray::new(place.platform.keep_each(rows, T::NAME, |row| Lock::new(make(row)))))
    }
}

impl<T: Object<Metal>> machine::Lock<Metal, T> for Locks<T> {
    type Guard<'a> = Held<'a, T>;

    #[inline]
    fn lock(&self, by: u32, row: u32) -> Held<'_, T> {
        // A CPU locks the pending queue of another CPU only to put a thread into it.
        let is_pending = matches!(T::QUEUES, Some(MSG_Q));
        let bell = Bell((is_pending && row != by).then_some(row));
        Held { object: self.0.lock(by, row, T::RANK, T::NAME), _bell: bell }
    }
}

/// A lock that is held.
pub struct Held<'a, T> {
    // This field is declared first, so that the lock is released before the bell rings.
    object: Guard<'a, T>,
    _bell: Bell,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

/// If it holds the number of a CPU, rings for this CPU when it is dropped.
struct Bell(Option<u32>);

impl Drop for Bell {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cpu) = self.0 {
            idle::ring(cpu as usize);
        }
    }
}
