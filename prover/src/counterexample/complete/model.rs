//! The dialogue with the solver: its model, the preferred values, and the leaves.
use super::strategy::Strategy;
use crate::counterexample::call::HostedCall;
use rustc_hash::FxHashSet;
use smt::solver::Verdict;
use smt::term::{Node, Term};
use std::collections::BTreeMap;
use symbolic::engine::Engine;

/// The unknown words by which maps are read, by their values in a model.
pub(crate) type Words = BTreeMap<i128, Vec<Term>>;

/// A model that is completed to a state.
pub(super) struct Completion<'e> {
    pub e: &'e mut Engine,
    pub hosted: &'e HostedCall,
    pub strategy: Strategy,
    /// The values of the leaves in the round before, in the order in which they were fixed.
    pub last: &'e mut Vec<(Term, i128)>,
    /// The leaves that keep these values.
    pub kept: FxHashSet<Term>,
    /// The unknown words that have a value in the current model.
    pub words: &'e mut Words,
}

/// Splits the name of a leaf into its name without the version, and the version.
fn versioned(name: &str) -> (String, u32) {
    let (stem, leaf) = name.split_once(':').map_or((name, None), |(stem, leaf)| (stem, Some(leaf)));
    let (field, version) = match stem.split_once('#') {
        Some((field, version)) => (field, version.parse().unwrap_or(0)),
        None => (stem, 0),
    };
    (leaf.map_or(field.to_string(), |leaf| format!("{field}:{leaf}")), version)
}

/// A leaf of the model: its term, its name without version, its version, and its key.
pub(super) struct Leaf {
    pub term: Term,
    pub name: String,
    pub version: u32,
    pub key: Vec<i128>,
}

impl Completion<'_> {
    pub fn value(&mut self, term: Term) -> i128 {
        self.e.model.as_mut().map_or(0, |model| model.value(&self.e.arena, term))
    }

    /// The variable `name`, if the model has it.
    pub fn known(&mut self, name: &str) -> Option<Term> {
        let leaves = self.e.model.as_ref().map(|model| model.leaves()).unwrap_or_default();
        leaves
            .into_iter()
            .find(|&leaf| matches!(self.e.arena.node(leaf), Node::Var(n, _) if self.e.arena.text(*n) == name))
    }

    pub fn equals(&mut self, term: Term, value: i128) -> Option<Term> {
        let e = &mut *self.e;
        if e.arena.is_bool(term) {
            return Some(if value == 0 { e.arena.not(term) } else { term });
        }
        let value = e.arena.number(u64::try_from(value).ok()?);
        Some(e.arena.eq(term, value))
    }

    /// Asserts as many of `wishes` as are satisfiable together. Those that the current model satisfies come first.
    pub fn prefer(&mut self, wishes: Vec<Term>) {
        let e = &mut *self.e;
        let Some(mut model) = e.model.take() else { return };
        let (granted, others): (Vec<Term>, Vec<Term>) =
            wishes.into_iter().partition(|&wish| model.holds(&e.arena, wish));
        e.model = Some(model);
        for wish in granted {
            e.solver.assert(&e.arena, wish);
        }
        self.try_all(&others);
    }

    pub fn try_all(&mut self, wishes: &[Term]) {
        if wishes.is_empty() {
            return;
        }
        if self.e.check_raw(wishes) == Verdict::Sat {
            for &wish in wishes {
                self.e.solver.assert(&self.e.arena, wish);
            }
        } else if wishes.len() > 1 {
            let (first, second) = wishes.split_at(wishes.len() / 2);
            self.try_all(first);
            self.try_all(second);
        }
    }

    /// Fixes the terms at their values in the current model.
    pub fn fix(&mut self, terms: &[Term]) {
        for &term in terms {
            let value = self.value(term);
            if let Some(equal) = self.equals(term, value) {
                self.e.solver.assert(&self.e.arena, equal);
            }
        }
    }

    /// The leaves of the model that are variables, or those that are not.
    pub fn leaves(&mut self, variables: bool) -> Vec<Term> {
        let leaves = self.e.model.as_ref().map(|model| model.leaves()).unwrap_or_default();
        leaves.into_iter().filter(|&leaf| self.is_variable(leaf) == variables).collect()
    }

    pub fn is_variable(&self, term: Term) -> bool {
        matches!(self.e.arena.node(term), Node::Var(..))
    }

    /// The leaf of a term, with its key in the current model.
    pub fn leaf(&mut self, term: Term) -> Leaf {
        let (name, key) = match self.e.arena.node(term) {
            Node::App(name, _, key) => (*name, key.clone()),
            Node::Var(name, _) => (*name, Vec::new()),
            _ => unreachable!("leaves are variables and applications"),
        };
        let (name, version) = versioned(self.e.arena.text(name));
        let key = key.into_iter().map(|word| self.value(word)).collect();
        Leaf { term, name, version, key }
    }
}
