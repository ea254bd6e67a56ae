//! Running counterexamples: the explorer finds them, and a client's machine runs them.
use crate::failure::Counterexample;
use smt::term::Term;
use std::fmt;
use std::sync::Arc;

/// Runs counterexamples on a machine where every cell has a value.
pub trait Runner {
    /// Completes the solver's model of `asked` to a state, and makes the call from this state. `clause` must fail in
    /// that run too.
    ///
    /// # Errors
    /// If the counterexample is not confirmed.
    fn run(&self, asked: &[Term], clause: &str) -> Result<Run, Unconfirmed>;
}

/// A counterexample that was run, and failed.
pub struct Run {
    /// How the run ended, in words.
    pub ending: String,
    /// What differs from the usual start state, and the arguments.
    pub state: Vec<(String, String)>,
    /// The start state and the call.
    pub counterexample: Arc<dyn Counterexample>,
}

/// Why a counterexample was not run, or did not fail as predicted.
pub enum Unconfirmed {
    /// The call does not violate the clause. Either the prover or the solver is wrong.
    DoesNotFail(String),
    /// There is no such state. The prover's assumptions are too weak, or it does not use an
    /// assumption that is needed.
    NoState,
    /// No state was found that completes the solver's model.
    Incomplete(String),
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unconfirmed::DoesNotFail(why) | Unconfirmed::Incomplete(why) => f.write_str(why),
            Unconfirmed::NoState => f.write_str("no state satisfies every fact"),
        }
    }
}

impl From<String> for Unconfirmed {
    fn from(why: String) -> Unconfirmed {
        Unconfirmed::Incomplete(why)
    }
}

/// Why counterexamples to theorems are not run.
pub const NO_CALL: &str = "a theorem makes no call that could be run";
