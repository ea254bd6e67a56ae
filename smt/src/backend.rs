//! What every solver offers, its verdicts and its errors.
use crate::term::{Arena, Term};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A solver's answer about a conjunction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has a model.
    Sat,
    /// It has none.
    Unsat,
    /// The solver does not know, or ran out of time.
    Unknown,
}

/// The reasons for which a solver can no longer be used or trusted.
#[derive(Debug)]
pub enum SolverError {
    /// The solver could not be started.
    Start(String, io::Error),
    /// The solver with this name ended or closed a pipe.
    Died(String, io::Error),
    /// The solver with this name did not answer within this time, even after restarts.
    Silent(String, Duration),
    /// The solver with this name answered with an error, which has this text.
    Refused(String, String),
    /// The solver with this name printed this, which is not an answer.
    Nonsense(String, String),
    /// One solver found a model, and another says that there is none.
    Disagreement {
        /// The main solver's name and answer.
        main: (String, Verdict),
        /// The other solver's name and answer.
        other: (String, Verdict),
        /// The file that has the query as SMT-LIB text; or the reason for which it could not be written.
        query_file: Result<PathBuf, io::Error>,
    },
}

impl std::fmt::Display for SolverError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SolverError::Start(program, error) => write!(f, "cannot start the solver `{program}`: {error}"),
            SolverError::Died(program, error) => write!(f, "the solver `{program}` died: {error}"),
            SolverError::Silent(program, limit) => {
                write!(f, "the solver `{program}` did not answer within {:.1} s", limit.as_secs_f64())
            }
            SolverError::Refused(program, error) => {
                write!(f, "the solver `{program}` answered with an error: {}", shorten(error))
            }
            SolverError::Nonsense(program, answer) => {
                write!(f, "the solver `{program}` printed `{}`, which is not a valid answer", shorten(answer))
            }
            SolverError::Disagreement { main, other, query_file } => {
                write!(f, "{} says {:?}, {} says {:?}: ", main.0, main.1, other.0, other.1)?;
                match query_file {
                    Ok(path) => write!(f, "the query is in {}", path.display()),
                    Err(error) => write!(f, "the query could not be written: {error}"),
                }
            }
        }
    }
}

impl std::error::Error for SolverError {}

/// Maximum number of characters of an answer in a message.
const SHOWN: usize = 200;

/// The first characters of an answer, which may be of any length.
fn shorten(answer: &str) -> String {
    match answer.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &answer[..end]),
        None => answer.to_string(),
    }
}

/// A stack of assertions, and a decision procedure for them.
pub(crate) trait Backend: Send {
    /// Opens a scope.
    fn push(&mut self);

    /// Closes the innermost `scopes` scopes.
    fn pop(&mut self, scopes: usize);

    /// Asserts `term` in the innermost scope.
    fn assert(&mut self, arena: &Arena, term: Term);

    /// Decides whether the assertions, together with `extra`, have a model.
    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError>;

    /// The values of all variables and applications in the model of the last check.
    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError>;

    /// Sets the bound of each later query; it is at most the bound with which the solver was
    /// started.
    fn limit(&mut self, milliseconds: u32);

    /// From here on, a process that exceeds its bound is replaced at once. Which queries are undecided then depends on
    /// the load of the machine.
    fn fail_fast(&mut self) {}

    /// Checks that the solver answers at all.
    fn probe(&mut self) -> Result<(), SolverError> {
        Ok(())
    }

    /// The last query with all assertions, as SMT-LIB text; `None` if the solver does not use text.
    fn script(&self) -> Option<String> {
        None
    }

    /// Number of processes that exceeded their bound and were replaced.
    fn replaced(&self) -> u64 {
        0
    }

    /// Number of steps so far; 0 if the solver does not count steps.
    fn steps(&self) -> u64 {
        0
    }

    /// Number of queries that were answered from a cache.
    fn remembered(&self) -> u64 {
        0
    }

    /// The tally of each solver, if several are asked.
    fn tallies(&self) -> Vec<Tally> {
        Vec::new()
    }
}

/// The statistics of one of several solvers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Its name.
    pub solver: String,
    /// Number of queries that it decided.
    pub decided: u64,
    /// Number of queries that it could not decide.
    pub undecided: u64,
    /// Number of queries on which it contradicted the main solver.
    pub disagreements: u64,
    /// The reason for which it is no longer asked, if there is one.
    pub lost: Option<String>,
}

impl Tally {
    /// The tally of a solver before its first query.
    pub fn new(solver: String) -> Tally {
        Tally { solver, decided: 0, undecided: 0, disagreements: 0, lost: None }
    }
}
