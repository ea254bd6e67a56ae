//! Quantified facts, instantiated lazily.
//!
//! A fact holds for all keys. It is looked at where the code under proof, a goal or another instance has read the
//! fields that it speaks of, and asserted only where the solver's model breaks it: few instances are ever needed.
use crate::engine::engine;
use crate::explore::condition;
use crate::term::{Name, Term};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::RefCell;
use std::rc::Rc;

/// A fact of a set: for all keys below their bounds, `holds`.
pub(crate) struct Quantified {
    /// Which coordinates of which unknown maps are which keys.
    pub triggers: Vec<Trigger>,
    /// Exclusive bound of each key.
    pub bounds: Vec<u64>,
    /// The fact at some keys.
    pub holds: Box<dyn Fn(&[Term]) -> bool>,
}

/// Reads of one unknown map, and which keys its coordinates are.
pub(crate) struct Trigger {
    pub map: Name,
    pub keys: Vec<Option<usize>>,
}

/// Facts over one version of the state, with the instances made of them so far.
pub(crate) struct FactSet {
    pub facts: Vec<Quantified>,
    memo: RefCell<FxHashMap<(usize, Vec<Term>), Rc<Instance>>>,
}

struct Instance {
    holds: Term,
    reads: Vec<Read>,
}

/// A read of an unknown map.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Read {
    map: Name,
    key: Vec<Term>,
    leaf: Term,
}

impl FactSet {
    pub fn new(facts: Vec<Quantified>) -> Rc<FactSet> {
        Rc::new(FactSet { facts, memo: RefCell::default() })
    }
}

struct Touch {
    map: Name,
    key: Vec<Term>,
    depth: u32,
}

struct Candidate {
    holds: Term,
    depth: u32,
}

/// What is known of the facts on one path.
#[derive(Default)]
pub(crate) struct Facts {
    sets: Vec<Rc<FactSet>>,
    touched: Vec<Touch>,
    touched_index: FxHashSet<(Name, Vec<Term>)>,
    /// How many touches, and of which sets, have been combined up to each depth.
    tried: FxHashSet<(usize, usize, Vec<Term>)>,
    progress: FxHashMap<u32, (usize, usize)>,
    candidates: Vec<Candidate>,
    candidate_index: FxHashSet<Term>,
    asserted: FxHashSet<Term>,
    reads: Vec<Term>,
    read_index: FxHashSet<Term>,
    /// While an instance is made: its reads.
    recording: Option<Vec<Read>>,
}

impl Facts {
    pub fn begin_path(&mut self) {
        let asserted = std::mem::take(&mut self.asserted);
        *self = Facts { asserted, ..Facts::default() };
    }

    pub fn add(&mut self, set: Rc<FactSet>) {
        self.sets.push(set);
    }

    /// The solver's scope in which `term` was asserted is closed.
    pub fn forget(&mut self, term: Term) {
        self.asserted.remove(&term);
    }

    /// Leaves that the code under proof or a goal read itself.
    pub fn direct_reads(&self) -> &[Term] {
        &self.reads
    }

    /// The unknown map `map` was read at `key`: its `leaf` there.
    pub fn read(&mut self, map: Name, key: &[Term], leaf: Term) {
        let read = Read { map, key: key.to_vec(), leaf };
        match &mut self.recording {
            Some(reads) => {
                if !reads.contains(&read) {
                    reads.push(read);
                }
            }
            None => self.touch(read, 0),
        }
    }

    fn touch(&mut self, read: Read, depth: u32) {
        if depth == 0 && self.read_index.insert(read.leaf) {
            self.reads.push(read.leaf);
        }
        if self.touched_index.insert((read.map, read.key.clone())) {
            self.touched.push(Touch { map: read.map, key: read.key, depth });
        }
    }

    /// The keys of fact `fact` of set `set` that touch number `touch` takes part in.
    fn combinations(&self, set: usize, fact: usize, touch: usize, depth: u32) -> Vec<(Vec<Term>, u32)> {
        let quantified = &self.sets[set].facts[fact];
        let mut found = Vec::new();
        let matching = |trigger: &Trigger, t: &Touch| trigger.map == t.map && t.depth <= depth;
        for (first, trigger) in quantified.triggers.iter().enumerate() {
            if !matching(trigger, &self.touched[touch]) {
                continue;
            }
            let mut partial = vec![(vec![None; quantified.bounds.len()], 0)];
            for (i, trigger) in quantified.triggers.iter().enumerate() {
                let choices: Vec<&Touch> = if i == first {
                    vec![&self.touched[touch]]
                } else {
                    self.touched.iter().filter(|t| matching(trigger, t)).collect()
                };
                let mut extended = Vec::new();
                for (keys, depth) in &partial {
                    for choice in &choices {
                        let mut keys: Vec<Option<Term>> = keys.clone();
                        let fits = trigger.keys.iter().zip(&choice.key).all(|(slot, &word)| match slot {
                            None => true,
                            Some(k) => *keys[*k].get_or_insert(word) == word,
                        });
                        if fits {
                            extended.push((keys, choice.depth.max(*depth)));
                        }
                    }
                }
                partial = extended;
            }
            for (keys, depth) in partial {
                if let Some(keys) = keys.into_iter().collect::<Option<Vec<Term>>>() {
                    found.push((keys, depth));
                }
            }
        }
        found
    }
}

/// Makes the instances of all facts at the keys touched so far, as far as `depth`.
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
                if e.arena.as_bool(instance.holds) != Some(true) && facts.candidate_index.insert(instance.holds) {
                    facts.candidates.push(Candidate { holds: instance.holds, depth });
                }
            });
        }
    }
}

/// The fact at these keys, as a term that depends on nothing that the path knows.
fn instance(set: &FactSet, fact: usize, keys: Vec<Term>) -> Rc<Instance> {
    if let Some(instance) = set.memo.borrow().get(&(fact, keys.clone())) {
        return instance.clone();
    }
    let quantified = &set.facts[fact];
    let (outer, hidden) = engine(|e| {
        let outer = e.facts.recording.replace(Vec::new());
        (outer, std::mem::replace(&mut e.hide_path, true))
    });
    let merges = engine(|e| std::mem::take(&mut e.merges));
    let holds = condition(&|| (quantified.holds)(&keys));
    let instance = engine(|e| {
        e.merges = merges;
        e.hide_path = hidden;
        let reads = std::mem::replace(&mut e.facts.recording, outer).expect("was set above");
        let mut holds = holds;
        for (&key, &bound) in keys.iter().zip(&quantified.bounds) {
            let bound = e.arena.number(bound);
            let below = e.arena.lt(key, bound);
            holds = e.arena.implies(below, holds);
        }
        Rc::new(Instance { holds, reads })
    });
    set.memo.borrow_mut().insert((fact, keys), instance.clone());
    instance
}

/// Asserts the instances, as far as `depth`, that the model at hand breaks; whether there were any.
pub(crate) fn assert_broken(depth: u32) -> bool {
    instantiate(depth);
    engine(|e| {
        let Some(mut model) = e.model.take() else { return false };
        let mut any = false;
        for i in 0..e.facts.candidates.len() {
            let Candidate { holds, depth: at } = e.facts.candidates[i];
            if at <= depth && !e.facts.asserted.contains(&holds) && !model.holds(&e.arena, holds) {
                e.solver.assert(&e.arena, holds);
                e.facts.asserted.insert(holds);
                e.asserted.last_mut().expect("there is always a scope").push(holds);
                e.counts.instances += 1;
                any = true;
            }
        }
        e.model = Some(model);
        any
    })
}
