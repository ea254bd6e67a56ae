//! The rely conditions are reflexive and transitive.
use super::theorem::{clause, premises_hold};
use crate::environment::channels::Relation;
use crate::state::sym::Sym;
use crate::state::unknown::{at_version, key_bounds, quantified, unknown_object};
use layer::core::constants::TOTAL_CPU;
use layer::core::geometry::Geometry;
use layer::core::keys::Keys;
use layer::core::machine::Object;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Queue, Threads};
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::facts::FactSet;
use symbolic::origin::Origin;
use symbolic::proof::{Outcome, any, run_paths};
use symbolic::word::SymWord;

/// A shared object: an object behind a lock, or the threads.
pub(super) trait Versioned<G: Geometry>: Sized + 'static {
    const KEYS: Keys;
    /// An unknown object at `version`.
    fn unknown(version: Origin) -> Self;
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool;
    fn by_itself(&self, row: SymWord, key: &[SymWord]) -> bool;
}

impl<G: Geometry> Versioned<G> for AllocTable<Sym<G>> {
    const KEYS: Keys = <Self as Object<Sym<G>>>::KEYS;
    fn unknown(version: Origin) -> Self {
        unknown_object(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        <Self as Object<Sym<G>>>::rely(old, new, me, key)
    }
    fn by_itself(&self, row: SymWord, key: &[SymWord]) -> bool {
        // This fact does not depend on the threads.
        Object::lock_invariant(self, row, &Threads::at(Origin::START), key)
    }
}

impl<G: Geometry, F: Family> Versioned<G> for Queue<Sym<G>, F> {
    const KEYS: Keys = <Self as Object<Sym<G>>>::KEYS;
    fn unknown(version: Origin) -> Self {
        unknown_object(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        <Self as Object<Sym<G>>>::rely(old, new, me, key)
    }
    fn by_itself(&self, _: SymWord, _: &[SymWord]) -> bool {
        // The fact is about the threads in the queue, which this rely condition does not mention.
        true
    }
}

impl<G: Geometry> Versioned<G> for Threads<Sym<G>> {
    const KEYS: Keys = Threads::<Sym<G>>::KEYS;
    fn unknown(version: Origin) -> Self {
        Threads::at(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Threads::rely(old, new, me, key[0])
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Threads::lock_invariant(self, key[0])
    }
}

impl<G: Geometry> Versioned<G> for Channels<Sym<G>> {
    const KEYS: Keys = Channels::<Sym<G>>::KEYS;
    fn unknown(version: Origin) -> Self {
        Channels::at(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Relation::Control.rely(old, new, me, key)
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Relation::Control.lock_invariant(self, key)
    }
}

/// The messages of the channels.
pub(super) struct Mail<G: Geometry>(Channels<Sym<G>>);

impl<G: Geometry> Versioned<G> for Mail<G> {
    const KEYS: Keys = Channels::<Sym<G>>::MAIL;
    fn unknown(version: Origin) -> Self {
        Mail(Channels::at(version))
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Relation::Mail.rely(&old.0, &new.0, me, key)
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Relation::Mail.lock_invariant(&self.0, key)
    }
}

/// The rely condition is reflexive, and it is transitive over three successive versions of an object.
pub(super) fn rely_is_preorder<G: Geometry, T: Versioned<G>>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let me = any("me", TOTAL_CPU.into());
        let row = any("row", TOTAL_CPU.into());
        let [first, second, third] = [1, 2, 3].map(|version| Rc::new(T::unknown(Origin { version })));
        let bounds = key_bounds::<G>(T::KEYS);
        let mut facts = Vec::new();
        for (version, object) in (1..).zip([&first, &second, &third]) {
            let object = object.clone();
            facts.push(quantified::<G>(T::KEYS, &at_version(Origin { version }), move |k| object.by_itself(row, k)));
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        if !premises_hold(outcome) {
            return;
        }
        // Reflexivity comes before the assumptions: if nothing satisfied the rely condition, everything would follow
        // from it.
        clause(outcome, "reflexive", &bounds, &|k| T::rely(&first, &first, me, k));
        let mut facts = Vec::new();
        for (version, old, new) in [(1, &first, &second), (2, &second, &third)] {
            for version in [version, version + 1] {
                let (old, new) = (old.clone(), new.clone());
                facts.push(quantified::<G>(T::KEYS, &at_version(Origin { version }), move |k| {
                    T::rely(&old, &new, me, k)
                }));
            }
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        clause(outcome, "transitive", &bounds, &|k| T::rely(&first, &third, me, k));
    });
    outcome.require_success();
    outcome
}

#[cfg(test)]
mod tests {
    use super::super::theorem::tests::proved;
    use super::*;
    use domain::Map;
    use layer::core::geometry::X64;
    use symbolic::failure::Reason;

    /// Threads with a rely condition that nothing satisfies.
    struct Contradictory(Threads<Sym<X64>>);

    impl Versioned<X64> for Contradictory {
        const KEYS: Keys = Threads::<Sym<X64>>::KEYS;
        fn unknown(version: Origin) -> Self {
            Contradictory(Threads::at(version))
        }
        fn rely(old: &Self, new: &Self, _: SymWord, key: &[SymWord]) -> bool {
            let [old, new] = [old, new].map(|threads| threads.0.tcb.get([key[0]]).home);
            old < new && new < old
        }
        fn by_itself(&self, _: SymWord, _: &[SymWord]) -> bool {
            true
        }
    }

    #[test]
    fn a_contradictory_rely_is_no_preorder() {
        let outcome = proved(rely_is_preorder::<X64, Contradictory>);
        assert_eq!(outcome.failures[0].clause, "reflexive");
        assert_eq!(outcome.failures[0].reason, Reason::Counterexample);
    }
}
