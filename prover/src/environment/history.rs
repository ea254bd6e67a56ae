//! The events that a path logs, and their effects on the shared objects as the replay defines them.
//!
//! The replay models a queue by positions, and not by links. The first thread has the least position, and a thread that
//! joins gets the next one. The replay takes the head of the layer's list as the first thread, and checks that its
//! position is the least.
use crate::clause;
use crate::environment::channels::CHANNELS;
use crate::environment::guarantee::PendingGuarantee;
use crate::state::parts::{State, channels_identity, threads_identity};
use crate::state::sym::Sym;
use crate::state::unknown::key_bounds;
use domain::{Flag, Map};
use layer::core::constants::{NO_THREAD, NUM_CHAN};
use layer::core::fields::{ThreadGhost, place};
use layer::core::geometry::Geometry;
use layer::core::log::Event;
use layer::core::machine::{Object, Spec};
use layer::core::replay::{self, Out, QueueOf, Scheduler, Undefined};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Fifo, Pending, Sleeping, Threads};
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::word::{SymNat, SymWord};

/// An event, tagged with its CPU.
type Tagged<G> = (SymWord, Event<Sym<G>>);

/// The events that a path has logged.
struct Events<G: Geometry>(Vec<Tagged<G>>);

impl<G: Geometry> Default for Events<G> {
    fn default() -> Self {
        Events(Vec::new())
    }
}

/// Logs an event of the code under proof.
pub(crate) fn log<G: Geometry>(by: SymWord, event: Event<Sym<G>>) {
    engine(|e| e.path.data::<Events<G>>().0.push((by, event)));
}

/// The events of the path, beginning with number `from`.
fn events<G: Geometry>(from: usize) -> Vec<Tagged<G>> {
    engine(|e| e.path.data::<Events<G>>().0[from..].to_vec())
}

/// Input that the replay needs at one point of the log and that comes from interference.
enum Moment<G: Geometry> {
    /// The threads and channels after interference, or at the start.
    Moved(Rc<Threads<Sym<G>>>, Rc<Channels<Sym<G>>>),
    /// A queue whose lock was taken, and its list.
    Locked(QueueOf<Sym<G>>, Rc<Fifo<Sym<G>>>),
}

impl<G: Geometry> Clone for Moment<G> {
    fn clone(&self) -> Self {
        match self {
            Moment::Moved(threads, channels) => Moment::Moved(threads.clone(), channels.clone()),
            Moment::Locked(queue, fifo) => Moment::Locked(*queue, fifo.clone()),
        }
    }
}

/// The history of a path.
pub(crate) struct History<G: Geometry> {
    start: Rc<State<G>>,
    moments: RefCell<Vec<(usize, Moment<G>)>>,
}

/// The part of a history that is replayed: from the start up to some event.
struct Past<G: Geometry> {
    start: Rc<State<G>>,
    moments: Vec<(usize, Moment<G>)>,
    events: Vec<Tagged<G>>,
}

impl<G: Geometry> History<G> {
    pub fn new(start: &Rc<State<G>>) -> Self {
        let threads = Rc::new(start.threads.snapshot());
        let moved = Moment::Moved(threads, Rc::new(start.channels.snapshot()));
        History { start: start.clone(), moments: RefCell::new(vec![(0, moved)]) }
    }

    fn is_at(&self, moment: Moment<G>) {
        self.moments.borrow_mut().push((self.logged(), moment));
    }

    /// The number of events that were logged so far.
    pub fn logged(&self) -> usize {
        engine(|e| e.path.data::<Events<G>>().0.len())
    }

    /// Records the threads and channels after interference.
    pub fn moved(&self, threads: Threads<Sym<G>>, channels: Channels<Sym<G>>) {
        self.is_at(Moment::Moved(Rc::new(threads), Rc::new(channels)));
    }

    /// Records the list of a queue whose lock was taken.
    pub fn locked(&self, family: u32, row: SymWord, fifo: &Fifo<Sym<G>>) {
        self.is_at(Moment::Locked(queue_of(family, row), Rc::new(fifo.snapshot())));
    }

    fn past(&self) -> Past<G> {
        Past { start: self.start.clone(), moments: self.moments.borrow().clone(), events: events(0) }
    }

    /// The pending guarantees that threads and channels are the result of the events since the last interference.
    pub fn add_guarantees(
        &self,
        threads: &Threads<Sym<G>>,
        channels: &Channels<Sym<G>>,
        when: &str,
    ) -> Vec<PendingGuarantee> {
        let past = Rc::new(self.past());
        let Some((from, base, locks)) = past.moments.iter().rev().find_map(|(at, moment)| match moment {
            Moment::Moved(threads, channels) => Some((*at, threads.clone(), channels.clone())),
            Moment::Locked(..) => None,
        }) else {
            return Vec::new();
        };
        let is_silent = past.events.len() == from;
        let mut pending_guarantees = Vec::new();
        if !is_silent || threads_identity(&base) != threads_identity(threads) {
            let (past, now) = (past.clone(), threads.snapshot());
            let bounds = key_bounds::<G>(Threads::<Sym<G>>::KEYS);
            pending_guarantees.push(PendingGuarantee::new(clause::effect("tcb"), when, bounds, move |k| {
                let Ok(replayed) = past.replay() else { return false };
                let (one, other) = (replayed.scheduler.thread(k[0]), now.tcb.get([k[0]]));
                one.place == other.place && one.home == other.home && (one.place >= NUM_CHAN || one.seq == other.seq)
            }));
        }
        if !is_silent || channels_identity(&locks) != channels_identity(channels) {
            let now = channels.snapshot();
            let bounds = key_bounds::<G>(Channels::<Sym<G>>::KEYS);
            pending_guarantees.push(PendingGuarantee::new(clause::effect(CHANNELS), when, bounds, move |k| {
                let mut lock = locks.lock_of(k[0]);
                for (by, event) in &past.events[from..] {
                    match replay::lock(k[0], lock, *by, event) {
                        Ok(next) => lock = next,
                        Err(_) => return false,
                    }
                }
                let now = now.lock_of(k[0]);
                lock.holder == now.holder && lock.budget == now.budget && lock.words == now.words
            }));
        }
        pending_guarantees
    }

    /// The pending guarantee that the allocation table is the result of the events since number `from`, when its lock
    /// was taken.
    pub fn guarantee_table(&self, from: usize, taken: Rc<dyn Any>, left: &AllocTable<Sym<G>>) -> PendingGuarantee {
        let (since, left) = (events::<G>(from), left.snapshot());
        let bounds = key_bounds::<G>(AllocTable::<Sym<G>>::KEYS);
        PendingGuarantee::new(clause::effect(AllocTable::<Sym<G>>::NAME), "at unlock", bounds, move |k| {
            let of = |table: &AllocTable<Sym<G>>| {
                (table.frames.get([k[0]]), Sym::<G>::present(&table.owner).owners.get([k[0]]))
            };
            let mut entry = of(taken.downcast_ref().expect("it was the table that was taken"));
            for (by, event) in &since {
                match replay::frame(k[0], entry, *by, event) {
                    Ok(next) => entry = next,
                    Err(_) => return false,
                }
            }
            let (frame, owner) = of(&left);
            entry.0.kind == frame.kind && entry.0.alloc.0 == frame.alloc.0 && entry.1.cpu == owner.cpu
        })
    }

    /// The pending guarantee that the queue of row `row` is the result of the events, when its lock is released.
    pub fn guarantee_queue(&self, family: u32, row: SymWord, left: &Fifo<Sym<G>>) -> PendingGuarantee {
        let (past, left) = (self.past(), left.snapshot());
        PendingGuarantee::new(clause::effect("queues"), "at unlock", Vec::new(), move |_| {
            past.replay().is_ok_and(|replayed| replayed.scheduler.is(queue_of(family, row), &left))
        })
    }

    /// Whether this CPU's part of the scheduler's state in `after` is the result of the events.
    pub fn owns(&self, after: &State<G>) -> bool {
        self.past().replay().is_ok_and(|replayed| {
            let scheduler = &replayed.scheduler;
            scheduler.current == running(after) && scheduler.is(QueueOf::Ready(after.own.cpu), &after.own.ready)
        })
    }

    /// Whether the replay of the log succeeds, all events have this CPU's tag, and `wanted` accepts the events and
    /// their results.
    pub fn logs(&self, wanted: impl FnOnce(&[(Event<Sym<G>>, Out<Sym<G>>)]) -> bool) -> bool {
        self.past().replay().is_ok_and(|replayed| wanted(&replayed.outs))
    }
}

/// The thread that runs on the CPU. This is the main thread from the start, although only `sched_init` sets the
/// field.
fn running<G: Geometry>(state: &State<G>) -> SymWord {
    if state.view().ghost.init.holds() { state.own.cur } else { state.own.cpu + 1 }
}

fn queue_of<G: Geometry>(family: u32, row: SymWord) -> QueueOf<Sym<G>> {
    match family {
        Pending::FIRST => QueueOf::Pending(row),
        Sleeping::FIRST => QueueOf::Sleeping(row),
        _ => unreachable!("there are two families of queues"),
    }
}

/// A replayed history.
struct Replayed<G: Geometry> {
    scheduler: Positions<G>,
    outs: Vec<(Event<Sym<G>>, Out<Sym<G>>)>,
}

impl<G: Geometry> Past<G> {
    fn replay(&self) -> Result<Replayed<G>, Undefined> {
        let own = &self.start.own;
        let ready = Queue::new(QueueOf::Ready(own.cpu), &own.ready);
        let mut scheduler = Positions {
            current: running(&self.start),
            threads: Rc::new(self.start.threads.snapshot()),
            changed: Vec::new(),
            queues: vec![ready],
        };
        let mut moments = self.moments.iter().peekable();
        let mut outs = Vec::new();
        for (number, (by, event)) in self.events.iter().enumerate() {
            while let Some((_, moment)) = moments.next_if(|(at, _)| *at <= number) {
                scheduler.is_at(moment);
            }
            if *by != own.cpu {
                return Err(Undefined::NotRunning);
            }
            outs.push((*event, replay::schedule(&mut scheduler, *by, event)?));
        }
        moments.for_each(|(_, moment)| scheduler.is_at(moment));
        Ok(Replayed { scheduler, outs })
    }
}

/// A queue of the replay, as a range of positions.
struct Queue<G: Geometry> {
    of: QueueOf<Sym<G>>,
    lo: SymNat,
    hi: SymNat,
    /// The first thread of the layer's list that was in the queue at the start.
    head: SymWord,
    /// The threads that have joined.
    joined: VecDeque<SymWord>,
}

impl<G: Geometry> Queue<G> {
    fn new(of: QueueOf<Sym<G>>, fifo: &Fifo<Sym<G>>) -> Self {
        let span = Sym::<G>::present(&fifo.span);
        Queue { of, lo: span.lo, hi: span.hi, head: fifo.head, joined: VecDeque::new() }
    }

    /// The id of the queue.
    fn id(&self) -> SymWord {
        match self.of {
            QueueOf::Ready(cpu) => cpu,
            QueueOf::Pending(cpu) => cpu + Pending::FIRST,
            QueueOf::Sleeping(cv) => cv + Sleeping::FIRST,
        }
    }
}

/// The state of the replay: the places of all threads.
struct Positions<G: Geometry> {
    /// The thread that runs on this CPU.
    current: SymWord,
    /// The threads after the last interference.
    threads: Rc<Threads<Sym<G>>>,
    /// The changes by events since then, oldest first.
    changed: Vec<(SymWord, ThreadGhost<Sym<G>>)>,
    /// This CPU's own queues, and the queues whose locks it took.
    queues: Vec<Queue<G>>,
}

impl<G: Geometry> Positions<G> {
    fn is_at(&mut self, moment: &Moment<G>) {
        match moment {
            Moment::Moved(threads, _) => {
                self.threads = threads.clone();
                self.changed.clear();
            }
            Moment::Locked(of, fifo) => {
                self.queues.retain(|queue| !same(queue.of, *of));
                self.queues.push(Queue::new(*of, fifo));
            }
        }
    }

    fn thread(&self, thread: SymWord) -> ThreadGhost<Sym<G>> {
        let changed = self.changed.iter().rev().find(|(key, _)| *key == thread);
        changed.map_or_else(|| self.threads.tcb.get([thread]), |(_, changed)| *changed)
    }

    fn change(&mut self, thread: SymWord, change: impl FnOnce(&mut ThreadGhost<Sym<G>>)) {
        let mut value = self.thread(thread);
        change(&mut value);
        self.changed.push((thread, value));
    }

    fn queue(&self, of: QueueOf<Sym<G>>) -> Result<usize, Undefined> {
        self.queues.iter().position(|queue| same(queue.of, of)).ok_or(Undefined::NoQueue)
    }

    /// Whether the queue has the same range of positions as `fifo`.
    fn is(&self, of: QueueOf<Sym<G>>, fifo: &Fifo<Sym<G>>) -> bool {
        let span = Sym::<G>::present(&fifo.span);
        self.queue(of).is_ok_and(|at| self.queues[at].lo == span.lo && self.queues[at].hi == span.hi)
    }
}

/// Whether both have the same queue id as terms, so that they certainly are the same queue.
fn same<G: Geometry>(one: QueueOf<Sym<G>>, other: QueueOf<Sym<G>>) -> bool {
    match (one, other) {
        (QueueOf::Ready(a), QueueOf::Ready(b))
        | (QueueOf::Pending(a), QueueOf::Pending(b))
        | (QueueOf::Sleeping(a), QueueOf::Sleeping(b)) => a.0 == b.0,
        _ => false,
    }
}

impl<G: Geometry> Scheduler<Sym<G>> for Positions<G> {
    fn running(&self, _: SymWord) -> SymWord {
        // All events have this CPU's tag.
        self.current
    }

    fn place(&self, thread: SymWord) -> SymWord {
        self.thread(thread).place
    }

    fn home(&self, thread: SymWord) -> SymWord {
        self.thread(thread).home
    }

    fn spawn(&mut self, thread: SymWord, cpu: SymWord) {
        self.change(thread, |thread| thread.home = cpu);
    }

    fn end(&mut self, thread: SymWord) {
        self.change(thread, |thread| thread.place = place::GONE.into());
    }

    fn run(&mut self, _: SymWord, thread: SymWord) {
        self.current = thread;
        self.change(thread, |thread| thread.place = place::RUN.into());
    }

    fn push(&mut self, of: QueueOf<Sym<G>>, thread: SymWord) -> Result<(), Undefined> {
        let at = self.queue(of)?;
        let (id, last) = (self.queues[at].id(), self.queues[at].hi);
        self.change(thread, |thread| (thread.place, thread.seq) = (id, last));
        self.queues[at].hi = last + 1;
        self.queues[at].joined.push_back(thread);
        Ok(())
    }

    fn pop(&mut self, of: QueueOf<Sym<G>>) -> Result<Option<SymWord>, Undefined> {
        let at = self.queue(of)?;
        let (id, first) = (self.queues[at].id(), self.queues[at].lo);
        // There is a fact that a list without a head has no positions; this read triggers it for each thread.
        let _ = self.threads.tcb.get([self.current]);
        if first == self.queues[at].hi {
            return Ok(None);
        }
        let head = self.queues[at].head;
        let thread = if head != NO_THREAD {
            self.queues[at].head = self.threads.next.get([head]).thread;
            head
        } else {
            self.queues[at].joined.pop_front().ok_or(Undefined::NoQueue)?
        };
        let found = self.thread(thread);
        if found.place != id || found.seq != first {
            return Err(Undefined::NoQueue);
        }
        self.queues[at].lo = first + 1;
        self.change(thread, |thread| thread.place = place::FLIGHT.into());
        Ok(Some(thread))
    }
}
