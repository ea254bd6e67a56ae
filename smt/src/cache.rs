//! A cache of a solver's answers.
//!
//! The cache key of an answer consists of the query, its limit, the solver's identity, and the sources of this crate
//! that determine how a query is put. The query consists of all assertions. An answer depends on nothing else. If code,
//! facts or contracts change, the assertions change, and the key with them.
use crate::backend::{Backend, SolverError, Verdict};
use crate::term::{Arena, Term};
use digest::{Digest, Digests, digest};
use std::path::PathBuf;
use store::{Answer, Store};

mod digest;
mod store;

/// The sources that determine how queries are put and answers are read.
const SOURCES: [&str; 15] = [
    include_str!("backend.rs"),
    include_str!("cache.rs"),
    include_str!("cache/digest.rs"),
    include_str!("cache/store.rs"),
    include_str!("embedded.rs"),
    include_str!("embedded/circuit.rs"),
    include_str!("embedded/gates.rs"),
    include_str!("embedded/linear.rs"),
    include_str!("embedded/word.rs"),
    include_str!("smt_lib.rs"),
    include_str!("smt_lib/answers.rs"),
    include_str!("smt_lib/dialect.rs"),
    include_str!("smt_lib/process.rs"),
    include_str!("smt_lib/script.rs"),
    include_str!("term.rs"),
];

/// Starts the solver.
pub type Start = Box<dyn FnMut() -> Result<Box<dyn Backend>, SolverError> + Send>;

/// The assertions of an open scope.
struct Scope {
    asserted: Vec<Term>,
    /// Digest of all assertions in this scope and the scopes around it.
    digest: Digest,
}

/// A solver with the stored answers of earlier runs. It is started when a query has no stored
/// answer.
pub struct Cached {
    start: Start,
    solver: Option<Box<dyn Backend>>,
    store: Store,
    digests: Digests,
    scopes: Vec<Scope>,
    limit: Option<u32>,
    /// The model of the last query, if its answer was stored.
    model: Option<Vec<(Term, i128)>>,
    /// The last query, if the solver found a model that is not stored yet, and the number of steps for it.
    found: Option<(Digest, u64)>,
    steps: u64,
    remembered: u64,
}

impl Cached {
    /// A cache of the solver that `start` starts and `identity` describes, with the answers in `file`.
    pub fn new(start: Start, identity: &str, file: PathBuf) -> Cached {
        Cached {
            start,
            solver: None,
            store: Store::open(file, digest(&(identity, SOURCES))),
            digests: Digests::default(),
            scopes: vec![Scope { asserted: Vec::new(), digest: digest("nothing") }],
            limit: None,
            model: None,
            found: None,
            steps: 0,
            remembered: 0,
        }
    }

    /// The solver, started if needed, with all assertions.
    fn solver(&mut self, arena: &Arena) -> Result<&mut Box<dyn Backend>, SolverError> {
        if self.solver.is_none() {
            let mut solver = (self.start)()?;
            if let Some(limit) = self.limit {
                solver.limit(limit);
            }
            for (depth, scope) in self.scopes.iter().enumerate() {
                if depth > 0 {
                    solver.push();
                }
                scope.asserted.iter().for_each(|&term| solver.assert(arena, term));
            }
            self.solver = Some(solver);
        }
        Ok(self.solver.as_mut().expect("it was just started"))
    }

    /// The stored answer, with the values of the model for terms of this arena.
    fn remember(&mut self, question: Digest) -> Option<(Verdict, u64, Vec<(Term, i128)>)> {
        let answer = self.store.get(question)?;
        let value = |&(leaf, value): &(Digest, u128)| Some((self.digests.leaf(leaf)?, i128::try_from(value).ok()?));
        let model = answer.model.iter().map(value).collect::<Option<_>>()?;
        Some((answer.verdict, answer.steps, model))
    }

    fn keep(&mut self, question: Digest, verdict: Verdict, steps: u64, model: &[(Term, i128)]) {
        let value = |&(leaf, value): &(Term, i128)| Some((self.digests.known(leaf)?, u128::try_from(value).ok()?));
        if let Some(model) = model.iter().map(value).collect() {
            self.store.put(question, Answer { verdict, steps, model });
        }
    }
}

impl Backend for Cached {
    fn push(&mut self) {
        let digest = self.scopes.last().expect("the outermost scope is never closed").digest;
        self.scopes.push(Scope { asserted: Vec::new(), digest });
        self.solver.iter_mut().for_each(|solver| solver.push());
    }

    fn pop(&mut self, scopes: usize) {
        self.scopes.truncate(self.scopes.len() - scopes);
        self.solver.iter_mut().for_each(|solver| solver.pop(scopes));
    }

    fn assert(&mut self, arena: &Arena, term: Term) {
        let of = self.digests.of(arena, term);
        let scope = self.scopes.last_mut().expect("the outermost scope is never closed");
        scope.asserted.push(term);
        scope.digest = digest(&(scope.digest, of));
        self.solver.iter_mut().for_each(|solver| solver.assert(arena, term));
    }

    fn limit(&mut self, milliseconds: u32) {
        self.limit = Some(milliseconds);
        self.solver.iter_mut().for_each(|solver| solver.limit(milliseconds));
    }

    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        (self.model, self.found) = (None, None);
        let extras: Vec<Digest> = extra.iter().map(|&term| self.digests.of(arena, term)).collect();
        let asserted = self.scopes.last().expect("the outermost scope is never closed").digest;
        let question = digest(&(asserted, extras, self.limit));
        if let Some((verdict, steps, model)) = self.remember(question) {
            self.remembered += 1;
            self.steps += steps;
            self.model = Some(model);
            return Ok(verdict);
        }
        let solver = self.solver(arena)?;
        let before = (solver.steps(), solver.replaced());
        let verdict = solver.check(arena, extra)?;
        let (steps, is_itself) = (solver.steps() - before.0, solver.replaced() == before.1);
        self.steps += steps;
        match verdict {
            Verdict::Sat if is_itself => self.found = Some((question, steps)),
            Verdict::Unsat if is_itself => self.keep(question, verdict, steps, &[]),
            // If steps are counted, the solver will not decide the query the next time either. With a time limit,
            // it might.
            Verdict::Unknown if is_itself && steps > 0 => self.keep(question, verdict, steps, &[]),
            _ => {}
        }
        Ok(verdict)
    }

    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        if let Some(model) = self.model.take() {
            return Ok(Some(model));
        }
        let Some(solver) = &mut self.solver else { return Ok(None) };
        let model = solver.model()?;
        if let (Some((question, steps)), Some(model)) = (self.found.take(), &model) {
            self.keep(question, Verdict::Sat, steps, model);
        }
        Ok(model)
    }

    fn script(&self) -> Option<String> {
        self.solver.as_ref()?.script()
    }

    fn replaced(&self) -> u64 {
        self.solver.as_ref().map_or(0, |solver| solver.replaced())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn remembered(&self) -> u64 {
        self.remembered
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        // If an answer cannot be written, it is computed again later.
        let _ = self.store.save();
    }
}
