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
            name: "whoever has ended uses nothing",
            class: Class::Entry,
            keys: &[("proc", &[0])],
            holds: |v, k| v.own.proc.get([k[0]]).state != process::GONE || v.own.ac.get([k[0]]).usage == 0,
        },
        Fact {
            number: "E2",
            name: "no page is loose",
            class: Class::Entry,
            keys: &[("pperm", &[0])],
            holds: |v, k| !is_loose(v, k[0]),
        },
    ]
}

/// What E reads, by field and leaf, with a comparison of two states in a cell. The call rule assumes it for the cells
/// that the callee's modifies clause does not name.
pub const READ: [(&str, &str); 4] = [("proc", "state"), ("AC", "usage"), ("pperm", "tag"), ("LAT", "len")];

/// A leaf of [`READ`] is the same in both states at a key, as far as E reads it.
pub fn is_same<M: Spec>(field: &str, [before, after]: [&View<'_, M>; 2], key: M::Word) -> bool {
    let is_data = |v: &View<'_, M>| matches!(v.ghost.pperm.get([key]), FrameUse::Alloc);
    match field {
        "proc" => before.own.proc.get([key]).state == after.own.proc.get([key]).state,
        "AC" => before.own.ac.get([key]).usage == after.own.ac.get([key]).usage,
        "pperm" => is_data(before) == is_data(after),
        "LAT" => before.ghost.lat.get([key]).len == after.ghost.lat.get([key]).len,
        _ => unreachable!("E does not read {field}"),
    }
}

/// The frame is data of this CPU, and no page map maps it.
pub(crate) fn is_loose<M: Spec>(v: &View<'_, M>, frame: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Alloc) && v.ghost.lat.get([frame]).len == 0
}
