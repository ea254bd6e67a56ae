//! Locks and links, as the layer takes them.
use super::{Metal, NoLog, Place};
use crate::home::channels::{Blocks, Mail};
use crate::home::rows::{self, Guard, Rows};
use crate::home::{Nowhere, Of};
use crate::lock::Lock;
use crate::metal::idle;
use core::ops::{Deref, DerefMut};
use domain::Erased;
use layer::channel::Channels;
use layer::constants::{MSG_Q, NUM_CHAN};
use layer::machine::{self, CHANNEL_RANK, Object};
use layer::queue::Threads;

/// A family of shared objects, each behind its lock.
pub struct Locks<T: 'static>(Rows<T>);

impl<T: Object<Metal>> Locks<T> {
    /// `rows` objects, in kernel memory of their own.
    pub(super) fn new(place: Place, rows: usize, mut make: impl FnMut(usize) -> T) -> Self {
        Locks(Rows::new(place.board.keep_each(rows, T::NAME, |row| Lock::new(make(row)))))
    }
}

impl<T: Object<Metal>> machine::Lock<Metal, T> for Locks<T> {
    type Guard<'a> = Held<'a, T>;

    #[inline]
    fn lock(&self, by: u32, row: u32) -> Held<'_, T> {
        // A CPU takes the lock of another's pending queue only to put a thread there.
        let is_pending = matches!(T::QUEUES, Some(MSG_Q));
        let bell = Bell((is_pending && row != by).then_some(row));
        Held { object: self.0.lock(by, row, T::RANK, T::NAME), _bell: bell }
    }
}

/// A lock that is held.
pub struct Held<'a, T> {
    // Declared first, so that the lock is free when the bell rings.
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

/// Rings for this CPU, if any, when it is dropped.
struct Bell(Option<u32>);

impl Drop for Bell {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cpu) = self.0 {
            idle::ring(cpu as usize);
        }
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
    #[inline(always)]
    fn next(&self, thread: u32) -> u32 {
        self.0.next.0.next(thread)
    }
    #[inline(always)]
    fn set_next(&self, thread: u32, next: u32) {
        self.0.next.0.set_next(thread, next);
    }
    #[inline(always)]
    fn cpu(&self, thread: u32) -> u32 {
        self.0.next.0.cpu(thread)
    }
    #[inline(always)]
    fn set_cpu(&self, thread: u32, cpu: u32) {
        self.0.next.0.set_cpu(thread, cpu);
    }
    fn update(&self, _: impl FnOnce(&mut Nowhere)) {}
    fn check(&self, _: impl Fn(&Nowhere) -> bool) -> bool {
        true
    }
}

/// The channels, and their locks.
pub struct SharedChannels {
    locks: &'static [Lock<()>],
    blocks: Blocks,
    mail: Mail,
}

impl SharedChannels {
    /// The channels at boot.
    pub(super) fn new(place: Place) -> Self {
        let Channels { pool: Of(blocks), mailbox: Of(mail), .. } = Channels::<Metal>::boot(place);
        let locks = place.board.keep_each(NUM_CHAN as usize, NAME, |_| Lock::new(()));
        SharedChannels { locks, blocks, mail }
    }

    /// Whether somebody has the lock of channel `q`.
    pub(super) fn is_held(&self, q: u32) -> bool {
        self.locks[q as usize].try_lock().is_none()
    }
}

/// What locks of channels are called.
const NAME: &str = "a channel";

impl machine::ChannelPool<Metal> for SharedChannels {
    #[inline(always)]
    fn acquire(&self, by: u32, q: u32) {
        rows::kept(by, CHANNEL_RANK, NAME);
        self.locks[q as usize].hold();
    }
    #[inline(always)]
    fn release(&self, by: u32, q: u32) {
        rows::given_back(by, CHANNEL_RANK);
        // SAFETY: the primitives that do this, 8 and 20, demand that this CPU holds the lock, and that they are only called
        // where it does is proved.
        unsafe { self.locks[q as usize].give_back() };
    }
    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut Channels<Metal>) -> R) -> R {
        work(&mut Channels { pool: Of(self.blocks), mailbox: Of(self.mail), ghost: Erased, log: NoLog })
    }
}
