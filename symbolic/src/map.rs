//! Symbolic maps: a persistent list of writes on top of an unknown map.
use crate::branch::branch;
use crate::engine::{Abandon, engine};
use crate::explore::oblige;
use crate::facts::{FactSet, Quantified, Trigger};
use crate::merge::{choice, condition, in_range};
use crate::mutant::Operator;
use crate::mutation::{change, is_running, running};
use crate::origin::{Identity, Origin};
use crate::path::Write;
use crate::query::{Aim, check, in_scope};
use crate::reads::see;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Data, Domain, Field, Key, Map, Sink, Source};
use smt::solver::Verdict;
use smt::term::{Name, Range, Term};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

type Leaves = Vec<(&'static str, Term)>;

/// A node of the list of writes.
enum Node {
    /// An unknown map.
    Unknown { map: Name, text: String },
    /// A write of leaves at one key, or at all keys that begin with `key`.
    Store { previous: Rc<Node>, key: Vec<Term>, leaves: Leaves },
    /// All leaves, computed from the key.
    Define { make: Box<dyn Fn(&[Term]) -> Leaves>, sources: Vec<Name> },
}

/// A symbolic map.
pub struct SymMap<D, F> {
    node: Rc<Node>,
    field: PhantomData<(D, F)>,
}

impl<D, F> Clone for SymMap<D, F> {
    fn clone(&self) -> Self {
        SymMap { node: self.node.clone(), field: PhantomData }
    }
}

/// A domain whose values are terms.
pub trait Symbolic: Domain<Word = SymWord, Wide = SymWide, Nat = SymNat, Flag = SymFlag, Place = Origin> {}

impl<D: Domain<Word = SymWord, Wide = SymWide, Nat = SymNat, Flag = SymFlag, Place = Origin>> Symbolic for D {}

/// The term for a leaf of a map at a key.
fn read(node: &Node, leaf: &str, range: Range, key: &[Term]) -> Term {
    match node {
        Node::Unknown { map, text } => engine(|e| {
            let leaves = e.leaves.entry(*map).or_default();
            let function = leaves.get(leaf).copied().unwrap_or_else(|| {
                let function = e.arena.name(&format!("{text}:{leaf}"));
                leaves.insert(leaf.to_string(), function);
                function
            });
            let term = e.arena.app(function, range, key.to_vec());
            e.facts.read(*map, key, term);
            term
        }),
        Node::Store { previous, key: written, leaves } => {
            let Some(&(_, value)) = leaves.iter().find(|l| l.0 == leaf) else {
                return read(previous, leaf, range, key);
            };
            let hit = engine(|e| {
                let mut hit = e.arena.bool(true);
                for (&a, &b) in written.iter().zip(key) {
                    let equal = e.arena.eq(a, b);
                    hit = e.arena.and(hit, equal);
                }
                match e.known_value(hit) {
                    Some(value) => e.arena.bool(value),
                    None => hit,
                }
            });
            match engine(|e| e.arena.as_bool(hit)) {
                Some(true) => value,
                Some(false) => read(previous, leaf, range, key),
                None => {
                    let other = read(previous, leaf, range, key);
                    engine(|e| e.arena.ite(hit, value, other))
                }
            }
        }
        Node::Define { make, .. } => {
            // What the definition reads is determined by the map itself, which was consulted already.
            let consulted = engine(|e| e.facts.consulted.take());
            let leaves = make(key);
            engine(|e| e.facts.consulted = consulted);
            match leaves.iter().find(|l| l.0 == leaf) {
                Some(&(_, value)) => value,
                // The definition never returns this leaf of a variant, so any value is right.
                None if range == Range::Bool => engine(|e| e.arena.bool(false)),
                None => engine(|e| e.arena.number(0)),
            }
        }
    }
}

/// Splits a value into its leaves.
#[derive(Default)]
struct Encoder(Leaves);

impl<D: Symbolic> Sink<D> for Encoder {
    fn word(&mut self, leaf: &'static str, value: SymWord) {
        self.0.push((leaf, value.0));
    }
    fn wide(&mut self, leaf: &'static str, value: SymWide) {
        self.0.push((leaf, value.0));
    }
    fn nat(&mut self, leaf: &'static str, value: SymNat) {
        self.0.push((leaf, value.0));
    }
    fn flag(&mut self, leaf: &'static str, value: SymFlag) {
        self.0.push((leaf, value.0));
    }
    fn tag(&mut self, leaf: &'static str, variant: u32) {
        self.0.push((leaf, engine(|e| e.arena.number(variant.into()))));
    }
}

fn encode<D: Symbolic, V: Data<D>>(value: V) -> Leaves {
    let mut encoder = Encoder::default();
    value.encode(&mut encoder);
    encoder.0
}

/// Builds a value from the leaves of a map at a key.
struct Decoder<'a> {
    node: &'a Node,
    key: &'a [Term],
    at: &'static Location<'static>,
    got: Leaves,
}

impl Decoder<'_> {
    fn read(&mut self, leaf: &'static str, range: Range) -> Term {
        let term = read(self.node, leaf, range, self.key);
        self.got.push((leaf, term));
        term
    }
}

impl<D: Symbolic> Source<D> for Decoder<'_> {
    fn word(&mut self, leaf: &'static str) -> SymWord {
        SymWord(self.read(leaf, Range::WORD))
    }
    fn wide(&mut self, leaf: &'static str) -> SymWide {
        SymWide(self.read(leaf, Range::WIDE))
    }
    fn nat(&mut self, leaf: &'static str) -> SymNat {
        SymNat(self.read(leaf, Range::Nat))
    }
    fn flag(&mut self, leaf: &'static str) -> SymFlag {
        SymFlag(self.read(leaf, Range::Bool))
    }
    fn tag(&mut self, leaf: &'static str, variants: u32) -> u32 {
        let tag = self.read(leaf, Range::UpTo((variants - 1).into()));
        (0..variants - 1)
            .find(|&variant| {
                let is = engine(|e| {
                    let variant = e.arena.number(variant.into());
                    e.arena.eq(tag, variant)
                });
                branch(is, self.at)
            })
            .unwrap_or(variants - 1)
    }
}

fn terms(words: &[SymWord]) -> Vec<Term> {
    words.iter().map(|w| w.0).collect()
}

fn words(terms: &[Term]) -> Vec<SymWord> {
    terms.iter().map(|&t| SymWord(t)).collect()
}

impl<D: Symbolic, F: Field<D>> SymMap<D, F> {
    /// The unknown map of the field at version `origin`.
    pub fn unknown(origin: Origin) -> SymMap<D, F> {
        let text = origin.name(F::NAME);
        let map = engine(|e| e.arena.name(&text));
        SymMap { node: Rc::new(Node::Unknown { map, text }), field: PhantomData }
    }

    /// The key as terms. Each word is obliged to be within its bound.
    fn key(&self, key: &[SymWord], at: &'static Location<'static>) -> Vec<Term> {
        let key = terms(key);
        for (&word, &bound) in key.iter().zip(F::DIMS) {
            let within = engine(|e| {
                let bound = e.arena.number(bound.into());
                e.arena.lt(word, bound)
            });
            oblige(within, format_args!("index of {} out of bounds", F::NAME), at);
        }
        key
    }

    fn load(&self, key: &[Term], at: &'static Location<'static>) -> (F::Val, Leaves) {
        engine(|e| e.facts.consult(F::NAME, || self.identity()));
        let mut decoder = Decoder { node: &self.node, key, at, got: Leaves::new() };
        let value = F::Val::decode(&mut decoder);
        (value, decoder.got)
    }

    fn store(&mut self, key: Vec<Term>, mut leaves: Leaves, at: &'static Location<'static>) {
        if leaves.len() > 1 && change(Operator::Write(""), at).is_some() {
            return;
        }
        leaves.retain(|(leaf, _)| change(Operator::Write(leaf), at).is_none());
        see(&key);
        leaves.iter().for_each(|&(_, value)| see(&[value]));
        for &(leaf, value) in &leaves {
            // A write of a whole row, or of a leaf of a variant, counts as a change.
            let changes = if key.len() == F::DIMS.len() && leaf != "tag" && !leaf.contains('.') {
                let range = if engine(|e| e.arena.is_bool(value)) { Range::Bool } else { Range::Nat };
                let range = self.range_of(leaf).unwrap_or(range);
                let old = read(&self.node, leaf, range, &key);
                engine(|e| {
                    let same = e.arena.eq(old, value);
                    e.arena.not(same)
                })
            } else {
                engine(|e| e.arena.bool(true))
            };
            engine(|e| e.path.writes.push(Write { field: F::NAME, key: key.clone(), leaf, changes, at }));
        }
        self.node = Rc::new(Node::Store { previous: self.node.clone(), key, leaves });
    }

    /// Copies `many` entries of `from`, beginning at `from_at`, to the entries from `at` on. Both maps are rings.
    #[track_caller]
    pub fn copy_ring<E>(&mut self, at: SymWord, from: &SymMap<D, E>, from_at: SymWord, many: SymWord)
    where
        E: Field<D, Val = F::Val>,
    {
        let place = Location::caller();
        let size = u64::from(E::DIMS[0]);
        let start = from.key(&[from_at], place)[0];
        let within = engine(|e| {
            let size = e.arena.number(size);
            e.arena.le(many.0, size)
        });
        oblige(within, format_args!("more than all of {} is copied", E::NAME), place);
        let (sources, from) = (from.sources(), from.clone());
        let entry = move |number: Term| {
            let key = engine(|e| {
                let key = e.arena.add(start, number);
                e.arena.rem(key, size)
            });
            from.load(&[key], place).0
        };
        self.write_ring(at, many, &sources, entry, place);
    }

    /// Havocs the whole map.
    pub fn renew(&mut self, origin: Origin) {
        *self = SymMap::unknown(origin);
    }

    /// Havocs the values whose keys begin with `row`. Returns the version of the new unknown values.
    #[track_caller]
    pub fn forget(&mut self, row: &[SymWord]) -> Origin {
        let at = Location::caller();
        let row = self.key(row, at);
        let changes = engine(|e| e.arena.bool(true));
        engine(|e| e.path.writes.push(Write { field: F::NAME, key: row.clone(), leaf: "", changes, at }));
        let origin = Origin::fresh();
        let (before, unknown): (Self, Self) = (self.clone(), SymMap::unknown(origin));
        let sources = [before.sources(), unknown.sources()].concat();
        let make = Box::new(move |key: &[Term]| {
            let forgotten = engine(|e| {
                let mut hit = e.arena.bool(true);
                for (&a, &b) in row.iter().zip(key) {
                    let equal = e.arena.eq(a, b);
                    hit = e.arena.and(hit, equal);
                }
                hit
            });
            choice(&|| encode(if branch(forgotten, at) { &unknown } else { &before }.load(key, at).0))
        });
        self.node = Rc::new(Node::Define { make, sources });
        origin
    }

    /// Sets the `many` entries from `at` on, around the end of the map. `make` computes each from its number, from 0; it
    /// reads the unknown maps `sources`.
    pub fn write_ring(
        &mut self,
        at: SymWord,
        many: SymWord,
        sources: &[Name],
        make: impl Fn(Term) -> F::Val + 'static,
        place: &'static Location<'static>,
    ) {
        let size = F::DIMS[0];
        let at = self.key(&[at], place)[0];
        let within = engine(|e| {
            let size = e.arena.number(size.into());
            e.arena.le(many.0, size)
        });
        oblige(within, format_args!("more than all of {} is written", F::NAME), place);
        if change(Operator::Write(""), place).is_some() {
            return;
        }
        let changes = engine(|e| e.arena.bool(true));
        engine(|e| e.path.writes.push(Write { field: F::NAME, key: Vec::new(), leaf: "", changes, at: place }));
        let before = self.clone();
        let sources = [&before.sources(), sources].concat();
        let make = Box::new(move |key: &[Term]| {
            let (number, written) = engine(|e| {
                // The distance of the key from `at`.
                let size = e.arena.number(size.into());
                let (ahead, less) = (e.arena.sub(key[0], at), e.arena.lt(key[0], at));
                let around = e.arena.add(ahead, size);
                let number = e.arena.ite(less, around, ahead);
                (number, e.arena.lt(number, many.0))
            });
            choice(&|| encode(if branch(written, place) { make(number) } else { before.load(key, place).0 }))
        });
        self.node = Rc::new(Node::Define { make, sources });
    }

    /// The term for a leaf at a key.
    pub fn leaf(&self, leaf: &str, key: &[Term]) -> Term {
        read(&self.node, leaf, self.range_of(leaf).unwrap_or(Range::WIDE), key)
    }

    /// The range of a leaf of a struct, found by decoding an unknown value.
    fn range_of(&self, leaf: &str) -> Option<Range> {
        struct Ranges(Vec<(&'static str, Range)>);
        impl<D: Symbolic> Source<D> for Ranges {
            fn word(&mut self, leaf: &'static str) -> SymWord {
                self.0.push((leaf, Range::WORD));
                SymWord::from(0)
            }
            fn wide(&mut self, leaf: &'static str) -> SymWide {
                self.0.push((leaf, Range::WIDE));
                <SymWide as domain::Wide<SymWord>>::constant(0)
            }
            fn nat(&mut self, leaf: &'static str) -> SymNat {
                self.0.push((leaf, Range::Nat));
                <SymNat as domain::Nat<SymWord>>::zero()
            }
            fn flag(&mut self, leaf: &'static str) -> SymFlag {
                self.0.push((leaf, Range::Bool));
                SymFlag::from(false)
            }
            fn tag(&mut self, _: &'static str, _: u32) -> u32 {
                0
            }
        }
        let mut ranges = Ranges(Vec::new());
        let _: F::Val = F::Val::decode(&mut ranges);
        ranges.0.into_iter().find(|r| r.0 == leaf).map(|r| r.1)
    }
}

impl<D: Symbolic, F: Field<D>> Map<D, F> for SymMap<D, F> {
    #[track_caller]
    fn get(&self, key: F::Key) -> F::Val {
        let at = Location::caller();
        let key = self.key(key.words(), at);
        self.load(&key, at).0
    }

    #[track_caller]
    fn set(&mut self, key: F::Key, value: F::Val) {
        let at = Location::caller();
        let key = self.key(key.words(), at);
        self.store(key, encode(value), at);
    }

    #[track_caller]
    fn update<R>(&mut self, key: F::Key, change: impl FnOnce(&mut F::Val) -> R) -> R {
        let at = Location::caller();
        let key = self.key(key.words(), at);
        let (mut value, before) = self.load(&key, at);
        let result = change(&mut value);
        let changed: Leaves = encode(value).into_iter().filter(|leaf| !before.contains(leaf)).collect();
        self.store(key, changed, at);
        result
    }

    #[track_caller]
    fn fill(&mut self, row: &[SymWord], value: F::Val) {
        let at = Location::caller();
        let row = self.key(row, at);
        self.store(row, encode(value), at);
    }

    #[track_caller]
    fn define(&mut self, make: impl Fn(F::Key) -> F::Val + 'static) {
        let at = Location::caller();
        // A later read runs the defining code, with the same setting for mutants as now.
        let is_running = is_running();
        let make = Rc::new(move |key: F::Key| running(is_running, || make(key)));
        // The definition is obliged to stay in range at every key.
        let key: Vec<Term> = F::DIMS.iter().map(|_| engine(|e| e.unknown("key", Range::WORD))).collect();
        let (code, keys) = (make.clone(), key.clone());
        let exact = in_range(&|| {
            let value = code(F::Key::from_words(&words(&keys)));
            encode(value).iter().for_each(|&(_, value)| see(&[value]));
        });
        let exact = engine(|e| {
            let mut exact = exact;
            for (&word, &bound) in key.iter().zip(F::DIMS) {
                let bound = e.arena.number(bound.into());
                let within = e.arena.lt(word, bound);
                exact = e.arena.implies(within, exact);
            }
            exact
        });
        oblige(exact, format_args!("definition of {} goes out of range", F::NAME), at);
        if change(Operator::Write(""), at).is_some() {
            return;
        }
        let changes = engine(|e| e.arena.bool(true));
        engine(|e| e.path.writes.push(Write { field: F::NAME, key: Vec::new(), leaf: "", changes, at }));
        let make = Box::new(move |key: &[Term]| {
            let make = make.clone();
            let key = words(key);
            choice(&move || encode(make(F::Key::from_words(&key))))
        });
        self.node = Rc::new(Node::Define { make, sources: Vec::new() });
    }

    #[track_caller]
    fn copy_first<S, M>(&mut self, row: SymWord, length: SymWord, source: &M, from: SymWord)
    where
        M: Map<D, S> + 'static,
        S: Field<D, Key = [SymWord; 2], Val = F::Val>,
        F: Field<D, Key = [SymWord; 2]>,
    {
        let at = Location::caller();
        let source: &dyn Any = source;
        let source: &SymMap<D, S> = source.downcast_ref().expect("every field has this storage");
        let key = self.key(&[row], at);
        source.key(&[from], at);
        for bound in [F::DIMS[1], <S as Field<D>>::DIMS[1]] {
            let within = engine(|e| {
                let bound = e.arena.number(bound.into());
                e.arena.le(length.0, bound)
            });
            oblige(within, format_args!("copy from {} to {} out of bounds", S::NAME, F::NAME), at);
        }
        if change(Operator::Write(""), at).is_some() {
            return;
        }
        let changes = engine(|e| e.arena.bool(true));
        engine(|e| e.path.writes.push(Write { field: F::NAME, key, leaf: "", changes, at }));
        let (before, source) = (self.clone(), source.clone());
        let sources = [before.sources(), source.sources()].concat();
        let make = Box::new(move |key: &[Term]| {
            let copied = engine(|e| {
                let (here, early) = (e.arena.eq(row.0, key[0]), e.arena.lt(key[1], length.0));
                e.arena.and(here, early)
            });
            choice(&|| match branch(copied, at) {
                true => encode(source.load(&[from.0, key[1]], at).0),
                false => encode(before.load(key, at).0),
            })
        });
        self.node = Rc::new(Node::Define { make, sources });
    }

    #[track_caller]
    fn copy_within(&mut self, row: SymWord, length: SymWord, from: SymWord)
    where
        F: Field<D, Key = [SymWord; 2]>,
    {
        let source = self.clone();
        self.copy_first::<F, Self>(row, length, &source, from);
    }

    #[track_caller]
    fn first(&self, from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord>
    where
        F: Field<D, Key = [SymWord; 1]>,
    {
        self.search(&[], from, to, wanted)
    }

    #[track_caller]
    fn first_of(&self, row: SymWord, from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord>
    where
        F: Field<D, Key = [SymWord; 2]>,
    {
        self.key(&[row], Location::caller());
        self.search(&[row.0], from, to, wanted)
    }
}

impl<D: Symbolic, F: Field<D>> SymMap<D, F> {
    /// The least `i` in `from..to` whose value satisfies `wanted`. `row` is the key without its last word, which is
    /// `i`.
    #[track_caller]
    fn search(&self, row: &[Term], from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord> {
        let at = Location::caller();
        let row = row.to_vec();
        let last = row.len();
        let from = match change(Operator::First, at) {
            Some(_) => from + 1,
            None => from,
        };
        // Every key of the search must be within bounds, even if nothing is found.
        let bounded = engine(|e| {
            let bound = e.arena.number(F::DIMS[last].into());
            let (within, empty) = (e.arena.le(to.0, bound), e.arena.le(to.0, from.0));
            e.arena.or(within, empty)
        });
        oblige(bounded, format_args!("search of {} out of bounds", F::NAME), at);
        let (place, found) = engine(|e| (e.unknown("first", Range::WORD), e.unknown("found", Range::Bool)));
        let key = move |i: Term| [&*row, &[i]].concat();
        if let Some(valuation) = engine(|e| e.settings.valuation.clone()) {
            valuation.search((found, place), (from.0, to.0), &|i| wanted(self.load(&key(i), at).0));
        }
        see(&[from.0, to.0]);
        if engine(|e| e.settings.reads.is_some()) {
            // The search depends on whatever its condition reads.
            condition(&|| wanted(self.load(&key(place), at).0));
        }
        let found = branch(found, at);
        let (map, here) = (self.clone(), self.clone());
        let satisfies = move |map: &SymMap<D, F>, i: Term| wanted(map.load(&key(i), at).0);
        let satisfies = Rc::new(satisfies);
        let satisfies_here = satisfies.clone();
        let end = if found { place } else { to.0 };
        // No key below the result satisfies the condition. If there is no result, no key at all does.
        let none_before = Quantified {
            triggers: map.triggers(last),
            bounds: vec![F::DIMS[last].into()],
            holds: Box::new(move |key| {
                let i = SymWord(key[0]);
                i < from || i >= SymWord(end) || !satisfies(&map, i.0)
            }),
        };
        engine(|e| {
            e.facts.add(FactSet::of_search(vec![none_before]));
            e.path.searches.push((F::NAME, found.then_some(place)));
        });
        if !found {
            return None;
        }
        let there = running(false, || {
            condition(&move || {
                let i = SymWord(place);
                i >= from && i < to && satisfies_here(&here, i.0)
            })
        });
        engine(|e| {
            e.learn(there);
            e.assume(there);
        });
        if !engine(|e| e.path.is_repeated()) && in_scope(|| check(&[], Aim::Branch)) == Verdict::Unsat {
            resume_unwind(Box::new(Abandon));
        }
        Some(SymWord(place))
    }
}

impl<D, F> SymMap<D, F> {
    /// The triggers of a fact about the coordinate `last` of this map: reads of the unknown maps below it.
    fn triggers(&self, last: usize) -> Vec<Trigger> {
        let maps = self.sources();
        let keys = (0..=last).map(|at| (at == last).then_some(0)).collect();
        if maps.is_empty() { Vec::new() } else { vec![Trigger { maps, keys }] }
    }

    /// The identity of this map.
    pub fn identity(&self) -> Identity {
        match &*self.node {
            Node::Unknown { map, .. } => Identity::Unknown(*map),
            _ => Identity::Written(Rc::as_ptr(&self.node).addr()),
        }
    }

    /// The unknown maps on which this map is built.
    pub fn sources(&self) -> Vec<Name> {
        let mut node = &*self.node;
        loop {
            match node {
                Node::Unknown { map, .. } => return vec![*map],
                Node::Store { previous, .. } => node = previous,
                Node::Define { sources, .. } => return sources.clone(),
            }
        }
    }
}
