//! Replay: the state of the shared objects that a log determines (reference, sections 4.1.2 to 4.1.4).
//!
//! A replay folds a *step* over the events, oldest first. Each step function is written once, here. The hosted machine
//! folds the step over the log of a run. The prover folds the step over the events of each path, and proves that the
//! result equals the primitive's change of the objects. The replay of a log can fail: [`Undefined`].
use crate::core::constants::*;
use crate::core::fields::{ChannelLock, Frame, Owner, SyncChannel, place};
use crate::core::log::Event;
use crate::core::machine::Machine;
use crate::core::stuck::documented;
use domain::Flag;

documented! {
/// The requirement of an event that does not hold, so that the log cannot be replayed.
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
    /// There is no such queue, or the CPU that logs the event does not have it.
    NoQueue,
    /// No thread is ready to run in place of the one that sleeps.
    NothingReady,
    /// The thread that was woken is not in flight to the CPU that it belongs to.
    NotInFlight,
    /// The lock that is taken is not free.
    NotFreeLock,
    /// An event of a critical section by a CPU that does not hold the lock.
    NotHolder,
    /// The critical section has more events than its budget.
    NoBudget,
}
}

fn need(holds: bool, or: Undefined) -> Result<(), Undefined> {
    if holds { Ok(()) } else { Err(or) }
}

/// The step of `replay_AT` for frame `p`: its entry in the allocation table, and its owner.
///
/// # Errors
/// [`Undefined::NotFree`] if the event allocates this frame and the frame is not free; [`Undefined::NotGiven`] if the
/// event releases this frame and the frame is not this CPU's.
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

/// A queue of threads in an event.
#[derive(Clone, Copy, Debug)]
pub enum QueueOf<M: Machine> {
    /// The ready queue of a CPU (`rdy`).
    Ready(M::Word),
    /// The pending queue of a CPU (`msg`).
    Pending(M::Word),
    /// The sleep queue of a condition variable (`slp`).
    Sleeping(M::Word),
}

/// The outcome of an event of the scheduler (`Out`).
#[derive(Clone, Copy, Debug)]
pub enum Out<M: Machine> {
    /// A child became ready.
    Spawned,
    /// A thread yielded.
    Yield {
        /// The thread that runs now.
        next: M::Word,
        /// The thread of the pending queue that became ready; it may be `next`.
        drained: Option<M::Word>,
    },
    /// The thread that runs in place of the one that sleeps or has ended.
    RunId(M::Word),
    /// No thread slept there.
    WakeNone,
    /// This thread of the CPU became ready.
    WakeLocal(M::Word),
    /// This thread, of this other CPU, is in flight to it.
    WakeRemote(M::Word, M::Word),
    /// The woken thread has joined the pending queue.
    Inserted,
    /// The scheduler does nothing for this event.
    Other,
}

/// The state of `replay_TCB`: where each thread is, and which threads run.
pub trait Scheduler<M: Machine> {
    /// The thread that `cpu` runs.
    fn running(&self, cpu: M::Word) -> M::Word;
    /// Where `thread` is: the id of its queue, or a value of [`place`].
    fn place(&self, thread: M::Word) -> M::Word;
    /// The CPU to which `thread` belongs.
    fn home(&self, thread: M::Word) -> M::Word;
    /// Makes `thread` alive; it belongs to `cpu`.
    fn spawn(&mut self, thread: M::Word, cpu: M::Word);
    /// Ends the process of `thread`.
    fn end(&mut self, thread: M::Word);
    /// Makes `cpu` run `thread`.
    fn run(&mut self, cpu: M::Word, thread: M::Word);
    /// Appends `thread` to the queue.
    ///
    /// # Errors
    /// [`Undefined::NoQueue`].
    fn push(&mut self, queue: QueueOf<M>, thread: M::Word) -> Result<(), Undefined>;
    /// Takes the first thread out of the queue; the thread is in flight.
    ///
    /// # Errors
    /// [`Undefined::NoQueue`].
    fn pop(&mut self, queue: QueueOf<M>) -> Result<Option<M::Word>, Undefined>;
}

/// The step of `replay_TCB`.
///
/// For every event, even if the scheduler does nothing for it, it requires that the event's thread runs. The
/// reference does not require this.
///
/// # Errors
/// The requirement of the event that does not hold.
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
            // At most one thread for each yield.
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

/// The step of `replay_LOCK` for channel `q`: its lock, and how many words its mailbox holds.
///
/// # Errors
/// [`Undefined::NotFreeLock`] if the event takes the lock and the lock is held, [`Undefined::NotHolder`] if the event
/// belongs to a critical section of a CPU that does not hold the lock (mutual exclusion), [`Undefined::NoBudget`] if
/// the section's budget is used up.
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
