//! The end of processes: `exit`, `wait`, `kill`, and the steps in which an ended process releases everything
//! it has.
//!
//! The steps of an ended process are a continuation, [`Continuation::Exited`]. Each step releases one page or one page
//! table, or reaps one child. The progress is in the process's saved registers ([`mod@progress`]), which its program no
//! longer needs. No proof relies on these registers: for any contents, no step is stuck, and a process is gone only
//! when it uses nothing.
//!
//! A thread that waits for a child sleeps on a condition variable of its CPU that programs cannot name ([`ended`]).
//! When a process is about to be gone, it wakes all threads that sleep there, and each of them checks again. A parent
//! and its children are on one CPU, and nothing else runs on that CPU between the wake-up and the end, so no end is
//! missed.
//!
//! A killed child continues with its end when it runs again. The child is on the killer's CPU, so it does not run at
//! that moment: it is ready, pending or asleep. If it sleeps, it is woken with all others on its channel, which begin
//! their calls again. No lock is lost, since threads are switched only when they hold none. The end of a killed
//! process kills its children, and so on.
use crate::continuation::{Continuation, context, is_main, saved};
use crate::next::{Next, Wake, leave, sleep, slowly};
use crate::registers::{FIFTH, FIRST, FOURTH, NUMBER, SECOND, THIRD, answer, argument, back, refuse};
use crate::system::{Event, System};
use crate::unchecked::{Address, Unchecked};
use abi::{CHANNELS, Cause, Error, Reason};
use domain::{Map, Wide};
use layer::core::constants::{ADR_LOW, MAX_CHILDREN, NUM_CV, NUM_PROC, TOTAL_CPU};
use layer::core::fields::process::{GONE, LIVE};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::channel::acquire_lock_chan;
use layer::objects::channel::pool::Cv;
use layer::objects::container::container_get_usage;
use layer::objects::context::{uctx_get, uctx_set};
use layer::objects::page_table::{pt_free_pde, pt_next_pde, pt_rmv};
use layer::objects::process::{proc_condemn, proc_first, proc_reap, proc_state, thread_exit};
use layer::objects::thread::{get_cpu_id, get_curid};
use layer::objects::trap::{trap_get, trap_set};
use layer::objects::vmx::ownership::{vmx_owner, vmx_release};

const _: () = assert!(CHANNELS + TOTAL_CPU <= NUM_CV, "each CPU has a condition variable that programs cannot name");

/// The saved registers of an ended process.
mod progress {
    use super::*;

    /// The exit status for its parent.
    pub const STATUS: u32 = FIRST;
    /// The number of a [`Cause`].
    pub const CAUSE: u32 = THIRD;
    /// The address up to which its page map has been released; [`DONE`] after the last.
    pub const ADDRESS: u32 = SECOND;
    /// The page map is empty.
    pub const DONE: u32 = 0;
    /// Index of the child to kill next; `MAX_CHILDREN` if it kills none.
    pub const CHILD: u32 = FOURTH;
    /// Number of steps until other threads get their turn.
    pub const STEPS: u32 = FIFTH;
    /// [`WOKEN`] if the waiting threads have been woken.
    pub const ANNOUNCED: u32 = NUMBER;
    /// See [`ANNOUNCED`].
    pub const WOKEN: u32 = 1;
}

/// The number of steps of an end that a thread executes in one turn, before other threads get theirs. Also the number
/// of steps of any kind that a CPU executes in the kernel before it admits interrupts.
pub const STEPS_AT_ONCE: u32 = 64;

/// The condition variable on which this CPU's threads wait for a child.
#[inline]
fn ended<M: System>(cpu: &Cpu<'_, M>) -> Result<Cv<M>, Stuck> {
    Ok(Cv(get_cpu_id(cpu)? + CHANNELS))
}

/// The running thread sleeps until a process of this CPU ends, and then continues at `continuation`.
fn sleep_until_one_ends<M: System>(cpu: &mut Cpu<'_, M>, continuation: Continuation) -> Result<Next<M>, Stuck> {
    let cv = ended(cpu)?;
    acquire_lock_chan(cpu, cv.channel())?;
    sleep(cpu, cv, continuation)
}

/// Prepares the end of the process of `thread`, which continues at [`Continuation::Exited`]. If the cause is
/// [`Cause::Killed`], its children are killed as well.
fn begin_end<M: System>(cpu: &mut Cpu<'_, M>, thread: M::Word, (status, cause): (M::Word, Cause)) -> Result<(), Stuck> {
    let child = if cause == Cause::Killed { 0 } else { MAX_CHILDREN };
    for (slot, value) in [
        (progress::STATUS, status),
        (progress::CAUSE, cause.number().into()),
        (progress::ADDRESS, ADR_LOW.into()),
        (progress::CHILD, child.into()),
        (progress::STEPS, STEPS_AT_ONCE.into()),
        (progress::ANNOUNCED, 0.into()),
    ] {
        uctx_set(cpu, thread, slot.into(), value)?;
    }
    Ok(())
}

/// `exit(status)`: the caller ends.
pub(crate) fn exit<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let status = argument(cpu, FIRST)?.any();
    M::report(cpu, Event::Exited { status });
    let cur = get_curid(cpu)?;
    begin_end(cpu, cur, (status, Cause::Exited))?;
    Ok(Next::Continue(Continuation::Exited))
}

/// Stops the running program at the fault in `ti`.
pub(crate) fn stop_at_fault<M: System>(cpu: &mut Cpu<'_, M>, reason: Reason) -> Result<Next<M>, Stuck> {
    let (address, rip) = (trap_get(cpu)?, trap_set(cpu)?);
    stop(cpu, reason, address, rip)
}

/// Stops the running program; all others continue. Its status for the parent is the low half of `address`.
pub(crate) fn stop<M: System>(
    cpu: &mut Cpu<'_, M>,
    reason: Reason,
    address: M::Wide,
    rip: M::Wide,
) -> Result<Next<M>, Stuck> {
    M::report(cpu, Event::Stopped { reason, address, rip });
    let cur = get_curid(cpu)?;
    begin_end(cpu, cur, (address.low(), Cause::Stopped(reason)))?;
    Ok(Next::Continue(Continuation::Exited))
}

/// `wait(child, wait) -> child, status, cause`, from the beginning: reaps `child`, or any child if it is 0, that has
/// ended. The child's quota returns to the caller.
///
/// # Errors
/// None in kernel mode, for any arguments.
pub(crate) fn wait<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    // The main thread must not sleep (P34), and has no children to wait for: they reap themselves.
    if is_main(cpu)? {
        return refuse(cpu, Error::InvalId);
    }
    let named = argument(cpu, FIRST)?.any();
    let is_any = named == 0;
    let gone = child_that_is(cpu, named, is_any, GONE)?;
    if gone != 0 {
        let cause = cpu.own.proc.get([gone]).cause;
        let status = proc_reap(cpu, gone)?;
        let cur = get_curid(cpu)?;
        uctx_set(cpu, cur, SECOND.into(), status)?;
        uctx_set(cpu, cur, THIRD.into(), cause)?;
        return back(cpu, Ok(gone));
    }
    if child_that_is(cpu, named, is_any, LIVE)? == 0 {
        return refuse(cpu, Error::InvalId);
    }
    if argument(cpu, SECOND)?.is(0) {
        return refuse(cpu, Error::Ipc);
    }
    sleep_until_one_ends(cpu, Continuation::Wait)
}

/// The child `named` of the running thread, or its first child if `is_any`, whose process is in `state`; 0 if there is
/// none.
fn child_that_is<M: System>(cpu: &Cpu<'_, M>, named: M::Word, is_any: bool, state: u32) -> Result<M::Word, Stuck> {
    if is_any {
        return proc_first(cpu, state.into());
    }
    Ok(if proc_state(cpu, named)? == state + 1 { named } else { 0.into() })
}

/// `kill(child)`: ends a child in any state, and all its descendants.
///
/// # Errors
/// None in kernel mode, for any argument.
pub(crate) fn kill<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let child = argument(cpu, FIRST)?.any();
    if proc_state(cpu, child)? != LIVE + 1 {
        return refuse(cpu, Error::InvalId);
    }
    answer(cpu, Ok(0.into()))?;
    condemn(cpu, child, Continuation::StartUser)
}

/// Kills `child`, a live child of the running thread; then the running thread continues at `then`.
fn condemn<M: System>(cpu: &mut Cpu<'_, M>, child: M::Word, then: Continuation) -> Result<Next<M>, Stuck> {
    let continuation = cpu.own.kctxt.get([child]).ra;
    let transfers = continuation == Continuation::Send as u32 || continuation == Continuation::Receive as u32;
    // The condition variable on which the child sleeps, if it sleeps.
    let cv = if transfers {
        Unchecked::<M::Word>::new(uctx_get(cpu, child, FIRST.into())?).below(CHANNELS).map(Cv)
    } else if continuation == Continuation::Wait as u32 || continuation == Continuation::Exited as u32 {
        Some(ended(cpu)?)
    } else {
        None
    };
    if continuation == Continuation::Exited as u32 {
        // The child has already ended, and waits for its children: now it kills them.
        uctx_set(cpu, child, progress::CHILD.into(), 0.into())?;
    } else {
        begin_end(cpu, child, (0.into(), Cause::Killed))?;
        proc_condemn(cpu, child, context(child, Continuation::Exited))?;
    }
    M::report(cpu, Event::Killed { child });
    Ok(match cv {
        Some(cv) => Next::Wake(Wake { cv: cv.0, left: NUM_PROC.into(), then }),
        None => Next::Continue(then),
    })
}

/// One step of the end of the running thread's process.
///
/// The end lasts until all children have ended, because the pages that they use are charged to their parent
/// as well.
///
/// # Errors
/// None in kernel mode.
pub(crate) fn end<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    if is_main(cpu)? {
        return leave(cpu, Continuation::Exited);
    }
    let cur = get_curid(cpu)?;
    // First of all: no frame is released while a guest could reach it.
    if vmx_owner(cpu)? == cur {
        return slowly(cpu, |cpu| {
            vmx_release(cpu)?;
            Ok(Next::Continue(Continuation::Exited))
        });
    }
    if argument(cpu, progress::ANNOUNCED)?.is(progress::WOKEN) {
        return be_gone(cpu);
    }
    let left = argument(cpu, progress::STEPS)?.at_most(STEPS_AT_ONCE.into());
    if left == 0 {
        uctx_set(cpu, cur, progress::STEPS.into(), STEPS_AT_ONCE.into())?;
        return leave(cpu, Continuation::Exited);
    }
    uctx_set(cpu, cur, progress::STEPS.into(), left - 1)?;
    if let Some(k) = argument(cpu, progress::CHILD)?.below(MAX_CHILDREN) {
        uctx_set(cpu, cur, progress::CHILD.into(), k + 1)?;
        let child = cur * MAX_CHILDREN + 1 + k;
        if proc_state(cpu, child)? == LIVE + 1 {
            return condemn(cpu, child, Continuation::Exited);
        }
        return Ok(Next::Continue(Continuation::Exited));
    }
    let gone = proc_first(cpu, GONE.into())?;
    if gone != 0 {
        proc_reap(cpu, gone)?;
        return Ok(Next::Continue(Continuation::Exited));
    }
    let has_child = proc_first(cpu, LIVE.into())? != 0;
    if container_get_usage(cpu, cur)? == 0 && !has_child {
        return announce(cpu);
    }
    // Equivalent mutants (`==`: false): it only saves the search of a page map that is empty; the search ends in the
    // same sleep.
    if has_child && argument(cpu, progress::ADDRESS)?.is(progress::DONE) {
        return sleep_until_one_ends(cpu, Continuation::Exited);
    }
    give_back_next(cpu, has_child)
}

/// Releases the first page or page table at or after the reached address. If none is left, waits for the children.
fn give_back_next<M: System>(cpu: &mut Cpu<'_, M>, has_child: bool) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    let reached = argument(cpu, progress::ADDRESS)?;
    // Equivalent mutants (`<`: false): where the search begins matters only for its length, which the bench measures.
    // Equivalent mutants (`<=`: false, off by one): where the search begins matters only for its length, which the
    // bench measures.
    let from = Address::<M>::in_window(reached).map_or(ADR_LOW.into(), |address| address.word());
    let at = pt_next_pde(cpu, cur, from)?;
    if at != 0 {
        let mapped = pt_free_pde(cpu, cur, at)?;
        if mapped != 0 {
            pt_rmv(cpu, cur, mapped)?;
        }
        uctx_set(cpu, cur, progress::ADDRESS.into(), if mapped != 0 { mapped } else { at })?;
        return Ok(Next::Continue(Continuation::Exited));
    }
    if from != ADR_LOW {
        // The search starts again at the beginning, because the reached address is not trusted.
        uctx_set(cpu, cur, progress::ADDRESS.into(), ADR_LOW.into())?;
        return Ok(Next::Continue(Continuation::Exited));
    }
    uctx_set(cpu, cur, progress::ADDRESS.into(), progress::DONE.into())?;
    if has_child {
        return sleep_until_one_ends(cpu, Continuation::Exited);
    }
    leave(cpu, Continuation::Exited)
}

/// The running thread's process uses nothing any more: wakes the waiting threads; then the process is gone.
fn announce<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    uctx_set(cpu, cur, progress::ANNOUNCED.into(), progress::WOKEN.into())?;
    Ok(Next::Wake(Wake { cv: ended(cpu)?.0, left: NUM_PROC.into(), then: Continuation::Exited }))
}

/// The waiting threads have been woken. No other thread has run here since, so the process still uses nothing: it is
/// gone.
fn be_gone<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    if container_get_usage(cpu, cur)? != 0 || proc_first(cpu, LIVE.into())? != 0 {
        // The registers are not trusted, so the end continues.
        uctx_set(cpu, cur, progress::ANNOUNCED.into(), 0.into())?;
        return Ok(Next::Continue(Continuation::Exited));
    }
    let (status, cause) = (argument(cpu, progress::STATUS)?.any(), argument(cpu, progress::CAUSE)?.any());
    let context = saved(cpu, Continuation::Exited)?;
    Ok(Next::Switch(thread_exit(cpu, status, cause, context)?))
}
