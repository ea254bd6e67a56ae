//! Threads: primitives 6 to 8, 17 and 18.
use crate::call::Call;
use crate::channel::{Cv, require_budget, require_held};
use crate::constants::*;
use crate::contract::Answer;
use crate::fields::{Context, STAGES, SyncChannel, ThreadGhost, place};
use crate::log::{Event, Log};
use crate::machine::{ChannelPool, Links, Lock, Machine};
use crate::state::{Cpu, Own, Shared};
use crate::stuck::{Stuck, require};
use domain::{Flag, Ghost, Map};

/// The context to go on with, after a switch.
///
/// It cannot be copied, and only the machine's last step of a kernel entry uses it up.
#[must_use]
#[derive(Debug)]
pub struct Resume<M: Machine>(Context<M>);

impl<M: Machine> Resume<M> {
    /// What a primitive answers that ends in a switch.
    pub(crate) fn of(answer: &Answer<M>) -> Self {
        Resume(answer.context())
    }

    /// Uses it up.
    pub fn into_context(self) -> Context<M> {
        self.0
    }
}

/// 6 `thread_wakeup(cv) -> 0|1`: the first thread that sleeps on `cv` becomes ready; whether there was one.
///
/// One of another CPU joins that CPU's pending queue, and becomes ready when it yields. Appends `WAKE(cur, cv)` and, for one
/// of another CPU, `WAKE_DIFF(cur, cv, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`]; [`Stuck::NoContainer`] when a thread of this CPU has none,
/// [`Stuck::NotSpawned`] when what is first there is no thread that sleeps (P5); [`Stuck::BadThread`], [`Stuck::Queued`].
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
        // Threads of this CPU have containers (P5): of others, all that is known is that they were created.
        let queue = cv.channel().0;
        let spawned = |t: ThreadGhost<M>| t.place == queue;
        require(shared.links.check(|tcb| woken < NUM_PROC && spawned(tcb.get([woken]))), Stuck::NotSpawned)?;
        let home = shared.links.cpu(woken);
        if home == own.cpu {
            require(own.ac.get([woken]).used.holds(), Stuck::NoContainer)?;
            sleepers.fifo.pop(&shared.links);
            own.ready.push(&shared.links, own.cpu, woken)?;
            sleepers.log.push(own.cpu, Event::Wake { tid: own.cur, cv: cv.0 });
        } else {
            require(home < TOTAL_CPU, Stuck::BadThread)?;
            // Its CPU must not see it asleep in no queue: nothing of others comes between the two events.
            let mut pending = shared.pending.lock(own.cpu, home);
            sleepers.fifo.pop(&shared.links);
            pending.fifo.push(&shared.links, home + MSG_Q, woken)?;
            sleepers.log.push(own.cpu, Event::Wake { tid: own.cur, cv: cv.0 });
            sleepers.log.push(own.cpu, Event::WakeDiff { tid: own.cur, cv: cv.0, woken, cpu: home });
        }
        Ok(1.into())
    })
}

/// 7 `thread_yield()`: the running thread joins the ready queue of its CPU, the first one there runs.
///
/// One thread that others have woken (the pending queue) joins the ready queue before it. `rs` is what the caller
/// goes on with; alone, it goes on with it at once (P4). Appends `YIELD(cur)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::NoContainer`] when the running or the woken thread has none,
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
            require(own.ac.get([drained]).used.holds(), Stuck::NoContainer)?;
            own.ready.push(&shared.links, own.cpu, drained)?;
        }
        pending.log.push(own.cpu, Event::Yield { tid: own.cur });
        drop(pending);
        own.ready.push(&shared.links, own.cpu, own.cur)?;
        run_next(own, shared, rs)
    })
}

/// 8 `thread_sleep(cv)`: the running thread sleeps on `cv` and gives the lock of its channel back, at once; the first
/// thread of the ready queue runs. `rs` is what the caller goes on with when it was woken and runs again, without the lock.
///
/// Threads that others have woken stay where they are (the pending queue is not looked at). Appends `SLEEP(cur, cv, …)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadChannel`], [`Stuck::BadThread`], [`Stuck::MainSleeps`]
/// (P34: somebody is always ready), [`Stuck::LockNotHeld`], [`Stuck::NoBudget`] when the critical section has less than
/// two events left, [`Stuck::NoContainer`], [`Stuck::NothingReady`], [`Stuck::Queued`], [`Stuck::BadContext`].
#[inline]
pub fn thread_sleep<M: Machine>(cpu: &mut Cpu<'_, M>, cv: Cv<M>, rs: Context<M>) -> Result<Resume<M>, Stuck> {
    let call = || Call { context: rs, ..Call::new("thread_sleep", [cv.0]) };
    M::call(cpu, call, Resume::of, |cpu| {
        cpu.require_hkpt()?;
        cpu.require_init()?;
        require(cv.0 < NUM_CV, Stuck::BadChannel)?;
        require(cpu.own.cur > 0, Stuck::BadThread)?;
        require(cpu.own.cur != cpu.own.cpu + 1, Stuck::MainSleeps)?;
        let channel = cv.channel();
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

/// The running thread, which is in a queue, goes on with `rs` some day; the first one of the ready queue runs.
#[inline(always)]
pub(crate) fn run_next<M: Machine>(own: &mut Own<M>, shared: &Shared<M>, rs: Context<M>) -> Result<Resume<M>, Stuck> {
    own.kctxt.set([own.cur], rs);
    let next = own.ready.pop(&shared.links).ok_or(Stuck::NothingReady)?;
    require(next < NUM_PROC, Stuck::BadThread)?;
    shared.links.update(|tcb| tcb.update([next], |t| t.place = place::RUN.into()));
    own.cur = next;
    let resume = own.kctxt.get([next]);
    require(resume.ra < STAGES, Stuck::BadContext)?;
    Ok(Resume(resume))
}

/// 17 `get_CPU_ID() -> u32`: this CPU.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline(always)]
pub fn get_cpu_id<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(cpu.own.cpu)
}

/// 18 `get_curid() -> u32`: the running thread.
///
/// # Errors
/// [`Stuck::NotPaging`].
#[inline(always)]
pub fn get_curid<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    Ok(cpu.own.cur)
}
