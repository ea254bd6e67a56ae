//! Symbolic maps: a persistent log of writes over an unknown base.
use crate::effects::see;
use crate::engine::{Abandon, Write, engine};
use crate::explore::{Aim, apart, branch, check, choice, condition, in_range, oblige};
use crate::facts::{FactSet, Quantified, Trigger};
use crate::machine::Sym;
use crate::mutant::{Operator, change, is_running, running};
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Data, Field, Geometry, Home, Key, Map, Sink, Source};
use layer::fields::Cell;
use layer::machine::Spec;
use smt::solver::Verdict;
use smt::term::{Name, Range, Term};
use std::any::Any;
use std::marker::PhantomData;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

/// Where an unknown map comes from: which object, and which version of it.
///
/// Version 0 is what the code under proof starts from; each time a lock is taken there is a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// Version of the object.
    pub version: u32,
}

impl Origin {
    /// What unknown maps of the field `field` are called.
    pub fn name(self, field: &str) -> String {
        if self.version == 0 { field.to_string() } else { format!("{field}#{}", self.version) }
    }
}

/// What two values have in common if they are the same for sure; it is good as long as one of them is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Identity {
    /// An unknown map.
    Unknown(Name),
    /// A map that was written to, by the address of the last write.
    Written(usize),
    /// A value that is in no map.
    Value(Term),
}

type Leaves = Vec<(&'static str, Term)>;

/// A node of the log of writes.
enum Node {
    /// Nothing is known.
    Unknown { map: Name, text: String },
    /// The leaves at a key, or at all keys that begin with `key`.
    Store { previous: Rc<Node>, key: Vec<Term>, leaves: Leaves },
    /// All leaves, as a function of the key.
    Define { make: Box<dyn Fn(&[Term]) -> Leaves>, sources: Vec<Name> },
}

/// A symbolic map.
pub struct SymMap<G, F> {
    node: Rc<Node>,
    field: PhantomData<(G, F)>,
}

impl<G, F> Clone for SymMap<G, F> {
    fn clone(&self) -> Self {
        SymMap { node: self.node.clone(), field: PhantomData }
    }
}

impl<G: Geometry, F: Field<Sym<G>>> Home<F> for Sym<G> {
    type Map = SymMap<G, F>;
    fn home(place: Origin) -> SymMap<G, F> {
        let text = place.name(F::NAME);
        let map = engine(|e| e.arena.name(&text));
        SymMap { node: Rc::new(Node::Unknown { map, text }), field: PhantomData }
    }
}

/// The leaf of a map at a key.
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
            // What the definition reads is part of it.
            let consulted = engine(|e| e.facts.consulted.take());
            let leaves = make(key);
            engine(|e| e.facts.consulted = consulted);
            match leaves.iter().find(|l| l.0 == leaf) {
                Some(&(_, value)) => value,
                // A leaf of a variant that the definition never gives: any value will do.
                None if range == Range::Bool => engine(|e| e.arena.bool(false)),
                None => engine(|e| e.arena.number(0)),
            }
        }
    }
}

/// Takes a value apart into leaves.
#[derive(Default)]
struct Encoder(Leaves);

impl<G: Geometry> Sink<Sym<G>> for Encoder {
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

fn encode<G: Geometry, V: Data<Sym<G>>>(value: V) -> Leaves {
    let mut encoder = Encoder::default();
    value.encode(&mut encoder);
    encoder.0
}

/// Puts a value together from the leaves of a map at a key.
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

impl<G: Geometry> Source<Sym<G>> for Decoder<'_> {
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

impl<G: Geometry, F: Field<Sym<G>>> SymMap<G, F> {
    /// The key as terms, each within its bound.
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
            // A whole row, or an unlike variant: as far as is known it changes.
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
            engine(|e| e.writes.push(Write { field: F::NAME, key: key.clone(), leaf, changes, at }));
        }
        self.node = Rc::new(Node::Store { previous: self.node.clone(), key, leaves });
    }

    /// The `many` entries from `at` on become those of `from` that begin at `from_at`, round the ends of both maps.
    #[track_caller]
    pub(crate) fn copy_ring<E>(&mut self, at: SymWord, from: &SymMap<G, E>, from_at: SymWord, many: SymWord)
    where
        E: Field<Sym<G>, Val = F::Val>,
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

    /// The `many` characters that are received at `index` come into the ring from `at` on.
    #[track_caller]
    pub(crate) fn receive(&mut self, at: SymWord, index: SymWord, many: SymWord)
    where
        F: Field<Sym<G>, Val = Cell<Sym<G>>>,
    {
        let entry = move |number: Term| Cell { value: <Sym<G> as Spec>::serial_byte(index, SymWord(number)) };
        self.write_ring(at, many, &[], entry, Location::caller());
    }

    /// Nothing is known any more of any value.
    pub(crate) fn renew(&mut self, origin: Origin) {
        *self = <Sym<G> as Home<F>>::home(origin);
    }

    /// Nothing is known any more of the values whose keys begin with `row`; the others stay. Gives where the
    /// unknown ones come from.
    #[track_caller]
    pub(crate) fn forget(&mut self, row: &[SymWord]) -> Origin {
        let at = Location::caller();
        let row = self.key(row, at);
        let changes = engine(|e| e.arena.bool(true));
        engine(|e| e.writes.push(Write { field: F::NAME, key: row.clone(), leaf: "", changes, at }));
        let origin = crate::machine::next_version();
        let (before, unknown): (Self, Self) = (self.clone(), <Sym<G> as Home<F>>::home(origin));
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

    /// The `many` entries from `at` on, round the end of the map, become what `make` says of their number.
    fn write_ring(
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
        engine(|e| e.writes.push(Write { field: F::NAME, key: Vec::new(), leaf: "", changes, at: place }));
        let before = self.clone();
        let sources = [&before.sources(), sources].concat();
        let make = Box::new(move |key: &[Term]| {
            let (number, written) = engine(|e| {
                // How far the key is behind `at`.
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

    /// The leaf at a key.
    #[cfg(test)]
    pub(crate) fn leaf(&self, leaf: &str, key: &[Term]) -> Term {
        read(&self.node, leaf, self.range_of(leaf).unwrap_or(Range::WIDE), key)
    }

    /// The range of a leaf of a struct, found by decoding an unknown value.
    fn range_of(&self, leaf: &str) -> Option<Range> {
        struct Ranges(Vec<(&'static str, Range)>);
        impl<G: Geometry> Source<Sym<G>> for Ranges {
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

impl<G: Geometry, F: Field<Sym<G>>> Map<Sym<G>, F> for SymMap<G, F> {
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
        // Whoever reads it later runs the code that defines it.
        let is_running = is_running();
        let make = Rc::new(move |key: F::Key| running(is_running, || make(key)));
        // Whatever the definition computes stays in range at every key.
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
        engine(|e| e.writes.push(Write { field: F::NAME, key: Vec::new(), leaf: "", changes, at }));
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
        M: Map<Sym<G>, S> + 'static,
        S: Field<Sym<G>, Key = [SymWord; 2], Val = F::Val>,
        F: Field<Sym<G>, Key = [SymWord; 2]>,
    {
        let at = Location::caller();
        let source: &dyn Any = source;
        let source: &SymMap<G, S> = source.downcast_ref().expect("every field has this home");
        let key = self.key(&[row], at);
        source.key(&[from], at);
        for bound in [F::DIMS[1], <S as Field<Sym<G>>>::DIMS[1]] {
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
        engine(|e| e.writes.push(Write { field: F::NAME, key, leaf: "", changes, at }));
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
        F: Field<Sym<G>, Key = [SymWord; 2]>,
    {
        let source = self.clone();
        self.copy_first::<F, Self>(row, length, &source, from);
    }

    #[track_caller]
    fn first(&self, from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord>
    where
        F: Field<Sym<G>, Key = [SymWord; 1]>,
    {
        self.search(&[], from, to, wanted)
    }

    #[track_caller]
    fn first_of(&self, row: SymWord, from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord>
    where
        F: Field<Sym<G>, Key = [SymWord; 2]>,
    {
        self.key(&[row], Location::caller());
        self.search(&[row.0], from, to, wanted)
    }
}

impl<G: Geometry, F: Field<Sym<G>>> SymMap<G, F> {
    /// The least `i` in `from..to` whose value in `row`, which is all of the key but the last word, satisfies `wanted`.
    #[track_caller]
    fn search(&self, row: &[Term], from: SymWord, to: SymWord, wanted: fn(F::Val) -> bool) -> Option<SymWord> {
        let at = Location::caller();
        let row = row.to_vec();
        let last = row.len();
        let from = match change(Operator::First, at) {
            Some(_) => from + 1,
            None => from,
        };
        // Every key that is looked at is within bounds, also when none is found.
        let bounded = engine(|e| {
            let bound = e.arena.number(F::DIMS[last].into());
            let (within, empty) = (e.arena.le(to.0, bound), e.arena.le(to.0, from.0));
            e.arena.or(within, empty)
        });
        oblige(bounded, format_args!("search of {} out of bounds", F::NAME), at);
        let (place, found) = engine(|e| (e.unknown("first", Range::WORD), e.unknown("found", Range::Bool)));
        let key = move |i: Term| [&*row, &[i]].concat();
        #[cfg(test)]
        crate::agreement::concrete::search((found, place), from, to, &|i| wanted(self.load(&key(i), at).0));
        see(&[from.0, to.0]);
        if engine(|e| e.seen.is_some()) {
            // What is looked at is what the condition looks at.
            condition(&|| wanted(self.load(&key(place), at).0));
        }
        let found = branch(found, at);
        let (map, here) = (self.clone(), self.clone());
        let satisfies = move |map: &SymMap<G, F>, i: Term| wanted(map.load(&key(i), at).0);
        let satisfies = Rc::new(satisfies);
        let satisfies_here = satisfies.clone();
        let end = if found { place } else { to.0 };
        // Below what was found, or anywhere if nothing was, no key satisfies.
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
            e.searches.push((F::NAME, found.then_some(place)));
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
        if !engine(|e| e.replaying()) && apart(|| check(&[], Aim::Branch)) == Verdict::Unsat {
            resume_unwind(Box::new(Abandon));
        }
        Some(SymWord(place))
    }
}

impl<G, F> SymMap<G, F> {
    /// Where facts about the coordinate `last` of this map are to be looked at: reads of the unknown maps under it.
    fn triggers(&self, last: usize) -> Vec<Trigger> {
        let maps = self.sources();
        let keys = (0..=last).map(|at| (at == last).then_some(0)).collect();
        if maps.is_empty() { Vec::new() } else { vec![Trigger { maps, keys }] }
    }

    /// What tells this map from those that hold other values.
    pub(crate) fn identity(&self) -> Identity {
        match &*self.node {
            Node::Unknown { map, .. } => Identity::Unknown(*map),
            _ => Identity::Written(Rc::as_ptr(&self.node).addr()),
        }
    }

    /// The unknown maps that this one comes from.
    pub(crate) fn sources(&self) -> Vec<Name> {
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
