//! L1 to L7: the typing of stored machine values (reference, section 5.6).
//!
//! A value of this layer is a word or the number of a continuation (`STAGES`), never a raw pointer. So all clauses but
//! L3, which are about 32-bit types and pointers to existing blocks, hold by construction. What remains of L3 is that a
//! saved kernel context resumes at a continuation.
use super::Class::Low;
use super::Fact;
use crate::fields::{STAGES, place};
use crate::machine::Spec;
use domain::Map;

/// Clauses that the types make true.
pub(super) const BY_CONSTRUCTION: &[(&str, &str)] = &[
    ("L1", "ti is well typed"),
    ("L2", "ti.ra points nowhere wrong"),
    ("L4", "uctxt is well typed"),
    ("L5", "vmcs is well typed"),
    ("L6", "vmx is well typed"),
    ("L7", "there are no trap frames in the state"),
    ("L", "no bound on the blocks of memory matters: no value is a pointer"),
];

pub(super) fn facts<M: Spec>() -> [Fact<M>; 1] {
    [Fact {
        number: "L3",
        name: "kctxt resumes at a stage",
        class: Low,
        keys: &[("kctxt", &[0])],
        holds: |v, k| {
            let place = v.threads.tcb.get([k[0]]).place;
            !v.is_mine(k[0]) || place == place::RUN || v.own.kctxt.get([k[0]]).ra < STAGES
        },
    }]
}
