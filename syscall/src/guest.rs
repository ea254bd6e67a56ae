//! The calls of a monitor, the program that runs a guest (reference, sections 8.4 and 8.6): calls 11 to 25, 40 and
//! 41.
//!
//! The virtual machine of a CPU belongs to the process that claimed it by `hvm_create`, until that process ends. Every
//! other call is refused to everybody else.
use crate::continuation::Continuation;
use crate::failure::Failure;
use crate::memory::own_page;
use crate::next::{EnterGuest, Next, leave, slowly};
use crate::registers::{FIFTH, FIRST, FOURTH, SECOND, THIRD, answer, argument, back, back_with, refuse};
use crate::system::System;
use crate::unchecked::Address;
use abi::{Call, Error};
use domain::Wide;
use layer::core::constants::{GUEST_MEMORY, PAGE_SIZE, SAVED, guest_register as register, perm};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::objects::context::uctx_set;
use layer::objects::process::proc_start_user;
use layer::objects::thread::get_curid;
use layer::objects::vmx::ept::{MEMORY_TYPES, vmx_set_mmap};
use layer::objects::vmx::ownership::{vmx_claim, vmx_owner};
use layer::objects::vmx::vmcs::SEGMENTS;
use layer::objects::vmx::*;

/// The index of the capability word that says whether the CPU can run guests (reference, section 2).
const ENABLED: u32 = 1;
/// Codes of registers are below this.
const REGISTER_COUNT: u32 = REGISTERS.len() as u32;
/// Basic reasons of exits: an interrupt, an I/O instruction, an access to an address that is not mapped.
const INTERRUPT: u32 = 1;
const IO: u32 = 30;
const NOT_MAPPED: u32 = 48;
const _: () = assert!(abi::GUEST_MEMORY == GUEST_MEMORY);
/// The types of events are at bits 8 to 10 of their description.
const KINDS: u32 = 0x800;
const KIND: u32 = 0x100;
/// Events have vectors below this.
const VECTORS: u32 = 256;
/// The registers that `hvm_complete` sets, and its arguments with their values.
const COMPLETED: [(u32, u32); 4] =
    [(register::EAX, SECOND), (register::EDX, THIRD), (register::ECX, FOURTH), (register::EBX, FIFTH)];

/// Executes `call`, one of a monitor's.
#[inline(always)]
pub(crate) fn dispatch<M: System>(cpu: &mut Cpu<'_, M>, call: Call) -> Result<Next<M>, Stuck> {
    match call {
        Call::HvmCreate => slowly(cpu, |cpu| {
            let result = create(cpu);
            back(cpu, result)
        }),
        Call::HvmRunVm => slowly(cpu, run),
        Call::HvmGetExitinfo => slowly(cpu, exit_information),
        Call::HvmGetTscOffset => slowly(cpu, tsc_offset),
        call => slowly(cpu, move |cpu| {
            let result = access(cpu, call);
            back(cpu, result)
        }),
    }
}

/// The calling thread, if the virtual machine is its own.
#[inline(always)]
fn monitor<M: System>(cpu: &Cpu<'_, M>) -> Result<M::Word, Failure> {
    let cur = get_curid(cpu)?;
    if vmx_owner(cpu)? != cur {
        return Err(Error::InvalHvm.into());
    }
    Ok(cur)
}

/// `hvm_create()`: the virtual machine of this CPU belongs to the caller.
fn create<M: System>(cpu: &mut Cpu<'_, M>) -> Result<M::Word, Failure> {
    if vmxinfo_get(cpu, ENABLED.into())? == 0 {
        return Err(Error::NoGuests.into());
    }
    if vmx_owner(cpu)? != 0 {
        return Err(Error::Busy.into());
    }
    vmx_claim(cpu)?;
    Ok(0.into())
}

/// `hvm_run_vm() -> reason, eax`: the guest continues. Its exit is another entry of the kernel ([`exit`]).
fn run<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    let thread = match monitor(cpu) {
        Ok(thread) => thread,
        Err(failure) => return refuse(cpu, failure),
    };
    // The machine keeps the host's registers itself (P15).
    let unused = M::Wide::constant(0);
    // The machine loads the guest's registers from where they are stored.
    let _ = vmx_run_vm(cpu, unused, unused)?;
    Ok(Next::ToGuest(EnterGuest { thread }))
}

/// The entry of a guest's exit with these registers: the monitor continues with the reason of the exit and the guest's
/// EAX. After an interrupt, the other threads of this CPU get their turns first.
///
/// # Errors
/// [`Stuck::NotGuestMode`] if no guest was running.
pub fn exit<M: System>(cpu: &mut Cpu<'_, M>, registers: [M::Wide; SAVED.len()]) -> Result<Next<M>, Stuck> {
    // The machine has kept the host's registers itself (P15).
    let _ = vmx_return_from_guest(cpu, registers)?;
    let (cur, reason) = (get_curid(cpu)?, vmx_get_exit_reason(cpu)?);
    let [rax, ..] = registers;
    uctx_set(cpu, cur, SECOND.into(), rax.low())?;
    answer(cpu, Ok(reason))?;
    if reason == INTERRUPT {
        return leave(cpu, Continuation::StartUser);
    }
    Ok(Next::ToUser(proc_start_user(cpu)?))
}

/// `hvm_get_exitinfo()`: what the last exit was about.
fn exit_information<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    if let Err(failure) = monitor(cpu) {
        return refuse(cpu, failure);
    }
    let zero = M::Word::from(0);
    let reason = vmx_get_exit_reason(cpu)?;
    let more = if reason == IO {
        let flags = vmx_get_io_write(cpu)? + vmx_get_exit_io_rep(cpu)? * 2 + vmx_get_exit_io_str(cpu)? * 4;
        [vmx_get_exit_io_port(cpu)?, vmx_get_io_width(cpu)?, flags, zero]
    } else if reason == NOT_MAPPED {
        [vmx_get_exit_fault_addr(cpu)?, vmx_get_exit_qualification(cpu)?, zero, zero]
    } else {
        [vmx_get_exit_qualification(cpu)?, zero, zero, zero]
    };
    back_with(cpu, reason, more)
}

/// `hvm_get_tsc_offset() -> high, low`.
fn tsc_offset<M: System>(cpu: &mut Cpu<'_, M>) -> Result<Next<M>, Stuck> {
    if let Err(failure) = monitor(cpu) {
        return refuse(cpu, failure);
    }
    let offset = vmx_get_tsc_offset(cpu)?;
    let zero = M::Word::from(0);
    back_with(cpu, offset.high(), [offset.low(), zero, zero, zero])
}

/// The calls that read or write the state of the guest and have at most one result.
fn access<M: System>(cpu: &mut Cpu<'_, M>, call: Call) -> Result<M::Word, Failure> {
    let cur = monitor(cpu)?;
    match call {
        Call::HvmMmap => {
            let guest = argument(cpu, FIRST)?.below(GUEST_MEMORY).ok_or(Error::InvalAddr)?;
            let address = Address::in_window(argument(cpu, SECOND)?).ok_or(Error::InvalAddr)?;
            let memtype = argument(cpu, THIRD)?.below(MEMORY_TYPES).ok_or(Error::InvalAddr)?;
            if guest % PAGE_SIZE != 0 || address.offset() != 0 {
                return Err(Error::InvalAddr.into());
            }
            let page = own_page(cpu, cur, &address)?;
            // The guest may write to its memory.
            if page.permission != perm::PTU {
                return Err(Error::InvalAddr.into());
            }
            vmx_set_mmap(cpu, guest, page.frame * PAGE_SIZE, memtype)?;
        }
        Call::HvmSetSeg => {
            let segment = argument(cpu, FIRST)?.below(SEGMENTS).ok_or(Error::InvalSeg)?;
            let (selector, base) = (argument(cpu, SECOND)?.any(), argument(cpu, THIRD)?.any());
            let (limit, access) = (argument(cpu, FOURTH)?.any(), argument(cpu, FIFTH)?.any());
            vmx_set_desc1(cpu, segment, selector, base)?;
            vmx_set_desc2(cpu, segment, limit, access)?;
        }
        Call::HvmSetReg => {
            let register = argument(cpu, FIRST)?.below(REGISTER_COUNT).ok_or(Error::InvalReg)?;
            let value = argument(cpu, SECOND)?.any();
            vmx_set_reg(cpu, register, value)?;
        }
        Call::HvmGetReg => {
            let register = argument(cpu, FIRST)?.below(REGISTER_COUNT).ok_or(Error::InvalReg)?;
            return Ok(vmx_get_reg(cpu, register)?);
        }
        Call::HvmGetNextEip => return next_eip(cpu),
        Call::HvmInjectEvent => {
            let kind = argument(cpu, FIRST)?.below(KINDS).ok_or(Error::InvalEvent)?;
            let vector = argument(cpu, SECOND)?.below(VECTORS).ok_or(Error::InvalEvent)?;
            let (error, has_error) = (argument(cpu, THIRD)?.any(), argument(cpu, FOURTH)?.any());
            if kind % KIND != 0 {
                return Err(Error::InvalEvent.into());
            }
            vmx_inject_event(cpu, kind, vector, error, has_error)?;
        }
        Call::HvmCheckIntShadow => return Ok(vmx_check_int_shadow(cpu)?),
        Call::HvmCheckPendingEvent => return Ok(vmx_check_pending_event(cpu)?),
        Call::HvmInterceptIntWindow => {
            let enable = argument(cpu, FIRST)?.any();
            vmx_set_intercept_intwin(cpu, enable)?;
        }
        Call::HvmSetTscOffset => {
            let (high, low) = (argument(cpu, FIRST)?.any(), argument(cpu, SECOND)?.any());
            vmx_set_tsc_offset(cpu, M::Wide::join(high, low))?;
        }
        Call::HvmHandleRdmsr => {
            let next = next_eip(cpu)?;
            // P24: the number is in ECX, and not in EAX.
            let value = rdmsr(cpu, vmx_get_reg(cpu, register::ECX.into())?)?;
            vmx_set_reg(cpu, register::EAX.into(), value.low())?;
            vmx_set_reg(cpu, register::EDX.into(), value.high())?;
            vmx_set_reg(cpu, register::EIP.into(), next)?;
        }
        Call::HvmHandleWrmsr => {
            let next = next_eip(cpu)?;
            let (high, low) = (vmx_get_reg(cpu, register::EDX.into())?, vmx_get_reg(cpu, register::EAX.into())?);
            wrmsr(cpu, vmx_get_reg(cpu, register::ECX.into())?, M::Wide::join(high, low))?;
            vmx_set_reg(cpu, register::EIP.into(), next)?;
        }
        Call::HvmComplete => {
            let count = argument(cpu, FIRST)?.below(COMPLETED.len() as u32 + 1).ok_or(Error::InvalReg)?;
            let next = next_eip(cpu)?;
            for (k, (register, from)) in (0..).zip(COMPLETED) {
                if count > k {
                    let value = argument(cpu, from)?.any();
                    vmx_set_reg(cpu, register.into(), value)?;
                }
            }
            vmx_set_reg(cpu, register::EIP.into(), next)?;
        }
        _ => return Err(Error::InvalCallnr.into()),
    }
    Ok(0.into())
}

/// The address of the guest's next instruction, if it fits 32 bits.
fn next_eip<M: System>(cpu: &Cpu<'_, M>) -> Result<M::Word, Failure> {
    if vmx_next_fits(cpu)? == 0 {
        return Err(Error::InvalAddr.into());
    }
    Ok(vmx_get_next_eip(cpu)?)
}
