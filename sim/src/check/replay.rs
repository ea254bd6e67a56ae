//! The replay of a log: entry by entry, compared with the machine's objects.
//!
//! Queues are plain collections here. The effect of an event on them is the layer's own [`replay`].
use crate::machine::Sim;
use crate::machine::boot::shared;
use crate::machine::log::Entry;
use crate::machine::sparse::{Cells, Sparse};
use crate::state::snapshot::Snapshot;
use domain::Map;
use layer::core::constants::*;
use layer::core::fields::{ChannelLock, Frames, Owners, SyncChannel, place};
use layer::core::log::Event;
use layer::core::replay::{self, Out, QueueOf, Scheduler, Undefined};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Fifo, Threads};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// The running thread and the ready queue of a CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Running {
    /// The CPU.
    pub cpu: u32,
    /// The running thread.
    pub thread: u32,
    /// The threads of its ready queue, the first one first.
    pub ready: VecDeque<u32>,
}

/// The places of all threads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Positions {
    /// The running thread of each CPU; 0 if it is not known.
    running: [u32; TOTAL_CPU as usize],
    /// The place and the CPU of each thread.
    threads: Vec<(u32, u32)>,
    /// The threads in each queue, by the queue's id.
    queues: BTreeMap<u32, VecDeque<u32>>,
}

/// The state that a log determines.
#[derive(Clone)]
pub struct Replayed {
    frames: Sparse<Frames>,
    owners: Sparse<Owners>,
    /// The number of frames of the machine. No frame below `cursor` is free.
    nps: u32,
    cursor: u32,
    /// The places of the threads.
    pub positions: Positions,
    /// The locks and mailboxes of channels.
    locks: Vec<ChannelLock<Sim>>,
    /// The last published control block of each channel.
    pool: Vec<SyncChannel<Sim>>,
}

/// Why an entry of a log is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The replay does not define the event in this state.
    Undefined(Undefined),
    /// The event allocates another page than the first free one.
    NotFirst {
        /// The first free page.
        first: u32,
    },
}

/// Where a machine can differ from its log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Place {
    /// An entry of the allocation table.
    Frame(u32),
    /// A thread.
    Thread(u32),
    /// A queue, by its id.
    Queue(u32),
    /// The running thread of a CPU.
    Running(u32),
    /// The lock or the mailbox of a channel.
    Lock(u32),
    /// The control block of a channel whose lock is free.
    Block(u32),
}

/// A difference between a machine and its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The machine cannot have made this entry.
    Entry {
        /// The number of the entry, from 0.
        number: usize,
        /// The event.
        event: String,
        /// Why the entry is invalid.
        flaw: Flaw,
    },
    /// The final state differs from the log.
    End {
        /// The place of the difference.
        place: Place,
        /// The state according to the log.
        expected: String,
        /// The state of the machine.
        found: String,
        /// The last entry about this place: its number and its event.
        last: Option<(usize, String)>,
    },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Undefined(why) => write!(f, "{why:?}: {}", why.description()),
            Flaw::NotFirst { first } => write!(f, "the first free page is {first}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Entry { number, event, flaw } => write!(f, "entry {number} of the log, {event}: {flaw}"),
            Difference::End { place, expected, found, last } => {
                write!(f, "{place:?} is {found}, but according to the log {expected}")?;
                match last {
                    Some((number, event)) => write!(f, "; the last entry about it is {number}, {event}"),
                    None => f.write_str("; no entry is about it"),
                }
            }
        }
    }
}

fn show(entry: &Entry) -> String {
    format!("CPU {} {:?}", entry.cpu, entry.event)
}

/// The threads of a list, the first one first.
pub fn listed(fifo: &Fifo<Sim>, threads: &Threads<Sim>) -> VecDeque<u32> {
    let next = |&thread: &u32| Some(threads.next.get([thread]).thread).filter(|&next| next != NO_THREAD);
    let head = Some(fifo.head).filter(|&head| head != NO_THREAD);
    std::iter::successors(head, next).take(NUM_PROC as usize).collect()
}

/// The shared objects of a machine, as far as a log describes them.
pub struct Objects<'a> {
    /// The allocation table.
    pub at: &'a AllocTable<Sim>,
    /// The pending queues.
    pub pending: Vec<&'a Fifo<Sim>>,
    /// The sleep queues.
    pub sleep: Vec<&'a Fifo<Sim>>,
    /// The channels.
    pub channels: &'a Channels<Sim>,
    /// The threads.
    pub threads: &'a Threads<Sim>,
    /// The running thread and ready queue of each known CPU.
    pub running: Vec<Running>,
    /// The number of frames of the machine.
    pub nps: u32,
}

impl Snapshot {
    /// The objects that a log describes.
    pub fn objects(&self) -> Objects<'_> {
        let ready = listed(&self.own.ready, &self.threads);
        // The main thread runs from the start, although only `sched_init` sets the field.
        let thread = if self.own.ghost.0.init { self.own.cur } else { self.own.cpu + 1 };
        Objects {
            at: &self.at,
            pending: self.pending.iter().map(|queue| &queue.fifo).collect(),
            sleep: self.sleep.iter().map(|queue| &queue.fifo).collect(),
            channels: &self.channels,
            threads: &self.threads,
            running: vec![Running { cpu: self.own.cpu, thread, ready }],
            nps: self.boot.nps,
        }
    }
}

impl Objects<'_> {
    /// The state of a replay that starts with these objects.
    pub fn replayed(&self) -> Replayed {
        let mut queues = BTreeMap::new();
        let lists = (MSG_Q..).zip(&self.pending).chain((SLP_Q..).zip(&self.sleep));
        for (id, fifo) in lists {
            queues.insert(id, listed(fifo, self.threads));
        }
        let mut running = [0; TOTAL_CPU as usize];
        for Running { cpu, thread, ready } in &self.running {
            // The number of a CPU may be invalid; another fact (H17) checks this.
            if let Some(place) = running.get_mut(*cpu as usize) {
                *place = *thread;
            }
            queues.insert(*cpu, ready.clone());
        }
        let thread = |t| {
            let ghost = self.threads.tcb.get([t]);
            (ghost.place, ghost.home)
        };
        Replayed {
            frames: self.at.frames.clone(),
            owners: self.at.owner.0.owners.clone(),
            nps: self.nps,
            cursor: 0,
            positions: Positions { running, threads: (0..NUM_PROC).map(thread).collect(), queues },
            locks: (0..NUM_CHAN).map(|q| self.channels.lock_of(q)).collect(),
            pool: (0..NUM_CHAN).map(|q| self.channels.pool.get([q])).collect(),
        }
    }
}

impl Replayed {
    /// The start of a replay at boot: the machine of this thread's platform, where each CPU runs its main thread.
    pub fn boot() -> Replayed {
        let shared = shared();
        let (at, channels, threads) = (shared.at.inspect(0), shared.channels.inspect(), shared.links.inspect());
        let running = |cpu| Running { cpu, thread: cpu + 1, ready: VecDeque::new() };
        Objects {
            at: &at,
            pending: Vec::new(),
            sleep: Vec::new(),
            channels: &channels,
            threads: &threads,
            running: (0..TOTAL_CPU).map(running).collect(),
            nps: shared.boot.nps,
        }
        .replayed()
    }

    /// Replays the entries of a log in order.
    ///
    /// # Errors
    /// The first invalid entry.
    pub fn replay(&mut self, log: &[Entry]) -> Result<Vec<Out<Sim>>, Difference> {
        let step = |(number, entry)| {
            let event = || show(entry);
            self.step(entry).map_err(|flaw| Difference::Entry { number, event: event(), flaw })
        };
        log.iter().enumerate().map(step).collect()
    }

    /// Replays one more entry.
    ///
    /// # Errors
    /// If the entry is invalid in this state.
    pub fn step(&mut self, entry: &Entry) -> Result<Out<Sim>, Flaw> {
        let Entry { cpu, event, .. } = entry;
        let out = replay::schedule(&mut self.positions, *cpu, event).map_err(Flaw::Undefined)?;
        match *event {
            Event::Palloc { page, .. } if page != 0 => {
                let before = (self.frames.get([page]), self.owners.get([page]));
                let (frame, owner) = replay::frame(page, before, *cpu, event).map_err(Flaw::Undefined)?;
                let free = |&p: &u32| self.frames.get([p]).is_free();
                let first = (self.cursor..self.nps).find(free).unwrap_or(0);
                if page != first {
                    return Err(Flaw::NotFirst { first });
                }
                self.cursor = first + 1;
                self.frames.set([page], frame);
                self.owners.set([page], owner);
            }
            Event::Pfree { page, .. } => {
                let before = (self.frames.get([page]), self.owners.get([page]));
                let (frame, owner) = replay::frame(page, before, *cpu, event).map_err(Flaw::Undefined)?;
                self.cursor = self.cursor.min(page);
                self.frames.set([page], frame);
                self.owners.set([page], owner);
            }
            Event::Wait { channel: q, .. }
            | Event::Get { channel: q, .. }
            | Event::Buffer { channel: q, .. }
            | Event::Release { channel: q, .. } => self.lock(q, entry)?,
            Event::Sleep { cv, .. } => self.lock(cv + SLP_Q, entry)?,
            _ => {}
        }
        Ok(out)
    }

    fn lock(&mut self, q: u32, entry: &Entry) -> Result<(), Flaw> {
        let at = Some(q as usize).filter(|_| q < NUM_CHAN).ok_or(Flaw::Undefined(Undefined::NoQueue))?;
        self.locks[at] = replay::lock(q, self.locks[at], entry.cpu, &entry.event).map_err(Flaw::Undefined)?;
        if let Some(block) = replay::published(q, &entry.event) {
            self.pool[at] = block;
        }
        Ok(())
    }

    /// The lock of channel `q` according to the log.
    pub fn lock_of(&self, q: u32) -> ChannelLock<Sim> {
        self.locks[q as usize]
    }

    /// Whether a frame is allocated according to the log, and its owner.
    pub fn frame_of(&self, page: u32) -> (bool, u32) {
        (self.frames.get([page]).alloc, self.owners.get([page]).cpu)
    }

    /// The differences between `found` and this state, which is the result of `log`.
    pub fn differences(&self, found: &Objects<'_>, log: &[Entry]) -> Vec<Difference> {
        let other = found.replayed();
        let mut all = Vec::new();
        let mut compare = |place: Place, expected: String, found: String| {
            if expected != found {
                let last = log.iter().enumerate().rev().find(|(_, entry)| place.is_of(&entry.event));
                let last = last.map(|(number, entry)| (number, show(entry)));
                all.push(Difference::End { place, expected, found, last });
            }
        };
        let mut pages = [self.frames.keys(Cells::Written), other.frames.keys(Cells::Written)].concat();
        pages.sort_unstable();
        pages.dedup();
        for [page] in pages {
            let of = |it: &Replayed| (it.frames.get([page]), it.owners.get([page]));
            let [one, two] = [of(self), of(&other)].map(|(frame, owner)| (frame.kind, frame.alloc, owner.cpu));
            if one != two {
                compare(Place::Frame(page), format!("{one:?}"), format!("{two:?}"));
            }
        }
        let (one, two) = (&self.positions, &other.positions);
        for (thread, (expected, found)) in (0..).zip(one.threads.iter().zip(&two.threads)) {
            if expected != found {
                compare(Place::Thread(thread), format!("{expected:?}"), format!("{found:?}"));
            }
        }
        for (&id, found) in &two.queues {
            let expected = one.queues.get(&id).cloned().unwrap_or_default();
            if expected != *found {
                compare(Place::Queue(id), format!("{expected:?}"), format!("{found:?}"));
            }
        }
        for Running { cpu, thread, .. } in &found.running {
            if let Some(expected) = one.running.get(*cpu as usize) {
                compare(Place::Running(*cpu), expected.to_string(), thread.to_string());
            }
        }
        for q in 0..NUM_CHAN {
            let [expected, found] = [self, &other].map(|it| it.locks[q as usize]);
            let bits = |lock: ChannelLock<Sim>| (lock.holder, lock.budget, lock.words);
            if bits(expected) != bits(found) {
                compare(Place::Lock(q), format!("{expected:?}"), format!("{found:?}"));
            }
            let [expected, found] = [self, &other].map(|it| it.pool[q as usize]);
            let bits = |block: SyncChannel<Sim>| (block.to, block.senderpaddr, block.count, block.busy);
            // The holder of the lock may have changed the control block since.
            if self.locks[q as usize].holder == TOTAL_CPU && bits(expected) != bits(found) {
                compare(Place::Block(q), format!("{expected:?}"), format!("{found:?}"));
            }
        }
        all
    }
}

impl Place {
    /// Whether an event is about this place.
    fn is_of(self, event: &Event<Sim>) -> bool {
        match (self, *event) {
            (Place::Frame(p), Event::Palloc { page, .. } | Event::Pfree { page, .. }) => page == p,
            (Place::Thread(t), Event::Spawn { child, .. }) if child == t => true,
            (Place::Thread(t), Event::WakeDiff { woken, .. }) if woken == t => true,
            (Place::Thread(t), Event::Yield { tid } | Event::Sleep { tid, .. }) => tid == t,
            (Place::Queue(id), Event::Sleep { cv, .. } | Event::Wake { cv, .. }) if cv + SLP_Q == id => true,
            (Place::Queue(id), Event::WakeDiff { cpu, .. }) if cpu + MSG_Q == id => true,
            (Place::Queue(id), Event::Yield { tid } | Event::Spawn { tid, .. }) => id < SLP_Q && tid != 0,
            (Place::Running(_), Event::Yield { .. } | Event::Sleep { .. }) => true,
            (Place::Lock(q) | Place::Block(q), Event::Sleep { cv, .. }) => cv + SLP_Q == q,
            (
                Place::Lock(q) | Place::Block(q),
                Event::Wait { channel, .. }
                | Event::Get { channel, .. }
                | Event::Buffer { channel, .. }
                | Event::Release { channel, .. },
            ) => channel == q,
            _ => false,
        }
    }
}

impl Positions {
    /// The threads in the queue with this id, the first one first.
    pub fn queue(&self, id: u32) -> impl Iterator<Item = u32> {
        self.queues.get(&id).into_iter().flatten().copied()
    }

    /// The thread that runs on `cpu`.
    pub fn runs(&self, cpu: u32) -> u32 {
        self.running[cpu as usize]
    }

    /// The place of a thread, and its CPU while it is alive.
    pub fn thread(&self, thread: u32) -> (u32, u32) {
        self.threads[thread as usize]
    }
}

/// The id of a queue, if there is such a queue.
fn id(queue: QueueOf<Sim>) -> Result<u32, Undefined> {
    match queue {
        QueueOf::Ready(cpu) if cpu < TOTAL_CPU => Ok(cpu),
        QueueOf::Pending(cpu) if cpu < TOTAL_CPU => Ok(cpu + MSG_Q),
        QueueOf::Sleeping(cv) if cv < NUM_CV => Ok(cv + SLP_Q),
        _ => Err(Undefined::NoQueue),
    }
}

impl Scheduler<Sim> for Positions {
    fn running(&self, cpu: u32) -> u32 {
        self.running.get(cpu as usize).copied().unwrap_or(NO_THREAD)
    }

    fn place(&self, thread: u32) -> u32 {
        self.threads[thread as usize].0
    }

    fn home(&self, thread: u32) -> u32 {
        self.threads[thread as usize].1
    }

    fn spawn(&mut self, thread: u32, cpu: u32) {
        self.threads[thread as usize].1 = cpu;
    }

    fn end(&mut self, thread: u32) {
        self.threads[thread as usize].0 = place::GONE;
    }

    fn run(&mut self, cpu: u32, thread: u32) {
        self.running[cpu as usize] = thread;
        self.threads[thread as usize].0 = place::RUN;
    }

    fn push(&mut self, queue: QueueOf<Sim>, thread: u32) -> Result<(), Undefined> {
        let id = id(queue)?;
        self.queues.entry(id).or_default().push_back(thread);
        self.threads[thread as usize].0 = id;
        Ok(())
    }

    fn pop(&mut self, queue: QueueOf<Sim>) -> Result<Option<u32>, Undefined> {
        let first = self.queues.get_mut(&id(queue)?).and_then(VecDeque::pop_front);
        if let Some(thread) = first {
            self.threads[thread as usize].0 = place::FLIGHT;
        }
        Ok(first)
    }
}
