//! What an entry of the kernel has to see to before anything else. It is one word, so that it costs one look where there is
//! nothing.
use core::sync::atomic::{AtomicU8, Ordering};

/// A reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Why {
    /// COM1 has received something that nobody has taken.
    Input = 1,
    /// Something was taken that the layer has not consumed.
    Waits = 2,
    /// The machine is watched.
    Watched = 4,
}

static WHY: AtomicU8 = AtomicU8::new(0);

/// From here on there is this reason, or not.
pub fn set(why: Why, there: bool) {
    if there {
        WHY.fetch_or(why as u8, Ordering::SeqCst);
    } else {
        WHY.fetch_and(!(why as u8), Ordering::SeqCst);
    }
}

/// Whether there is one of these reasons.
#[inline(always)]
pub fn is_any(whys: &[Why]) -> bool {
    let mask = whys.iter().fold(0, |mask, &why| mask | why as u8);
    WHY.load(Ordering::Relaxed) & mask != 0
}

/// Whether there is any reason.
#[inline(always)]
pub fn is_needed() -> bool {
    WHY.load(Ordering::Relaxed) != 0
}
