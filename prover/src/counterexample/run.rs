//! Running counterexamples. The solver's partial model is completed to a state that satisfies every fact. On the hosted
//! machine, the primitive or entry is called from this state, and must violate the same clause.
//!
//! At first, the state has its values from boot wherever the model leaves it open. The checker of the hosted machine
//! reports the facts that this state violates. We assert them at the violated keys and ask the solver again, until no
//! fact is violated. If the solver has a choice, we ask for the boot values. Finally, the remaining differences from
//! boot are undone one by one, as long as the clause is still violated.
use crate::counterexample::call::HostedCall;
use crate::counterexample::complete::{Strategy, Words, complete_model};
use crate::counterexample::ending::{breaks, description};
use crate::counterexample::minimise::{minimised, shown};
use sim::counterexample::outcome::Refused;
use sim::counterexample::witness::Witness;
use smt::solver::Verdict;
use smt::term::Term;
use std::sync::Arc;
use symbolic::counterexample::{Run, Runner, Unconfirmed};
use symbolic::engine::engine;
use symbolic::facts::instances::assert_all_at;
use symbolic::query::{Aim, check, in_scope};
use symbolic::word::SymWord;

/// The maximum number of rounds of asserting violated facts with one search strategy.
const ROUNDS: u32 = 16;
/// A violated fact is asserted at combinations of unknown keys to which the model gives the violating values. This
/// is the maximum number of combinations.
const KEYS: usize = 8;

impl Runner for HostedCall {
    fn run(&self, asked: &[Term], clause: &str) -> Result<Run, Unconfirmed> {
        let witness = in_scope(|| complete(self, asked, clause))?;
        let witness = minimised(self, witness, clause);
        let ending = self.call(&witness).map_err(|refused| refused.to_string())?;
        Ok(Run { ending: description(&ending), state: shown(&witness)?, counterexample: Arc::new(witness) })
    }
}

/// Finds a state that satisfies every fact and from which the call violates `clause`.
fn complete(hosted: &HostedCall, asked: &[Term], clause: &str) -> Result<Witness, Unconfirmed> {
    engine(|e| {
        for &term in asked {
            e.solver.assert(&e.arena, term);
        }
    });
    // Only near instances are asserted here. The hosted machine's checker finds the other facts
    // that matter.
    if check(&[], Aim::Branch) == Verdict::Unsat {
        return Err(Unconfirmed::NoState);
    }
    let mut why = Unconfirmed::Incomplete(String::new());
    for strategy in Strategy::ALL {
        match in_scope(|| complete_with(strategy, hosted, clause)) {
            Err(Unconfirmed::Incomplete(reason)) => why = Unconfirmed::Incomplete(reason),
            discharged => return discharged,
        }
    }
    Err(why)
}

/// Like [`complete`], with the search strategy `strategy`.
fn complete_with(strategy: Strategy, hosted: &HostedCall, clause: &str) -> Result<Witness, Unconfirmed> {
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        let mut words = Words::default();
        if strategy == Strategy::Forgetful {
            last.clear();
        }
        let witness = in_scope(|| complete_model(hosted, strategy, &mut last, &mut words))?;
        match hosted.call(&witness) {
            Ok(ending) if breaks(&ending, clause) => return Ok(witness),
            Ok(ending) => {
                let why = format!("the hosted machine does not confirm it: {}", description(&ending));
                return Err(Unconfirmed::DoesNotFail(why));
            }
            Err(Refused::Facts(violations)) => {
                for violation in violations {
                    for keys in violation.keys {
                        for terms in unknown(&words, &keys) {
                            hosted.start.assert_at(violation.number, &terms);
                        }
                        let keys: Vec<SymWord> = keys.into_iter().map(SymWord::from).collect();
                        hosted.start.assert_at(violation.number, &keys);
                    }
                }
            }
            Err(Refused::Interference { key, .. }) => assert_all_at(key),
            Err(refused) => return Err(refused.to_string().into()),
        }
    }
    Err(format!("no state that satisfies every fact was found in {ROUNDS} rounds").into())
}

/// The unknown words of the query that have the values `keys` in the model, in all combinations. If a fact is
/// asserted about these words, it also holds in the next model, whatever values they have there.
fn unknown(words: &Words, keys: &[u32]) -> Vec<Vec<SymWord>> {
    let mut all: Vec<Vec<SymWord>> = vec![Vec::new()];
    for &key in keys {
        let terms = words.get(&key.into()).map_or(&[][..], Vec::as_slice);
        let longer = all.iter().flat_map(|start| terms.iter().map(|&term| [&start[..], &[SymWord(term)]].concat()));
        all = longer.take(KEYS).collect();
    }
    all
}
