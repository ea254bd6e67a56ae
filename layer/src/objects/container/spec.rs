//! The specification of containers: contracts of 13 to 16, and the facts of H6 (`Container_valid`; reference, section
//! 5.2), clause by clause, for each container in use.
//!
//! Clauses 6 and 8 of H6 are about every child of every container. They are stated about the child.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::objects::mode::spec::{hk, in_kernel};
use crate::spec::contract::{Contract, silent};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Map, Nat, Storage};

/// The first argument is a container in use.
pub(crate) fn is_container<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    a.words[0] < NUM_ID && v.own.ac.get([a.words[0]]).used.holds()
}

/// Like [`in_kernel`], and the first argument is a container in use.
pub(crate) fn of_container<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && is_container(v, a)
}

/// Kernel mode, and a container in use.
fn of_used<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && is_container(v, a)
}

pub(crate) fn container_get_nchildren<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::container_get_nchildren(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).nchildren,
    )
}

pub(crate) fn container_get_quota<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::container_get_quota(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).quota,
    )
}

pub(crate) fn container_get_usage<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::container_get_usage(cpu, a.words[0]).map(Answer::Word),
        of_used,
        of_container,
        |s| s.answer.word() == s.before.own.ac.get([s.arguments.words[0]]).usage,
    )
}

pub(crate) fn container_can_consume<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::container_can_consume(cpu, a.words[0], a.words[1]).map(Answer::Word),
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

/// The sum of the quotas of container `i`'s children: the ids `8i+1` to `8i+nchildren`, as far as there are containers.
#[track_caller]
fn children_quota<M: Spec>(ac: &<M as Storage<Containers>>::Map, i: M::Word, nchildren: M::Word) -> M::Nat {
    let mut sum = M::Nat::zero();
    for k in 1..=8 {
        if nchildren < k || i * 8 + k >= NUM_ID {
            break;
        }
        sum = sum + M::Nat::from(ac.get([i * 8 + k]).quota);
    }
    sum
}

/// The usage of container `i` is its own charge plus its children's quotas (D10).
#[track_caller]
pub(crate) fn is_accounted<M: Spec>(ac: &<M as Storage<Containers>>::Map, i: M::Word, charge: Charge<M>) -> bool {
    let container = ac.get([i]);
    M::Nat::from(container.usage) == M::Nat::from(charge.pages) + children_quota::<M>(ac, i, container.nchildren)
}

/// Container `j` is a child of the container that has it in its range of child ids.
#[track_caller]
fn is_child<M: Spec>(v: &View<'_, M>, j: M::Word) -> bool {
    j != 0 && {
        let parent = v.own.ac.get([(j - 1) / MAX_CHILDREN]);
        parent.used.holds() && (j - 1) % MAX_CHILDREN < parent.nchildren
    }
}

/// The facts about containers.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 12] {
    macro_rules! clause {
        ($number:literal, $name:literal, $holds:expr) => {
            Fact {
                number: $number,
                name: $name,
                class: Class::High,
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
        Fact {
            number: "H14",
            name: "valid_root",
            class: Class::High,
            keys: &[("AC", &[0])],
            holds: |v, k| !v.ghost.pg.holds() || k[0] > TOTAL_CPU || v.own.ac.get([k[0]]).used.holds(),
        },
        clause!("H6.2", "only container 0 is its own parent", |_, i, c| (c.parent == i) == (i == 0)),
        clause!("H6.4", "usage within quota", |_, _, c| c.usage <= c.quota),
        clause!("H6.5", "parent in use", |v, _, c| { c.parent < NUM_ID && v.own.ac.get([c.parent]).used.holds() }),
        clause!("H6.7", "child of its parent", |v, i, c| {
            i == 0 || (c.parent < NUM_ID && (i - 1) % MAX_CHILDREN < v.own.ac.get([c.parent]).nchildren)
        }),
        clause!("H6.9", "children's quotas within usage", |v, i, c| children_quota::<M>(&v.own.ac, i, c.nchildren)
            <= M::Nat::from(c.usage)),
        Fact {
            number: "H6.6",
            name: "children in use",
            class: Class::High,
            keys: &[("AC", &[0])],
            holds: |v, k| !is_child(v, k[0]) || v.own.ac.get([k[0]]).used.holds(),
        },
        Fact {
            number: "H6.8",
            name: "parent of its children",
            class: Class::High,
            keys: &[("AC", &[0])],
            holds: |v, k| !is_child(v, k[0]) || v.own.ac.get([k[0]]).parent == (k[0] - 1) / MAX_CHILDREN,
        },
        clause!("H6.11", "at most eight children", |_, _, c| c.nchildren <= MAX_CHILDREN),
        clause!("H6.12", "parent's id", |_, i, c| {
            if i == 0 { c.parent == 0 } else { c.parent == (i - 1) / MAX_CHILDREN }
        }),
        Fact {
            number: "D10",
            name: "usage is what was charged",
            class: Class::Derived,
            keys: &[("AC", &[0])],
            holds: |v, k| {
                let container = v.own.ac.get([k[0]]);
                !container.used.holds() || is_accounted::<M>(&v.own.ac, k[0], v.ghost.charged.get([k[0]]))
            },
        },
        Fact {
            number: "D12",
            name: "containers in use are threads alive",
            class: Class::Derived,
            keys: &[("AC", &[0])],
            holds: |v, k| {
                !v.ghost.init.holds()
                    || (k[0] < NUM_PROC
                        && if v.is_local(k[0]) {
                            v.own.ac.get([k[0]]).used.holds() == v.is_mine(k[0])
                        } else {
                            !v.is_mine(k[0])
                        })
            },
        },
    ]
}
