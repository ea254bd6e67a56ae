//! The obligations that proofs of primitives and entries share: facts, modifies clauses, guarantees.
use crate::clause;
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::state::parts::{State, scalars};
use crate::state::sym::Sym;
use crate::state::unknown::{is_part, key_bounds};
use layer::core::geometry::Geometry;
use layer::invariant::facts;
use layer::spec::contract::{Cells, Region, covers};
use layer::spec::fact::Fact;
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::facts::instances::assert_interference_at;
use symbolic::merge::{every_path, goal};
use symbolic::proof::{Outcome, any_keys, note, prove_for_all, run_paths};
use symbolic::query::{in_scope, prove, refuted};
use symbolic::word::SymWord;

/// Proves the facts of `state` that `wanted` accepts. Returns whether all of them hold.
pub(crate) fn prove_facts<G: Geometry>(
    state: &State<G>,
    assumed: &Assumed,
    wanted: impl Fn(&Fact<Sym<G>>) -> bool,
    proved: &mut Vec<String>,
) -> bool {
    for fact in facts::<Sym<G>>().filter(|fact| wanted(fact)) {
        let clause = clause::fact(fact.number, fact.name);
        let holds = in_scope(|| {
            let keys = any_keys(&key_bounds::<G>(fact.keys));
            let goal = goal(&|| (fact.holds)(&state.view(), &keys));
            // No write changed what the fact reads, so it is the same as the assumed fact.
            if assumed.at(fact.number, &keys) == Some(goal) {
                engine(|e| e.results.counts.obligations += 1);
                return true;
            }
            assumed.assert_at(fact.number, &keys);
            assert_interference_at(&keys.iter().map(|key| key.0).collect::<Vec<_>>());
            prove(goal, || clause.clone())
        });
        if !holds {
            return false;
        }
        note(proved, clause);
    }
    true
}

/// Like [`run_paths`], from an unknown state in which the facts of `invariants` are assumed.
pub(crate) fn run_proof<G: Geometry>(
    invariants: InvariantSet,
    path: &dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome),
) -> Outcome {
    let state = Rc::new(State::<G>::unknown());
    let assumed = Assumed::new(&state, invariants);
    run_paths(invariants != InvariantSet::High, &|outcome| {
        assumed.assume();
        path(&state, &assumed, outcome);
    })
}

/// A contract's modifies clause: calls its argument with each cell that may be modified.
pub(crate) type Modifies<'a, G> = &'a dyn Fn(Cells<'_, Sym<G>>);

/// The fields and scalars that the modifies clause `modifies` names on some path, with their leaves or group words.
pub(crate) fn modified_names<G: Geometry>(modifies: Modifies<'_, G>) -> Vec<(&'static str, Region)> {
    let every = every_path(&|| {
        let names = RefCell::new(Vec::new());
        modifies(&mut |name, leaf, _| names.borrow_mut().push((name, leaf)));
        names.into_inner()
    });
    let mut names = every.concat();
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks that the modifies clause names the object of every lock that was taken, because interference may change it.
pub(crate) fn locks_are_modified<G: Geometry>(modifies: Modifies<'_, G>, interference: &Interference<G>) -> bool {
    let names = modified_names::<G>(modifies);
    let missing =
        interference.taken.borrow().iter().copied().find(|object| !names.iter().any(|(name, _)| is_part(name, object)));
    if let Some(object) = missing {
        refuted(&[], clause::lock(object));
    }
    missing.is_none()
}

/// Proves the pending guarantees at the end of the path.
pub(crate) fn prove_guarantees<G: Geometry>(interference: &Interference<G>, proved: &mut Vec<String>) {
    interference.add_guarantees("at the end");
    discharge_guarantees(interference);
    for clause in interference.discharged.take() {
        note(proved, clause);
    }
}

/// Discharges the pending guarantees. This happens before a call rule, which drops the facts that are needed
/// for it.
pub(crate) fn discharge_guarantees<G: Geometry>(interference: &Interference<G>) {
    for guarantee in interference.pending_guarantees.take() {
        if prove_for_all(&guarantee.clause, &guarantee.bounds, &*guarantee.holds) {
            note(&mut interference.discharged.borrow_mut(), guarantee.clause);
        }
    }
}

/// Proves that each written cell is covered by the modifies clause, or keeps its value.
pub(crate) fn prove_modifies<G: Geometry>(modifies: Modifies<'_, G>, before: &State<G>, after: &State<G>) -> bool {
    let mut proved = true;
    for write in engine(|e| e.path.writes.clone()) {
        let written: Vec<SymWord> = write.key.iter().map(|&word| SymWord(word)).collect();
        let names_it = |field: &str, region: Region, key: &[SymWord]| {
            field == write.field && covers([&before.view(), &after.view()], (region, key), write.leaf, &written)
        };
        let clause = || format!("{} at {}:{}", clause::leaf(write.field, write.leaf), write.at.file(), write.at.line());
        proved &= in_scope(|| {
            let allowed = goal(&|| modifies_has::<G>(modifies, &names_it));
            prove(engine(|e| e.arena.implies(write.changes, allowed)), clause)
        });
    }
    for ((name, old), (_, new)) in scalars(before).into_iter().zip(scalars(after)) {
        let same = engine(|e| e.arena.eq(old, new));
        if engine(|e| e.arena.as_bool(same)) == Some(true) {
            continue;
        }
        proved &= in_scope(|| {
            let allowed = goal(&|| modifies_has::<G>(modifies, &|field, _, _| field == name));
            prove(engine(|e| e.arena.or(same, allowed)), || clause::scalar(name))
        });
    }
    proved
}

/// Whether the modifies clause `modifies` has a cell that `wanted` accepts, by field, leaf and key.
pub(crate) fn modifies_has<G: Geometry>(
    modifies: Modifies<'_, G>,
    wanted: &dyn Fn(&str, Region, &[SymWord]) -> bool,
) -> bool {
    let mut has = false;
    modifies(&mut |field, leaf, key| has = has || wanted(field, leaf, key));
    has
}
