//! A solver that is not asked again what it has answered before.
//!
//! An answer is kept under a digest of the question: everything that is asserted when it is asked, how long may be
//! thought about it, which solver is asked, and the text of this crate, which says how a question is put. Nothing else has
//! part in an answer, so nothing else is part of the digest: where code, facts or contracts have changed, they show
//! in what is asserted, and it is another question.
use crate::solver::{Backend, SolverError, Verdict};
use crate::term::{Arena, Term};
use digest::{Digest, Digests, digest};
use std::path::PathBuf;
use store::{Answer, Store};

mod digest;
mod store;

/// How questions are put, and answers read.
const SOURCES: [&str; 11] = [
    include_str!("cache.rs"),
    include_str!("cache/digest.rs"),
    include_str!("cache/store.rs"),
    include_str!("embedded.rs"),
    include_str!("embedded/circuit.rs"),
    include_str!("embedded/gates.rs"),
    include_str!("embedded/linear.rs"),
    include_str!("embedded/word.rs"),
    include_str!("smt_lib.rs"),
    include_str!("smt_lib/process.rs"),
    include_str!("term.rs"),
];

/// Starts the solver.
pub type Start = Box<dyn FnMut() -> Result<Box<dyn Backend>, SolverError> + Send>;

/// What is asserted in an open scope.
struct Scope {
    asserted: Vec<Term>,
    /// Of all that is asserted in it and around it.
    digest: Digest,
}

/// A solver, and what it has answered before; it is started where that does not do.
pub struct Cached {
    start: Start,
    solver: Option<Box<dyn Backend>>,
    store: Store,
    digests: Digests,
    scopes: Vec<Scope>,
    limit: Option<u32>,
    /// The model of the last question, if it was answered before.
    model: Option<Vec<(Term, i128)>>,
    /// The last question, if the solver has found a model that is not kept yet, and the steps that this took.
    found: Option<(Digest, u64)>,
    steps: u64,
    remembered: u64,
}

impl Cached {
    /// The solver that `start` starts and `identity` describes, with the answers that are in `file`.
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

    /// The solver, which was told all that is asserted.
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

    /// What was answered before, with the values of the model in terms of this arena.
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
            // Where steps are counted it will not know the next time either; time is another matter.
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
        // What cannot be written is asked again.
        let _ = self.store.save();
    }
}
