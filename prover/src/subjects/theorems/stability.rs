//! The invariant is stable under interference.
use super::theorem::premises_hold;
use crate::environment::channels::Relation;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::{prove_facts, run_proof};
use crate::state::parts::State;
use crate::state::sym::Sym;
use crate::state::unknown::{at_version, quantified, unknown_object};
use layer::core::geometry::Geometry;
use layer::core::keys::Keys;
use layer::core::machine::Object;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::Threads;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::facts::FactSet;
use symbolic::origin::Origin;
use symbolic::proof::Outcome;
use symbolic::word::SymWord;

/// The part of the shared state that interference changes.
#[derive(Clone, Copy)]
pub(super) enum Moved {
    Table,
    Threads,
    Channels,
}

/// A condition on one state, or on two successive ones, at some keys.
type Condition<G> = (Keys, fn(&State<G>, &State<G>, SymWord, &[SymWord]) -> bool);

impl Moved {
    /// `state` with this part unknown, at `version`.
    fn to<G: Geometry>(self, state: State<G>, version: Origin) -> State<G> {
        match self {
            Moved::Table => State { at: unknown_object(version), ..state },
            Moved::Threads => State { pending: unknown_object(version), threads: Threads::at(version), ..state },
            Moved::Channels => State { channels: Channels::at(version), ..state },
        }
    }

    /// The rely conditions on this part.
    fn relies<G: Geometry>(self) -> Vec<Condition<G>> {
        match self {
            Moved::Table => {
                vec![(<AllocTable<Sym<G>> as Object<Sym<G>>>::KEYS, |old, new, me, k| {
                    Object::rely(&old.at, &new.at, me, k)
                })]
            }
            Moved::Threads => {
                vec![(Threads::<Sym<G>>::KEYS, |old, new, me, k| Threads::rely(&old.threads, &new.threads, me, k[0]))]
            }
            Moved::Channels => vec![
                (Channels::<Sym<G>>::KEYS, |old, new, me, k| {
                    Relation::Control.rely(&old.channels, &new.channels, me, k)
                }),
                (Channels::<Sym<G>>::MAIL, |old, new, me, k| Relation::Mail.rely(&old.channels, &new.channels, me, k)),
            ],
        }
    }

    /// The facts of this part alone, in the second state.
    fn by_itself<G: Geometry>(self) -> Vec<Condition<G>> {
        match self {
            Moved::Table => {
                vec![(<AllocTable<Sym<G>> as Object<Sym<G>>>::KEYS, |_, new, _, k| {
                    new.at.lock_invariant(0.into(), &new.threads, k)
                })]
            }
            Moved::Threads => vec![
                (Threads::<Sym<G>>::KEYS, |_, new, _, k| new.threads.lock_invariant(k[0])),
                (Threads::<Sym<G>>::KEYS, |_, new, me, k| new.pending.lock_invariant(me, &new.threads, k)),
            ],
            Moved::Channels => vec![
                (Channels::<Sym<G>>::KEYS, |_, new, _, k| Relation::Control.lock_invariant(&new.channels, k)),
                (Channels::<Sym<G>>::MAIL, |_, new, _, k| Relation::Mail.lock_invariant(&new.channels, k)),
            ],
        }
    }
}

/// The invariant is stable: it still holds after interference on `moved` within the rely conditions. This is proved for
/// both invariant sets, because proofs with either set assume it when a lock is taken.
pub(super) fn stability<G: Geometry>(moved: Moved) -> Outcome {
    let mut whole = Outcome::default();
    for invariants in [InvariantSet::High, InvariantSet::Derived] {
        whole.add(stability_of::<G>(invariants, moved));
    }
    whole
}

fn stability_of<G: Geometry>(invariants: InvariantSet, moved: Moved) -> Outcome {
    let mut outcome = run_proof::<G>(invariants, &|state, assumed, outcome| {
        let (from, to) = (Origin::START, Origin { version: 1 });
        engine(|e| e.path.fresh = e.path.fresh.max(1));
        let (old, me) = (state.clone(), state.own.cpu);
        let new = Rc::new(moved.to(state.snapshot(), to));
        let mut facts = Vec::new();
        let mut add = |keys, version, holds: fn(&State<G>, &State<G>, SymWord, &[SymWord]) -> bool| {
            let (old, new) = (old.clone(), new.clone());
            facts.push(quantified::<G>(keys, &at_version(version), move |k| holds(&old, &new, me, k)));
        };
        for (keys, holds) in moved.relies() {
            add(keys, from, holds);
            add(keys, to, holds);
        }
        for (keys, holds) in moved.by_itself() {
            add(keys, to, holds);
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        if premises_hold(outcome) {
            prove_facts(&new, assumed, |fact| invariants.includes(fact), &mut outcome.clauses);
        }
    });
    outcome.require_success();
    outcome
}
