//! The switches between host and guest: primitives 47, 48, 56 and 57.
use super::place::Place::{Vmcs as V, Vmx as X};
use super::place::{read, write};
use super::vmcs::Vmcs;
use crate::core::constants::*;
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use domain::{Flag, Ghost, Map, Wide};

/// The registers with which the guest continues.
///
/// The value cannot be copied, and only the machine's last step of a kernel entry consumes it.
#[must_use]
#[derive(Debug)]
pub struct ToGuest<M: Machine> {
    /// The registers of [`SAVED`].
    pub registers: [M::Wide; SAVED.len()],
    /// The address at which the guest continues.
    pub rip: M::Wide,
}

/// 47 `vmx_run_vm()`: the guest of this CPU continues. `rdi` and `rbp` are the host's registers.
///
/// P15: the machine handles the host's stack pointer and the registers that entry loads besides [`SAVED`].
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInit`], [`Stuck::NotInt`] if the guest's EIP was never set.
#[inline]
pub fn vmx_run_vm<M: Machine>(cpu: &mut Cpu<'_, M>, rdi: M::Wide, rbp: M::Wide) -> Result<ToGuest<M>, Stuck> {
    cpu.require_hkp()?;
    cpu.require_init()?;
    let rip = read(cpu, X(vmx_slot::RIP))?;
    let registers = SAVED.map(|slot| cpu.own.vmx.get([slot.into()]).value);
    write(cpu, V(Vmcs::GuestRip), rip);
    write(cpu, X(vmx_slot::HOST_RBP), rbp);
    write(cpu, X(vmx_slot::HOST_RDI), rdi);
    cpu.own.ghost.update(|g| g.ihost = false.into());
    Ok(ToGuest { registers, rip })
}

/// The registers with which the host continues.
///
/// The value cannot be copied, and only the machine's last step of an exit consumes it.
#[must_use]
#[derive(Debug)]
pub struct ToHost<M: Machine> {
    /// RDI.
    pub rdi: M::Wide,
    /// RBP.
    pub rbp: M::Wide,
}

/// 48 `vmx_return_from_guest()`: the guest has exited with these registers of [`SAVED`], and the host continues.
///
/// P14: the hardware has written the exit reason into the control structure. All captured registers are integers here.
///
/// # Errors
/// [`Stuck::NotGuestMode`], [`Stuck::NotInit`], [`Stuck::NotInt`] if the exit fields were never written.
#[inline]
pub fn vmx_return_from_guest<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    guest: [M::Wide; SAVED.len()],
) -> Result<ToHost<M>, Stuck> {
    // Equivalent mutants (flag: true): a guest runs with paging on and counts as the kernel (H5); the third flag is
    // noticed.
    require(cpu.own.ghost.check(|g| g.ikern.holds() && g.pg.holds() && !g.ihost.holds()), Stuck::NotGuestMode)?;
    cpu.require_init()?;
    let rip = read(cpu, V(Vmcs::GuestRip))?;
    let reason = read(cpu, V(Vmcs::ExitReason))?;
    let qualification = read(cpu, V(Vmcs::ExitQualification))?;
    let host = |slot: u32| cpu.own.vmx.get([slot.into()]).value;
    let host = ToHost { rdi: host(vmx_slot::HOST_RDI), rbp: host(vmx_slot::HOST_RBP) };
    for (slot, value) in SAVED.into_iter().zip(guest) {
        write(cpu, X(slot), value);
    }
    write(cpu, X(vmx_slot::RIP), rip);
    write(cpu, X(vmx_slot::EXIT_REASON), reason);
    write(cpu, X(vmx_slot::EXIT_QUALIFICATION), qualification);
    write(cpu, X(vmx_slot::LAUNCHED), M::Wide::constant(1));
    cpu.own.ghost.update(|g| g.ihost = true.into());
    Ok(host)
}

/// 56 `host_in()`: switches from guest to host mode, and nothing else; the normal way is [`vmx_return_from_guest`].
///
/// # Errors
/// [`Stuck::NotGuestMode`].
#[inline]
pub fn host_in<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    // Equivalent mutants (flag: true): a guest counts as the kernel (H5); the other flag is noticed.
    require(cpu.own.ghost.check(|g| g.ikern.holds() && !g.ihost.holds()), Stuck::NotGuestMode)?;
    cpu.own.ghost.update(|g| g.ihost = true.into());
    Ok(())
}

/// 57 `host_out()`: switches from host to guest mode, and nothing else; the normal way is [`vmx_run_vm`].
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::NotInit`].
#[inline]
pub fn host_out<M: Machine>(cpu: &mut Cpu<'_, M>) -> Result<(), Stuck> {
    cpu.require_hkp()?;
    cpu.require_init()?;
    cpu.own.ghost.update(|g| g.ihost = false.into());
    Ok(())
}
