//! Solvers: they decide whether a conjunction has a model.
use crate::backend::Backend;
pub use crate::backend::{SolverError, Tally, Verdict};
use crate::cache::Cached;
use crate::cross_check::CrossCheck;
use crate::embedded::Embedded;
use crate::smt_lib::{self, SmtLib};
use crate::term::{Arena, Term};
use std::path::PathBuf;

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

    /// Several solvers by name: the first one's answer counts, and the others are asked as well. A contradiction is
    /// an error, and the query is written to a file whose name begins with `query_file`.
    pub fn cross_check(main: (String, Solver), others: Vec<(String, Solver)>, query_file: PathBuf) -> Solver {
        let others = others.into_iter().map(|(name, solver)| (name, solver.backend)).collect();
        Solver::new(CrossCheck::new((main.0, main.1.backend), others, query_file))
    }

    /// A solver with a cache: `file` stores the answers. `start` starts the solver when `file` has no answer to a
    /// query. `identity` describes the solver, its version and its options.
    pub fn cached(
        mut start: impl FnMut() -> Result<Solver, SolverError> + Send + 'static,
        identity: &str,
        file: PathBuf,
    ) -> Solver {
        Solver::new(Cached::new(Box::new(move || Ok(start()?.backend)), identity, file))
    }

    /// Sets the bound of each later query; it is at most the bound with which the solver was
    /// started.
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

    /// From here on, no query takes much longer than its bound, because a late process is replaced at once. The
    /// disadvantage: which queries are undecided can differ from run to run.
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
