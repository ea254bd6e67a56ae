//! Searches of a map without a loop.
use super::{SymMap, Symbolic};
use crate::branch::branch;
use crate::engine::engine;
use crate::explore::oblige;
use crate::facts::{FactSet, Quantified, Trigger};
use crate::merge::condition;
use crate::mutant::Operator;
use crate::mutation::{change, running};
use crate::path::Abandon;
use crate::query::{Aim, check, in_scope};
use crate::reads::see;
use crate::word::SymWord;
use domain::Field;
use smt::solver::Verdict;
use smt::term::{Range, Term};
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

impl<D: Symbolic, F: Field<D>> SymMap<D, F> {
    /// The least `i` in `from..to` whose value satisfies `wanted`. `row` is the key without its last word, which is
    /// `i`.
    #[track_caller]
    pub(super) fn search(
        &self,
        row: &[Term],
        from: SymWord,
        to: SymWord,
        wanted: fn(F::Val) -> bool,
    ) -> Option<SymWord> {
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
            e.facts.add(FactSet::lasting(vec![none_before]));
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
}
