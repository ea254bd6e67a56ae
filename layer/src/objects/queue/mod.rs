//! First-in-first-out queues of threads: intrusive lists through [`Links`], without capacity or modulus.
//!
//! The ghost state of a queue is the range of positions `lo..hi` that it holds; each thread in it has a position of
//! its own. Both bounds only grow, so "first in, first out" is a theorem.
pub mod spec;

use crate::core::constants::*;
use crate::core::fields::{Next, NextLinks, ThreadGhost, ThreadGhosts, place};
use crate::core::keys::Keys;
use crate::core::machine::{Links, Machine, Object, Spec, Visit};
use crate::core::stuck::{Stuck, require};
use core::marker::PhantomData;
use domain::{Ghost, Map, Nat, Storage};

/// A queue of threads.
pub struct Fifo<M: Machine> {
    /// The first thread, or [`NO_THREAD`].
    pub head: M::Word,
    /// The last thread, or [`NO_THREAD`].
    pub tail: M::Word,
    /// Ghost state: the positions in use.
    pub span: M::Ghost<Span<M>>,
}

/// The positions that a queue holds: `lo..hi`.
#[derive(Clone, Copy, Debug)]
pub struct Span<M: Machine> {
    /// Position of the first thread.
    pub lo: M::Nat,
    /// Position that the next thread gets.
    pub hi: M::Nat,
}

impl<M: Machine> Fifo<M> {
    /// An empty queue.
    #[allow(clippy::new_without_default, reason = "symbolically it is no default")]
    pub fn new() -> Self {
        Fifo {
            head: NO_THREAD.into(),
            tail: NO_THREAD.into(),
            span: M::ghost(|| Span { lo: M::Nat::zero(), hi: M::Nat::zero() }),
        }
    }

    /// Appends `thread`, which must not be in any queue, to this queue with id `id`.
    ///
    /// # Errors
    /// [`Stuck::Queued`].
    #[inline(always)]
    #[track_caller]
    pub fn push(&mut self, links: &M::Links, id: M::Word, thread: M::Word) -> Result<(), Stuck> {
        // Equivalent mutants (`<=`: true): an appended thread is running (D4.1), is new (D12), or was just taken
        // from another queue (D4.5); H alone does not restrict places.
        require(links.check(|tcb| tcb.get([thread]).place >= NUM_CHAN), Stuck::Queued)?;
        links.set_next(thread, NO_THREAD.into());
        if self.tail == NO_THREAD {
            self.head = thread;
        } else {
            links.set_next(self.tail, thread);
        }
        let before = self.tail;
        self.tail = thread;
        self.span.update(|span| {
            links.update(|tcb| {
                tcb.update([thread], |t| {
                    t.place = id;
                    t.prev = before;
                    t.seq = span.hi;
                })
            });
            span.hi = span.hi + 1;
        });
        Ok(())
    }

    /// Visits the queue's words.
    pub fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.word("head", &mut self.head);
        visit.word("tail", &mut self.tail);
        self.span.update(|span| {
            visit.nat("lo", &mut span.lo);
            visit.nat("hi", &mut span.hi);
        });
    }

    /// A copy of the queue's current state.
    pub fn snapshot(&self) -> Self
    where
        M: Spec,
    {
        let span = *M::present(&self.span);
        Fifo { head: self.head, tail: self.tail, span: M::ghost(|| span) }
    }

    /// Takes the first thread out of the queue. The thread is then in flight.
    #[inline(always)]
    #[track_caller]
    pub fn pop(&mut self, links: &M::Links) -> Option<M::Word> {
        let thread = self.head;
        if thread == NO_THREAD {
            return None;
        }
        let next = links.next(thread);
        self.head = next;
        if next == NO_THREAD {
            self.tail = NO_THREAD.into();
        } else {
            links.update(|tcb| tcb.update([next], |t| t.prev = NO_THREAD.into()));
        }
        links.update(|tcb| tcb.update([thread], |t| t.place = place::FLIGHT.into()));
        self.span.update(|span| span.lo = span.lo + 1);
        Some(thread)
    }
}

/// The invariant of a queue with id `id` and of the threads in it, for any thread `key`.
///
/// Head and tail have the first and last position, each link leads to the next position, and only the last
/// (first) thread has no successor (predecessor).
pub fn fifo_fact<M: Spec>(fifo: &Fifo<M>, id: M::Word, threads: &Threads<M>, key: M::Word) -> bool {
    let span = M::present(&fifo.span);
    let thread = |t: M::Word| threads.tcb.get([t]);
    let ends = if fifo.head == NO_THREAD {
        fifo.tail == NO_THREAD && span.lo == span.hi
    } else {
        let (head, tail) = (fifo.head, fifo.tail);
        head < NUM_PROC
            && tail < NUM_PROC
            && span.lo < span.hi
            && thread(head).place == id
            && thread(head).prev == NO_THREAD
            && thread(head).seq == span.lo
            && thread(tail).place == id
            && threads.next.get([tail]).thread == NO_THREAD
            && thread(tail).seq + 1 == span.hi
    };
    ends && {
        let t = thread(key);
        t.place != id || {
            let next = threads.next.get([key]).thread;
            let behind = if next == NO_THREAD {
                fifo.tail == key
            } else {
                next < NUM_PROC && thread(next).place == id && thread(next).prev == key && thread(next).seq == t.seq + 1
            };
            let before = if t.prev == NO_THREAD {
                fifo.head == key
            } else {
                t.prev < NUM_PROC && thread(t.prev).place == id && threads.next.get([t.prev]).thread == key
            };
            behind && before && span.lo <= t.seq && t.seq < span.hi
        }
    }
}

/// The links and the ghost state of all threads, in the form in which machines store them.
pub struct Threads<M: Machine> {
    /// The links.
    pub next: <M as Storage<NextLinks>>::Map,
    /// The ghost state.
    pub tcb: <M as Storage<ThreadGhosts>>::Map,
}

impl<M: Machine> Threads<M> {
    /// The keys at which `rely` and `lock_invariant` are instantiated.
    pub const KEYS: Keys = &[("tcb", &[0])];

    /// The threads at boot: CPU `c` runs thread `c + 1`, its main thread.
    pub fn boot(place: M::Place) -> Self {
        let mut threads = Self::at(place);
        threads.next.define(|[t]| Next {
            thread: NO_THREAD.into(),
            cpu: if t >= 1 && t <= TOTAL_CPU { t - 1 } else { 0.into() },
        });
        threads.tcb.define(|[t]| {
            let main = t >= 1 && t <= TOTAL_CPU;
            ThreadGhost {
                place: if main { place::RUN } else { place::DEAD }.into(),
                prev: NO_THREAD.into(),
                seq: M::Nat::zero(),
                home: if main { t - 1 } else { 0.into() },
            }
        });
        threads
    }

    /// Threads; every map has the contents of its storage.
    pub fn at(place: M::Place) -> Self {
        Threads { next: <M as Storage<NextLinks>>::at(place), tcb: <M as Storage<ThreadGhosts>>::at(place) }
    }
}

impl<M: Spec> Threads<M> {
    /// A copy of the current state of the threads.
    pub fn snapshot(&self) -> Self {
        Threads { next: self.next.clone(), tcb: self.tcb.clone() }
    }

    /// The rely condition of CPU `me` for thread `t`: how it may change between two critical sections of `me`.
    ///
    /// Running, ready and ended threads of `me` are unchanged. So are the children that do not exist yet and that
    /// only `me` can create. A sleeping thread of `me` stays where it sleeps, or is moved to the pending queue of `me`
    /// (H20.3); a thread of that queue stays in it. No thread of another CPU becomes one of `me`.
    pub fn rely(old: &Self, new: &Self, me: M::Word, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        let unchanged = || Self::unchanged(old, new, t);
        if before.place == place::DEAD {
            let parent = old.tcb.get([parent::<M>(t)]);
            // Main threads are never created. A child is created by the CPU of its parent.
            if t <= TOTAL_CPU || (parent.place != place::DEAD && parent.home == me) {
                unchanged()
            } else {
                after.place == place::DEAD || after.home != me
            }
        } else if before.home == me {
            if before.place == me || before.place == place::RUN || before.place == place::GONE {
                unchanged()
            } else if before.place == me + MSG_Q {
                // Other CPUs append to the pending queue of `me`; only `me` takes threads out of
                // it.
                after.home == me && after.place == before.place && after.prev == before.prev && after.seq == before.seq
            } else {
                after.home == me
                    && (after.place == me + MSG_Q || (after.place == before.place && after.seq == before.seq))
            }
        } else {
            after.place != place::DEAD && after.home == before.home
        }
    }

    /// Thread `t` is unchanged.
    pub fn unchanged(old: &Self, new: &Self, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        before.place == after.place
            && before.prev == after.prev
            && before.seq == after.seq
            && before.home == after.home
            && old.next.get([t]).thread == new.next.get([t]).thread
            && old.next.get([t]).cpu == new.next.get([t]).cpu
    }

    /// Thread `t` is not put into the queue `id`, taken out of it, or moved in it.
    pub fn stays(old: &Self, new: &Self, id: M::Word, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        (before.place != id && after.place != id) || Self::unchanged(old, new, t)
    }

    /// Thread `t` is unchanged, or was moved only between queues of `held` and queues without a lock.
    pub fn moved_within(old: &Self, new: &Self, held: &[M::Word], t: M::Word) -> bool {
        let allowed = |place: M::Word| place < MSG_Q || place >= NUM_CHAN || held.iter().any(|&id| place == id);
        (allowed(old.tcb.get([t]).place) && allowed(new.tcb.get([t]).place)) || Self::unchanged(old, new, t)
    }

    /// The invariant of thread `t` by itself.
    ///
    /// Main threads are alive and belong to their CPU. A child's parent is alive and belongs to the same CPU. A
    /// thread in a ready or pending queue is in the queue of its own CPU. No thread is in flight. Every CPU can look
    /// up the owner of a thread.
    pub fn lock_invariant(&self, t: M::Word) -> bool {
        let thread = self.tcb.get([t]);
        let alive = thread.place != place::DEAD;
        thread.place < place::FLIGHT
            && (!alive || (t != 0 && thread.home < TOTAL_CPU && thread.home == self.next.get([t]).cpu))
            && (t == 0 || t > TOTAL_CPU || (alive && thread.home == t - 1))
            && (!alive || t <= TOTAL_CPU || {
                let parent = self.tcb.get([parent::<M>(t)]);
                parent.place != place::DEAD && parent.home == thread.home
            })
            && (thread.place >= SLP_Q
                || thread.place == thread.home
                || (thread.place >= MSG_Q && thread.place == thread.home + MSG_Q))
    }
}

/// The id of the parent of `thread`: `(thread − 1) / 8`; 0 for thread 0.
#[track_caller]
fn parent<M: Spec>(thread: M::Word) -> M::Word {
    if thread == 0 { 0.into() } else { (thread - 1) / 8 }
}

/// The main thread from which `thread` descends; both belong to the same CPU. `thread` must not be
/// 0.
pub fn root(mut thread: u32) -> u32 {
    while thread > TOTAL_CPU {
        thread = (thread - 1) / MAX_CHILDREN;
    }
    thread
}

/// A family of queues behind locks, one for each row.
pub trait Family: 'static {
    /// Its name in logs and counterexamples.
    const NAME: &'static str;
    /// Position in the lock order.
    const RANK: u32;
    /// Id of the queue of row 0.
    const FIRST: u32;
}

/// The pending queues (`msg_q_id`): one for each CPU. Another CPU that wakes a thread puts it there.
#[derive(Clone, Copy, Debug)]
pub enum Pending {}

/// The sleep queues (`slp_q_id`): one for each condition variable.
#[derive(Clone, Copy, Debug)]
pub enum Sleeping {}

impl Family for Pending {
    const NAME: &'static str = "msg";
    const RANK: u32 = 3;
    const FIRST: u32 = MSG_Q;
}

impl Family for Sleeping {
    const NAME: &'static str = "slp";
    const RANK: u32 = 2;
    const FIRST: u32 = SLP_Q;
}

/// A shared queue.
pub struct Queue<M: Machine, F = Pending> {
    /// The queue.
    pub fifo: Fifo<M>,
    /// Events under its lock.
    pub log: M::Log,
    family: PhantomData<F>,
}

impl<M: Machine, F: Family> Object<M> for Queue<M, F> {
    const NAME: &'static str = F::NAME;
    const RANK: u32 = F::RANK;
    const QUEUES: Option<u32> = Some(F::FIRST);
    const KEYS: Keys = Threads::<M>::KEYS;

    fn new(place: M::Place) -> Self {
        Queue { fifo: Fifo::new(), log: M::log(place), family: PhantomData }
    }

    fn words(&mut self, visit: &mut dyn Visit<M>) {
        self.fifo.words(visit);
    }

    fn snapshot(&self) -> Self
    where
        M: Spec,
    {
        Queue { fifo: self.fifo.snapshot(), log: self.log.clone(), family: PhantomData }
    }

    // The rely condition of a queue is that of the threads in it: `Threads::rely`.
    fn rely(_: &Self, _: &Self, _: M::Word, _: &[M::Word]) -> bool
    where
        M: Spec,
    {
        true
    }

    fn lock_invariant(&self, row: M::Word, threads: &Threads<M>, key: &[M::Word]) -> bool
    where
        M: Spec,
    {
        fifo_fact(&self.fifo, row + F::FIRST, threads, key[0])
    }
}
