//! Versions of what is shared: maps and words of which nothing is known but facts.
use super::Sym;
use crate::engine::engine;
use crate::facts::{Quantified, Trigger};
use crate::map::Origin;
use crate::state::is_part;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::Geometry;
use layer::fields::{FIELDS, bounds};
use layer::invariant::{IGNORE, Keys};
use layer::machine::{Object, Visit};
use smt::term::{Name, Range, Term};

/// A version that no object has yet.
pub(crate) fn next_version() -> Origin {
    engine(|e| {
        e.fresh += 1;
        Origin { version: e.fresh }
    })
}

/// The unknown maps of a field and its companions at version `origin`.
pub(crate) fn at_version(origin: Origin) -> impl Fn(&str) -> Vec<Name> {
    move |field| {
        let parts = FIELDS.iter().filter(|name| is_part(name, field));
        parts.map(|name| engine(|e| e.arena.name(&origin.name(name)))).collect()
    }
}

/// `holds` as a fact over the unknown maps that `maps` gives for each field that `keys` names.
pub(crate) fn quantified<G: Geometry>(
    keys: Keys,
    maps: &dyn Fn(&str) -> Vec<Name>,
    holds: impl Fn(&[SymWord]) -> bool + 'static,
) -> Quantified {
    let bounds = key_bounds::<G>(keys);
    let triggers = keys
        .iter()
        .map(|(field, coordinates)| Trigger {
            maps: maps(field),
            keys: coordinates.iter().map(|&k| (k != IGNORE).then_some(k)).collect(),
        })
        .collect();
    let holds = Box::new(move |key: &[Term]| {
        let words: Vec<SymWord> = key.iter().map(|&t| SymWord(t)).collect();
        holds(&words)
    });
    Quantified { triggers, bounds, holds }
}

/// The bound of each key.
pub(crate) fn key_bounds<G: Geometry>(keys: Keys) -> Vec<u64> {
    let mut limits = Vec::new();
    for (field, coordinates) in keys {
        let dims = bounds::<Sym<G>>(field).expect("a fact is over fields of the table");
        for (&key, &bound) in coordinates.iter().zip(dims) {
            if key != IGNORE {
                if limits.len() <= key {
                    limits.resize(key + 1, 0);
                }
                limits[key] = bound.into();
            }
        }
    }
    limits
}

/// Makes values that are in no map unknown, at version `origin`: those that `wanted` picks.
pub(crate) struct MakeUnknown<'a> {
    pub origin: Origin,
    /// What is before their names.
    pub prefix: &'a str,
    pub wanted: &'a dyn Fn(&str) -> bool,
}

impl MakeUnknown<'_> {
    fn make(&self, name: &str, range: Range, term: &mut Term) {
        if (self.wanted)(name) {
            let name = self.origin.name(&format!("{}{name}", self.prefix));
            *term = engine(|e| e.arena.var(&name, range));
        }
    }
}

impl<G: Geometry> Visit<Sym<G>> for MakeUnknown<'_> {
    fn word(&mut self, name: &'static str, word: &mut SymWord) {
        self.make(name, Range::WORD, &mut word.0);
    }
    fn wide(&mut self, name: &'static str, wide: &mut SymWide) {
        self.make(name, Range::WIDE, &mut wide.0);
    }
    fn nat(&mut self, name: &'static str, nat: &mut SymNat) {
        self.make(name, Range::Nat, &mut nat.0);
    }
    fn flag(&mut self, name: &'static str, flag: &mut SymFlag) {
        self.make(name, Range::Bool, &mut flag.0);
    }
}

/// An object of which nothing is known, at version `origin`.
pub(crate) fn unknown_object<G: Geometry, T: Object<Sym<G>>>(origin: Origin) -> T {
    unknown_row(origin, T::NAME)
}

/// As [`unknown_object`], for one whose words are called after `name`.
pub(super) fn unknown_row<G: Geometry, T: Object<Sym<G>>>(origin: Origin, name: &str) -> T {
    let mut object = T::new(origin);
    object.words(&mut MakeUnknown { origin, prefix: &format!("{name}."), wanted: &|_| true });
    object
}
