//! Pending work: the tasks that an entry into the kernel must handle before anything else. They are bits of one word,
//! so an entry without pending work costs one load.
use core::sync::atomic::{AtomicU8, Ordering};

/// A kind of pending work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Why {
    /// COM1 has received input that no code has taken.
    Input = 1,
    /// Input was taken that the layer has not consumed.
    Waits = 2,
    /// The machine is watched.
    Watched = 4,
}

static WHY: AtomicU8 = AtomicU8::new(0);

/// Sets or clears this kind of pending work.
pub fn set(why: Why, there: bool) {
    if there {
        WHY.fetch_or(why as u8, Ordering::SeqCst);
    } else {
        WHY.fetch_and(!(why as u8), Ordering::SeqCst);
    }
}

/// Whether there is pending work of one of these kinds.
#[inline(always)]
pub fn is_any(whys: &[Why]) -> bool {
    let mask = whys.iter().fold(0, |mask, &why| mask | why as u8);
    WHY.load(Ordering::Relaxed) & mask != 0
}

/// Whether there is any pending work.
#[inline(always)]
pub fn is_needed() -> bool {
    WHY.load(Ordering::Relaxed) != 0
}
