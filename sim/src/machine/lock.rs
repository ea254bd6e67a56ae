//! The locks and thread links of the hosted machine.
use super::Sim;
use super::interactions::record;
use super::platform;
use super::scoped;
use super::sparse::Sparse;
use super::turns::TurnScheduler;
use domain::{Field, Map};
use layer::core::constants::TOTAL_CPU;
use layer::core::fields::{SyncChannels, ThreadGhosts};
use layer::core::machine::{ChannelPool, Links, Lock, Object};
use layer::objects::channel::pool::Channels;
use layer::objects::queue::Threads;
use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use syscall::effect::Interaction;

thread_local! {
    /// The locks that this thread's CPU holds, in the order in which it took them.
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// A lock that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    rank: u32,
    object: &'static str,
    queue: Option<u32>,
}

/// The ids of the queues whose locks this thread's CPU holds.
pub fn held_queues() -> Vec<u32> {
    HELD.with_borrow(|held| held.iter().filter_map(|lock| lock.queue).collect())
}

/// A callback before a lock is taken, with the object's name and row.
type Watcher = Box<dyn FnMut(&'static str, u32)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Runs `work`. Runs `before` before each lock that is taken on this thread; `before` can simulate
/// interference.
pub fn watched<R>(before: impl FnMut(&'static str, u32) + 'static, work: impl FnOnce() -> R) -> R {
    scoped::with(&WATCHER, Box::new(before), work)
}

/// The lock array of a family of objects.
#[derive(Debug)]
pub struct LockArray<T>(Vec<Mutex<T>>);

impl<T> LockArray<T> {
    /// A lock array with one row for each of `objects`.
    pub fn new(objects: impl IntoIterator<Item = T>) -> Self {
        LockArray(objects.into_iter().map(Mutex::new).collect())
    }

    /// Reads the object in row `row` from outside of the machine, between two primitives. No other CPU runs, and
    /// nothing is logged.
    pub fn inspect(&self, row: u32) -> MutexGuard<'_, T> {
        open(&self.0[row as usize])
    }

    /// All objects, after the end of the machine.
    pub fn into_objects(self) -> Vec<T> {
        self.0.into_iter().map(|object| object.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

/// Takes a lock that is free. If its last holder has panicked, this is reported when the holder's thread
/// is joined.
fn open<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The guard of a lock.
#[derive(Debug)]
pub struct Guard<'a, T>(MutexGuard<'a, T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.pop());
        if let Some(turns) = platform::turns() {
            turns.lock_released();
        }
    }
}

impl<T: Object<Sim>> Lock<Sim, T> for LockArray<T> {
    type Guard<'a> = Guard<'a, T>;

    fn lock(&self, by: u32, row: u32) -> Guard<'_, T> {
        let turns = before_lock(by, T::NAME, row);
        HELD.with_borrow_mut(|held| {
            if cfg!(debug_assertions)
                && let Some(Held { rank, object, .. }) = held.last()
            {
                assert!(*rank < T::RANK, "the lock of {} is taken while that of {object} is held", T::NAME);
            }
            held.push(Held { rank: T::RANK, object: T::NAME, queue: T::QUEUES.map(|first| first + row) });
        });
        loop {
            match self.0[row as usize].try_lock() {
                Ok(guard) => return Guard(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Guard(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => match &turns {
                    Some(turns) => turns.wait_for_lock(by),
                    None => return Guard(open(&self.0[row as usize])),
                },
            }
        }
    }
}

/// Called before a lock is taken: another CPU may run first, and the callback is called.
fn before_lock(by: u32, object: &'static str, row: u32) -> Option<Arc<TurnScheduler>> {
    let turns = platform::turns();
    if let Some(turns) = &turns {
        turns.pass(by);
    }
    WATCHER.with_borrow_mut(|watcher| {
        if let Some(before) = watcher {
            before(object, row);
        }
    });
    turns
}

/// The object name of the channels' locks.
pub const CHANNEL: &str = <SyncChannels as Field<Sim>>::NAME;

/// A CPU waits for the lock of a channel, which another CPU holds, and no CPU runs beside this one. It is the payload of
/// a panic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// The CPU that waits.
    pub by: u32,
    /// The channel.
    pub channel: u32,
    /// The CPU that holds the lock.
    pub holder: u32,
}

impl fmt::Display for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Waiting { by, channel, holder } = self;
        write!(formatter, "CPU {by} waits for the lock of channel {channel}, which CPU {holder} never releases")
    }
}

/// The channels. The ghost state records which CPU holds the lock of a channel.
pub struct SharedChannels(Mutex<Channels<Sim>>);

impl SharedChannels {
    /// Shares these channels.
    pub fn new(channels: Channels<Sim>) -> Self {
        SharedChannels(Mutex::new(channels))
    }

    /// Reads the channels from outside of the machine, between two primitives.
    pub fn inspect(&self) -> MutexGuard<'_, Channels<Sim>> {
        open(&self.0)
    }

    /// The channels, after the end of the machine.
    pub fn into_channels(self) -> Channels<Sim> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChannelPool<Sim> for SharedChannels {
    fn acquire(&self, by: u32, q: u32) {
        let turns = before_lock(by, CHANNEL, q);
        HELD.with_borrow(|held| {
            if cfg!(debug_assertions)
                && let Some(Held { object, .. }) = held.last()
            {
                panic!("the lock of channel {q} is taken while that of {object} is held");
            }
        });
        loop {
            let holder = self.inspect().lock_of(q).holder;
            if holder == TOTAL_CPU {
                return record(|| Interaction::Acquire { channel: q, channels: self.inspect().snapshot() });
            }
            match &turns {
                Some(turns) => turns.wait_for_lock(by),
                None => std::panic::panic_any(Waiting { by, channel: q, holder }),
            }
        }
    }

    fn release(&self, _: u32, _: u32) {
        if let Some(turns) = platform::turns() {
            turns.lock_released();
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Channels<Sim>) -> R) -> R {
        work(&mut self.inspect())
    }
}

/// The links of all thread queues, with the ghost state of the threads.
pub struct SharedLinks(Mutex<Threads<Sim>>);

impl SharedLinks {
    /// Shares these links.
    pub fn new(threads: Threads<Sim>) -> Self {
        SharedLinks(Mutex::new(threads))
    }

    /// Reads the links from outside of the machine, between two primitives.
    pub fn inspect(&self) -> MutexGuard<'_, Threads<Sim>> {
        open(&self.0)
    }

    /// The threads, after the end of the machine.
    pub fn into_threads(self) -> Threads<Sim> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links<Sim> for SharedLinks {
    #[track_caller]
    fn next(&self, thread: u32) -> u32 {
        self.inspect().next.get([thread]).thread
    }
    #[track_caller]
    fn set_next(&self, thread: u32, next: u32) {
        self.inspect().next.update([thread], |entry| entry.thread = next);
    }
    #[track_caller]
    fn cpu(&self, thread: u32) -> u32 {
        self.inspect().next.get([thread]).cpu
    }
    #[track_caller]
    fn set_cpu(&self, thread: u32, cpu: u32) {
        self.inspect().next.update([thread], |entry| entry.cpu = cpu);
    }
    #[track_caller]
    fn update(&self, change: impl FnOnce(&mut Sparse<ThreadGhosts>)) {
        change(&mut self.inspect().tcb);
    }
    #[track_caller]
    fn check(&self, check: impl FnOnce(&Sparse<ThreadGhosts>) -> bool) -> bool {
        check(&self.inspect().tcb)
    }
}

#[cfg(test)]
mod tests {
    use crate::machine::Sim;
    use crate::machine::boot::shared;
    use layer::core::machine::Lock;
    use layer::objects::page_alloc::table::AllocTable;
    use layer::objects::queue::Queue;

    #[test]
    fn locks_are_taken_in_order() {
        let shared = shared();
        for _ in 0..2 {
            let _queue = Lock::<Sim, Queue<Sim>>::lock(&shared.pending, 0, 3);
            let _table = Lock::<Sim, AllocTable<Sim>>::lock(&shared.at, 0, 0);
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "the lock of msg is taken while that of AT is held")]
    fn the_wrong_order_is_a_bug() {
        let shared = shared();
        let _table = Lock::<Sim, AllocTable<Sim>>::lock(&shared.at, 0, 0);
        let _queue = Lock::<Sim, Queue<Sim>>::lock(&shared.pending, 0, 3);
    }
}
