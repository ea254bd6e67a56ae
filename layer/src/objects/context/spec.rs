//! The specification of user contexts: contracts of 10 and 11, and facts.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;

use crate::objects::mode::spec::{hkpt, in_kernel};
use crate::spec::contract::{Contract, Region, no_events, silent};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Map, Wide};

/// The first argument is a thread of this CPU.
pub(crate) fn is_my_thread<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    a.words[0] < NUM_PROC && v.is_mine(a.words[0])
}

/// Like [`in_kernel`], and the first argument is a thread of this CPU.
pub(crate) fn of_my_thread<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && is_my_thread(v, a)
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
        |cpu, a| super::uctx_get(cpu, a.words[0], a.words[1]).map(Answer::Word),
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
        run: |cpu, a| super::uctx_set(cpu, a.words[0], a.words[1], a.words[2]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hkpt(v, a) && is_my_thread(v, a) && is_slot::<M>(a.words[1]),
        requires: |v, a| of_my_thread(v, a) && is_slot::<M>(a.words[1]),
        ensures: |s| {
            let [i, k, v, _] = s.arguments.words;
            s.after.own.uctxt.get([i, k]).value == M::Wide::from(v)
                && matches!(s.after.ghost.uctxt_kind.get([i, k]), SlotKind::Int)
        },
        events: no_events,
        modifies: |s, may| {
            let [i, k, ..] = s.arguments.words;
            may("uctxt", Region::All, &[i, k]);
            may("uctxt.kind", Region::All, &[i, k]);
        },
    }
}

/// The facts about user contexts.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 2] {
    [
        Fact {
            number: "D13",
            name: "only threads alive have user contexts",
            class: Class::Derived,
            keys: &[("uctxt.kind", &[0, 1])],
            holds: |v, k| v.is_mine(k[0]) || matches!(v.ghost.uctxt_kind.get([k[0], k[1]]), SlotKind::Undef),
        },
        Fact {
            number: "D13.2",
            name: "threads alive but the main ones have user contexts",
            class: Class::Derived,
            keys: &[("uctxt.kind", &[0, 1])],
            holds: |v, k| {
                k[0] <= TOTAL_CPU
                    || !v.is_mine(k[0])
                    || match v.ghost.uctxt_kind.get([k[0], k[1]]) {
                        SlotKind::Int => true,
                        SlotKind::Ptr => k[1] == slot::EIP,
                        SlotKind::Undef => false,
                    }
            },
        },
    ]
}
