//! The lock that the kernel uses: of the kind that was chosen at boot.

use super::{Mcs, Raw, Ticket};
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

/// A kind of lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Kind {
    /// [`Ticket`].
    #[default]
    Ticket = 0,
    /// [`Mcs`].
    Mcs = 1,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 2] = [Kind::Ticket, Kind::Mcs];

    /// The kind's name in the boot option.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ticket => "ticket",
            Kind::Mcs => "mcs",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

static MCS: AtomicU8 = AtomicU8::new(Kind::Ticket as u8);

/// Chooses the kind of all locks.
///
/// # Safety
/// No lock is held, and no other CPU runs.
pub unsafe fn choose(kind: Kind) {
    MCS.store(kind as u8, Ordering::Relaxed);
}

/// The kind of all locks.
#[inline]
pub fn chosen() -> Kind {
    if MCS.load(Ordering::Relaxed) == Kind::Mcs as u8 { Kind::Mcs } else { Kind::Ticket }
}

/// A lock of the chosen kind.
pub struct Either {
    ticket: Ticket,
    mcs: Mcs,
}

impl Raw for Either {
    #[cfg(not(loom))]
    const FREE: Either = Either { ticket: Ticket::FREE, mcs: Mcs::FREE };

    #[cfg(loom)]
    fn free() -> Either {
        Either { ticket: Ticket::free(), mcs: Mcs::free() }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        match chosen() {
            Kind::Ticket => self.ticket.try_acquire(),
            Kind::Mcs => self.mcs.try_acquire(),
        }
    }

    fn wait_in_line(&self) {
        match chosen() {
            Kind::Ticket => self.ticket.wait_in_line(),
            Kind::Mcs => self.mcs.wait_in_line(),
        }
    }

    #[inline]
    unsafe fn release(&self) {
        // SAFETY: the caller holds this lock, and the kind has not changed since (`choose`).
        unsafe {
            match chosen() {
                Kind::Ticket => self.ticket.release(),
                Kind::Mcs => self.mcs.release(),
            }
        }
    }

    unsafe fn seize(&self) {
        // SAFETY: the caller has the same obligation.
        unsafe {
            match chosen() {
                Kind::Ticket => self.ticket.seize(),
                Kind::Mcs => self.mcs.seize(),
            }
        }
    }
}
