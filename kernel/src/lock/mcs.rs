//! A list-based queuing lock after Mellor-Crummey and Scott: each who waits in line looks at a word of its own, which the one
//! before it changes.
//!
//! In the original a holder's place in line is its node, which it has to keep. Here a place in line is on the stack of
//! whoever waits, and only as long as it waits: whoever gets the lock leaves the line and notes in the lock who is first in
//! it. So the interface is that of any lock.

use super::Raw;
use super::shim::{AtomicPtr, AtomicU32, Ordering, spin};
use core::ptr;

/// The lock.
pub struct Mcs {
    /// The last in line; [`HELD`] where somebody has the lock and nobody waits; null where the lock is free.
    last: AtomicPtr<Place>,
    /// The first in line, once it has said so. Changed by whoever has the lock, and by the first that comes where nobody
    /// waits.
    first: AtomicPtr<Place>,
}

/// A place in line.
struct Place {
    /// Who is behind this one, once it has said so.
    next: AtomicPtr<Place>,
    /// Not 0: the lock is this one's.
    granted: AtomicU32,
}

/// The value of [`Mcs::last`] that is no place.
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
                // SAFETY: who was last waits until it knows who is behind it, so its place is still there.
                unsafe { (*before).next.store(me, Ordering::Release) };
            }
            while place.granted.load(Ordering::Acquire) == 0 {
                spin();
            }
        }
        // The lock is this one's; it leaves the line.
        self.first.store(ptr::null_mut(), Ordering::Relaxed);
        if self.last.compare_exchange(me, HELD, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.first.store(said(&place.next), Ordering::Relaxed);
        }
    }

    #[inline]
    unsafe fn release(&self) {
        if self.first.load(Ordering::Acquire).is_null()
            && self.last.compare_exchange(HELD, ptr::null_mut(), Ordering::Release, Ordering::Relaxed).is_ok()
        {
            return;
        }
        // SAFETY: who is first in line waits until it is granted the lock, so its place is still there; it is not touched
        // afterwards.
        unsafe { (*said(&self.first)).granted.store(1, Ordering::Release) };
    }

    unsafe fn seize(&self) {
        self.first.store(ptr::null_mut(), Ordering::Relaxed);
        self.last.store(HELD, Ordering::Relaxed);
    }
}

/// Who is there, once it has said so: it has put itself in line already.
fn said(place: &AtomicPtr<Place>) -> *mut Place {
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
