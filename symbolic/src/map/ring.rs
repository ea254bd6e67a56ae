//! Writes and copies of many entries of a map that is a ring.
use super::node::{Node, encode};
use super::{SymMap, Symbolic};
use crate::branch::branch;
use crate::engine::engine;
use crate::explore::oblige;
use crate::merge::choice;
use crate::mutant::Operator;
use crate::mutation::change;
use crate::path::Write;
use crate::word::SymWord;
use domain::Field;
use smt::term::{Name, Term};
use std::panic::Location;
use std::rc::Rc;

impl<D: Symbolic, F: Field<D>> SymMap<D, F> {
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
}
