//! Visits the values that are in no map, as terms.
use crate::state::sym::Sym;
use layer::core::geometry::Geometry;
use layer::core::machine::{Object, Visit};
use smt::term::{Range, Term};
use symbolic::word::{SymFlag, SymNat, SymWide, SymWord};

/// A visitor of values: calls `F` with the name, range and term of each.
pub(crate) struct Each<F>(F);

/// The visitor that calls `visit` for each value.
pub(crate) fn each<F: FnMut(&'static str, Range, &mut Term)>(visit: F) -> Each<F> {
    Each(visit)
}

impl<G: Geometry, F: FnMut(&'static str, Range, &mut Term)> Visit<Sym<G>> for Each<F> {
    fn word(&mut self, name: &'static str, word: &mut SymWord) {
        (self.0)(name, Range::WORD, &mut word.0);
    }
    fn wide(&mut self, name: &'static str, wide: &mut SymWide) {
        (self.0)(name, Range::WIDE, &mut wide.0);
    }
    fn nat(&mut self, name: &'static str, nat: &mut SymNat) {
        (self.0)(name, Range::Nat, &mut nat.0);
    }
    fn flag(&mut self, name: &'static str, flag: &mut SymFlag) {
        (self.0)(name, Range::Bool, &mut flag.0);
    }
}

/// The values of an object that are in no map, by name.
pub(crate) fn values<G: Geometry, T: Object<Sym<G>>>(object: &T) -> Vec<(&'static str, Term)> {
    let mut values = Vec::new();
    object.snapshot().words(&mut each(|name, _, term| values.push((name, *term))));
    values
}
