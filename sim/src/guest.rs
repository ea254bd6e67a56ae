//! What the processor does to a virtual machine by itself.
use crate::machine::Sim;
use domain::Map;
use layer::fields::{Slot, SlotKind};
use layer::state::Cpu;
use layer::stuck::{Stuck, require};
use layer::vmcs::Vmcs;

/// What the processor tells of an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub reason: u32,
    /// More of that.
    pub qualification: u64,
    /// The guest-physical address that had no mapping.
    pub address: u64,
    /// Length of the instruction.
    pub length: u32,
    /// Where the guest is.
    pub rip: u64,
}

/// The guest exits (P14): the processor writes why into the control structure. `vmx_return_from_guest` is what comes next.
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
