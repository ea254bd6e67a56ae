//! Versions of shared objects: maps and words of which only facts are known.
use crate::state::sym::Sym;

use crate::state::visit::each;
use layer::core::fields::{FIELDS, bounds};
use layer::core::geometry::Geometry;
use layer::core::keys::{IGNORE, Keys};
use layer::core::machine::{Object, Visit};
use smt::term::{Name, Term};
use symbolic::engine::engine;
use symbolic::facts::{Quantified, Trigger};
use symbolic::origin::Origin;
use symbolic::word::SymWord;

/// The unknown maps of a field and its companion fields at version `origin`.
pub(crate) fn at_version(origin: Origin) -> impl Fn(&str) -> Vec<Name> {
    move |field| {
        let parts = FIELDS.iter().filter(|name| is_part(name, field));
        parts.map(|name| engine(|e| e.arena.name(&origin.name(name)))).collect()
    }
}

/// The fact `holds`, triggered by reads of the maps that `maps` returns for each field in `keys`.
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

/// The exclusive upper bound of each key.
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

/// A visitor that replaces each value in no map by a variable, at version `origin`, if `wanted` accepts the value's
/// name. The variables' names begin with `prefix`.
pub(crate) fn make_unknown<G: Geometry>(
    origin: Origin,
    prefix: &str,
    wanted: impl Fn(&str) -> bool,
) -> impl Visit<Sym<G>> {
    each(move |name, range, term| {
        if wanted(name) {
            let name = origin.name(&format!("{prefix}{name}"));
            *term = engine(|e| e.arena.var(&name, range));
        }
    })
}

/// An unknown object at version `origin`.
pub(crate) fn unknown_object<G: Geometry, T: Object<Sym<G>>>(origin: Origin) -> T {
    unknown_row(origin, T::NAME)
}

/// Like [`unknown_object`], with `name` as the prefix of the variables' names.
pub(crate) fn unknown_row<G: Geometry, T: Object<Sym<G>>>(origin: Origin, name: &str) -> T {
    let mut object = T::new(origin);
    object.words(&mut make_unknown(origin, &format!("{name}."), |_| true));
    object
}

/// Whether the field `name` is `object` or one of its companion fields.
pub(crate) fn is_part(name: &str, object: &str) -> bool {
    name.strip_prefix(object).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
