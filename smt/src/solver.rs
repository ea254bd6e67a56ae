//! Solvers: what decides whether a conjunction has a model.
use crate::cache::Cached;
use crate::cross_check::CrossCheck;
use crate::embedded::Embedded;
use crate::smt_lib::{self, SmtLib};
use crate::term::{Arena, Term};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What a solver says of a conjunction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It has a model.
    Sat,
    /// It has none.
    Unsat,
    /// The solver does not know, or ran out of time.
    Unknown,
}

/// Why a solver cannot be asked any more, or not be believed.
#[derive(Debug)]
pub enum SolverError {
    /// It could not be started.
    Start(String, io::Error),
    /// It, of this name, ended or closed a pipe.
    Died(String, io::Error),
    /// It, of this name, did not answer within this time, however often it was started again.
    Silent(String, Duration),
    /// It, of this name, answered with an error, which says this.
    Refused(String, String),
    /// It, of this name, answered something that is no answer.
    Nonsense(String, String),
    /// One found a model where another says that there is none.
    Disagreement {
        /// What the main solver says.
        main: (String, Verdict),
        /// What the other says.
        other: (String, Verdict),
        /// Where the question is, as text that solvers read; or why it could not be written.
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

/// Characters of an answer that a message shows.
const SHOWN: usize = 200;

/// The beginning of an answer, which may be of any length.
fn shorten(answer: &str) -> String {
    match answer.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &answer[..end]),
        None => answer.to_string(),
    }
}

/// A stack of assertions, and something that decides them.
pub(crate) trait Backend: Send {
    /// Opens a scope.
    fn push(&mut self);

    /// Closes the innermost `scopes` scopes.
    fn pop(&mut self, scopes: usize);

    /// Asserts `term` in the innermost scope.
    fn assert(&mut self, arena: &Arena, term: Term);

    /// Whether what is asserted, together with `extra`, has a model.
    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError>;

    /// The values of all variables and applications in the model of the last check.
    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError>;

    /// Bounds each query from here on, by no more than what it was started with.
    fn limit(&mut self, milliseconds: u32);

    /// From here on a process that overlooks its bound is replaced at once: what cannot be decided depends on how busy the
    /// machine is.
    fn hurry(&mut self) {}

    /// Whether it answers at all.
    fn probe(&mut self) -> Result<(), SolverError> {
        Ok(())
    }

    /// The last question, with all that is asserted, as text that SMT-LIB solvers read; if it speaks text.
    fn script(&self) -> Option<String> {
        None
    }

    /// How many processes overran their limit and were replaced.
    fn replaced(&self) -> u64 {
        0
    }

    /// How many steps it has made, if it counts them.
    fn steps(&self) -> u64 {
        0
    }

    /// How many questions it has not been asked, because it had answered them before.
    fn remembered(&self) -> u64 {
        0
    }

    /// What each solver said, if several are asked.
    fn tallies(&self) -> Vec<Tally> {
        Vec::new()
    }
}

/// What one of several solvers said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Its name.
    pub solver: String,
    /// How many queries it decided.
    pub decided: u64,
    /// How many it could not decide.
    pub undecided: u64,
    /// How many it decided otherwise than the main solver.
    pub disagreements: u64,
    /// Why it is not asked any more, if it is not.
    pub lost: Option<String>,
}

impl Tally {
    /// That of a solver that was asked nothing yet.
    pub fn new(solver: String) -> Tally {
        Tally { solver, decided: 0, undecided: 0, disagreements: 0, lost: None }
    }
}

/// Name and version of the solver that needs nothing installed.
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

    /// Starts `program`, which reads SMT-LIB, with a bound on one query: milliseconds, or as many steps as take about
    /// as long.
    ///
    /// # Errors
    /// When it does not start or does not say who it is.
    pub fn start(program: &str, timeout_ms: u32) -> Result<Solver, SolverError> {
        SmtLib::start(program, timeout_ms).map(Solver::new)
    }

    /// What `program` prints when it is asked for its version.
    ///
    /// # Errors
    /// When it does not start, or does not end in time.
    pub fn version(program: &str) -> Result<String, SolverError> {
        smt_lib::version(program)
    }

    /// Asks it something that it has to be able to answer at once, so that a program that is no solver is found before
    /// much depends on it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn probe(&mut self) -> Result<(), SolverError> {
        self.backend.probe()
    }

    /// The solver that needs nothing installed, with a bound on one query: as many steps as take about `timeout_ms`.
    pub fn embedded(timeout_ms: u32) -> Solver {
        Solver::new(Embedded::new(timeout_ms))
    }

    /// Solvers by name: the first answers, the others are asked as well. Where one contradicts it that is an error,
    /// and the question is written to a file `replay` with a number at its end.
    pub fn cross_check(main: (String, Solver), others: Vec<(String, Solver)>, replay: PathBuf) -> Solver {
        let others = others.into_iter().map(|(name, solver)| (name, solver.backend)).collect();
        Solver::new(CrossCheck::new((main.0, main.1.backend), others, replay))
    }

    /// The solver that `start` starts and `identity` describes, its version and its options; `file` keeps what it answers,
    /// and it is started and asked where the same question is not there.
    pub fn cached(
        mut start: impl FnMut() -> Result<Solver, SolverError> + Send + 'static,
        identity: &str,
        file: PathBuf,
    ) -> Solver {
        Solver::new(Cached::new(Box::new(move || Ok(start()?.backend)), identity, file))
    }

    /// Bounds each query from here on, by no more than what the solver was started with.
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

    /// Whether what is asserted, together with `extra`, has a model.
    ///
    /// # Errors
    /// When the solver cannot be asked any more, or another contradicts it.
    pub fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        self.queries += 1;
        self.backend.check(arena, extra)
    }

    /// The values of all variables and applications in the model of the last check; nothing if the solver does not
    /// give them in time.
    ///
    /// # Errors
    /// When the solver cannot be asked any more.
    pub fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        self.backend.model()
    }

    /// From here on no query takes much longer than its bound says, for which it is no longer the same each time what cannot
    /// be decided.
    pub fn hurry(&mut self) {
        self.backend.hurry();
    }

    /// Queries so far.
    pub fn queries(&self) -> u64 {
        self.queries
    }

    /// How many processes overran their limit and were replaced.
    pub fn replaced(&self) -> u64 {
        self.backend.replaced()
    }

    /// How many steps it has made so far; 0 where it does not count them.
    pub fn steps(&self) -> u64 {
        self.backend.steps()
    }

    /// Queries so far that were answered before.
    pub fn remembered(&self) -> u64 {
        self.backend.remembered()
    }

    /// What each solver said, if several are asked.
    pub fn tallies(&self) -> Vec<Tally> {
        self.backend.tallies()
    }
}
