//! E1 and following: facts that hold whenever the kernel is entered or left, but not between two primitives.
//!
//! Primitives 2 (`palloc`) and 5 (`pt_resv`) break them by themselves: they charge a page to any thread, and leave it
//! unmapped. The kernel's entries call neither.
use super::{Class, Fact, View};
use crate::fields::*;
use crate::machine::Spec;
use domain::Map;

pub(super) fn facts<M: Spec>() -> [Fact<M>; 2] {
    [
        Fact {
            number: "E1",
            name: "a process that has ended uses no pages",
            class: Class::Entry,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state != process::GONE || v.own.ac.get([k[0]]).usage == 0,
        },
        Fact {
            number: "E2",
            name: "every data page is mapped",
            class: Class::Entry,
            keys: &[("pperm", &[0])],
            holds: |v, k| !is_unmapped(v, k[0]),
        },
    ]
}

/// A leaf of a field that E reads.
pub struct Read<M: Spec> {
    /// The field.
    pub field: &'static str,
    /// The leaf.
    pub leaf: &'static str,
    /// Whether it is the same in both states at a key, as far as E reads it.
    pub is_same: fn([&View<'_, M>; 2], M::Word) -> bool,
}

/// All that E reads. The call rule assumes that it is unchanged in the cells that the callee's modifies clause does not
/// name.
pub fn read<M: Spec>() -> [Read<M>; 4] {
    [
        Read {
            field: "proc",
            leaf: "state",
            is_same: |[before, after], key| before.own.proc.get([key]).state == after.own.proc.get([key]).state,
        },
        Read {
            field: "AC",
            leaf: "usage",
            is_same: |[before, after], key| before.own.ac.get([key]).usage == after.own.ac.get([key]).usage,
        },
        Read {
            field: "pperm",
            leaf: "tag",
            is_same: |[before, after], key| is_data(before, key) == is_data(after, key),
        },
        Read {
            field: "LAT",
            leaf: "len",
            is_same: |[before, after], key| before.ghost.lat.get([key]).len == after.ghost.lat.get([key]).len,
        },
    ]
}

/// The frame is data of this CPU.
fn is_data<M: Spec>(v: &View<'_, M>, frame: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Alloc)
}

/// The frame is data of this CPU, and no page map maps it.
pub(crate) fn is_unmapped<M: Spec>(v: &View<'_, M>, frame: M::Word) -> bool {
    is_data(v, frame) && v.ghost.lat.get([frame]).len == 0
}
