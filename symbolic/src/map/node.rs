//! The list of writes, and the leaves of values: how a value is split into terms, and read back.
use crate::branch::branch;
use crate::engine::engine;
use crate::origin::Origin;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Data, Domain, Sink, Source};
use smt::term::{Name, Range, Term};
use std::panic::Location;
use std::rc::Rc;

/// The terms of a value, by the names of its leaves.
pub(super) type Leaves = Vec<(&'static str, Term)>;

/// A node of the list of writes.
pub(super) enum Node {
    /// An unknown map.
    Unknown { map: Name, text: String },
    /// A write of leaves at one key, or at all keys that begin with `key`.
    Store { previous: Rc<Node>, key: Vec<Term>, leaves: Leaves },
    /// All leaves, computed from the key.
    Define { make: Box<dyn Fn(&[Term]) -> Leaves>, sources: Vec<Name> },
}

/// A domain whose values are terms.
pub trait Symbolic: Domain<Word = SymWord, Wide = SymWide, Nat = SymNat, Flag = SymFlag, Place = Origin> {}

impl<D: Domain<Word = SymWord, Wide = SymWide, Nat = SymNat, Flag = SymFlag, Place = Origin>> Symbolic for D {}

/// The term for a leaf of a map at a key.
pub(super) fn read(node: &Node, leaf: &str, range: Range, key: &[Term]) -> Term {
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

/// The leaves of a value.
pub(super) fn encode<D: Symbolic, V: Data<D>>(value: V) -> Leaves {
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

/// The value of a map at `key`, and its leaves.
pub(super) fn decode<D: Symbolic, V: Data<D>>(
    node: &Node,
    key: &[Term],
    at: &'static Location<'static>,
) -> (V, Leaves) {
    let mut decoder = Decoder { node, key, at, got: Leaves::new() };
    let value = V::decode(&mut decoder);
    (value, decoder.got)
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

/// The range of a leaf of a struct, found by decoding an unknown value.
pub(super) fn range_of<D: Symbolic, V: Data<D>>(leaf: &str) -> Option<Range> {
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
    V::decode(&mut ranges);
    ranges.0.into_iter().find(|r| r.0 == leaf).map(|r| r.1)
}
