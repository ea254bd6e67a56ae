//! What the processor itself does to a virtual machine.
use super::Sim;
use domain::Map;
use layer::core::call::{Access, Bytes, Chunk};
use layer::core::fields::{Slot, SlotKind};
use layer::core::state::Cpu;
use layer::core::stuck::{Stuck, require};
use layer::objects::memory::{guest_load, guest_store};
use layer::objects::vmx::vmcs::Vmcs;

/// What the processor reports of a VM exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// The exit reason.
    pub reason: u32,
    /// The exit qualification.
    pub qualification: u64,
    /// The guest-physical address without a mapping.
    pub address: u64,
    /// The length of the instruction.
    pub length: u32,
    /// The guest's RIP.
    pub rip: u64,
}

/// The guest exits (P14): the processor writes the reason into the control structure. `vmx_return_from_guest` comes
/// next.
///
/// # Errors
/// [`Stuck::NotGuestMode`].
pub fn vm_exit(cpu: &mut Cpu<'_, Sim>, exit: Exit) -> Result<(), Stuck> {
    let own = &mut cpu.own;
    require(own.ghost.0.ikern && own.ghost.0.pg && !own.ghost.0.ihost, Stuck::NotGuestMode)?;
    for (field, value) in [
        (Vmcs::ExitReason, exit.reason.into()),
        (Vmcs::ExitQualification, exit.qualification),
        (Vmcs::GuestPhysicalAddress, exit.address),
        (Vmcs::ExitInstructionLength, exit.length.into()),
        (Vmcs::GuestRip, exit.rip),
    ] {
        own.vmcs.set([field as u32], Slot { value });
        own.ghost.0.vmcs_kind.set([field as u32], SlotKind::Int);
    }
    Ok(())
}

/// The exit reason of an EPT violation: the guest's memory has no such address.
pub const EPT_VIOLATION: u32 = 48;
/// The bit of the exit qualification for a load.
pub const VIOLATED_BY_LOAD: u64 = 1;
/// The bit of the exit qualification for a store.
pub const VIOLATED_BY_STORE: u64 = 2;

/// An instruction of the guest at `rip` loads `chunk` bytes at the guest-physical address `a`. If there is no memory,
/// the guest exits.
///
/// # Errors
/// The errors of [`guest_load`].
pub fn load(cpu: &mut Cpu<'_, Sim>, chunk: Chunk, a: u64, rip: u64) -> Result<Access<Bytes<Sim>>, Stuck> {
    let loaded = guest_load(cpu, chunk, a);
    or_exit(cpu, loaded, VIOLATED_BY_LOAD, a, rip)
}

/// Like [`load`], for a store of the first `chunk` of `bytes`.
///
/// # Errors
/// The errors of [`guest_store`].
pub fn store(cpu: &mut Cpu<'_, Sim>, chunk: Chunk, a: u64, bytes: Bytes<Sim>, rip: u64) -> Result<Access<()>, Stuck> {
    let stored = guest_store(cpu, chunk, a, bytes);
    or_exit(cpu, stored, VIOLATED_BY_STORE, a, rip)
}

/// Ends an access. If there is no memory at the address, the guest exits.
fn or_exit<T>(
    cpu: &mut Cpu<'_, Sim>,
    end: Result<T, Stuck>,
    qualification: u64,
    address: u64,
    rip: u64,
) -> Result<Access<T>, Stuck> {
    match end {
        Ok(given) => Ok(Access::Done(given)),
        Err(Stuck::NotMapped) => {
            vm_exit(cpu, Exit { reason: EPT_VIOLATION, qualification, address, length: 0, rip })?;
            Ok(Access::Fault)
        }
        Err(stuck) => Err(stuck),
    }
}
