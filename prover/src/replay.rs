//! Running counterexamples. The solver's partial model is completed to a state that satisfies every fact. On the hosted
//! machine, the primitive or entry is called from this state, and must violate the same clause.
//!
//! Whatever the model leaves open is as at boot. The checker of the hosted machine reports the facts that this state
//! violates. We assert them at the violated keys and ask the solver again, until no fact is violated. Where the solver
//! has a choice, we ask for the boot values. In the end the remaining differences from boot are undone one by one,
//! where the clause is still violated.
mod again;
mod minimise;
mod settle;

pub(crate) use again::{Again, Walk};

use crate::assumed::Assumed;
use crate::clause;
use crate::engine::engine;
use crate::explore::{Aim, apart, check};
use crate::facts::assert_all_at;
use crate::prove::Ground;
use crate::word::SymWord;
use layer::catalogue::Primitive;
use layer::core::call::Chunk;
use layer::spec::contract::Contract;
use minimise::{minimised, shown};
use settle::{Taste, Words, settle};
use sim::history::Difference;
use sim::machine::Sim;
use sim::replay::{Broken, Ending, Entry, Refused, Subject};
use sim::witness::Witness;
use smt::solver::Verdict;
use smt::term::Term;
use std::fmt;
use std::rc::Rc;
use syscall::next::Parent;
use syscall::table::Row;

/// The most rounds of asserting violated facts with one search strategy.
const ROUNDS: u32 = 16;
/// The most combinations of unknown keys at which a violated fact is asserted, if the model gives them the violating
/// keys.
const KEYS: usize = 8;

/// The subject of a proof, as it runs on the hosted machine.
pub(crate) struct Native {
    pub called: Called,
    pub ground: Ground,
    /// The facts of the start state.
    pub start: Rc<Assumed>,
}

/// The code that is called.
#[derive(Clone, Copy)]
pub(crate) enum Called {
    /// A primitive.
    Primitive { primitive: Primitive, contract: Contract<Sim>, chunk: Chunk },
    /// An entry of the kernel.
    Entry { row: Row<Sim>, parent: Parent },
}

impl Native {
    /// Runs the call from the state of `witness`.
    fn call(&self, witness: &Witness) -> Result<Ending, Refused> {
        match &self.called {
            Called::Primitive { primitive, contract, .. } => {
                Subject { primitive, contract, facts: self.ground.most() }.call(witness)
            }
            Called::Entry { row, .. } => Entry { row }.enter(witness),
        }
    }

    /// The argument that is fixed on all paths, unless it is 0.
    fn given(&self) -> Option<(&'static str, u64)> {
        match self.called {
            Called::Primitive { chunk, .. } if chunk != Chunk::One => Some(("chunk", chunk as u64)),
            Called::Entry { parent: Parent::Main, .. } => Some(("parent", 1)),
            _ => None,
        }
    }
}

/// An answer of the machine that the layer runs on.
#[derive(Clone, Default)]
pub(crate) struct Said {
    /// The values of the answer, by name.
    pub says: Vec<(&'static str, Term)>,
    /// The frame into which the machine loads a page, and the version of the map with the page's bytes.
    pub page: Option<(Term, u32)>,
}

/// A lock that the path takes, with the interference at that moment.
#[derive(Clone)]
pub(crate) struct Taken {
    /// The versions of the unknown maps and words that it introduced.
    pub versions: Vec<u32>,
}

/// A counterexample that was replayed.
pub(crate) struct Replayed {
    pub witness: Witness,
    pub ending: Ending,
    pub state: Vec<(String, String)>,
}

/// Why a counterexample was not replayed, or did not fail as predicted.
pub(crate) enum Unrun {
    /// It does not fail in this way. Either the prover or the solver is wrong.
    NotSo(String),
    /// There is no such state. The prover knows too little, or does not use a fact that it needs.
    NoState,
    /// No state was found that completes the solver's model.
    Incomplete(String),
}

impl fmt::Display for Unrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unrun::NotSo(why) | Unrun::Incomplete(why) => f.write_str(why),
            Unrun::NoState => f.write_str("no state satisfies every fact"),
        }
    }
}

impl From<String> for Unrun {
    fn from(why: String) -> Unrun {
        Unrun::Incomplete(why)
    }
}

/// Replays the solver's counterexample for `asked`, which must violate `clause`. Otherwise returns why not.
pub(crate) fn replay(native: &Native, asked: &[Term], clause: &str) -> Result<Replayed, Unrun> {
    let witness = apart(|| complete(native, asked, clause))?;
    let witness = minimised(native, witness, clause);
    let ending = native.call(&witness).map_err(|refused| refused.to_string())?;
    let state = shown(&witness)?;
    Ok(Replayed { witness, ending, state })
}

/// Finds a state that satisfies every fact and from which the call violates `clause`.
fn complete(native: &Native, asked: &[Term], clause: &str) -> Result<Witness, Unrun> {
    engine(|e| {
        for &term in asked {
            e.solver.assert(&e.arena, term);
        }
    });
    // Only near facts are asserted here. The hosted machine's checker finds the others that matter.
    if check(&[], Aim::Branch) == Verdict::Unsat {
        return Err(Unrun::NoState);
    }
    let mut why = Unrun::Incomplete(String::new());
    for taste in Taste::ALL {
        match apart(|| complete_with(taste, native, clause)) {
            Err(Unrun::Incomplete(reason)) => why = Unrun::Incomplete(reason),
            settled => return settled,
        }
    }
    Err(why)
}

/// As [`complete`], with the search strategy `taste`.
fn complete_with(taste: Taste, native: &Native, clause: &str) -> Result<Witness, Unrun> {
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        let mut words = Words::default();
        if taste == Taste::Fickle {
            last.clear();
        }
        let witness = apart(|| settle(native, taste, &mut last, &mut words))?;
        match native.call(&witness) {
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

/// The keys `keys` of the model as unknown words, in all combinations. A fact asserted of the words also holds in the
/// next model, whatever values they have there.
fn unknown(words: &Words, keys: &[u32]) -> Vec<Vec<SymWord>> {
    let mut all: Vec<Vec<SymWord>> = vec![Vec::new()];
    for &key in keys {
        let terms = words.get(&key.into()).map_or(&[][..], Vec::as_slice);
        let longer = all.iter().flat_map(|start| terms.iter().map(|&term| [&start[..], &[SymWord(term)]].concat()));
        all = longer.take(KEYS).collect();
    }
    all
}

/// Whether the call violated `clause`, under the name that the proof uses.
fn breaks(ending: &Ending, clause: &str) -> bool {
    ending.broken.iter().any(|broken| match broken {
        Broken::Fact(violation) => clause == clause::fact(violation.number, violation.name),
        Broken::Guard => clause == clause::REFERENCE_REQUIRES,
        Broken::Promise => clause == clause::ENSURES,
        Broken::Mode => clause == clause::MODE,
        Broken::Events(_) => clause == clause::EVENTS,
        // A log without a meaning has no effect either.
        Broken::Effect(Difference::Entry { .. }) => clause == clause::EVENTS || clause::is_effect(clause),
        Broken::Effect(Difference::End { .. }) => clause::is_effect(clause),
        Broken::Scalar(name, ..) => clause == clause::scalar(name),
        Broken::Leaf { field, leaf, .. } => {
            [leaf, ""].iter().any(|leaf| clause::is_of(clause, &clause::leaf(field, leaf)))
        }
        Broken::Lock(object) => clause == clause::lock(object),
        Broken::Stuck(stuck) => clause == clause::free_of(*stuck) || clause == clause::stuck(*stuck),
        Broken::Next => clause == clause::NEXT,
        Broken::Premise(name) => clause == clause::premise_of(name),
        Broken::Required(name) => clause == clause::required_by(name),
        Broken::Panic(panic) => clause.ends_with(&format!(" at {}", panic.at)),
        Broken::Rely { object, .. } => clause::is_of(clause, &clause::guarantee(object)),
        Broken::Unheld { object, .. } => clause::is_of(clause, &clause::unheld(object)),
        Broken::Own { object, .. } => clause::is_of(clause, &clause::by_itself(object)),
    })
}

/// The ending of a call, in words.
pub(crate) fn told(ending: &Ending) -> String {
    let broken: Vec<String> = ending.broken.iter().map(Broken::to_string).collect();
    let broken = if broken.is_empty() { "nothing is broken".to_string() } else { broken.join("; ") };
    format!("it gives {}; {broken}", ending.answer)
}
