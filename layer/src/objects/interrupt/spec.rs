//! The specification of the interrupt flag: contracts of 50 and 51, and a fact.
use crate::core::call::Answer;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hk_init, in_kernel};
use crate::spec::contract::{Contract, Region, no_events};
use crate::spec::fact::{Class, Fact};
use domain::Flag;

pub(crate) fn cli<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::cli(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: hk_init,
        requires: in_kernel,
        ensures: |s| !s.after.own.intr_flag.holds(),
        events: no_events,
        modifies: |_, may| may("intr_flag", Region::All, &[]),
    }
}

pub(crate) fn sti<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::sti(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: hk_init,
        requires: in_kernel,
        ensures: |s| s.after.own.intr_flag.holds(),
        events: no_events,
        modifies: |_, may| may("intr_flag", Region::All, &[]),
    }
}

/// The fact about interrupt handlers.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 1] {
    [Fact {
        number: "D21",
        name: "no interrupt handler executes",
        class: Class::Derived,
        keys: &[],
        holds: |v, _| !v.ghost.in_intr.holds(),
    }]
}
