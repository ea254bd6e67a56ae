//! Contracts of the primitives that read containers, contexts and the CPU: 1, 10, 11, 13 to 18, 50, 51, 59, 60.
use super::{
    Answer, Arguments, Contract, hk, hk_init, hkpt, in_kernel, is_container, is_my_thread, of_container, of_my_thread,
    silent,
};
use crate::constants::*;
use crate::fields::SlotKind;
use crate::invariant::View;
use crate::machine::Spec;
use crate::{container, context, interrupt, thread, trap, vmx};
use domain::{Flag, Map, Wide};

pub(crate) fn vmxinfo_get<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| vmx::vmxinfo_get(cpu, a.words[0]).map(Answer::Word),
        hk,
        in_kernel,
        |s| {
            let i = s.arguments.words[0];
            s.answer.word() == if i < VMXINFO_SIZE { s.before.own.vmxinfo.get([i]).value } else { 0.into() }
        },
    )
}

/// A slot that never holds a pointer.
fn is_slot<M: Spec>(k: M::Word) -> bool {
    k < UCTXT_SIZE && k != slot::EBP && k != slot::OESP && k != slot::EIP
}

/// The slot is one that holds an integer.
fn is_integer<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    let [i, k, ..] = a.words;
    is_slot::<M>(k) && matches!(v.ghost.uctxt_kind.get([i, k]), SlotKind::Int)
}

pub(crate) fn uctx_get<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| context::uctx_get(cpu, a.words[0], a.words[1]).map(Answer::Word),
        |v, a| hkpt(v, a) && is_my_thread(v, a) && is_integer(v, a),
        |v, a| of_my_thread(v, a) && is_integer(v, a),
        |s| {
            let [i, k, ..] = s.arguments.words;
            s.answer.word() == s.before.own.uctxt.get([i, k]).value.low()
        },
    )
}

pub(crate) fn uctx_set<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| context::uctx_set(cpu, a.words[0], a.words[1], a.words[2]).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: |v, a| hkpt(v, a) && is_my_thread(v, a) && is_slot::<M>(a.words[1]),
        requires: |v, a| of_my_thread(v, a) && is_slot::<M>(a.words[1]),
        promise: |s| {
            let [i, k, v, _] = s.arguments.words;
            s.after.own.uctxt.get([i, k]).value == M::Wide::from(v)
                && matches!(s.after.ghost.uctxt_kind.get([i, k]), SlotKind::Int)
        },
        frame: |s, may| {
            let [i, k, ..] = s.arguments.words;
            may("uctxt", "", &[i, k]);
            may("uctxt.kind", "", &[i, k]);
        },
    }
}

/// Kernel mode, and a container in use.
fn of_used<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && is_container(v, a)
}

pub(crate) fn container_get_nchildren<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| container::container_get_nchildren(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).nchildren,
    )
}

pub(crate) fn container_get_quota<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| container::container_get_quota(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).quota,
    )
}

pub(crate) fn container_get_usage<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| container::container_get_usage(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).usage,
    )
}

pub(crate) fn container_can_consume<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| container::container_can_consume(cpu, a.words[0], a.words[1]).map(Answer::Word),
        of_used,
        of_container,
        |s| {
            let [i, n, ..] = s.arguments.words;
            let container = s.before.own.ac.get([i]);
            s.answer.word() <= 1
                && (s.answer.word() == 1)
                    == (M::Nat::from(container.usage) + M::Nat::from(n) <= M::Nat::from(container.quota))
        },
    )
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn get_CPU_ID<M: Spec>() -> Contract<M> {
    silent(|cpu, _| thread::get_cpu_id(cpu).map(Answer::Word), hk, in_kernel, |s| s.answer.word() == s.before.own.cpu)
}

pub(crate) fn get_curid<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| thread::get_curid(cpu).map(Answer::Word),
        |v, a| hk(v, a) && v.ghost.pg.holds(),
        in_kernel,
        |s| s.answer.word() == s.before.own.cur,
    )
}

pub(crate) fn cli<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| interrupt::cli(cpu).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: hk_init,
        requires: in_kernel,
        promise: |s| !s.after.own.intr_flag.holds(),
        frame: |_, may| may("intr_flag", "", &[]),
    }
}

pub(crate) fn sti<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| interrupt::sti(cpu).map(|()| Answer::Unit),
        premise: |_, _| true,
        guard: hk_init,
        requires: in_kernel,
        promise: |s| s.after.own.intr_flag.holds(),
        frame: |_, may| may("intr_flag", "", &[]),
    }
}

pub(crate) fn trap_get<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| trap::trap_get(cpu).map(Answer::Wide),
        |_, _| true,
        in_kernel,
        |s| matches!(s.answer, Answer::Wide(address) if *address == s.before.own.ti.addr),
    )
}

pub(crate) fn trap_set<M: Spec>() -> Contract<M> {
    silent(
        |cpu, _| trap::trap_set(cpu).map(Answer::Wide),
        |_, _| true,
        in_kernel,
        |s| matches!(s.answer, Answer::Wide(address) if *address == s.before.own.ti.ra),
    )
}
