//! Quantified facts, instantiated lazily.
//!
//! A fact holds for all keys. It is instantiated at the keys at which the code under proof, a goal or another instance
//! reads the fact's fields. An instance is asserted only if the solver's model violates it, so that few are needed.
pub mod instances;

use crate::origin::Identity;
use rustc_hash::{FxHashMap, FxHashSet};
use smt::term::{Arena, Name, Term};
use std::cell::RefCell;
use std::rc::Rc;

/// A quantified fact: `holds` is true for all keys below their bounds.
pub struct Quantified {
    /// The reads that trigger an instance, and how they determine the keys.
    pub triggers: Vec<Trigger>,
    /// The exclusive upper bound of each key.
    pub bounds: Vec<u64>,
    /// Evaluates the fact at some keys.
    pub holds: Box<dyn Fn(&[Term]) -> bool>,
}

/// A trigger: reads of these unknown maps. For each coordinate, `keys` has the number of the fact's key
/// that it is, if any.
pub struct Trigger {
    /// The unknown maps.
    pub maps: Vec<Name>,
    /// The number of the fact's key that each coordinate is, if any.
    pub keys: Vec<Option<usize>>,
}

/// The facts about one version of the state, and the instances made of them so far.
pub struct FactSet {
    /// The facts.
    pub facts: Vec<Quantified>,
    /// Whether these are rely conditions and facts about changes by other CPUs.
    is_interference: bool,
    /// Whether the facts stay true when the state changes, because they are about maps at one moment.
    lasts: bool,
    memo: RefCell<FxHashMap<(usize, Vec<Term>), Rc<Instance>>>,
    /// For the facts of a state: what is needed to share instances with other states.
    of_state: Option<OfState>,
}

/// What identifies a state whose facts share instances with those of other states.
pub struct OfState {
    /// The maps of the state.
    pub maps: Consulted,
    /// The numbers of the facts in the set.
    pub numbers: Vec<&'static str>,
    /// The instances of all states that differ from this one in their maps only.
    pub instances: Rc<Instances>,
}

/// The key of a shared instance: the fact's number, and the keys.
type Place = (&'static str, Vec<Term>);

/// The instances of states that differ in their maps only. In most of these states the maps that a fact reads are the
/// same.
#[derive(Default)]
pub struct Instances(RefCell<FxHashMap<Place, Vec<(Consulted, Rc<Instance>)>>>);

/// Maps by the names of their fields, such as those that an instance has read.
type Consulted = Vec<(&'static str, Identity)>;

impl OfState {
    fn place(&self, fact: usize, keys: &[Term]) -> Place {
        (self.numbers[fact], keys.to_vec())
    }

    /// The instance of another state, if the maps that it has read are the maps of this state.
    fn instance(&self, fact: usize, keys: &[Term]) -> Option<Rc<Instance>> {
        let instances = self.instances.0.borrow();
        let mut made = instances.get(&self.place(fact, keys))?.iter();
        let (_, instance) = made.find(|(consulted, _)| consulted.iter().all(|map| self.maps.contains(map)))?;
        Some(instance.clone())
    }

    fn keep(&self, fact: usize, keys: &[Term], consulted: Consulted, instance: Rc<Instance>) {
        self.instances.0.borrow_mut().entry(self.place(fact, keys)).or_default().push((consulted, instance));
    }
}

struct Instance {
    holds: Term,
    /// The conjuncts of the instance, and whether each is large. Only the conjuncts that the solver's model
    /// violates are asserted.
    clauses: Vec<(Term, bool)>,
    /// The reads that trigger further instances. A read at a computed key, such as the parent of a thread or the
    /// parent's parent, triggers none.
    reads: Vec<Read>,
}

/// A read of an unknown map.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Read {
    map: Name,
    key: Vec<Term>,
    leaf: Term,
}

impl FactSet {
    fn plain(facts: Vec<Quantified>) -> FactSet {
        FactSet { facts, is_interference: false, lasts: false, memo: RefCell::default(), of_state: None }
    }

    /// Facts that hold until the state changes.
    pub fn new(facts: Vec<Quantified>) -> Rc<FactSet> {
        Rc::new(FactSet::plain(facts))
    }

    /// The facts of the invariant about one state.
    pub fn of_state(facts: Vec<Quantified>, state: OfState) -> Rc<FactSet> {
        Rc::new(FactSet { of_state: Some(state), ..FactSet::plain(facts) })
    }

    /// Facts that stay true when the state changes, because they are about maps at given moments.
    pub fn lasting(facts: Vec<Quantified>) -> Rc<FactSet> {
        Rc::new(FactSet { lasts: true, ..FactSet::plain(facts) })
    }

    /// Rely conditions and facts about changes by other CPUs.
    pub fn of_interference(facts: Vec<Quantified>) -> Rc<FactSet> {
        Rc::new(FactSet { is_interference: true, ..FactSet::plain(facts) })
    }
}

/// A position of [`Facts`] to which it can be reset.
pub struct Mark {
    touched: usize,
    tried: usize,
    candidates: usize,
    reads: usize,
    progress: FxHashMap<u32, (usize, usize)>,
}

struct Touch {
    map: Name,
    key: Vec<Term>,
    depth: u32,
}

struct Candidate {
    holds: Term,
    depth: u32,
    /// Whether its size is beyond [`LARGE`]. Sums, for example, are expensive for the solver and seldom needed.
    large: bool,
}

/// The most operators of a small instance. Small instances are tried before large ones.
const LARGE: usize = 80;

/// The state of the instantiation of facts on one path.
#[derive(Default)]
pub struct Facts {
    sets: Vec<Rc<FactSet>>,
    /// The dropped sets, which are about earlier states.
    dropped: Vec<Rc<FactSet>>,
    touched: Vec<Touch>,
    touched_index: FxHashSet<(Name, Vec<Term>)>,
    /// The instances that were made: set, fact and keys.
    tried: FxHashSet<(usize, usize, Vec<Term>)>,
    tried_order: Vec<(usize, usize, Vec<Term>)>,
    /// For each depth, how many touches and sets have already been combined.
    progress: FxHashMap<u32, (usize, usize)>,
    candidates: Vec<Candidate>,
    candidate_index: FxHashSet<Term>,
    asserted: FxHashSet<Term>,
    reads: Vec<Term>,
    read_index: FxHashSet<Term>,
    /// The reads of an instance or goal while it is evaluated.
    recording: Option<Vec<Read>>,
    /// The maps that an instance of a state's fact reads, while it is evaluated.
    pub consulted: Option<Consulted>,
}

impl Facts {
    /// Forgets everything but the asserted instances, because another path begins.
    pub(crate) fn begin_path(&mut self) {
        let asserted = std::mem::take(&mut self.asserted);
        *self = Facts { asserted, ..Facts::default() };
    }

    /// Drops all sets except those that stay true, because the state changes. Instances of dropped sets are not made
    /// any more.
    pub fn drop_sets(&mut self) {
        let (lasting, mut dropped) = std::mem::take(&mut self.sets).into_iter().partition(|set| set.lasts);
        self.sets = lasting;
        self.dropped.append(&mut dropped);
        self.tried.clear();
        self.tried_order.clear();
        self.progress.clear();
    }

    /// Whether sets were removed.
    pub(crate) fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Adds the sets that were removed before, about earlier states. Returns how many sets there were without them, for
    /// [`truncate`](Facts::truncate).
    pub(crate) fn revive(&mut self) -> usize {
        let kept = self.sets.len();
        self.sets.extend(self.dropped.iter().cloned());
        kept
    }

    /// Removes the sets after the first `kept`. The caller must [`rewind`](Facts::rewind) the instances that were made of
    /// them.
    pub(crate) fn truncate(&mut self, kept: usize) {
        self.sets.truncate(kept);
    }

    /// Adds a set.
    pub fn add(&mut self, set: Rc<FactSet>) {
        self.sets.push(set);
    }

    /// The current position, to be restored after a goal.
    pub fn mark(&self) -> Mark {
        Mark {
            touched: self.touched.len(),
            tried: self.tried_order.len(),
            candidates: self.candidates.len(),
            reads: self.reads.len(),
            progress: self.progress.clone(),
        }
    }

    /// Undoes everything since `mark`, so that the cells of one goal do not slow down the next.
    pub fn rewind(&mut self, mark: Mark) {
        for touch in self.touched.drain(mark.touched..) {
            self.touched_index.remove(&(touch.map, touch.key));
        }
        for tried in self.tried_order.drain(mark.tried..) {
            self.tried.remove(&tried);
        }
        for candidate in self.candidates.drain(mark.candidates..) {
            self.candidate_index.remove(&candidate.holds);
        }
        for read in self.reads.drain(mark.reads..) {
            self.read_index.remove(&read);
        }
        self.progress = mark.progress;
    }

    /// Removes `term` from the asserted instances, because its solver scope is closed.
    pub fn forget(&mut self, term: Term) {
        self.asserted.remove(&term);
    }

    /// The leaves that the code under proof or a goal has read itself.
    pub fn direct_reads(&self) -> &[Term] {
        &self.reads
    }

    /// Records a read of `leaf` of the unknown map `map` at `key`.
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

    /// Records that the instance being made reads the map `name`, which has this identity.
    pub fn consult(&mut self, name: &'static str, identity: impl FnOnce() -> Identity) {
        if let Some(consulted) = &mut self.consulted {
            let map = (name, identity());
            if !consulted.contains(&map) {
                consulted.push(map);
            }
        }
    }

    /// Begins to collect reads. Until [`Facts::recorded`], they trigger no instances.
    pub fn record(&mut self) -> Option<Vec<Read>> {
        self.recording.replace(Vec::new())
    }

    /// Ends the collection that [`Facts::record`] began, and returns the reads.
    pub fn recorded(&mut self, outer: Option<Vec<Read>>) -> Vec<Read> {
        std::mem::replace(&mut self.recording, outer).unwrap_or_default()
    }

    /// Records the reads of a goal, so that its keys trigger facts.
    ///
    /// If the goal computed many keys of one field, it iterated over the field, for example to form a sum. Only the
    /// first of these keys is used: instances at all of them would be expensive, and are not needed.
    pub fn touch_goal(&mut self, arena: &Arena, reads: &[Read]) {
        const MANY: usize = 4;
        let mut computed: FxHashMap<Name, Vec<&[Term]>> = FxHashMap::default();
        for read in reads.iter().filter(|read| arena.is_computed(&read.key)) {
            let keys = computed.entry(read.map).or_default();
            if !keys.contains(&&*read.key) {
                keys.push(&read.key);
            }
        }
        for read in reads {
            let many = computed.get(&read.map).filter(|keys| keys.len() > MANY);
            if many.is_none_or(|keys| !keys[1..].contains(&&*read.key)) {
                self.touch(read.clone(), 0);
            }
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

    /// The keys at which touch number `touch` triggers fact `fact` of set `set`, with their depths.
    fn combinations(&self, set: usize, fact: usize, touch: usize, depth: u32) -> Vec<(Vec<Term>, u32)> {
        let quantified = &self.sets[set].facts[fact];
        let mut found = Vec::new();
        let matching = |trigger: &Trigger, t: &Touch| trigger.maps.contains(&t.map) && t.depth <= depth;
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
