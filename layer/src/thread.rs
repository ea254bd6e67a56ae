//! Threads: primitives 7, 17 and 18.
use crate::call::Call;
use crate::constants::*;
use crate::fields::{Context, STAGES, place};
use crate::log::{Event, Log};
use crate::machine::{Links, Lock, Machine};
use crate::state::Cpu;
use crate::stuck::{Stuck, require};
use domain::{Flag, Map};

/// The context to go on with, after a switch.
///
/// It cannot be copied, and only the machine's last step of a kernel entry uses it up.
#[must_use]
#[derive(Debug)]
pub struct Resume<M: Machine>(Context<M>);

impl<M: Machine> Resume<M> {
    /// Uses it up.
    pub fn into_context(self) -> Context<M> {
        self.0
    }
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
    M::call(
        cpu,
        call,
        |answer| Resume(answer.context()),
        |cpu| {
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
            own.kctxt.set([own.cur], rs);
            let next = own.ready.pop(&shared.links).ok_or(Stuck::NothingReady)?;
            require(next < NUM_PROC, Stuck::BadThread)?;
            shared.links.update(|tcb| tcb.update([next], |t| t.place = place::RUN.into()));
            own.cur = next;
            let resume = own.kctxt.get([next]);
            require(resume.ra < STAGES, Stuck::BadContext)?;
            Ok(Resume(resume))
        },
    )
}

/// 17 `get_CPU_ID() -> u32`: this CPU.
///
/// # Errors
/// [`Stuck::NotKernelMode`].
#[inline]
pub fn get_cpu_id<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hk()?;
    Ok(cpu.own.cpu)
}

/// 18 `get_curid() -> u32`: the running thread.
///
/// # Errors
/// [`Stuck::NotPaging`].
#[inline]
pub fn get_curid<M: Machine>(cpu: &Cpu<'_, M>) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    Ok(cpu.own.cur)
}
