//! The invariant: all facts of all objects, in the order of the reference.
//!
//! H1 to H19 are the reference's record (section 5.1), and L is its typing of stored values (5.6). D has the
//! reference's derived facts (5.8 and 10.2), and more facts that are needed to show that no call is stuck. E holds at
//! every entry to the kernel and every exit from it, but not between two primitives. Primitives 2 (`palloc`) and 5
//! (`pt_resv`) break E by themselves, since they charge a page to any thread and leave it unmapped. The kernel's
//! entries call neither of them.
//!
//! A value of this layer is a word or the number of a continuation (`CONTINUATIONS`), never a raw pointer. All clauses of L
//! except L3 are about 32-bit types and pointers to existing blocks, so they hold by construction.
use crate::core::fields::FrameUse;
use crate::core::machine::Spec;
use crate::objects::{
    channel, console, container, context, interrupt, mode, page_alloc, page_table, process, queue, thread, vmx,
};
use crate::spec::fact::Fact;
use crate::spec::view::View;
use domain::{Flag, Map};

/// The numbers of all facts, in the order in which everything lists them: H, L, D, E.
const ORDER: [&str; 84] = [
    "H1", "H2", "H3", "H4", "H5", "H7", "H8.1", "H8.2", "H8.3", "H9", "H10", "H11", "H12", "H13", "H14", "H15", "H16",
    "H17", "H18", "H19", "H6.2", "H6.4", "H6.5", "H6.7", "H6.9", "H6.6", "H6.8", "H6.11", "H6.12", "L3", "D1", "D2",
    "D3", "D4.1", "D4.2", "D4.3", "D4.4", "D4.5", "D4.6", "D4.7", "D5.1", "D5.2", "D5.3", "D6.1", "D6.2", "D6.3", "D7",
    "D8", "D9", "D10", "D11", "D12", "D13", "D13.2", "D14", "D15.1", "D15.2", "D17", "D18", "D23.1", "D23.2", "D23.4",
    "D23.3", "D22.1", "D22.2", "D22.3", "D22.4", "D19.1", "D19.2", "D19.3", "D19.4", "D19.5", "D19.6", "D20.1",
    "D20.2", "D20.3", "D20.4", "D20.5", "D20.6", "D21", "E1", "E2", "E3", "E4",
];

/// Every fact, in the order of the reference.
pub fn facts<M: Spec>() -> impl Iterator<Item = Fact<M>> {
    let of_objects = mode::spec::facts()
        .into_iter()
        .chain(page_alloc::spec::facts())
        .chain(page_table::spec::facts::facts())
        .chain(container::spec::facts())
        .chain(console::spec::facts())
        .chain(thread::spec::facts())
        .chain(queue::spec::facts())
        .chain(channel::spec::facts())
        .chain(context::spec::facts())
        .chain(process::spec::facts())
        .chain(vmx::spec::facts::facts())
        .chain(interrupt::spec::facts());
    let mut all = [None; ORDER.len()];
    for fact in of_objects {
        let at = ORDER.iter().position(|&number| number == fact.number);
        all[at.expect("every fact has its place in the order")] = Some(fact);
    }
    all.map(|fact| fact.expect("every number has its fact")).into_iter()
}

/// Clauses that are about the other CPUs and not about a state: number, name, and the theorems that prove them.
pub const BY_THEOREMS: &[(&str, &str, &str)] = &[(
    "H20",
    "valid_big_oracle",
    "the other CPUs satisfy the rely conditions of each CPU. The rely condition of a shared object is its relation \
     `rely`, which is reflexive and transitive (theorems `rely_*`) and preserves the invariant (theorems \
     `stable_*`). Every critical section of every primitive satisfies it (clauses `guarantee of …`, `changed only \
     under its lock: …`), and the replay defines every event and its effect (clauses `events`, `effect of each event \
     on …`). Every lock becomes free again, because critical sections end and stay within their budgets (theorem \
     `budgets`)",
)];

/// Clauses that the types and the representation make true, by number and name. A container's children have the ids
/// `8i+1 .. 8i+1+nchildren`, so there are no duplicates (H6.10) and the ids are in range (H6.13). The key is in range
/// (H6.1), and a quota is a word (H6.3).
const BY_CONSTRUCTION: &[(&str, &str)] = &[
    ("H6.1", "id in range"),
    ("H6.3", "quota is a word"),
    ("H6.10", "no duplicate children"),
    ("H6.13", "children's ids in range"),
    ("L1", "ti is well typed"),
    ("L2", "ti.ra is no pointer"),
    ("L4", "uctxt is well typed"),
    ("L5", "vmcs is well typed"),
    ("L6", "vmx is well typed"),
    ("L7", "there are no trap frames in the state"),
    ("L", "no value is a pointer, so the bound on the blocks of memory does not matter"),
    ("D16", "a channel is as its last holder left it"),
];

/// Clauses that the representation makes true, by number and name. Reports print them as such.
pub fn by_construction() -> impl Iterator<Item = (&'static str, &'static str)> {
    BY_CONSTRUCTION.iter().copied()
}

/// A leaf of a field that E reads.
pub struct Read<M: Spec> {
    /// The field.
    pub field: &'static str,
    /// The leaf.
    pub leaf: &'static str,
    /// Whether the part of the leaf that E reads is the same in both states at a key.
    pub is_same: fn([&View<'_, M>; 2], M::Word) -> bool,
}

/// All state that E reads. The call rule assumes that cells outside the callee's modifies clause are unchanged; only E
/// needs this.
pub fn read<M: Spec>() -> [Read<M>; 6] {
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
            is_same: |[before, after], key| {
                let is_data = |v: &View<'_, M>| matches!(v.ghost.pperm.get([key]), FrameUse::Alloc);
                is_data(before) == is_data(after)
            },
        },
        Read {
            field: "LAT",
            leaf: "len",
            is_same: |[before, after], key| before.ghost.lat.get([key]).len == after.ghost.lat.get([key]).len,
        },
        Read {
            field: "LAT",
            leaf: "payer",
            is_same: |[before, after], key| before.ghost.lat.get([key]).payer == after.ghost.lat.get([key]).payer,
        },
        Read {
            field: "guest.frames",
            leaf: "defined",
            is_same: |[before, after], key| {
                let is_listed = |v: &View<'_, M>| v.ghost.guest_frames.get([key]).defined.holds();
                is_listed(before) == is_listed(after)
            },
        },
    ]
}
