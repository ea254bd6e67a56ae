//! The specification of a CPU's mode: the predicates of most preconditions, and the facts of the invariant.
use crate::core::call::Arguments;
use crate::core::constants::*;
use crate::core::machine::Spec;
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::Flag;

/// HK: kernel mode.
pub(crate) fn hk<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.ikern.holds() && v.ghost.ihost.holds()
}

/// Like [`hk`], after `sched_init`.
pub(crate) fn hk_init<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.init.holds()
}

/// HKP: kernel mode with paging on.
pub(crate) fn hkp<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.pg.holds()
}

/// HKPT: kernel mode with paging on, on the kernel's page map.
pub(crate) fn hkpt<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.pg.holds() && v.ghost.ipt.holds()
}

/// Like [`hkpt`], after `sched_init`.
pub(crate) fn hkpt_init<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkpt(v, a) && v.ghost.init.holds()
}

/// The CPU is set up and executes the kernel. Nearly every primitive requires this.
pub(crate) fn in_kernel<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.init.holds() && v.ghost.ihost.holds() && v.ghost.ikern.holds()
}

/// The CPU is set up and executes a program.
pub(crate) fn in_program<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.init.holds() && v.ghost.ihost.holds() && !v.ghost.ikern.holds()
}

/// The facts about the mode of a CPU.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 8] {
    [
        Fact {
            number: "H2",
            name: "valid_kern",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.ghost.ipt.holds() || v.ghost.pg.holds(),
        },
        Fact {
            number: "H3",
            name: "valid_iptt",
            class: Class::High,
            keys: &[],
            holds: |v, _| !v.ghost.ipt.holds() || v.ghost.ikern.holds(),
        },
        Fact {
            number: "H4",
            name: "valid_iptf",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.ghost.ikern.holds() || !v.ghost.ipt.holds(),
        },
        Fact {
            number: "H5",
            name: "valid_ihost",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.ghost.ihost.holds() || (v.ghost.pg.holds() && v.ghost.ikern.holds()),
        },
        Fact {
            number: "H17",
            name: "CPU_ID_range",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.own.cpu < TOTAL_CPU,
        },
        Fact {
            number: "H19",
            name: "valid_CPU_ID_eq",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.own.cpu == v.current_cpu,
        },
        Fact {
            number: "D1",
            name: "initialised iff paging",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| v.ghost.init.holds() == v.ghost.pg.holds(),
        },
        Fact {
            number: "D2",
            name: "kernel map iff ring 0",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| v.ghost.ikern.holds() == v.ghost.ipt.holds(),
        },
    ]
}
