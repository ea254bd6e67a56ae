//! The specification of the last page fault: contracts of 59 and 60.
use crate::core::call::Answer;
use crate::core::machine::Spec;
use crate::objects::mode::spec::in_kernel;
use crate::spec::contract::{Contract, silent};

pub(crate) fn trap_get<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| super::trap_get(cpu).map(Answer::Wide),
        |_, _| true,
        in_kernel,
        |s| matches!(s.answer, Answer::Wide(address) if *address == s.before.own.ti.addr),
    )
}

pub(crate) fn trap_set<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| super::trap_set(cpu).map(Answer::Wide),
        |_, _| true,
        in_kernel,
        |s| matches!(s.answer, Answer::Wide(address) if *address == s.before.own.ti.ra),
    )
}
