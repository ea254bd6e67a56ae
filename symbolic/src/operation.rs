//! Proofs of operations on a state that the user defines: each operation keeps the invariant, ensures its
//! postcondition, and writes only what it may.
//!
//! The example `open_files` is a whole layer that is proved in this way. Locks, other CPUs, the call rule and the loop
//! rule are not here: `prover` has them for Cairn's layer.
use crate::engine::engine;
use crate::facts::{FactSet, Quantified, Trigger};
use crate::mutation::running;
use crate::proof::{Outcome, cover, feasible, note, prove_clause, prove_for_all, prove_once, run_paths};
use crate::word::SymWord;
use smt::term::{Range, Term};

/// A fact of the invariant: `holds` for all keys.
pub struct Fact<S> {
    /// Its name, which is the clause that is proved.
    pub name: &'static str,
    /// The exclusive upper bound of each key.
    pub bounds: &'static [u64],
    /// The reads at which the fact is instantiated.
    pub triggers: fn(&S) -> Vec<Trigger>,
    /// Whether the fact holds in a state, at some keys.
    pub holds: fn(&S, &[SymWord]) -> bool,
}

/// The result of an operation: a word, or the reason for which it was refused.
pub type Answer = Result<SymWord, &'static str>;

/// An operation with its contract.
pub struct Operation<S> {
    /// Its name.
    pub name: &'static str,
    /// The names of its arguments.
    pub arguments: &'static [&'static str],
    /// Its code. An operation that is refused must change nothing.
    pub run: fn(&mut S, &[SymWord]) -> Answer,
    /// The postcondition of a call that is not refused. It gets the states before and after, the arguments, and the
    /// result.
    pub ensures: fn(&S, &S, &[SymWord], SymWord) -> bool,
    /// Whether a call with these arguments and this result may write the cell of a field.
    pub modifies: fn(&[SymWord], SymWord, field: &str, key: &[SymWord]) -> bool,
}

impl<S: Clone + 'static> Operation<S> {
    /// Proves the operation for all states that satisfy `invariant`, and for all arguments. `unknown` makes an
    /// arbitrary state.
    pub fn prove(&self, unknown: fn() -> S, invariant: &[Fact<S>]) -> Outcome {
        let mut outcome = run_paths(true, &|outcome| self.path(unknown(), invariant, outcome));
        outcome.require_success();
        outcome
    }

    fn path(&self, before: S, invariant: &[Fact<S>], outcome: &mut Outcome) {
        let facts = invariant.iter().map(|fact| quantified(fact, &before)).collect();
        engine(|e| e.facts.add(FactSet::new(facts)));
        let arguments: Vec<SymWord> = self.arguments.iter().map(|name| argument(name)).collect();
        let mut after = before.clone();
        let answer = running(true, || (self.run)(&mut after, &arguments));
        if !feasible() {
            return;
        }
        cover(|| true);
        let proved = &mut outcome.clauses;
        let Ok(answer) = answer.inspect_err(|why| note(&mut outcome.stuck, why.to_string())) else {
            let none = |_: &str, _: &[SymWord]| false;
            return prove_writes("a refused call changes nothing", &none, proved);
        };
        outcome.succeed("");
        let proved = &mut outcome.clauses;
        for fact in invariant {
            if prove_for_all(fact.name, fact.bounds, &|keys| (fact.holds)(&after, keys)) {
                note(proved, fact.name.to_string());
            }
        }
        prove_clause("postcondition", proved, &|| (self.ensures)(&before, &after, &arguments, answer));
        prove_writes("modifies", &|field, key| (self.modifies)(&arguments, answer, field, key), proved);
    }
}

/// Assumes the fact in the state `state`.
fn quantified<S: Clone + 'static>(fact: &Fact<S>, state: &S) -> Quantified {
    let (holds, state) = (fact.holds, state.clone());
    let triggers = (fact.triggers)(&state);
    let holds = Box::new(move |keys: &[Term]| holds(&state, &keys.iter().map(|&key| SymWord(key)).collect::<Vec<_>>()));
    Quantified { triggers, bounds: fact.bounds.to_vec(), holds }
}

/// The unknown argument `name`.
fn argument(name: &str) -> SymWord {
    engine(|e| {
        let term = e.arena.var(name, Range::WORD);
        e.path.arguments.push((name.to_string(), term));
        SymWord(term)
    })
}

/// Proves that each write either is allowed by `may` or changes nothing.
fn prove_writes(clause: &str, may: &dyn Fn(&str, &[SymWord]) -> bool, proved: &mut Vec<String>) {
    let writes = engine(|e| e.path.writes.clone());
    let all = writes.iter().all(|write| {
        let key: Vec<SymWord> = write.key.iter().map(|&word| SymWord(word)).collect();
        let changes = crate::word::SymFlag(write.changes);
        let clause = || format!("{clause}: {}.{} at {}", write.field, write.leaf, write.at);
        prove_once(clause, &|| !domain::Flag::holds(changes) || may(write.field, &key))
    });
    if all {
        note(proved, clause.to_string());
    }
}
