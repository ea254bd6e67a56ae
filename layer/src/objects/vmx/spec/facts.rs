//! The facts of D19, which `vmx_init` establishes so that primitives that read its results are never stuck (P40).
use super::ownership;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::vmx::vmcs::Vmcs;
use crate::spec::fact::{Class, Fact};
use domain::{Flag, Map};

/// A primitive can read slot `k` of the VMX structure (reference, appendix B): a register, CR2 or the qualification.
fn is_read<M: Spec>(k: M::Word) -> bool {
    (k <= 16 && k % 2 == 0) || k == 28
}

/// The facts about the virtual machine.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 8] {
    let [listed, is_set_up, charged, live] = ownership::facts();
    [
        Fact {
            number: "D19.1",
            name: "virtual machines come after sched_init",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| !v.own.vm.set_up.holds() || v.ghost.init.holds(),
        },
        Fact {
            number: "D19.2",
            name: "what is read of vmcs is defined",
            class: Class::Derived,
            keys: &[("vmcs", &[0])],
            holds: |v, k| {
                !v.own.vm.set_up.holds()
                    || k[0] > Vmcs::GuestRflags as u32
                    || matches!(v.ghost.vmcs_kind.get([k[0]]), SlotKind::Int)
            },
        },
        Fact {
            number: "D19.3",
            name: "what is read of vmx is defined",
            class: Class::Derived,
            keys: &[("vmx", &[0])],
            holds: |v, k| {
                !v.own.vm.set_up.holds() || !is_read::<M>(k[0]) || matches!(v.ghost.vmx_kind.get([k[0]]), SlotKind::Int)
            },
        },
        Fact {
            number: "D19.4",
            name: "nested directories have tables",
            class: Class::Derived,
            keys: &[("eptdir", &[0])],
            holds: |v, k| !v.own.vm.set_up.holds() || v.ghost.ept_dirs.get([k[0]]).defined.holds(),
        },
        listed,
        is_set_up,
        charged,
        live,
    ]
}
