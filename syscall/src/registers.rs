//! Arguments and results of system calls, in the saved registers of the caller (reference, section 8.6).
use crate::failure::Failure;
use crate::next::Next;
use crate::system::System;
use crate::unchecked::Unchecked;
use abi::Error;
use layer::core::constants::slot;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::context::{uctx_get, uctx_set};
use layer::objects::process::proc_start_user2;
use layer::objects::thread::get_curid;

/// The slot of the call's number; after the call, of the error number.
pub(crate) const NUMBER: u32 = slot::EAX;
/// The slot of the first argument and of the first result.
pub(crate) const FIRST: u32 = slot::EBX;
/// The slot of the second argument: R10, because `syscall` destroys the reference's ECX.
pub(crate) const SECOND: u32 = slot::R10;
/// The slot of the third argument.
pub(crate) const THIRD: u32 = slot::EDX;
/// The slot of the fourth argument.
pub(crate) const FOURTH: u32 = slot::ESI;
/// The slot of the fifth result.
pub(crate) const FIFTH: u32 = slot::EDI;

/// The running thread's value in `slot`.
#[inline(always)]
pub(crate) fn argument<M: System>(cpu: &Cpu<'_, M>, slot: u32) -> Result<Unchecked<M::Word>, Stuck> {
    let cur = get_curid(cpu)?;
    Ok(Unchecked::new(uctx_get(cpu, cur, slot.into())?))
}

/// Stores the result of a call, or the error number of its refusal.
///
/// # Errors
/// That of a call that is stuck.
#[inline(always)]
pub(crate) fn answer<M: System>(cpu: &mut Cpu<'_, M>, result: Result<M::Word, Failure>) -> Result<(), Stuck> {
    let cur = get_curid(cpu)?;
    let error = match result {
        Ok(value) => {
            uctx_set(cpu, cur, FIRST.into(), value)?;
            Error::Succ
        }
        Err(Failure::Refused(error)) => error,
        Err(Failure::Stuck(stuck)) => return Err(stuck),
    };
    uctx_set(cpu, cur, NUMBER.into(), (error as u32).into())
}

/// Stores a result and four further results; the caller continues.
pub(crate) fn back_with<M: System>(cpu: &mut Cpu<'_, M>, first: M::Word, more: [M::Word; 4]) -> Result<Next<M>, Stuck> {
    let cur = get_curid(cpu)?;
    for (slot, value) in [SECOND, THIRD, FOURTH, FIFTH].into_iter().zip(more) {
        uctx_set(cpu, cur, slot.into(), value)?;
    }
    back(cpu, Ok(first))
}

/// Stores the error number of a call; the caller continues.
///
/// # Errors
/// That of a call that is stuck.
#[inline(always)]
pub(crate) fn refuse<M: System>(cpu: &mut Cpu<'_, M>, failure: impl Into<Failure>) -> Result<Next<M>, Stuck> {
    back(cpu, Err(failure.into()))
}

/// Stores the result of a call, or the error number of its refusal; the caller continues.
///
/// # Errors
/// That of a call that is stuck.
#[inline(always)]
pub(crate) fn back<M: System>(cpu: &mut Cpu<'_, M>, result: Result<M::Word, Failure>) -> Result<Next<M>, Stuck> {
    answer(cpu, result)?;
    Ok(Next::ToUser(proc_start_user2(cpu)?))
}
