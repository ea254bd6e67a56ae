//! Solvers: they decide whether a conjunction has a model.
use crate::cache::Cached;
use crate::cross_check::CrossCheck;
use crate::embedded::Embedded;
use crate::smt_lib::{self, SmtLib};
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
        replay: Result<PathBuf, io::Error>,
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
                write!(f, "the solver `{program}` answered `{}`, which is no answer", shorten(answer))
            }
            SolverError::Disagreement { main, other, replay } => {
                write!(f, "{} says {:?}, {} says {:?}: ", main.0, main.1, other.0, other.1)?;
                match replay {
                    Ok(path) => write!(f, "the question is in {}", path.display()),
                    Err(error) => write!(f, "the question could not be written: {error}"),
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

    /// Bounds each later query, by at most the bound with which the solver was started.
    fn limit(&mut self, milliseconds: u32);

    /// Fails fast from here on: a process that exceeds its bound is replaced at once. Which queries are undecided then
    /// depends on the load of the machine.
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
    /// The reason for which it is no longer asked, if so.
    pub lost: Option<String>,
}

impl Tally {
    /// The tally of a solver before its first query.
    pub fn new(solver: String) -> Tally {
        Tally { solver, decided: 0, undecided: 0, disagreements: 0, lost: None }
    }
}

/// Name and version of the embedded solver, which needs no installation.
pub const EMBEDDED: &str = concat!("embedded ", env!("CARGO_PKG_VERSION"));

/// A solver with a stack of assertions.
pub struct Solver {
    backend: Box<dyn Backend>,
    queries: u64,
}

impl Solver {
    fn new(backend: impl Backend + 'static) -> Solver {
        Solver { backend: Box::new(backend), queries: 0 }
    }

    /// Starts `program`, which reads SMT-LIB, with a bound on each query: `timeout_ms` milliseconds, or the number of
    /// steps that take about as long.
    ///
    /// # Errors
    /// If it does not start or does not report its name and version.
    pub fn start(program: &str, timeout_ms: u32) -> Result<Solver, SolverError> {
        SmtLib::start(program, timeout_ms).map(Solver::new)
    }

    /// The output of `program --version`.
    ///
    /// # Errors
    /// If it does not start, or does not end in time.
    pub fn version(program: &str) -> Result<String, SolverError> {
        smt_lib::version(program)
    }

    /// Asks a trivial query, so that a program that is not a solver is detected before the proof depends on it.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn probe(&mut self) -> Result<(), SolverError> {
        self.backend.probe()
    }

    /// The embedded solver, with a bound on each query: the number of steps that take about `timeout_ms` milliseconds.
    pub fn embedded(timeout_ms: u32) -> Solver {
        Solver::new(Embedded::new(timeout_ms))
    }

    /// Several solvers by name: the first answers, and the others are asked as well. A contradiction is an error, and
    /// the query is written to a file `replay` with a number at its end.
    pub fn cross_check(main: (String, Solver), others: Vec<(String, Solver)>, replay: PathBuf) -> Solver {
        let others = others.into_iter().map(|(name, solver)| (name, solver.backend)).collect();
        Solver::new(CrossCheck::new((main.0, main.1.backend), others, replay))
    }

    /// A solver with a cache: `file` stores the answers. The solver is started by `start`, and only asked if `file` has
    /// no answer to the same query. `identity` describes the solver, its version and its options.
    pub fn cached(
        mut start: impl FnMut() -> Result<Solver, SolverError> + Send + 'static,
        identity: &str,
        file: PathBuf,
    ) -> Solver {
        Solver::new(Cached::new(Box::new(move || Ok(start()?.backend)), identity, file))
    }

    /// Bounds each later query, by at most the bound with which the solver was started.
    pub fn limit(&mut self, milliseconds: u32) {
        self.backend.limit(milliseconds);
    }

    /// Opens a scope.
    pub fn push(&mut self) {
        self.backend.push();
    }

    /// Closes the innermost `scopes` scopes.
    pub fn pop(&mut self, scopes: usize) {
        self.backend.pop(scopes);
    }

    /// Asserts `term` in the innermost scope.
    pub fn assert(&mut self, arena: &Arena, term: Term) {
        self.backend.assert(arena, term);
    }

    /// Decides whether the assertions, together with `extra`, have a model.
    ///
    /// # Errors
    /// If the solver can no longer be used, or another solver contradicts it.
    pub fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        self.queries += 1;
        self.backend.check(arena, extra)
    }

    /// The values of all variables and applications in the model of the last query; `None` if the solver does not
    /// return them in time.
    ///
    /// # Errors
    /// If the solver can no longer be used.
    pub fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        self.backend.model()
    }

    /// Fails fast from here on: no query takes much longer than its bound. In return, which queries are undecided can
    /// differ from run to run.
    pub fn fail_fast(&mut self) {
        self.backend.fail_fast();
    }

    /// Number of queries so far.
    pub fn queries(&self) -> u64 {
        self.queries
    }

    /// Number of processes that exceeded their bound and were replaced.
    pub fn replaced(&self) -> u64 {
        self.backend.replaced()
    }

    /// Number of steps so far; 0 if the solver does not count steps.
    pub fn steps(&self) -> u64 {
        self.backend.steps()
    }

    /// Number of queries that were answered from the cache.
    pub fn remembered(&self) -> u64 {
        self.backend.remembered()
    }

    /// The tally of each solver, if several are asked.
    pub fn tallies(&self) -> Vec<Tally> {
        self.backend.tallies()
    }
}
