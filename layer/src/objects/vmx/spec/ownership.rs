//! The contracts of 77 to 79, and the facts about the process that the virtual machine belongs to.
//!
//! Together the facts say what a guest can reach. Once the virtual machine is set up, an entry of the nested page tables
//! that is not 0 maps a frame of `guest.frames` (D19.5). Each of these frames is a data page that is charged to the
//! owner's process (E3), which has not ended (E4). So no frame is given back while an entry maps it.
use super::{DEFAULTS, FIELDS, is_initialised};
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hk, hkpt_init, in_kernel};
use crate::objects::vmx::ownership;
use crate::objects::vmx::vmcs::Vmcs;
use crate::spec::contract::{Contract, Region, no_events, silent};
use crate::spec::fact::{Class, Fact};
use domain::{Flag, Map, Wide};

/// Fields that are written when a process gives the virtual machine back.
pub const RELEASED: [&str; 5] = ["vmx.owner", "vmx.set_up", "ept", "ept.defined", "guest.frames"];
/// Fields that are written besides when a process claims the virtual machine.
pub const CLAIMED: [&str; 6] = ["vmcs.revid", "vmcs", "vmcs.kind", "vmx", "vmx.kind", "eptdir"];

pub(crate) fn vmx_claim<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| ownership::vmx_claim(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt_init(v, a) && v.own.vm.owner == 0,
        // It keeps E4: the new owner has not ended.
        requires: |v, a| in_kernel(v, a) && v.own.vm.owner == 0 && v.own.proc.get([v.own.cur]).state == process::LIVE,
        ensures: |s| {
            let (v, x) = (&s.after, s.any[0]);
            let is_written = |key: u32| FIELDS.iter().any(|&(field, _)| field as u32 == key);
            is_initialised(s)
                && v.own.vm.owner == v.own.cur
                && v.own.proc.get([v.own.cur]).state == process::LIVE
                // What `vmx_init` does not write is 0.
                && (0..=Vmcs::HostPerfGlobalCtrl as u32).filter(|&key| !is_written(key)).all(|key| {
                    v.own.vmcs.get([key.into()]).value == M::Wide::constant(0)
                        && matches!(v.ghost.vmcs_kind.get([key.into()]), SlotKind::Int)
                })
                && (x >= VMX_SIZE
                    || DEFAULTS.iter().any(|&(slot, _)| x == slot)
                    || (v.own.vmx.get([x]).value == M::Wide::constant(0)
                        && matches!(v.ghost.vmx_kind.get([x]), SlotKind::Int)))
                && (x >= MAX_PAGE || !v.ghost.guest_frames.get([x]).defined.holds())
        },
        events: no_events,
        modifies: |_, may| {
            for name in RELEASED.into_iter().chain(CLAIMED) {
                may(name, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn vmx_release<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| ownership::vmx_release(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: hkpt_init,
        requires: in_kernel,
        ensures: |s| {
            let (v, [x, y]) = (&s.after, s.any);
            v.own.vm.owner == 0
                && !v.own.vm.set_up.holds()
                && (x >= MAX_PAGE || !v.ghost.guest_frames.get([x]).defined.holds())
                && (x >= EPT_DIRS
                    || y >= EPT_ENTRIES
                    || (!v.ghost.ept_defined.get([x, y]).defined.holds() && v.own.ept.get([x, y]).value == 0))
        },
        events: no_events,
        modifies: |_, may| {
            for name in RELEASED {
                may(name, Region::All, &[]);
            }
        },
    }
}

pub(crate) fn vmx_owner<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| ownership::vmx_owner(cpu).map(Answer::Word),
        hk,
        in_kernel,
        |s| s.answer.word() == s.before.own.vm.owner,
    )
}

/// The facts about the process that the virtual machine belongs to.
pub(super) fn facts<M: Spec>() -> [Fact<M>; 4] {
    [
        Fact {
            number: "D19.5",
            name: "guest frames are listed",
            class: Class::Derived,
            keys: &[("ept", &[0, 1])],
            // The processor follows an entry by its bits, whatever the ghost state says.
            holds: |v, k| {
                let entry = v.own.ept.get([k[0], k[1]]).value;
                !v.own.vm.set_up.holds() || entry == 0 || v.ghost.guest_frames.get([entry / PAGE_SIZE]).defined.holds()
            },
        },
        Fact {
            number: "D19.6",
            name: "a virtual machine with an owner is set up",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| v.own.vm.owner == 0 || v.own.vm.set_up.holds(),
        },
        Fact {
            number: "E3",
            name: "a guest's frame is charged to the owner of the virtual machine",
            class: Class::Entry,
            keys: &[("guest.frames", &[0])],
            holds: |v, k| {
                !v.ghost.guest_frames.get([k[0]]).defined.holds()
                    || (v.own.vm.owner != 0
                        && matches!(v.ghost.pperm.get([k[0]]), FrameUse::Alloc)
                        && v.ghost.lat.get([k[0]]).payer == v.own.vm.owner)
            },
        },
        Fact {
            number: "E4",
            name: "the owner of the virtual machine has not ended",
            class: Class::Entry,
            keys: &[("proc", &[0])],
            holds: |v, k| k[0] == 0 || v.own.vm.owner != k[0] || v.own.proc.get([k[0]]).state == process::LIVE,
        },
    ]
}
