//! A list-based queuing lock after Mellor-Crummey and Scott: each waiting CPU spins on a word of its own, which the
//! holder changes when it passes the lock on.
//!
//! In the original lock, the holder keeps its node in the queue. Here a node is on the stack of a waiting CPU, and
//! exists only while it waits: a CPU that gets the lock leaves the line and stores the new first in line in the lock.
//! So the interface is that of any other lock.

use super::Raw;
use super::shim::{AtomicPtr, AtomicU32, Ordering, spin};
use core::ptr;

/// The lock.
pub struct Mcs {
    /// The last in line; [`HELD`] if a CPU holds the lock and none waits; null if the lock is free.
    last: AtomicPtr<Place>,
    /// The first in line; null until that CPU has entered itself. The holder of the lock changes it, and so does the
    /// first CPU that joins an empty line.
    first: AtomicPtr<Place>,
}

/// A place in line.
struct Place {
    /// The next in line; null until that CPU has entered itself.
    next: AtomicPtr<Place>,
    /// Not 0 once the CPU that waits here has been granted the lock.
    granted: AtomicU32,
}

/// The value of [`Mcs::last`] while a CPU holds the lock and no CPU waits in line.
const HELD: *mut Place = ptr::without_provenance_mut(1);

impl Raw for Mcs {
    #[cfg(not(loom))]
    const FREE: Mcs = Mcs { last: AtomicPtr::new(ptr::null_mut()), first: AtomicPtr::new(ptr::null_mut()) };

    #[cfg(loom)]
    fn free() -> Mcs {
        Mcs { last: AtomicPtr::new(ptr::null_mut()), first: AtomicPtr::new(ptr::null_mut()) }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        self.last.compare_exchange(ptr::null_mut(), HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn wait_in_line(&self) {
        let place = Place { next: AtomicPtr::new(ptr::null_mut()), granted: AtomicU32::new(0) };
        let me = ptr::from_ref(&place).cast_mut();
        let before = self.last.swap(me, Ordering::AcqRel);
        if !before.is_null() {
            if before == HELD {
                self.first.store(me, Ordering::Release);
            } else {
                // SAFETY: the CPU that was last waits until its successor has entered itself, so its place still
                // exists.
                unsafe { (*before).next.store(me, Ordering::Release) };
            }
            while place.granted.load(Ordering::Acquire) == 0 {
                spin();
            }
        }
        // This CPU holds the lock, and leaves the line.
        self.first.store(ptr::null_mut(), Ordering::Relaxed);
        if self.last.compare_exchange(me, HELD, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.first.store(entered(&place.next), Ordering::Relaxed);
        }
    }

    #[inline]
    unsafe fn release(&self) {
        if self.first.load(Ordering::Acquire).is_null()
            && self.last.compare_exchange(HELD, ptr::null_mut(), Ordering::Release, Ordering::Relaxed).is_ok()
        {
            return;
        }
        // SAFETY: the first in line waits until it is granted the lock, so its place still exists; it is not
        // accessed afterwards.
        unsafe { (*entered(&self.first)).granted.store(1, Ordering::Release) };
    }

    unsafe fn seize(&self) {
        self.first.store(ptr::null_mut(), Ordering::Relaxed);
        self.last.store(HELD, Ordering::Relaxed);
    }
}

/// Waits until the CPU that has already joined the line has entered itself in `place`, and returns its place.
fn entered(place: &AtomicPtr<Place>) -> *mut Place {
    loop {
        let who = place.load(Ordering::Acquire);
        if !who.is_null() {
            return who;
        }
        spin();
    }
}

#[cfg(all(test, not(loom)))]
impl super::tests::Line for Mcs {
    fn last(&self) -> usize {
        self.last.load(Ordering::Relaxed).addr()
    }
}
