//! H6: `Container_valid` (reference, section 5.2), clause by clause, for each container in use.
//!
//! Clauses 6 and 8 are about every child of every container. They are stated of the child.
use super::Class::High;
use super::{Fact, View};
use crate::constants::*;
use crate::container::children_quota;
use crate::fields::Container;
use crate::machine::Spec;
use domain::{Flag, Map};

/// Clauses that the representation makes true: a container's children have the ids `8i+1 .. 8i+1+nchildren`, so there
/// are no duplicates (10) and the ids are in range (13); the key is in range (1), and a quota is a word (3).
pub(super) const BY_CONSTRUCTION: &[(&str, &str)] = &[
    ("H6.1", "id in range"),
    ("H6.3", "quota is a word"),
    ("H6.10", "no duplicate children"),
    ("H6.13", "children's ids in range"),
];

pub(super) fn facts<M: Spec>() -> [Fact<M>; 9] {
    macro_rules! clause {
        ($number:literal, $name:literal, $holds:expr) => {
            Fact {
                number: $number,
                name: $name,
                class: High,
                keys: &[("AC", &[0])],
                holds: |v, k| {
                    let container = v.own.ac.get([k[0]]);
                    !container.used.holds() || {
                        let holds: fn(&View<'_, M>, M::Word, Container<M>) -> bool = $holds;
                        holds(v, k[0], container)
                    }
                },
            }
        };
    }
    [
        clause!("H6.2", "only container 0 is its own parent", |_, i, c| (c.parent == i) == (i == 0)),
        clause!("H6.4", "usage within quota", |_, _, c| c.usage <= c.quota),
        clause!("H6.5", "parent in use", |v, _, c| { c.parent < NUM_ID && v.own.ac.get([c.parent]).used.holds() }),
        clause!("H6.7", "child of its parent", |v, i, c| {
            i == 0 || (c.parent < NUM_ID && (i - 1) % MAX_CHILDREN < v.own.ac.get([c.parent]).nchildren)
        }),
        clause!("H6.9", "children's quotas within usage", |v, i, c| children_quota::<M>(&v.own.ac, i, c)
            <= M::Nat::from(c.usage)),
        Fact {
            number: "H6.6",
            name: "children in use",
            class: High,
            keys: &[("AC", &[0])],
            holds: |v, k| !is_child(v, k[0]) || v.own.ac.get([k[0]]).used.holds(),
        },
        Fact {
            number: "H6.8",
            name: "parent of its children",
            class: High,
            keys: &[("AC", &[0])],
            holds: |v, k| !is_child(v, k[0]) || v.own.ac.get([k[0]]).parent == (k[0] - 1) / MAX_CHILDREN,
        },
        clause!("H6.11", "at most eight children", |_, _, c| c.nchildren <= MAX_CHILDREN),
        clause!("H6.12", "parent's id", |_, i, c| {
            if i == 0 { c.parent == 0 } else { c.parent == (i - 1) / MAX_CHILDREN }
        }),
    ]
}

/// Container `j` is a child of the container that has it in its range of child ids.
#[track_caller]
fn is_child<M: Spec>(v: &View<'_, M>, j: M::Word) -> bool {
    j != 0 && {
        let parent = v.own.ac.get([(j - 1) / MAX_CHILDREN]);
        parent.used.holds() && (j - 1) % MAX_CHILDREN < parent.nchildren
    }
}
