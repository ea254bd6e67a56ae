//! Clauses that are not proved, and the counts of a proof.
use crate::trace::Trace;
use std::any::Any;
use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

/// A counterexample that was run: the start state and the call, in the form that the client's machine needs.
pub trait Counterexample: Any + Debug + Send + Sync {}

impl<T: Any + Debug + Send + Sync> Counterexample for T {}

/// A clause that is not proved, and why.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Failure {
    /// The clause that must hold.
    pub clause: String,
    /// Why it is not proved.
    pub reason: Reason,
    /// The path: one line of text for each decision.
    pub path: Vec<String>,
    /// The relevant part of the state, by field name, and the arguments. If the counterexample was run: what differs
    /// from the usual start state.
    pub state: Vec<(String, String)>,
    /// Whether the counterexample was run and failed there as well.
    pub confirmed: bool,
    /// How the run ended, or why the counterexample was not run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ending: String,
    /// The start state and the call that were run.
    #[serde(skip)]
    pub counterexample: Option<Arc<dyn Counterexample>>,
    /// The branches of the path, so that it can be walked again.
    #[serde(skip)]
    pub trace: Trace,
}

impl Failure {
    /// A failure of `clause`, a check that the proof is not vacuous.
    pub fn vacuous(clause: &str) -> Failure {
        Failure::of(clause.to_string(), Reason::Vacuous)
    }

    /// A failure of `clause` without further details.
    pub fn of(clause: String, reason: Reason) -> Failure {
        Failure {
            clause,
            reason,
            path: Vec::new(),
            state: Vec::new(),
            confirmed: false,
            ending: String::new(),
            counterexample: None,
            trace: Trace::default(),
        }
    }

    /// The start state and the call that were run, if they have the type `T`.
    pub fn counterexample<T: 'static>(&self) -> Option<&T> {
        let any: &dyn Any = &**self.counterexample.as_ref()?;
        any.downcast_ref()
    }
}

/// The reason for a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is a state in which the clause does not hold.
    Counterexample,
    /// The solver has a state in which the clause does not hold, but the call does not violate the clause on the
    /// machine on which counterexamples are run. Either the prover or the solver is wrong.
    Spurious,
    /// The clause fails with the contracts of called functions, but holds with their code: a contract admits more than
    /// its function does.
    Contract,
    /// The solver cannot decide the clause, or ran out of time.
    Unknown,
    /// The code panicked.
    Panic,
    /// There are more paths, or decisions on a path, than the explorer's limit.
    Fuel,
    /// The solver died, or its answer cannot be parsed.
    Solver,
    /// One solver found a model and another one says that none exists. One of them is wrong.
    Disagreement,
    /// The proof is vacuous: for example, no path succeeds.
    Vacuous,
}

/// The counts of one proof.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Paths walked to their end.
    pub paths: u64,
    /// Obligations, counted once on each path.
    pub obligations: u64,
    /// Instances of facts that were asserted.
    pub instances: u64,
    /// Queries to the solver.
    pub queries: u64,
    /// Queries whose answers were in the cache.
    pub remembered: u64,
    /// Steps that the solver took, if it counts them.
    pub steps: u64,
    /// Solvers that exceeded their time limit and were replaced.
    pub replaced: u64,
}

/// The obligation of a proof that took the longest.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Slowest {
    /// The clause that must hold.
    pub clause: String,
    /// The time, in seconds.
    pub seconds: f64,
    /// The number of queries.
    pub queries: u64,
    /// The steps that the solver took, if it counts them. They do not depend on the load of the machine.
    pub steps: u64,
}

impl Slowest {
    /// Orders two obligations by steps, then by time.
    pub fn compare(&self, other: &Slowest) -> Ordering {
        self.steps.cmp(&other.steps).then(self.seconds.total_cmp(&other.seconds))
    }

    /// The slower one of the two.
    pub fn of(one: Option<Slowest>, other: Option<Slowest>) -> Option<Slowest> {
        one.into_iter().chain(other).max_by(Slowest::compare)
    }
}
