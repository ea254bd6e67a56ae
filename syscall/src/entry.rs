//! The entries of the kernel, and the steps that they go on with: everything that a machine calls.
//!
//! Each is one straight line that ends in a [`Next`]. None is stuck in a state that satisfies the invariant and its
//! own condition, whatever a program has in its registers and whatever the machine answers.
use crate::calls::{dispatch, slowly};
use crate::memory::{Reserved, reserve};
use crate::message::{receive, send};
use crate::next::Next;
use crate::process::{end, stop, stop_at_fault, wait};
use crate::spawn::{Parent, spawn};
use crate::stage::{Stage, leave};
use crate::system::System;
use crate::unchecked::{Address, Unchecked};
use abi::Reason;
use domain::Map;
use layer::constants::{perm, slot};
use layer::process::{proc_exit_user, proc_exit_user2, proc_start_user, sched_init};
use layer::state::Cpu;
use layer::stuck::Stuck;
use layer::thread::{Resume, get_cpu_id, get_curid};
use layer::trap::trap_get;

pub use crate::message::wake_step;
pub use crate::process::STEPS_AT_ONCE;
pub use crate::spawn::load_step;

/// A CPU begins: its state is set up, then its main thread runs.
///
/// # Errors
/// Those of [`sched_init`]: the machine's description is no use.
pub fn boot<M: System>(cpu: &mut Cpu<'_, M>, mbi: M::Word) -> Result<Next<M>, Stuck> {
    sched_init(cpu, mbi)?;
    Ok(Next::GoOn(Stage::Main))
}

/// A program has executed `syscall` (reference, section 8.6).
///
/// # Errors
/// [`Stuck::NotUserMode`] when no program was running; none for any registers.
#[inline(always)]
pub fn system_call<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<Next<M>, Stuck> {
    proc_exit_user2(cpu, registers)?;
    dispatch(cpu)
}

/// A program has faulted at the address in `ti` (reference, section 8.3, and P41): the page is reserved, or the
/// program is stopped.
///
/// The reference would let it fault for ever where no page can be had and where the address is outside the window.
///
/// # Errors
/// [`Stuck::NotUserMode`] when no program was running; none for any address.
pub fn page_fault<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    let fault = trap_get(cpu)?;
    let Some(address) = Address::in_window_wide(Unchecked::new(fault)) else {
        return stop_at_fault(cpu, Reason::BadAddress);
    };
    let cur = get_curid(cpu)?;
    match reserve(cpu, cur, &address, perm::PTU)? {
        Reserved::Fresh => Ok(Next::ToUser(proc_start_user(cpu)?)),
        Reserved::Mapped => stop_at_fault(cpu, Reason::ProtectionFault),
        Reserved::Exhausted => stop_at_fault(cpu, Reason::OutOfQuota),
    }
}

/// A program has raised an exception that is no page fault: it is stopped.
///
/// # Errors
/// [`Stuck::NotUserMode`] when no program was running.
pub fn exception<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers, reason: Reason) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    let cur = get_curid(cpu)?;
    let rip = cpu.own.uctxt.get([cur, slot::EIP.into()]).value;
    stop(cpu, reason, rip, rip)
}

/// A device, or the timer, has interrupted a program: the other threads of its CPU get their turns.
///
/// # Errors
/// [`Stuck::NotUserMode`] when no program was running.
pub fn interrupt<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    leave(cpu, Stage::StartUser)
}

/// A thread goes on after a switch, with the stage that it saved.
///
/// # Errors
/// [`Stuck::BadContext`] when there is no such stage.
#[inline(always)]
pub fn resume<M: System>(cpu: &mut Cpu<'_, M>, context: Resume<M>) -> Result<Next<M>, Stuck> {
    go_on(cpu, Stage::of(context.into_context())?)
}

/// The running thread goes on with `stage`.
///
/// # Errors
/// None in kernel mode.
#[inline(always)]
pub fn go_on<M: System>(cpu: &mut Cpu<'_, M>, stage: Stage) -> Result<Next<M>, Stuck> {
    match stage {
        Stage::StartUser => Ok(Next::ToUser(proc_start_user(cpu)?)),
        Stage::Main => slowly(cpu, main_thread),
        Stage::Exited => slowly(cpu, end),
        Stage::Send => slowly(cpu, send),
        Stage::Receive => slowly(cpu, receive),
        Stage::Wait => slowly(cpu, wait),
    }
}

/// The main thread runs: it starts what the boot list has next for its CPU, if anything, or lets others run.
///
/// # Errors
/// None in kernel mode.
fn main_thread<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let me = get_cpu_id(cpu)?;
    if let Some(start) = M::next_start(me) {
        return spawn(cpu, Parent::Main, start.image, start.quota);
    }
    let before = get_curid(cpu)?;
    let next = leave(cpu, Stage::Main)?;
    if get_curid(cpu)? == before {
        M::idle(me);
    }
    Ok(next)
}
