//! The operations on maps that a primitive may use.
use super::node::{Leaves, Node, encode};
use super::{SymMap, Symbolic, words};
use crate::branch::branch;
use crate::engine::engine;
use crate::explore::oblige;
use crate::merge::{choice, in_range};
use crate::mutant::Operator;
use crate::mutation::{change, is_running, running};
use crate::path::Write;
use crate::reads::see;
use crate::word::SymWord;
use domain::{Field, Key, Map};
use smt::term::{Range, Term};
use std::any::Any;
use std::panic::Location;
use std::rc::Rc;

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
