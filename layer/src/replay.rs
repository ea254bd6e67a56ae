//! Replay: what a log says of the shared objects (reference, sections 4.1.2 to 4.1.4).
//!
//! A replay folds a *step* over the events, oldest first. Each step stands here once: the hosted machine folds it over the
//! log of a run, and the prover over the events of each path, where what it makes of the objects has to be what the
//! primitive made of them. A log may have no meaning: that is [`Undefined`].
use crate::constants::*;
use crate::fields::{ChannelLock, Frame, Owner, SyncChannel, place};
use crate::log::Event;
use crate::machine::Machine;
use crate::stuck::documented;
use domain::Flag;

documented! {
/// Why a log has no meaning: what one of its events needs is not so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Undefined {
    /// The thread of the event does not run on its CPU.
    NotRunning,
    /// The page that is handed out is not free.
    NotFree,
    /// The page that is given back is not this CPU's.
    NotGiven,
    /// The child is alive already, or no thread.
    Alive,
    /// The child's process has not ended, or it is another CPU's.
    NotGone,
    /// There is no such queue, or who logs does not have it.
    NoQueue,
    /// No thread is ready to run in place of the one that sleeps.
    NothingReady,
    /// The thread that was woken is not on its way to the CPU that it belongs to.
    NotInFlight,
    /// The lock that is taken is not free.
    NotFreeLock,
    /// An event of a critical section by a CPU that does not hold the lock.
    NotHolder,
    /// The critical section has more events than it announced.
    NoBudget,
}
}

fn need(holds: bool, or: Undefined) -> Result<(), Undefined> {
    if holds { Ok(()) } else { Err(or) }
}

/// What the step of `replay_AT` makes of frame `p`: what the allocation table says of it, and whose it is.
///
/// # Errors
/// [`Undefined::NotFree`] for an event that hands this frame out, [`Undefined::NotGiven`] for one that gives it back, where it is
/// not this CPU's.
pub fn frame<M: Machine>(
    p: M::Word,
    (before, owner): (Frame<M>, Owner<M>),
    cpu: M::Word,
    event: &Event<M>,
) -> Result<(Frame<M>, Owner<M>), Undefined> {
    match *event {
        Event::Palloc { page, .. } if page != 0 && page == p => {
            need(before.is_free(), Undefined::NotFree)?;
            Ok((Frame { alloc: true.into(), ..before }, Owner { cpu }))
        }
        Event::Pfree { page, .. } if page == p => {
            need(before.alloc.holds() && owner.cpu == cpu, Undefined::NotGiven)?;
            Ok((Frame { alloc: false.into(), ..before }, Owner { cpu: TOTAL_CPU.into() }))
        }
        _ => Ok((before, owner)),
    }
}

/// A queue of threads, as events speak of it.
#[derive(Clone, Copy, Debug)]
pub enum QueueOf<M: Machine> {
    /// The ready queue of a CPU (`rdy`).
    Ready(M::Word),
    /// The pending queue of a CPU (`msg`).
    Pending(M::Word),
    /// The sleep queue of a condition variable (`slp`).
    Sleeping(M::Word),
}

/// What an event of the scheduler came to (`Out`).
#[derive(Clone, Copy, Debug)]
pub enum Out<M: Machine> {
    /// A child is ready.
    Spawned,
    /// A thread yielded.
    Yield {
        /// The thread that runs now.
        next: M::Word,
        /// The one of the pending queue, which became ready, and may be the one that runs.
        drained: Option<M::Word>,
    },
    /// The thread that runs in place of the one that sleeps.
    RunId(M::Word),
    /// Nobody slept there.
    WakeNone,
    /// A thread of the CPU is ready.
    WakeLocal(M::Word),
    /// A thread of another CPU is on its way there.
    WakeRemote(M::Word, M::Word),
    /// It has arrived in the pending queue.
    Inserted,
    /// The event is not the scheduler's.
    Other,
}

/// What `replay_TCB` keeps: where each thread is, and who runs.
pub trait Scheduler<M: Machine> {
    /// The thread that `cpu` runs.
    fn running(&self, cpu: M::Word) -> M::Word;
    /// Where `thread` is: the id of its queue, or one of [`place`].
    fn place(&self, thread: M::Word) -> M::Word;
    /// The CPU that `thread` belongs to.
    fn home(&self, thread: M::Word) -> M::Word;
    /// `thread` is alive, and belongs to `cpu`.
    fn spawn(&mut self, thread: M::Word, cpu: M::Word);
    /// The process of `thread` has ended.
    fn end(&mut self, thread: M::Word);
    /// `cpu` runs `thread`.
    fn run(&mut self, cpu: M::Word, thread: M::Word);
    /// `thread` is the last one of the queue.
    ///
    /// # Errors
    /// [`Undefined::NoQueue`].
    fn push(&mut self, queue: QueueOf<M>, thread: M::Word) -> Result<(), Undefined>;
    /// The first thread of the queue is in flight.
    ///
    /// # Errors
    /// [`Undefined::NoQueue`].
    fn pop(&mut self, queue: QueueOf<M>) -> Result<Option<M::Word>, Undefined>;
}

/// The step of `replay_TCB`.
///
/// More than the reference asks for is asked of every event, also where it is not the scheduler's: that its thread runs.
///
/// # Errors
/// What the event needs and is not so.
pub fn schedule<M: Machine>(s: &mut impl Scheduler<M>, cpu: M::Word, event: &Event<M>) -> Result<Out<M>, Undefined> {
    need(s.running(cpu) == event.tid(), Undefined::NotRunning)?;
    match *event {
        Event::Spawn { child, .. } => {
            need(child < NUM_PROC && s.place(child) == place::DEAD, Undefined::Alive)?;
            s.spawn(child, cpu);
            s.push(QueueOf::Ready(cpu), child)?;
            Ok(Out::Spawned)
        }
        Event::Yield { tid } => {
            // At most one a yield.
            let drained = s.pop(QueueOf::Pending(cpu))?;
            if let Some(drained) = drained {
                s.push(QueueOf::Ready(cpu), drained)?;
            }
            s.push(QueueOf::Ready(cpu), tid)?;
            let next = s.pop(QueueOf::Ready(cpu))?.ok_or(Undefined::NothingReady)?;
            s.run(cpu, next);
            Ok(Out::Yield { next, drained })
        }
        Event::Sleep { tid, cv, .. } => {
            s.push(QueueOf::Sleeping(cv), tid)?;
            // The pending queue is not consulted.
            let next = s.pop(QueueOf::Ready(cpu))?.ok_or(Undefined::NothingReady)?;
            s.run(cpu, next);
            Ok(Out::RunId(next))
        }
        Event::Exit { tid } => {
            s.end(tid);
            let next = s.pop(QueueOf::Ready(cpu))?.ok_or(Undefined::NothingReady)?;
            s.run(cpu, next);
            Ok(Out::RunId(next))
        }
        Event::Respawn { child, .. } => {
            let is_gone = child < NUM_PROC && s.place(child) == place::GONE && s.home(child) == cpu;
            need(is_gone, Undefined::NotGone)?;
            s.push(QueueOf::Ready(cpu), child)?;
            Ok(Out::Spawned)
        }
        Event::Wake { cv, .. } => match s.pop(QueueOf::Sleeping(cv))? {
            None => Ok(Out::WakeNone),
            Some(woken) => {
                let home = s.home(woken);
                if home == cpu {
                    s.push(QueueOf::Ready(cpu), woken)?;
                    Ok(Out::WakeLocal(woken))
                } else {
                    Ok(Out::WakeRemote(woken, home))
                }
            }
        },
        Event::WakeDiff { woken, cpu: home, .. } => {
            need(woken < NUM_PROC && s.place(woken) == place::FLIGHT, Undefined::NotInFlight)?;
            need(s.home(woken) == home, Undefined::NotInFlight)?;
            s.push(QueueOf::Pending(home), woken)?;
            Ok(Out::Inserted)
        }
        _ => Ok(Out::Other),
    }
}

/// What the step of `replay_LOCK` makes of the lock of channel `q`, and of how many words its mailbox holds.
///
/// # Errors
/// [`Undefined::NotFreeLock`] when the lock is taken from its holder, [`Undefined::NotHolder`] for an event of a critical section
/// by another CPU (mutual exclusion), [`Undefined::NoBudget`] for one too many.
pub fn lock<M: Machine>(
    q: M::Word,
    before: ChannelLock<M>,
    cpu: M::Word,
    event: &Event<M>,
) -> Result<ChannelLock<M>, Undefined> {
    let spent = || {
        need(before.holder == cpu, Undefined::NotHolder)?;
        need(before.budget >= 1, Undefined::NoBudget)?;
        Ok(ChannelLock { budget: before.budget - 1, ..before })
    };
    let given_back = || {
        spent()?;
        Ok(ChannelLock { holder: TOTAL_CPU.into(), budget: 0.into(), ..before })
    };
    match *event {
        Event::Wait { channel, budget, .. } if channel == q => {
            need(before.holder == TOTAL_CPU, Undefined::NotFreeLock)?;
            Ok(ChannelLock { holder: cpu, budget, ..before })
        }
        Event::Get { channel, .. } if channel == q => spent(),
        Event::Buffer { channel, words, .. } if channel == q => Ok(ChannelLock { words, ..spent()? }),
        Event::Release { channel, .. } if channel == q => given_back(),
        Event::Sleep { cv, .. } if cv < NUM_CV && cv + SLP_Q == q => given_back(),
        _ => Ok(before),
    }
}

/// The control block of channel `q` that the event publishes (`last_pool`).
pub fn published<M: Machine>(q: M::Word, event: &Event<M>) -> Option<SyncChannel<M>> {
    match *event {
        Event::Release { channel, to, senderpaddr, count, busy, .. } if channel == q => {
            Some(SyncChannel { to, senderpaddr, count, busy })
        }
        Event::Sleep { cv, to, senderpaddr, count, busy, .. } if cv < NUM_CV && cv + SLP_Q == q => {
            Some(SyncChannel { to, senderpaddr, count, busy })
        }
        _ => None,
    }
}
