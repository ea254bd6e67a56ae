//! First-in-first-out queues of threads: intrusive lists through [`Links`], without capacity or modulus.
//!
//! What the specification knows of a queue is the span of positions `lo..hi` that it holds now; each thread in
//! it has a position of its own. Both only ever grow, which is what makes first in, first out a theorem.
use crate::constants::*;
use crate::fields::{Next, NextLinks, ThreadGhost, ThreadGhosts, place};
use crate::invariant::Keys;
use crate::machine::{Links, Machine, Object, Spec, Visit};
use crate::stuck::{Stuck, require};
use core::marker::PhantomData;
use domain::{Ghost, Home, Map, Nat};

/// A queue of threads.
pub struct Fifo<M: Machine> {
    /// The first thread, or [`NO_THREAD`].
    pub head: M::Word,
    /// The last thread, or [`NO_THREAD`].
    pub tail: M::Word,
    /// The positions that it holds.
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

    /// Appends `thread`, which is in no queue, to this queue, whose id is `id`.
    ///
    /// # Errors
    /// [`Stuck::Queued`].
    #[inline(always)]
    #[track_caller]
    pub fn push(&mut self, links: &M::Links, id: M::Word, thread: M::Word) -> Result<(), Stuck> {
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

    /// Visits its words.
    pub fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.word("head", &mut self.head);
        visit.word("tail", &mut self.tail);
        self.span.update(|span| {
            visit.nat("lo", &mut span.lo);
            visit.nat("hi", &mut span.hi);
        });
    }

    /// The queue as it is now.
    pub fn snapshot(&self) -> Self
    where
        M: Spec,
    {
        let span = *M::present(&self.span);
        Fifo { head: self.head, tail: self.tail, span: M::ghost(|| span) }
    }

    /// Takes the first thread, which is then in flight.
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

/// What holds of a queue with id `id` and the threads in it; `key` is any thread.
///
/// Head and tail are what the positions say, each link leads to the next position, and a thread that has none
/// behind (before) it is the last (first).
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

/// The links and the ghost state of all threads, as the machines that keep them have them.
pub struct Threads<M: Machine> {
    /// The links.
    pub next: <M as Home<NextLinks>>::Map,
    /// What the specification knows.
    pub tcb: <M as Home<ThreadGhosts>>::Map,
}

impl<M: Machine> Threads<M> {
    /// Where `rely` and `own_fact` are to be looked at.
    pub const KEYS: Keys = &[("tcb", &[0])];

    /// The threads at boot: CPU `c` runs thread `c + 1`, its main thread.
    pub fn boot(place: M::Place) -> Self {
        let mut threads = Self::homes(place);
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

    /// Threads with every map as its home has it.
    pub fn homes(place: M::Place) -> Self {
        Threads { next: <M as Home<NextLinks>>::home(place), tcb: <M as Home<ThreadGhosts>>::home(place) }
    }
}

impl<M: Spec> Threads<M> {
    /// The threads as they are now.
    pub fn snapshot(&self) -> Self {
        Threads { next: self.next.clone(), tcb: self.tcb.clone() }
    }

    /// What CPU `me` may count on for thread `t` between two of its own critical sections.
    ///
    /// Its running and ready threads, and the children that only its own threads can create, stay as they are;
    /// its other threads stay alive and its own, and come back through its pending queue; nobody else's thread
    /// becomes its own.
    pub fn rely(old: &Self, new: &Self, me: M::Word, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        let unchanged = || Self::unchanged(old, new, t);
        if before.place == place::DEAD {
            let parent = old.tcb.get([parent::<M>(t)]);
            // Roots are never created; a child is created by the CPU that its parent belongs to.
            if t <= TOTAL_CPU || (parent.place != place::DEAD && parent.home == me) {
                unchanged()
            } else {
                after.place == place::DEAD || after.home != me
            }
        } else if before.home == me {
            if before.place == me || before.place == place::RUN || before.place == place::GONE {
                unchanged()
            } else if before.place == me + MSG_Q {
                // Whoever wakes threads of mine appends them; only I take them.
                after.home == me && after.place == before.place && after.prev == before.prev && after.seq == before.seq
            } else {
                after.home == me && (after.place == me + MSG_Q || (after.place >= SLP_Q && after.place < NUM_CHAN))
            }
        } else {
            after.place != place::DEAD && after.home == before.home
        }
    }

    /// Thread `t` is as it was.
    pub fn unchanged(old: &Self, new: &Self, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        before.place == after.place
            && before.prev == after.prev
            && before.seq == after.seq
            && before.home == after.home
            && old.next.get([t]).thread == new.next.get([t]).thread
            && old.next.get([t]).cpu == new.next.get([t]).cpu
    }

    /// Nobody puts thread `t` into the queue `id`, or takes it out, or moves it there.
    pub fn stays(old: &Self, new: &Self, id: M::Word, t: M::Word) -> bool {
        let (before, after) = (old.tcb.get([t]), new.tcb.get([t]));
        (before.place != id && after.place != id) || Self::unchanged(old, new, t)
    }

    /// Thread `t` was moved only from and to queues of `held`, or is in none that has a lock.
    pub fn moved_within(old: &Self, new: &Self, held: &[M::Word], t: M::Word) -> bool {
        let allowed = |place: M::Word| place < MSG_Q || place >= NUM_CHAN || held.iter().any(|&id| place == id);
        (allowed(old.tcb.get([t]).place) && allowed(new.tcb.get([t]).place)) || Self::unchanged(old, new, t)
    }

    /// What holds of thread `t` by itself.
    ///
    /// Roots are alive and at home on their CPU; a child's parent is alive and at home on the same CPU; a thread in a ready
    /// or pending queue is in that of its own CPU; none is between two queues; everybody can find out whose it is.
    pub fn own_fact(&self, t: M::Word) -> bool {
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

/// The id of the parent of `thread`: `(thread − 1) / 8`, and 0 of 0.
#[track_caller]
pub fn parent<M: Machine>(thread: M::Word) -> M::Word {
    if thread == 0 { 0.into() } else { (thread - 1) / MAX_CHILDREN }
}

/// The root that `thread`, which is not 0, descends from: the main thread of its CPU.
pub fn root(mut thread: u32) -> u32 {
    while thread > TOTAL_CPU {
        thread = (thread - 1) / MAX_CHILDREN;
    }
    thread
}

/// A family of queues behind locks: one a row.
pub trait Family: 'static {
    /// What logs and counterexamples call it.
    const NAME: &'static str;
    /// Position in the lock order.
    const RANK: u32;
    /// Id of the queue of row 0.
    const FIRST: u32;
}

/// The pending queues (`msg_q_id`): one a CPU, filled by whoever wakes one of its threads.
#[derive(Clone, Copy, Debug)]
pub enum Pending {}

/// The sleep queues (`slp_q_id`): one a condition variable.
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

    // What others may do to a queue, they do to the threads in it: `Threads::rely`.
    fn rely(_: &Self, _: &Self, _: M::Word, _: &[M::Word]) -> bool
    where
        M: Spec,
    {
        true
    }

    fn own_fact(&self, row: M::Word, threads: &Threads<M>, key: &[M::Word]) -> bool
    where
        M: Spec,
    {
        fifo_fact(&self.fifo, row + F::FIRST, threads, key[0])
    }
}
