//! Symbolic maps: a persistent list of writes on top of an unknown map.
use crate::branch::branch;
use crate::engine::engine;
use crate::explore::oblige;
use crate::merge::choice;
use crate::mutant::Operator;
use crate::mutation::change;
use crate::origin::{Identity, Origin};
use crate::path::Write;
use crate::reads::see;
use crate::word::SymWord;
use domain::Field;
use node::{Leaves, Node, decode, encode, range_of, read};
use smt::term::{Name, Range, Term};
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;

mod node;
mod operations;
mod ring;
mod search;

pub use node::Symbolic;

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
        decode(&self.node, key, at)
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
                let range = range_of::<D, F::Val>(leaf).unwrap_or(range);
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

    /// Whether both maps have the same value at `key`.
    #[track_caller]
    pub fn is_same_at(&self, other: &Self, key: &[SymWord]) -> bool {
        let at = Location::caller();
        let key = self.key(key, at);
        let [one, other] = [self, other].map(|map| encode(map.load(&key, at).0));
        one.len() == other.len()
            && one
                .iter()
                .zip(&other)
                .all(|(&(leaf, one), &(name, other))| leaf == name && branch(engine(|e| e.arena.eq(one, other)), at))
    }

    /// The term for a leaf at a key.
    pub fn leaf(&self, leaf: &str, key: &[Term]) -> Term {
        read(&self.node, leaf, range_of::<D, F::Val>(leaf).unwrap_or(Range::WIDE), key)
    }
}

impl<D, F> SymMap<D, F> {
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
