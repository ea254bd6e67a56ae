//! The state of one prover thread: its terms, its solver, the path that it explores, and the results of its proof.
use crate::coverage::Coverage;
use crate::facts::Facts;
use crate::failure::{Counts, Failure, Reason, Slowest};
use crate::origin::Origin;
use crate::path::{Abandon, Decision, Path};
use crate::settings::Settings;
use rustc_hash::FxHashMap;
use smt::model::Model;
use smt::solver::{Solver, SolverError, Verdict};
use smt::term::{Arena, FRESH, Name, Node, Range, Term, show_cell};
use std::cell::RefCell;

/// The state of one prover thread.
pub struct Engine {
    /// The terms of this thread.
    pub arena: Arena,
    /// The solver.
    pub solver: Solver,
    /// The last model of the solver, if it satisfies everything that is asserted.
    pub model: Option<Model>,
    /// The facts of this path, and their instances.
    pub facts: Facts,
    /// The path that is explored.
    pub path: Path,
    /// The results of this proof so far.
    pub results: Results,
    /// The settings of this proof.
    pub settings: Settings,
    /// The paths that are not walked yet, each given by its first decisions.
    pub(crate) work: Vec<Vec<Decision>>,
    /// Instances of facts that were asserted, for each open scope of the solver.
    pub(crate) asserted: Vec<Vec<Term>>,
    /// The names of the leaves of unknown maps.
    pub(crate) leaves: FxHashMap<Name, FxHashMap<String, Name>>,
}

/// The results of a proof.
#[derive(Default)]
pub struct Results {
    /// The clauses that do not hold.
    pub failures: Vec<Failure>,
    /// Clauses of a mutant that could not be decided.
    pub undecided: Vec<String>,
    /// The counts.
    pub counts: Counts,
    /// The obligation that took the longest, if the solver was asked at all.
    pub slowest: Option<Slowest>,
    /// The branches of all feasible paths.
    pub coverage: Coverage,
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Calls `work` with this thread's engine.
///
/// # Panics
/// If the thread has no engine: terms can be made only inside [`with_engine`].
pub fn engine<R>(work: impl FnOnce(&mut Engine) -> R) -> R {
    ENGINE.with(|engine| work(engine.borrow_mut().as_mut().expect("terms are made inside with_engine")))
}

/// Whether this thread has an engine.
pub(crate) fn is_proving() -> bool {
    // If the engine is borrowed, a panic occurred while it was in use.
    ENGINE.with(|engine| engine.try_borrow().map_or(true, |engine| engine.is_some()))
}

/// Runs `work` on this thread with a new engine that uses `solver`.
pub fn with_engine<R>(solver: Solver, work: impl FnOnce() -> R) -> R {
    ENGINE.with(|engine| *engine.borrow_mut() = Some(Engine::new(solver)));
    let result = work();
    ENGINE.with(|engine| *engine.borrow_mut() = None);
    result
}

impl Engine {
    fn new(solver: Solver) -> Engine {
        Engine {
            arena: Arena::default(),
            solver,
            model: None,
            facts: Facts::default(),
            path: Path::default(),
            results: Results::default(),
            settings: Settings::default(),
            work: Vec::new(),
            asserted: vec![Vec::new()],
            leaves: FxHashMap::default(),
        }
    }

    /// Asserts `term` on this path.
    pub fn assume(&mut self, term: Term) {
        if self.arena.as_bool(term) == Some(true) {
            return;
        }
        self.path.assumed.push(term);
        if self.path.is_repeated() {
            self.refute_model(term);
        } else {
            self.suppose(term);
        }
    }

    /// Asserts `term` in the current scope only.
    pub fn suppose(&mut self, term: Term) {
        self.refute_model(term);
        self.solver.assert(&self.arena, term);
    }

    /// Drops the model if `term` does not hold in it.
    fn refute_model(&mut self, term: Term) {
        if let Some(model) = &mut self.model
            && !model.holds(&self.arena, term)
        {
            self.model = None;
        }
    }

    /// A fresh variable: the only knowledge of its value is `range`.
    pub fn unknown(&mut self, name: &str, range: Range) -> Term {
        self.path.fresh += 1;
        let name = format!("{name}{FRESH}{}", self.path.fresh);
        self.arena.var(&name, range)
    }

    pub(crate) fn push_scope(&mut self) {
        self.solver.push();
        self.asserted.push(Vec::new());
    }

    /// The number of open scopes.
    pub(crate) fn scopes(&self) -> usize {
        self.asserted.len() - 1
    }

    pub(crate) fn pop_to(&mut self, scopes: usize) {
        let open = self.scopes();
        debug_assert!(scopes <= open);
        for term in self.asserted.drain(scopes + 1..).flatten() {
            self.facts.forget(term);
        }
        self.solver.pop(open - scopes);
    }

    /// Asks the solver once, and keeps the model that it returns. No instances of facts are added.
    pub fn check_raw(&mut self, extra: &[Term]) -> Verdict {
        match self.solver.check(&self.arena, extra) {
            Ok(Verdict::Sat) => match self.solver.model() {
                Ok(Some(leaves)) => {
                    self.model = Some(Model::new(&self.arena, leaves));
                    Verdict::Sat
                }
                Ok(None) => Verdict::Unknown,
                Err(error) => self.solver_failed(&error),
            },
            Ok(verdict) => verdict,
            Err(error) => self.solver_failed(&error),
        }
    }

    fn solver_failed(&mut self, error: &SolverError) -> Verdict {
        let reason = match error {
            SolverError::Disagreement { .. } => Reason::Disagreement,
            _ => Reason::Solver,
        };
        self.fail(error.to_string(), reason);
        std::panic::resume_unwind(Box::new(Abandon))
    }

    /// Records that `clause` is not proved, with the path and, if there is a model, the state.
    pub fn fail(&mut self, clause: String, reason: Reason) {
        let path = self
            .path
            .steps
            .iter()
            .map(|step| format!("{}:{}: {}", step.at.file(), step.at.line(), shorten(&self.arena.show(step.holds))))
            .collect();
        let mut state = Vec::new();
        if matches!(reason, Reason::Counterexample | Reason::Spurious)
            && let Some(mut model) = self.model.take()
        {
            for (name, term) in &self.path.arguments {
                state.push((name.clone(), model.value(&self.arena, *term).to_string()));
            }
            let mut cells = Vec::new();
            for scalar in model.scalars(&self.arena) {
                cells.push(self.show_read(&mut model, scalar));
            }
            for &read in self.facts.direct_reads() {
                if model.knows(read) {
                    cells.push(self.show_read(&mut model, read));
                }
            }
            cells.sort();
            cells.dedup();
            cells.retain(|cell| !state.contains(cell));
            state.extend(cells);
        }
        let trace = self.path.trace.clone();
        self.results.failures.push(Failure { path, state, trace, ..Failure::of(clause, reason) });
    }

    /// A leaf of the state as text: its name with its key, and its value in the model.
    fn show_read(&self, model: &mut Model, read: Term) -> (String, String) {
        let text = match self.arena.node(read) {
            Node::App(name, _, key) => {
                let key: Vec<String> = key.iter().map(|&k| model.value(&self.arena, k).to_string()).collect();
                show_cell(self.arena.text(*name), &key)
            }
            _ => self.arena.show(read),
        };
        let value = model.value(&self.arena, read);
        let value = if self.arena.is_bool(read) { (value != 0).to_string() } else { value.to_string() };
        (text, value)
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 160;
    if text.chars().count() <= MOST { text.to_string() } else { text.chars().take(MOST).chain(['…']).collect() }
}

impl Origin {
    /// A new version, which no object has yet.
    pub fn fresh() -> Origin {
        engine(|e| {
            e.path.fresh += 1;
            Origin { version: e.path.fresh }
        })
    }
}
