//! Locks and links, as the layer takes them.
use super::{Metal, Place};
use crate::home::Nowhere;
use crate::home::rows::{Guard, Rows};
use crate::lock::Lock;
use layer::machine::{self, Object};
use layer::queue::Threads;

/// A family of shared objects, each behind its ticket lock.
pub struct Locks<T: 'static>(Rows<T>);

impl<T: Object<Metal>> Locks<T> {
    /// `rows` objects, in kernel memory of their own.
    pub(super) fn new(place: Place, rows: usize, mut make: impl FnMut(usize) -> T) -> Self {
        Locks(Rows::new(place.board.keep_each(rows, T::NAME, |row| Lock::new(make(row)))))
    }
}

impl<T: Object<Metal>> machine::Lock<Metal, T> for Locks<T> {
    type Guard<'a> = Guard<'a, T>;

    fn lock(&self, by: u32, row: u32) -> Guard<'_, T> {
        self.0.lock(by, row, T::RANK, T::NAME)
    }
}

/// The links of all thread queues.
pub struct SharedLinks(Threads<Metal>);

impl SharedLinks {
    pub(super) fn new(threads: Threads<Metal>) -> Self {
        SharedLinks(threads)
    }
}

impl machine::Links<Metal> for SharedLinks {
    fn next(&self, thread: u32) -> u32 {
        self.0.next.0.next(thread)
    }
    fn set_next(&self, thread: u32, next: u32) {
        self.0.next.0.set_next(thread, next);
    }
    fn update(&self, _: impl FnOnce(&mut Nowhere)) {}
    fn check(&self, _: impl Fn(&Nowhere) -> bool) -> bool {
        true
    }
}
