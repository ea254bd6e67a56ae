//! The places of a guest's values, and how they are read and written.
use super::vmcs::Vmcs;
use crate::core::constants::*;
use crate::core::fields::{Slot, SlotKind};
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use domain::{Ghost, Map, Wide};

/// The place of a value of the virtual machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A field of the control structure (`V`).
    Vmcs(Vmcs),
    /// A slot of the VMX structure (`X`).
    Vmx(u32),
}

use Place::{Vmcs as V, Vmx as X};

/// The places of a guest's general registers, by code (reference, section 2): EAX, EBX, ECX, EDX, ESI, EDI, EBP, ESP,
/// EIP, EFLAGS, CR0, CR2, CR3, CR4.
pub const REGISTERS: [Place; 14] = [
    X(vmx_slot::RAX),
    X(vmx_slot::RBX),
    X(vmx_slot::RCX),
    X(vmx_slot::RDX),
    X(vmx_slot::RSI),
    X(vmx_slot::RDI),
    X(vmx_slot::RBP),
    V(Vmcs::GuestRsp),
    X(vmx_slot::RIP),
    V(Vmcs::GuestRflags),
    V(Vmcs::GuestCr0),
    X(vmx_slot::CR2),
    V(Vmcs::GuestCr3),
    V(Vmcs::GuestCr4),
];

/// The place of the guest register with code `r`.
#[inline(always)]
#[track_caller]
pub fn register<M: Machine>(r: M::Word) -> Option<Place> {
    (0..).zip(REGISTERS).find(|&(code, _)| r == code).map(|(_, place)| place)
}

/// The integer at `place`.
#[inline(always)]
#[track_caller]
pub(super) fn read<M: Machine>(cpu: &Cpu<'_, M>, place: Place) -> Result<M::Wide, Stuck> {
    let own = &cpu.own;
    match place {
        V(field) => {
            let k = M::Word::from(field as u32);
            require(own.ghost.check(|g| matches!(g.vmcs_kind.get([k]), SlotKind::Int)), Stuck::NotInt)?;
            Ok(own.vmcs.get([k]).value)
        }
        X(slot) => {
            let k = M::Word::from(slot);
            require(own.ghost.check(|g| matches!(g.vmx_kind.get([k]), SlotKind::Int)), Stuck::NotInt)?;
            Ok(own.vmx.get([k]).value)
        }
    }
}

/// The low 32 bits of the integer at `place`, in kernel mode with paging on.
#[inline(always)]
#[track_caller]
pub(super) fn get<M: Machine>(cpu: &Cpu<'_, M>, place: Place) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    Ok(read(cpu, place)?.low())
}

/// Sets the field of the control structure with key `k` to `value`.
#[inline(always)]
#[track_caller]
pub(super) fn set_field<M: Machine>(cpu: &mut Cpu<'_, M>, k: M::Word, value: M::Wide) {
    cpu.own.vmcs.set([k], Slot { value });
    cpu.own.ghost.update(|g| g.vmcs_kind.set([k], SlotKind::Int));
}

/// Sets the value at `place` to `value`.
#[inline(always)]
#[track_caller]
pub(super) fn write<M: Machine>(cpu: &mut Cpu<'_, M>, place: Place, value: M::Wide) {
    match place {
        V(field) => set_field(cpu, (field as u32).into(), value),
        X(slot) => {
            let k = M::Word::from(slot);
            cpu.own.vmx.set([k], Slot { value });
            cpu.own.ghost.update(|g| g.vmx_kind.set([k], SlotKind::Int));
        }
    }
}
