//! Tests that every kind of lock passes.

use super::*;
use std::sync::Mutex;
use std::thread;
use std::vec::Vec;

/// A lock whose line the tests can observe.
pub trait Line: Raw + Sync {
    /// A value that changes whenever a CPU joins the line.
    fn last(&self) -> usize;
}

fn no_update_is_lost<R: Line>() {
    let counter = Lock::<u64, R>::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    *counter.lock() += 1;
                }
            });
        }
    });
    assert_eq!(*counter.lock(), 8_000);
}

fn a_held_lock_cannot_be_had<R: Line>() {
    let lock = Lock::<_, R>::new(1);
    let guard = lock.lock();
    assert!(lock.try_lock().is_none());
    drop(guard);
    assert_eq!(lock.try_lock().map(|guard| *guard), Some(1));
    assert_eq!(*lock.lock(), 1);
}

fn a_lock_that_is_kept_is_had_until_it_is_given_back<R: Line>() {
    let lock = Lock::<(), R>::new(());
    for _ in 0..3 {
        lock.hold();
        assert!(lock.try_lock().is_none());
        // SAFETY: the test holds it.
        unsafe { lock.give_back() };
    }
    assert!(lock.try_lock().is_some());
}

fn a_seized_lock_gives_the_value_whoever_held_it<R: Line>() {
    let lock = Lock::<_, R>::new(5);
    core::mem::forget(lock.lock());
    // SAFETY: the forgotten guard is never used again.
    assert_eq!(*unsafe { lock.seize() }, 5);
    assert!(lock.try_lock().is_some());
}

/// Waiting threads get the lock in the order of the line, and a later one does not get it before them.
fn it_is_fair<R: Line>() {
    const WAITING: usize = 6;
    let (lock, served) = (Lock::<(), R>::new(()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let first = lock.lock();
        for number in 0..WAITING {
            let before = lock.raw.last();
            let (lock, served) = (&lock, &served);
            scope.spawn(move || {
                let guard = lock.lock();
                served.lock().expect("no panic").push(number);
                assert!(lock.try_lock().is_none());
                drop(guard);
            });
            while lock.raw.last() == before {
                thread::yield_now();
            }
        }
        assert!(lock.try_lock().is_none());
        drop(first);
    });
    let served = served.into_inner().expect("no panic");
    assert!(served.iter().copied().eq(0..WAITING), "{served:?}");
}

/// Makes the tests for a kind of lock.
macro_rules! tests_of {
    ($name:ident, $kind:ty, $($test:ident),*) => {
        mod $name {
            $(#[test] fn $test() { super::$test::<$kind>(); })*
        }
    };
}

/// Lists the tests.
macro_rules! each {
    ($name:ident, $kind:ty) => {
        tests_of!(
            $name,
            $kind,
            no_update_is_lost,
            a_held_lock_cannot_be_had,
            a_lock_that_is_kept_is_had_until_it_is_given_back,
            a_seized_lock_gives_the_value_whoever_held_it,
            it_is_fair
        );
    };
}

each!(ticket, crate::sync::lock::Ticket);
each!(mcs, crate::sync::lock::Mcs);
