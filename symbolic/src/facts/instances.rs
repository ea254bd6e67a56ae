//! Instances of facts: the code, a goal or another instance triggers them by its reads, and they are asserted if the
//! model violates them.
use super::{Candidate, FactSet, Instance, LARGE};
use crate::engine::{Engine, engine};
use crate::merge::condition;
use crate::mutation::running;
use rustc_hash::FxHashSet;
use smt::model::Model;
use smt::term::Term;
use std::rc::Rc;

/// Makes the instances of all facts at the keys that were read so far, up to `depth`.
fn instantiate(depth: u32) {
    loop {
        let next = engine(|e| {
            let facts = &mut e.facts;
            let (touches, sets) = (facts.touched.len(), facts.sets.len());
            let done = facts.progress.entry(depth).or_insert((0, 0));
            if *done == (touches, sets) {
                return None;
            }
            let (old_touches, old_sets) = std::mem::replace(done, (touches, sets));
            let mut fresh = Vec::new();
            for touch in 0..touches {
                if facts.touched[touch].depth > depth {
                    continue;
                }
                let first_set = if touch < old_touches { old_sets } else { 0 };
                for set in first_set..sets {
                    for fact in 0..facts.sets[set].facts.len() {
                        for (keys, depth) in facts.combinations(set, fact, touch, depth) {
                            if facts.tried.insert((set, fact, keys.clone())) {
                                facts.tried_order.push((set, fact, keys.clone()));
                                fresh.push((facts.sets[set].clone(), fact, keys, depth));
                            }
                        }
                    }
                }
            }
            Some(fresh)
        });
        let Some(fresh) = next else { return };
        for (set, fact, keys, depth) in fresh {
            let instance = instance(&set, fact, keys);
            engine(|e| {
                let facts = &mut e.facts;
                for read in &instance.reads {
                    facts.touch(read.clone(), depth + 1);
                }
                for &(holds, large) in &instance.clauses {
                    if facts.candidate_index.insert(holds) {
                        facts.candidates.push(Candidate { holds, depth, large });
                    }
                }
            });
        }
    }
}

/// Whether each conjunct of `goal` is already an instance of a fact, at keys that were read.
pub(crate) fn is_instance(goal: Term) -> bool {
    // In a concrete run every value is known, so facts are not needed.
    if engine(|e| e.settings.valuation.is_some()) {
        return false;
    }
    instantiate(0);
    engine(|e| e.conjuncts(goal).iter().all(|part| e.facts.candidate_index.contains(part)))
}

/// The instance of a fact at these keys, as a term. It is not simplified by what this path knows, so that paths can
/// share it.
fn instance(set: &FactSet, fact: usize, keys: Vec<Term>) -> Rc<Instance> {
    if let Some(instance) = set.memo.borrow().get(&(fact, keys.clone())) {
        return instance.clone();
    }
    if let Some(instance) = set.of_state.as_ref().and_then(|state| state.instance(fact, &keys)) {
        set.memo.borrow_mut().insert((fact, keys), instance.clone());
        return instance;
    }
    let quantified = &set.facts[fact];
    let (outer, hidden) = engine(|e| {
        e.facts.consulted = Some(Vec::new());
        let outer = e.facts.record();
        (outer, std::mem::replace(&mut e.path.is_hidden, true))
    });
    let merges = engine(|e| std::mem::take(&mut e.path.merges));
    let holds = running(false, || condition(&|| (quantified.holds)(&keys)));
    let instance = engine(|e| {
        e.path.merges = merges;
        e.path.is_hidden = hidden;
        let consulted = e.facts.consulted.take().unwrap_or_default();
        let mut reads = e.facts.recorded(outer);
        reads.retain(|read| !e.arena.is_computed(&read.key));
        let mut holds = holds;
        for (&key, &bound) in keys.iter().zip(&quantified.bounds) {
            let bound = e.arena.number(bound);
            let below = e.arena.lt(key, bound);
            holds = e.arena.implies(below, holds);
        }
        let clauses = if e.arena.as_bool(holds) == Some(true) { Vec::new() } else { e.conjuncts(holds) };
        let clauses = clauses.into_iter().map(|clause| (clause, e.arena.is_larger(clause, LARGE))).collect();
        let instance = Rc::new(Instance { holds, clauses, reads });
        if let Some(state) = &set.of_state {
            state.keep(fact, &keys, consulted, instance.clone());
        }
        instance
    });
    set.memo.borrow_mut().insert((fact, keys), instance.clone());
    instance
}

/// Asserts instances, up to `depth`, that the current model violates. Returns whether there were any.
///
/// Instances with the same state cells as `goals` come first, then instances that share cells with these, and so on:
/// near instances are likely to be needed, and far ones are expensive. Large instances, and instances that are not
/// connected to the goals at all, are used only if `all` is set; the large ones come first.
pub(crate) fn assert_broken(depth: u32, goals: &[Term], all: bool) -> bool {
    instantiate(depth);
    engine(|e| {
        let Some(mut model) = e.model.take() else { return false };
        let broken = e.nearest_broken(&mut model, depth, goals, all);
        for &holds in &broken {
            e.assert_instance(holds);
        }
        e.model = Some(model);
        !broken.is_empty()
    })
}

impl Engine {
    fn nearest_broken(&mut self, model: &mut Model, depth: u32, goals: &[Term], all: bool) -> Vec<Term> {
        let mut cells: FxHashSet<Term> = FxHashSet::default();
        for &goal in goals {
            cells.extend(self.arena.cells(goal).iter());
        }
        let candidates: Vec<(Term, bool)> =
            self.facts.candidates.iter().filter(|c| c.depth <= depth).map(|c| (c.holds, c.large)).collect();
        let mut far: Vec<(Term, bool)> = candidates.clone();
        let mut assumed: Vec<Term> =
            self.path.steps.iter().map(|step| step.holds).chain(self.path.assumed.iter().copied()).collect();
        let mut large = Vec::new();
        while !far.is_empty() {
            // The assertions of the path connect cells too, and are already asserted.
            loop {
                let before = assumed.len();
                assumed.retain(|&term| {
                    let near = self.arena.cells(term).iter().any(|cell| cells.contains(cell));
                    if near {
                        cells.extend(self.arena.cells(term).iter());
                    }
                    !near
                });
                if assumed.len() == before {
                    break;
                }
            }
            let (near, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut far)
                .into_iter()
                .partition(|(holds, _)| self.arena.cells(*holds).iter().any(|cell| cells.contains(cell)));
            if near.is_empty() {
                far = rest;
                break;
            }
            let mut broken = Vec::new();
            for &(holds, is_large) in &near {
                if !self.facts.asserted.contains(&holds) && !model.holds(&self.arena, holds) {
                    if is_large {
                        large.push(holds);
                    } else {
                        let strange = self.arena.cells(holds).iter().filter(|cell| !cells.contains(cell)).count();
                        broken.push((strange, holds));
                    }
                }
            }
            if !broken.is_empty() {
                broken.sort();
                return broken.into_iter().map(|(_, holds)| holds).collect();
            }
            for (holds, _) in near {
                cells.extend(self.arena.cells(holds).iter());
            }
            far = rest;
        }
        if !all {
            return Vec::new();
        }
        if !large.is_empty() {
            return large;
        }
        far.retain(|(holds, _)| !self.facts.asserted.contains(holds) && !model.holds(&self.arena, *holds));
        far.into_iter().map(|(holds, _)| holds).collect()
    }
}

impl Engine {
    fn assert_instance(&mut self, holds: Term) {
        self.solver.assert(&self.arena, holds);
        self.facts.asserted.insert(holds);
        self.asserted.last_mut().expect("there is always a scope").push(holds);
        self.results.counts.instances += 1;
    }
}

/// Asserts fact number `fact` of `set` at `keys`, whatever the model says. A goal about the final state most
/// likely needs the same fact of the initial state.
pub fn assert_at(set: &Rc<FactSet>, fact: usize, keys: &[Term]) {
    let instance = instance(set, fact, keys.to_vec());
    engine(|e| {
        for read in &instance.reads {
            e.facts.touch(read.clone(), 1);
        }
        if e.arena.as_bool(instance.holds) != Some(true) && !e.facts.asserted.contains(&instance.holds) {
            e.assert_instance(instance.holds);
        }
    });
}

/// Asserts, at each of `keys` that a goal has read, the rely conditions about changes by other CPUs. The goal most
/// likely has the same form, and finding the instance by models would take many queries.
pub fn assert_interference_at(keys: &[Term]) {
    let found = engine(|e| {
        let facts = &e.facts;
        let mut found = Vec::new();
        for set in facts.sets.iter().filter(|set| set.is_interference) {
            for (fact, quantified) in set.facts.iter().enumerate() {
                let ([_], [trigger]) = (&quantified.bounds[..], &quantified.triggers[..]) else { continue };
                for key in keys.iter().map(|&key| vec![key]) {
                    if trigger.maps.iter().any(|&map| facts.touched_index.contains(&(map, key.clone()))) {
                        found.push((set.clone(), fact, key));
                    }
                }
            }
        }
        found
    });
    for (set, fact, key) in found {
        assert_at(&set, fact, &key);
    }
}

/// If `required` is large, such as a sum: asserts the instances that have its cells and at most one more, whatever the
/// model says. Otherwise large instances come last (`nearest_broken`), after many queries.
pub fn assert_like_large(required: Term) {
    if !engine(|e| e.arena.is_larger(required, LARGE)) {
        return;
    }
    instantiate(0);
    engine(|e| {
        let cells: FxHashSet<Term> = e.arena.cells(required).iter().copied().collect();
        let candidates: Vec<Term> = e.facts.candidates.iter().map(|candidate| candidate.holds).collect();
        for holds in candidates {
            let strange = e.arena.cells(holds).iter().filter(|cell| !cells.contains(cell)).count();
            if strange <= 1 && !e.facts.asserted.contains(&holds) {
                e.assert_instance(holds);
            }
        }
    });
}

/// Asserts every fact of the path that has one key, at `key`, including facts about earlier states.
pub fn assert_all_at(key: u32) {
    let sets = engine(|e| [&e.facts.dropped[..], &e.facts.sets[..]].concat());
    for set in sets {
        for fact in (0..set.facts.len()).filter(|&fact| matches!(set.facts[fact].bounds[..], [_])) {
            let key = engine(|e| e.arena.number(key.into()));
            assert_at(&set, fact, &[key]);
        }
    }
}

/// Runs `work` as code that is not under proof: its reads trigger no facts.
pub fn untouched<R>(work: impl FnOnce() -> R) -> R {
    let outer = engine(|e| e.facts.record());
    let result = running(false, work);
    engine(|e| e.facts.recorded(outer));
    result
}

/// Like [`untouched`], but without the knowledge of the path.
pub fn aside<R>(work: impl FnOnce() -> R) -> R {
    let hidden = engine(|e| std::mem::replace(&mut e.path.is_hidden, true));
    let result = untouched(work);
    engine(|e| e.path.is_hidden = hidden);
    result
}
