//! The entries of the kernel and their steps: all that a machine calls.
//!
//! Each of them runs without unbounded loops, and ends in a [`Next`]. No entry is stuck in a state that satisfies the
//! invariant and its own precondition, for all registers of a program and all answers of the machine.
use crate::calls::dispatch;
use crate::continuation::Continuation;
use crate::memory::{Reserved, reserve};
use crate::message::{receive, send};
use crate::next::{EnterGuest, Next, Parent, leave, slowly};
use crate::process::{end, stop, stop_at_fault, wait};
use crate::spawn::spawn;
use crate::system::System;
use crate::unchecked::{Address, Unchecked};
use abi::Reason;
use domain::Map;
use layer::core::constants::{perm, slot};
use layer::core::machine::Machine;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::process::{ToUser, proc_exit_user, proc_exit_user2, proc_start_user};
use layer::objects::thread::{Resume, get_cpu_id, get_curid};
use layer::objects::trap::trap_get;

impl<M: System> Next<M> {
    /// Executes one more step in the kernel, or returns the program that continues.
    ///
    /// Every machine drives its CPUs with this function, step by step. Between two steps it may let other CPUs run.
    ///
    /// # Errors
    /// The errors of the step.
    #[inline(always)]
    pub fn step(self, cpu: &mut Cpu<'_, M>) -> Result<EntryStep<M>, Stuck> {
        Ok(EntryStep::Kernel(match self {
            Next::ToUser(to_user) => return Ok(EntryStep::User(to_user)),
            Next::ToGuest(guest) => return Ok(EntryStep::Guest(guest)),
            Next::Switch(context) => resume(cpu, context)?,
            Next::Load(load) => load_step(cpu, load)?,
            Next::Wake(wake) => wake_step(cpu, wake)?,
            Next::Continue(continuation) => go_on(cpu, continuation)?,
        }))
    }
}

/// The result of a step.
#[must_use]
#[derive(Debug)]
pub enum EntryStep<M: Machine> {
    /// The CPU is still in the kernel.
    Kernel(Next<M>),
    /// The CPU leaves the kernel.
    User(ToUser<M>),
    /// The CPU leaves the kernel for a guest. Its exit enters the kernel by [`guest_exit`].
    Guest(EnterGuest<M>),
}

pub use crate::guest::exit as guest_exit;
pub use crate::message::wake_step;
pub use crate::process::STEPS_AT_ONCE;
pub use crate::spawn::load_step;

/// Boots a CPU: sets up its state; then its main thread runs.
///
/// # Errors
/// The errors of [`sched_init`]: the machine's description is not usable.
pub fn boot<M: System>(cpu: &mut Cpu<'_, M>, mbi: M::Word) -> Result<Next<M>, Stuck> {
    sched_init(cpu, mbi)?;
    Ok(Next::Continue(Continuation::Main))
}

/// The entry of the instruction `syscall` (reference, section 8.6).
///
/// # Errors
/// [`Stuck::NotUserMode`] if no program was running; otherwise none, for any registers.
#[inline(always)]
pub fn system_call<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<Next<M>, Stuck> {
    proc_exit_user2(cpu, registers)?;
    dispatch(cpu)
}

/// The entry of a page fault at the address in `ti` (reference, section 8.3, and P41): reserves the page, or stops the
/// program.
///
/// In the reference, the program would fault for ever if there is no page or the address is outside
/// the window.
///
/// # Errors
/// [`Stuck::NotUserMode`] if no program was running; otherwise none, for any address.
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

/// The entry of an exception other than a page fault: stops the program.
///
/// # Errors
/// [`Stuck::NotUserMode`] if no program was running.
pub fn exception<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers, reason: Reason) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    let cur = get_curid(cpu)?;
    let rip = cpu.own.uctxt.get([cur, slot::EIP.into()]).value;
    stop(cpu, reason, rip, rip)
}

/// The entry of an interrupt by a device or the timer: the other threads of the CPU get their turns.
///
/// # Errors
/// [`Stuck::NotUserMode`] if no program was running.
pub fn interrupt<M: System>(cpu: &mut Cpu<'_, M>, registers: M::Registers) -> Result<Next<M>, Stuck> {
    proc_exit_user(cpu, registers)?;
    leave(cpu, Continuation::StartUser)
}

/// A thread continues after a switch, at the continuation that it saved.
///
/// # Errors
/// [`Stuck::BadContext`] if there is no such continuation.
#[inline(always)]
pub fn resume<M: System>(cpu: &mut Cpu<'_, M>, context: Resume<M>) -> Result<Next<M>, Stuck> {
    go_on(cpu, Continuation::of(context.into_context())?)
}

/// The running thread continues at `continuation`.
///
/// # Errors
/// None in kernel mode.
#[inline(always)]
pub fn go_on<M: System>(cpu: &mut Cpu<'_, M>, continuation: Continuation) -> Result<Next<M>, Stuck> {
    match continuation {
        Continuation::StartUser => Ok(Next::ToUser(proc_start_user(cpu)?)),
        Continuation::Main => slowly(cpu, main_thread),
        Continuation::Exited => slowly(cpu, end),
        Continuation::Send => slowly(cpu, send),
        Continuation::Receive => slowly(cpu, receive),
        Continuation::Wait => slowly(cpu, wait),
    }
}

/// The main thread: starts the next program that the boot list has for its CPU; if there is none, lets
/// other threads run.
///
/// # Errors
/// None in kernel mode.
fn main_thread<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let me = get_cpu_id(cpu)?;
    if let Some(start) = M::next_start(me) {
        return spawn(cpu, Parent::Main, start.image, start.quota);
    }
    let before = get_curid(cpu)?;
    let next = leave(cpu, Continuation::Main)?;
    if get_curid(cpu)? == before {
        M::idle(me);
    }
    Ok(next)
}
