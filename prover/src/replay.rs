//! Counterexamples that run: the solver's partial model is made a state that satisfies every fact, and the call is made
//! from it on the hosted machine, where it has to break the same clause.
//!
//! What the model does not speak of is as at boot. The checker of the hosted machine says which facts that breaks; they
//! are asserted where they are broken, and the solver is asked again, until nothing is broken. Wherever it has a
//! choice it is asked for the values of boot; what differs in the end is put back one by one.
mod minimise;
mod settle;

use crate::assumed::Assumed;
use crate::clause;
use crate::engine::engine;
use crate::explore::{Aim, apart, check};
use crate::facts::assert_all_at;
use crate::prove::Ground;
use crate::word::SymWord;
use layer::contract::Contract;
use layer::invariant::Class;
use layer::memory::Chunk;
use layer::primitive::Primitive;
use minimise::{minimised, shown};
use settle::{Taste, Words, settle};
use sim::machine::Sim;
use sim::replay::{Broken, Ending, Refused, Subject};
use sim::witness::Witness;
use smt::solver::Verdict;
use smt::term::Term;
use std::rc::Rc;

/// How often the solver is asked for a state with more facts before it begins anew with another taste.
const ROUNDS: u32 = 16;
/// At how many unknown keys a broken fact is asserted at most, where these are the keys of the model that break it.
const KEYS: usize = 8;

/// What a proof is about, natively.
pub(crate) struct Native {
    pub primitive: Primitive,
    pub contract: Contract<Sim>,
    pub ground: Ground,
    pub chunk: Chunk,
    /// The facts of the state that the call starts from.
    pub start: Rc<Assumed>,
}

/// A lock that the path takes, and what the others moved then.
#[derive(Clone)]
pub(crate) struct Taken {
    /// Versions of the unknown maps and words that it brought.
    pub versions: Vec<u32>,
}

/// A counterexample that was run.
pub(crate) struct Replayed {
    pub witness: Witness,
    pub ending: Ending,
    pub state: Vec<(String, String)>,
}

/// Why a counterexample was not run, or not as it should.
pub(crate) enum Unrun {
    /// It does not fail so: the prover is wrong, or the solver.
    NotSo(String),
    /// No whole state was found around the part of one that the solver gave.
    Incomplete(String),
}

impl From<String> for Unrun {
    fn from(why: String) -> Unrun {
        Unrun::Incomplete(why)
    }
}

/// Runs the counterexample that the solver has for `asked`, and breaks `clause` by it; or says why not.
pub(crate) fn replay(native: &Native, asked: &[Term], clause: &str) -> Result<Replayed, Unrun> {
    let subject = Subject {
        primitive: &native.primitive,
        contract: &native.contract,
        facts: if native.ground == Ground::Derived { Class::Derived } else { Class::Low },
    };
    let witness = apart(|| complete(native, &subject, asked, clause))?;
    let witness = minimised(&subject, witness, clause);
    let ending = subject.call(&witness).map_err(|refused| refused.to_string())?;
    let state = shown(&witness)?;
    Ok(Replayed { witness, ending, state })
}

/// A state that satisfies every fact, from which the call breaks `clause`.
fn complete(native: &Native, subject: &Subject, asked: &[Term], clause: &str) -> Result<Witness, Unrun> {
    engine(|e| {
        for &term in asked {
            e.solver.assert(&e.arena, term);
        }
    });
    // The facts that lie near; which others matter is found out natively.
    if check(&[], Aim::Branch) == Verdict::Unsat {
        return Err(Unrun::NotSo("no state satisfies every fact".to_string()));
    }
    let mut why = Unrun::Incomplete(String::new());
    for taste in Taste::ALL {
        match apart(|| complete_with(taste, native, subject, clause)) {
            Err(Unrun::Incomplete(reason)) => why = Unrun::Incomplete(reason),
            settled => return settled,
        }
    }
    Err(why)
}

/// As [`complete`], led by `taste`.
fn complete_with(taste: Taste, native: &Native, subject: &Subject, clause: &str) -> Result<Witness, Unrun> {
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        let mut words = Words::default();
        if taste == Taste::Fickle {
            last.clear();
        }
        let witness = apart(|| settle(native, taste, &mut last, &mut words))?;
        match subject.call(&witness) {
            Ok(ending) if breaks(&ending, clause) => return Ok(witness),
            Ok(ending) => {
                let why = format!("on the hosted machine it does not fail so: {}", told(&ending));
                return Err(Unrun::NotSo(why));
            }
            Err(Refused::Facts(violations)) => {
                for violation in violations {
                    for keys in violation.keys {
                        for terms in unknown(&words, &keys) {
                            native.start.assert_at(violation.number, &terms);
                        }
                        let keys: Vec<SymWord> = keys.into_iter().map(SymWord::from).collect();
                        native.start.assert_at(violation.number, &keys);
                    }
                }
            }
            Err(Refused::Moved { key, .. }) => assert_all_at(key),
            Err(refused) => return Err(refused.to_string().into()),
        }
    }
    Err(format!("no state that satisfies every fact was found in {ROUNDS} rounds").into())
}

/// What is `keys` in the model, in terms of unknown words: what is asserted of it holds in the next model as well, whatever
/// values the words have there.
fn unknown(words: &Words, keys: &[u32]) -> Vec<Vec<SymWord>> {
    let mut all: Vec<Vec<SymWord>> = vec![Vec::new()];
    for &key in keys {
        let terms = words.get(&key.into()).map_or(&[][..], Vec::as_slice);
        let longer = all.iter().flat_map(|start| terms.iter().map(|&term| [&start[..], &[SymWord(term)]].concat()));
        all = longer.take(KEYS).collect();
    }
    all
}

/// Whether the call broke `clause`, as the proof has it.
fn breaks(ending: &Ending, clause: &str) -> bool {
    ending.broken.iter().any(|broken| match broken {
        Broken::Fact(violation) => clause == clause::fact(violation.number, violation.name),
        Broken::Guard => clause == clause::GUARD,
        Broken::Promise => clause == clause::PROMISE,
        Broken::Mode => clause == clause::MODE,
        Broken::Scalar(name, ..) => clause == clause::scalar(name),
        Broken::Leaf { field, leaf, .. } => {
            [leaf, ""].iter().any(|leaf| clause::is_of(clause, &clause::leaf(field, leaf)))
        }
        Broken::Lock(object) => clause == clause::lock(object),
        Broken::Stuck(stuck) => clause == clause::free_of(*stuck),
        Broken::Panic(panic) => clause.ends_with(&format!(" at {}", panic.at)),
        Broken::Rely { object, .. } => clause::is_of(clause, &clause::guarantee(object)),
        Broken::Unheld { object, .. } => clause::is_of(clause, &clause::unheld(object)),
        Broken::Own { object, .. } => clause::is_of(clause, &clause::by_itself(object)),
    })
}

/// How a call ended, in words.
pub(crate) fn told(ending: &Ending) -> String {
    let broken: Vec<String> = ending.broken.iter().map(Broken::to_string).collect();
    let broken = if broken.is_empty() { "nothing is broken".to_string() } else { broken.join("; ") };
    format!("it gives {}; {broken}", ending.answer)
}
