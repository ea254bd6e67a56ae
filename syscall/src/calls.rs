//! The system calls, except those that have files of their own (`spawn`, `send`, `recv`, `exit`, `wait`, `kill`).
use crate::continuation::Continuation;
use crate::failure::Failure;
use crate::guest;
use crate::memory::own_page;
use crate::message::{receive, send};
use crate::next::{Next, Parent, leave, slowly};
use crate::process::{exit, kill};
use crate::registers::{FIRST, NUMBER, SECOND, THIRD, answer, argument, back, back_with, refuse};
use crate::spawn::spawn;
use crate::system::{Question, System};
use crate::unchecked::{Address, Unchecked};
use abi::{Call, Error, ThreadState};
use domain::{Flag, Map};
use layer::core::constants::{NO_CHARACTER, NUM_PROC, PAGE_SIZE, TOTAL_CPU, perm};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::console::cons_buf_read;
use layer::objects::console::serial::{serial_intr_disable, serial_intr_enable, serial_putc};
use layer::objects::container::{container_get_nchildren, container_get_quota, container_get_usage};
use layer::objects::context::{uctx_get, uctx_set};
use layer::objects::thread::{get_cpu_id, get_curid};

/// Executes the call that the running thread's saved registers name.
///
/// The compiler makes one function of a kernel entry and all that is inlined here. Only quick calls are inlined; all
/// others go through [`slowly`].
#[inline(always)]
pub(crate) fn dispatch<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    // The work of `argument` is repeated here, because each instruction counts.
    let cur = get_curid(cpu)?;
    let number = Unchecked::new(uctx_get(cpu, cur, NUMBER.into())?);
    let Some(call) = Call::ALL.iter().copied().find(|&call| number.is(call as u32)) else {
        return refuse(cpu, Error::InvalCallnr);
    };
    match call {
        Call::GetQuota => {
            let result = get_quota(cpu);
            back(cpu, result)
        }
        Call::Send => slowly(cpu, send),
        Call::Recv => slowly(cpu, receive),
        Call::ThreadInfo => slowly(cpu, thread_info),
        // The arguments are in the saved registers, where the continuation reads them.
        Call::Wait => Ok(Next::Continue(Continuation::Wait)),
        Call::Kill => slowly(cpu, kill),
        Call::WhoAmI => slowly(cpu, who_am_i),
        Call::Uptime => slowly(cpu, |cpu| back(cpu, Ok(M::tell(Question::Uptime).any()))),
        Call::Puts => slowly(cpu, |cpu| {
            let result = puts(cpu);
            back(cpu, result)
        }),
        Call::Putc => slowly(cpu, |cpu| {
            let result = putc(cpu);
            back(cpu, result)
        }),
        Call::Getc => slowly(cpu, |cpu| {
            let result = getc(cpu);
            back(cpu, result)
        }),
        Call::Spawn => slowly(cpu, |cpu| {
            let (image, quota) = (argument(cpu, FIRST)?, argument(cpu, SECOND)?);
            spawn(cpu, Parent::Program, image, quota)
        }),
        Call::Yield => {
            // The values are stored before the yield: afterwards the registers are another
            // thread's.
            answer(cpu, Ok(0.into()))?;
            leave(cpu, Continuation::StartUser)
        }
        Call::Exit => slowly(cpu, exit),
        Call::HvmCreate | abi::owner_calls!() => guest::dispatch(cpu, call),
    }
}

/// `puts(address, length) -> written`: writes bytes of the caller's memory to the console, at most to the end of the
/// page.
///
/// A page that the program has not touched yet is reserved first, as a load by the program would do.
fn puts<M: System>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Failure> {
    let (address, length) = (argument(cpu, FIRST)?, argument(cpu, SECOND)?);
    let address = Address::in_window(address).ok_or(Error::InvalAddr)?;
    let offset = address.offset();
    let length = length.at_most(M::Word::from(PAGE_SIZE) - offset);
    if length == 0 {
        return Ok(length);
    }
    let cur = get_curid(cpu)?;
    let page = own_page(cpu, cur, &address)?;
    // Programs may not read the kernel's pages.
    if page.permission != perm::PTU && page.permission != perm::PTUR {
        return Err(Error::InvalAddr.into());
    }
    M::console_write(cpu, page.frame, offset, length);
    Ok(length)
}

/// `putc(byte) -> byte`: writes the low 8 bits of the argument to the console.
fn putc<M: System>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Failure> {
    let byte = argument(cpu, FIRST)?.any();
    if !cpu.own.serial_exists.holds() {
        return Err(Error::NoDevice.into());
    }
    // `serial_putc` requires that received characters are taken first.
    serial_intr_disable(cpu)?;
    let sent = serial_putc(cpu, byte)?;
    serial_intr_enable(cpu)?;
    if sent == NO_CHARACTER {
        return Err(Error::SendFail.into());
    }
    Ok(sent)
}

/// `getc() -> byte`: the oldest unread byte of the console's input.
fn getc<M: System>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Failure> {
    if !cpu.own.serial_exists.holds() {
        return Err(Error::NoDevice.into());
    }
    serial_intr_disable(cpu)?;
    let read = cons_buf_read(cpu)?;
    serial_intr_enable(cpu)?;
    if read == NO_CHARACTER { Err(Error::NoChar.into()) } else { Ok(read) }
}

/// `thread_info(thread) -> state, image, quota, usage, children`: the state of a thread of this CPU and its resources.
fn thread_info<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let Some(thread) = argument(cpu, FIRST)?.below(NUM_PROC) else {
        return refuse(cpu, Error::InvalId);
    };
    // Every CPU has the containers of all main threads, and container 0, their common ancestor.
    let is_of_others = thread <= TOTAL_CPU && thread != get_cpu_id(cpu)? + 1;
    if is_of_others || !cpu.own.ac.get([thread]).used.holds() {
        return refuse(cpu, Error::InvalId);
    }
    let is_running = get_curid(cpu)? == thread;
    let state = if is_running { (ThreadState::Running as u32).into() } else { cpu.own.kctxt.get([thread]).ra };
    let image = M::tell(Question::Image { thread }).any();
    let (quota, usage) = (container_get_quota(cpu, thread)?, container_get_usage(cpu, thread)?);
    let children = container_get_nchildren(cpu, thread)?;
    back_with(cpu, state, [image, quota, usage, children])
}

/// `who_am_i() -> thread, cpu, parent`: the caller's thread, its CPU, and its parent's thread.
fn who_am_i<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    let (me, parent) = (get_cpu_id(cpu)?, cpu.own.ac.get([cur]).parent);
    uctx_set(cpu, cur, SECOND.into(), me)?;
    uctx_set(cpu, cur, THIRD.into(), parent)?;
    back(cpu, Ok(cur))
}

/// `get_quota() -> pages`: the number of pages that the caller can still allocate.
#[inline(always)]
fn get_quota<M: System>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Failure> {
    let cur = get_curid(cpu)?;
    Ok(container_get_quota(cpu, cur)? - container_get_usage(cpu, cur)?)
}
