//! The guest of a CPU, as the layer has it.
use super::metal::{Layer, Metal};
use crate::entry::stubs::take_interrupts;
use crate::guest::exit::reason;
use crate::guest::virtualisation::{Missing, Virtualisation};
use domain::Map;
use layer::core::constants::{SAVED, vmx_slot};
use layer::core::fields::{Slot, VmxSlots};

/// Turns virtualisation on for the CPU that runs this, whose state is `layer`. Before that, its capability words are 0;
/// so it comes before `sched_init`, which reads them.
///
/// # Errors
/// What is missing. The CPU then runs no guests, and all else works.
pub fn turn_on(layer: &mut Layer) -> Result<Virtualisation, Missing> {
    let own = &mut layer.own;
    own.vmcs.0.turn_on(own.ept.0.as_ref())
}

/// A guest that has stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Its registers of [`SAVED`], in that order: what `vmx_return_from_guest` wants.
    pub registers: [u64; SAVED.len()],
    /// Why: the exit reason, which `vmx_get_exit_reason` cuts to 16 bits.
    pub reason: u32,
}

/// The registers that only the machine loads and saves, and their slots in the layer (P15).
const MACHINES: [u32; 7] =
    [vmx_slot::RCX, vmx_slot::CR2, vmx_slot::DR0, vmx_slot::DR1, vmx_slot::DR2, vmx_slot::DR3, vmx_slot::DR6];

/// Runs the guest of this CPU until it exits, after `vmx_run_vm`. Its registers are those that the layer stores. An
/// interrupt that made it exit has been handled when this returns.
///
/// A guest that the processor does not enter has stopped with the reason
/// [`REFUSED`](crate::guest::exit::REFUSED); so has one of a CPU that runs no guests.
pub fn run(layer: &mut Layer) -> Stopped {
    let own = &mut layer.own;
    let guest = &mut own.vmcs.0;
    let slot = |k| Map::<Metal, VmxSlots>::get(&own.vmx, [k]).value;
    guest.registers.saved = SAVED.map(slot);
    for (register, k) in guest.registers.machines().into_iter().zip(MACHINES) {
        *register = slot(k);
    }
    let reason = guest.run(own.ept.0.as_mut());
    let registers = guest.registers.saved;
    for (register, k) in guest.registers.machines().into_iter().zip(MACHINES) {
        Map::<Metal, VmxSlots>::set(&mut own.vmx, [k], Slot { value: *register });
    }
    if reason == reason::INTERRUPT {
        take_interrupts();
    }
    Stopped { registers, reason }
}
