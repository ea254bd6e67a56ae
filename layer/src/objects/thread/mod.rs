//! Threads: primitives 6 to 8, 17 and 18.
pub mod spec;

use crate::core::call::{Answer, Call};
use crate::core::constants::*;
use crate::core::fields::{CONTINUATIONS, Context, SyncChannel, ThreadGhost, place};
use crate::core::log::{Event, Log};
use crate::core::machine::{ChannelPool, Links, Lock, Machine};
use crate::core::state::{Cpu, Own, Shared};
use crate::core::stuck::{Stuck, require};
use crate::objects::channel::pool::Cv;
use crate::objects::channel::{require_budget, require_held};
use domain::{Flag, Ghost, Map};

/// The context at which the CPU continues after a switch.
///
/// The value cannot be copied, and only the machine's last step of a kernel entry consumes it.
#[must_use]
#[derive(Debug)]
pub struct Resume<M: Machine>(Context<M>);

impl<M: Machine> Resume<M> {
    /// The result of a primitive that ends in a switch, from its answer.
    pub(crate) fn of(answer: &Answer<M>) -> Self {
        Resume(answer.context())
    }

    /// The context in which the next thread continues.
    pub fn context(&self) -> Context<M> {
        self.0
    }

    /// Consumes the value.
    pub fn into_context(self) -> Context<M> {
        self.0
    }
}

/// 6 `thread_wakeup(cv) -> 0|1`: makes the first thread that sleeps on `cv` ready; 1 if there was one.
///
/// A thread of another CPU joins that CPU's pending queue, and becomes ready when that CPU yields. Appends
/// `WAKE(cur, cv)` and, for a thread of another CPU, `WAKE_DIFF(cur, cv, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`]; [`Stuck::NoContainer`] if a thread of this CPU
/// has no container, [`Stuck::NotSpawned`] if the head of the queue is not a sleeping thread (P5);
/// [`Stuck::BadThread`], [`Stuck::Queued`].
#[inline]
pub fn thread_wakeup<M: Machine>(cpu: &mut Cpu<'_, M>, cv: Cv<M>) -> Result<M::Word, Stuck> {
    let call = || Call::new("thread_wakeup", [cv.0]);
    M::call(cpu, call, Answer::word, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        require(cv.0 < NUM_CV, Stuck::BadChannel)?;
        let (own, shared) = (&mut cpu.own, cpu.shared);
        let mut sleepers = shared.sleep.lock(own.cpu, cv.0);
        let woken = sleepers.fifo.head;
        if woken == NO_THREAD {
            sleepers.log.push(own.cpu, Event::Wake { tid: own.cur, cv: cv.0 });
            return Ok(0.into());
        }
        // Threads of this CPU have containers (P5). Of threads of other CPUs, this CPU knows only that they were
        // created.
        let queue = cv.channel().0;
        // Equivalent mutants (`==`: true): the first thread of a sleep queue is in that queue, by the queue's own
        // invariant.
        let spawned = |t: ThreadGhost<M>| t.place == queue;
        // Equivalent mutants (`<`: true, off by one): a queue holds only threads, by its own invariant.
        require(shared.links.check(|tcb| woken < NUM_PROC && spawned(tcb.get([woken]))), Stuck::NotSpawned)?;
        let home = shared.links.cpu(woken);
        if home == own.cpu {
            // Equivalent mutants (flag: true): a thread of this CPU is alive, so its container is in use (D12).
            require(own.ac.get([woken]).used.holds(), Stuck::NoContainer)?;
            sleepers.fifo.pop(&shared.links);
            own.ready.push(&shared.links, own.cpu, woken)?;
            sleepers.log.push(own.cpu, Event::Wake { tid: own.cur, cv: cv.0 });
        } else {
            // Equivalent mutants (`<`: true, off by one): a sleeping thread is alive, so it belongs to a CPU (D4.6).
            // Never false: a sleeping thread is alive and belongs to a CPU. This is part of the threads' invariant,
            // which holds whenever a lock is taken.
            require(home < TOTAL_CPU, Stuck::BadThread)?;
            // Another CPU must not see a thread that sleeps and is in no queue, so no event of another CPU may come
            // between the two.
            let mut pending = shared.pending.lock(own.cpu, home);
            sleepers.fifo.pop(&shared.links);
            pending.fifo.push(&shared.links, home + MSG_Q, woken)?;
            sleepers.log.push(own.cpu, Event::Wake { tid: own.cur, cv: cv.0 });
            sleepers.log.push(own.cpu, Event::WakeDiff { tid: own.cur, cv: cv.0, woken, cpu: home });
        }
        Ok(1.into())
    })
}

/// 7 `thread_yield()`: the running thread joins the ready queue of its CPU, and the first thread there runs.
///
/// Before that, one thread of the pending queue, woken by another CPU, joins the ready queue. The caller continues at
/// `rs` later, or at once if no other thread is ready (P4). Appends `YIELD(cur)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoContainer`] if the running or the woken thread has none,
/// [`Stuck::Queued`], [`Stuck::NothingReady`], [`Stuck::BadThread`], [`Stuck::BadContext`].
#[inline]
pub fn thread_yield<M: Machine>(cpu: &mut Cpu<'_, M>, rs: Context<M>) -> Result<Resume<M>, Stuck> {
    let call = || Call { context: rs, ..Call::new("thread_yield", []) };
    M::call(cpu, call, Resume::of, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        let (own, shared) = (&mut cpu.own, cpu.shared);
        require(own.ac.get([own.cur]).used.holds(), Stuck::NoContainer)?;
        let mut pending = shared.pending.lock(own.cpu, own.cpu);
        if let Some(drained) = pending.fifo.pop(&shared.links) {
            // Equivalent mutants (flag: true): a thread in a queue of this CPU is alive, so its container is in use
            // (D12).
            require(own.ac.get([drained]).used.holds(), Stuck::NoContainer)?;
            own.ready.push(&shared.links, own.cpu, drained)?;
        }
        pending.log.push(own.cpu, Event::Yield { tid: own.cur });
        drop(pending);
        own.ready.push(&shared.links, own.cpu, own.cur)?;
        run_next(own, shared, rs)
    })
}

/// 8 `thread_sleep(cv)`: the running thread sleeps on `cv` and, in the same step, releases the lock of its channel. The
/// first thread of the ready queue runs. Once woken and scheduled, the caller continues at `rs`, without the lock.
///
/// The pending queue is not consulted. Appends `SLEEP(cur, cv, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`], [`Stuck::BadThread`], [`Stuck::MainSleeps`]
/// (P34: a thread is always ready), [`Stuck::LockNotHeld`], [`Stuck::NoBudget`] if the critical section has less than
/// two events left, [`Stuck::NoContainer`], [`Stuck::NothingReady`], [`Stuck::Queued`], [`Stuck::BadContext`].
#[inline]
pub fn thread_sleep<M: Machine>(cpu: &mut Cpu<'_, M>, cv: Cv<M>, rs: Context<M>) -> Result<Resume<M>, Stuck> {
    let call = || Call { context: rs, ..Call::new("thread_sleep", [cv.0]) };
    M::call(cpu, call, Resume::of, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        // Equivalent mutants (`<`: off by one): the first number out of range has no channel whose lock could be
        // held.
        require(cv.0 < NUM_CV, Stuck::BadChannel)?;
        require(cpu.own.cur > 0, Stuck::BadThread)?;
        require(cpu.own.cur != cpu.own.cpu + 1, Stuck::MainSleeps)?;
        let channel = cv.channel();
        // Equivalent mutants (`<`: true, off by one): every condition variable has a channel.
        require_held(cpu, channel)?;
        require_budget(cpu, channel, 2)?;
        let (own, shared) = (&mut cpu.own, cpu.shared);
        require(own.ac.get([own.cur]).used.holds(), Stuck::NoContainer)?;
        require(own.ready.head != NO_THREAD, Stuck::NothingReady)?;
        let mut sleepers = shared.sleep.lock(own.cpu, cv.0);
        sleepers.fifo.push(&shared.links, channel.0, own.cur)?;
        shared.channels.with(|channels| {
            let SyncChannel { to, senderpaddr, count, busy } = channels.pool.get([channel.0]);
            sleepers.log.push(own.cpu, Event::Sleep { tid: own.cur, cv: cv.0, to, senderpaddr, count, busy });
            channels.given_back(channel);
        });
        drop(sleepers);
        own.ghost.update(|g| g.leave(channel));
        shared.channels.release(own.cpu, channel.0);
        run_next(own, shared, rs)
    })
}

/// Saves `rs` as the continuation of the running thread, and runs the first thread of the ready queue.
#[inline(always)]
pub(crate) fn run_next<M: Machine>(own: &mut Own<M>, shared: &Shared<M>, rs: Context<M>) -> Result<Resume<M>, Stuck> {
    own.kctxt.set([own.cur], rs);
    let next = own.ready.pop(&shared.links).ok_or(Stuck::NothingReady)?;
    // Equivalent mutants (`<`: true, off by one): a queue holds only threads (D4.4).
    // Never false: the thread is the head of a queue. If its number were out of range, the path would have ended where
    // the queue looked at its link.
    require(next < NUM_PROC, Stuck::BadThread)?;
    shared.links.update(|tcb| tcb.update([next], |t| t.place = place::RUN.into()));
    own.cur = next;
    let resume = own.kctxt.get([next]);
    // Equivalent mutants (`<`: true, off by one): a thread that does not run has a saved continuation
    // (L3).
    require(resume.ra < CONTINUATIONS, Stuck::BadContext)?;
    Ok(Resume(resume))
}

/// 17 `get_CPU_ID() -> u32`: the number of this CPU.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline(always)]
pub fn get_cpu_id<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(cpu.own.cpu)
}

/// 18 `get_curid() -> u32`: the number of the running thread.
///
/// # Errors
/// [`Stuck::NotPaging`].
#[inline(always)]
pub fn get_curid<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    Ok(cpu.own.cur)
}
