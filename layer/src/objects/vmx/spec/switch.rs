//! The contracts of the switches between host and guest: 47, 48, 56 and 57.
use super::place::{EIP, at, in_vm_host, is, is_int, may_write};
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hkp, in_kernel};
use crate::objects::vmx;
use crate::objects::vmx::Place;
use crate::objects::vmx::vmcs::Vmcs;
use crate::spec::contract::{Contract, Region, no_events};
use crate::spec::view::View;
use domain::{Flag, Wide};

use Place::{Vmcs as V, Vmx as X};

/// The slots of the registers that entry loads and exit saves, in the order of the arguments (reference, appendix B):
/// EAX, EBX, EDX, ESI, EDI, EBP, and R8 to R15 (P45).
const SAVED: [u32; 14] = [0, 2, 6, 8, 10, 12, 36, 37, 38, 39, 40, 41, 42, 43];

/// Index of a host register in the arguments of an entry: the index at which an exit has the guest's register of this
/// slot.
fn saved(slot: u32) -> usize {
    SAVED.iter().position(|&other| other == slot).unwrap_or(0)
}

pub(crate) fn vmx_run_vm<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            vmx::vmx_run_vm(cpu, a.guest[saved(vmx_slot::RDI)], a.guest[saved(vmx_slot::RBP)])
                .map(|to| Answer::ToGuest(to.registers, to.rip))
        },
        assumes: |_, _| true,
        reference_requires: |v, a| hkp(v, a) && v.ghost.init.holds() && is_int(v, EIP),
        requires: in_vm_host,
        ensures: |s| {
            let Answer::ToGuest(registers, rip) = s.answer else { return false };
            let host = |slot| s.arguments.guest[saved(slot)];
            *rip == at(&s.before, EIP)
                && SAVED.iter().zip(registers).all(|(&slot, register)| *register == at(&s.before, X(slot)))
                && is(&s.after, V(Vmcs::GuestRip), *rip)
                && is(&s.after, X(vmx_slot::HOST_RBP), host(vmx_slot::RBP))
                && is(&s.after, X(vmx_slot::HOST_RDI), host(vmx_slot::RDI))
                && !s.after.ghost.ihost.holds()
        },
        events: no_events,
        modifies: |_, may| {
            may("ihost", Region::All, &[]);
            for place in [V(Vmcs::GuestRip), X(vmx_slot::HOST_RBP), X(vmx_slot::HOST_RDI)] {
                may_write::<M>(may, place);
            }
        },
    }
}

/// Guest mode, on a CPU that is set up.
fn in_guest<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.init.holds() && v.ghost.ikern.holds() && !v.ghost.ihost.holds()
}

/// The values that an exit copies from the control structure, and the slots to which it copies them.
const EXIT: [(Vmcs, u32); 3] = [
    (Vmcs::GuestRip, vmx_slot::RIP),
    (Vmcs::ExitReason, vmx_slot::EXIT_REASON),
    (Vmcs::ExitQualification, vmx_slot::EXIT_QUALIFICATION),
];

pub(crate) fn vmx_return_from_guest<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| vmx::vmx_return_from_guest(cpu, a.guest).map(|to| Answer::ToHost(to.rdi, to.rbp)),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            in_guest(v, a) && v.ghost.pg.holds() && EXIT.iter().all(|&(field, _)| is_int(v, V(field)))
        },
        requires: |v, a| in_guest(v, a) && v.own.vm.set_up.holds(),
        ensures: |s| {
            let Answer::ToHost(rdi, rbp) = s.answer else { return false };
            *rdi == at(&s.before, X(vmx_slot::HOST_RDI))
                && *rbp == at(&s.before, X(vmx_slot::HOST_RBP))
                && SAVED.iter().zip(s.arguments.guest).all(|(&slot, register)| is(&s.after, X(slot), register))
                && EXIT.iter().all(|&(field, slot)| is(&s.after, X(slot), at(&s.before, V(field))))
                && is(&s.after, X(vmx_slot::LAUNCHED), M::Wide::constant(1))
                && s.after.ghost.ihost.holds()
        },
        events: no_events,
        modifies: |_, may| {
            may("ihost", Region::All, &[]);
            for slot in SAVED.into_iter().chain(EXIT.map(|(_, slot)| slot)).chain([vmx_slot::LAUNCHED]) {
                may_write::<M>(may, X(slot));
            }
        },
    }
}

pub(crate) fn host_in<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| vmx::host_in(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, _| v.ghost.ikern.holds() && !v.ghost.ihost.holds(),
        requires: in_guest,
        ensures: |s| s.after.ghost.ihost.holds(),
        events: no_events,
        modifies: |_, may| may("ihost", Region::All, &[]),
    }
}

pub(crate) fn host_out<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| vmx::host_out(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkp(v, a) && v.ghost.init.holds(),
        requires: in_kernel,
        ensures: |s| !s.after.ghost.ihost.holds(),
        events: no_events,
        modifies: |_, may| may("ihost", Region::All, &[]),
    }
}
