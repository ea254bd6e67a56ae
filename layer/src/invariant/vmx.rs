//! D19: facts that `vmx_init` establishes, so that primitives that read its results are never stuck (P40).
use super::Class::Derived;
use super::Fact;
use crate::fields::SlotKind;
use crate::machine::Spec;
use crate::vmcs::VMCS_READ;
use crate::vmx::is_read;
use domain::{Flag, Map};

pub(super) fn facts<M: Spec>() -> [Fact<M>; 4] {
    [
        Fact {
            number: "D19.1",
            name: "virtual machines come after sched_init",
            class: Derived,
            keys: &[],
            holds: |v, _| !v.own.vm.set_up.holds() || v.ghost.init.holds(),
        },
        Fact {
            number: "D19.2",
            name: "what is read of vmcs is defined",
            class: Derived,
            keys: &[("vmcs", &[0])],
            holds: |v, k| {
                !v.own.vm.set_up.holds() || k[0] >= VMCS_READ || matches!(v.ghost.vmcs_kind.get([k[0]]), SlotKind::Int)
            },
        },
        Fact {
            number: "D19.3",
            name: "what is read of vmx is defined",
            class: Derived,
            keys: &[("vmx", &[0])],
            holds: |v, k| {
                !v.own.vm.set_up.holds() || !is_read::<M>(k[0]) || matches!(v.ghost.vmx_kind.get([k[0]]), SlotKind::Int)
            },
        },
        Fact {
            number: "D19.4",
            name: "nested directories have tables",
            class: Derived,
            keys: &[("eptdir", &[0])],
            holds: |v, k| !v.own.vm.set_up.holds() || v.ghost.ept_dirs.get([k[0]]).defined.holds(),
        },
    ]
}
