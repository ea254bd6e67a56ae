//! Pending work: the tasks that an entry into the kernel must handle before anything else. They are bits of one word,
//! so an entry without pending work costs one load.
use core::sync::atomic::{AtomicU8, Ordering};

/// A kind of pending work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Work {
    /// COM1 has received input that no code has taken.
    Input = 1,
    /// Input was taken that the layer has not consumed.
    Unread = 2,
    /// A checkpoint may be requested, because the machine is watched.
    Watched = 4,
}

static PENDING: AtomicU8 = AtomicU8::new(0);

/// Sets or clears this kind of pending work.
pub fn set(work: Work, there: bool) {
    if there {
        PENDING.fetch_or(work as u8, Ordering::SeqCst);
    } else {
        PENDING.fetch_and(!(work as u8), Ordering::SeqCst);
    }
}

/// Whether there is pending work of one of these kinds.
#[inline(always)]
pub fn is_any(works: &[Work]) -> bool {
    let mask = works.iter().fold(0, |mask, &work| mask | work as u8);
    PENDING.load(Ordering::Relaxed) & mask != 0
}

/// Whether there is any pending work.
#[inline(always)]
pub fn is_some() -> bool {
    PENDING.load(Ordering::Relaxed) != 0
}
