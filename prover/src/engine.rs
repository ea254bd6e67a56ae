//! The state of one prover thread: its terms, its solver, and its position on the path that it explores.
use crate::coverage::Coverage;
use crate::effects::Seen;
use crate::facts::Facts;
use crate::mutant::Mutation;
use crate::replay::{Again, Native, Said, Taken, Walk};
use rustc_hash::FxHashMap;
use sim::counterexample::witness::Witness;
use smt::model::Model;
use smt::solver::{Solver, SolverError, Verdict};
use smt::term::{Arena, FRESH, Name, Range, Term};
use std::any::Any;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::panic::Location;
use std::rc::Rc;

/// The payload that unwinds a path which ends early: the path is infeasible, an obligation failed, or its fuel is used
/// up.
pub struct Abandon;

/// A decision of the path, with its source line.
#[derive(Clone, Copy)]
pub struct Step {
    /// Where the decision was made.
    pub at: &'static Location<'static>,
    /// The condition that holds after the decision.
    pub holds: Term,
}

/// A clause that is not proved, and why.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Failure {
    /// The clause that had to hold.
    pub clause: String,
    /// Why it is not proved.
    pub reason: Reason,
    /// The path: one line of text for each decision.
    pub path: Vec<String>,
    /// The relevant part of the state, by field name, and the arguments. After a replay: what differs from the boot
    /// state.
    pub state: Vec<(String, String)>,
    /// Whether the counterexample was run on the hosted machine and failed there as well.
    pub replayed: bool,
    /// How the replay ended, or why there was none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ending: String,
    /// The start state and the call that were replayed.
    #[serde(skip)]
    pub witness: Option<Witness>,
    /// The path, so that it can be walked again.
    #[serde(skip)]
    pub(crate) walk: Walk,
}

impl Failure {
    /// A failure of `clause`, a check that the proof is not vacuous.
    pub(crate) fn vacuous(clause: &str) -> Failure {
        Failure::of(clause.to_string(), Reason::Vacuous)
    }

    /// A failure of `clause` without further details.
    pub(crate) fn of(clause: String, reason: Reason) -> Failure {
        Failure {
            clause,
            reason,
            path: Vec::new(),
            state: Vec::new(),
            replayed: false,
            ending: String::new(),
            witness: None,
            walk: Walk::default(),
        }
    }
}

/// The reason for a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is a state in which the clause does not hold.
    Counterexample,
    /// The solver has a state in which the clause does not hold, but the hosted machine does not fail in this way.
    /// Either the prover or the solver is wrong.
    NotReplayed,
    /// The clause fails with the contracts of the primitives that are called, but holds when their code runs instead: a
    /// contract admits more than its primitive does.
    Contract,
    /// The solver cannot decide the clause, or ran out of time.
    Unknown,
    /// The code panicked.
    Panic,
    /// There are more paths, or decisions on a path, than the explorer walks.
    Fuel,
    /// The solver died, or its answer cannot be parsed.
    Solver,
    /// One solver found a model and another one says that none exists. One of them is wrong.
    Disagreement,
    /// The proof is vacuous: for example, no path succeeds.
    Vacuous,
}

/// Why counterexamples to theorems are not replayed.
pub(crate) const NO_CALL: &str = "a theorem makes no call that could be replayed";

/// A closure whose paths are being merged into one term: the decisions of the current path.
pub(crate) struct Merge {
    pub prefix: Vec<bool>,
    pub taken: Vec<(Term, bool)>,
}

/// A write of the code under proof. It is compared with the cells that the contract's modifies clause names.
#[derive(Clone)]
pub struct Write {
    /// The name of the field or scalar.
    pub field: &'static str,
    /// The key. If a whole row was written, only the first words of the key.
    pub key: Vec<Term>,
    /// The leaf, or the empty string for all leaves.
    pub leaf: &'static str,
    /// The condition under which the write changes the value; true if that is not known.
    pub changes: Term,
    /// The source line of the write.
    pub at: &'static Location<'static>,
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
    /// The clause that had to hold.
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
    pub(crate) fn of(one: Option<Slowest>, other: Option<Slowest>) -> Option<Slowest> {
        one.into_iter().chain(other).max_by(Slowest::compare)
    }
}

/// The state of one prover thread.
pub struct Engine {
    /// The terms of this thread.
    pub arena: Arena,
    /// The names of the leaves of unknown maps.
    pub(crate) leaves: FxHashMap<Name, FxHashMap<String, Name>>,
    pub(crate) solver: Solver,
    pub(crate) prefix: Vec<Decision>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) work: Vec<Vec<Decision>>,
    pub(crate) path: Vec<Step>,
    pub(crate) known: FxHashMap<Term, bool>,
    /// Assertions of this path besides its decisions.
    pub(crate) assumed: Vec<Term>,
    pub(crate) merges: Vec<Merge>,
    pub(crate) hide_path: bool,
    pub(crate) facts: Facts,
    pub(crate) model: Option<Model>,
    /// Instances of facts that were asserted, for each open scope of the solver.
    pub(crate) asserted: Vec<Vec<Term>>,
    pub(crate) writes: Vec<Write>,
    pub(crate) failures: Vec<Failure>,
    /// Clauses of a mutant that could not be decided.
    pub(crate) undecided: Vec<String>,
    pub(crate) counts: Counts,
    /// The obligation that took the longest, if the solver was asked at all.
    pub(crate) slowest: Option<Slowest>,
    /// The branches of this path.
    pub(crate) sides: Coverage,
    /// The branches of all feasible paths of this proof.
    pub(crate) coverage: Coverage,
    pub(crate) arguments: Vec<(String, Term)>,
    /// The free words of the postcondition: it is proved for all their values.
    pub(crate) any: Vec<Term>,
    /// The searches of maps on this path: the field, and the index that was found.
    pub(crate) searches: Vec<(&'static str, Option<Term>)>,
    /// The locks that this path has taken.
    pub(crate) taken: Vec<Taken>,
    /// The events that this path has logged.
    pub(crate) events: Vec<Rc<dyn Any>>,
    /// The answers of the machine that the layer runs on, in the order of this path.
    pub(crate) answers: Vec<Said>,
    /// The choices of this path, so that it can be walked again.
    pub(crate) walk: Walk,
    /// The failure whose path is being walked again, if any.
    pub(crate) again: Option<Rc<Again>>,
    /// Whether the code of a called primitive is running.
    pub(crate) is_called: bool,
    /// What is being proved, as a call on the hosted machine; or why counterexamples are not replayed.
    pub(crate) native: Result<Rc<Native>, &'static str>,
    /// The primitive under proof. A call of it runs its code.
    pub(crate) proving: Option<&'static str>,
    /// Whether going out of range is a failure. Otherwise it is one more way to get stuck.
    pub(crate) strict: bool,
    pub(crate) fresh: u32,
    pub(crate) fuel: u64,
    pub(crate) mutation: Mutation,
    /// The depth to which facts are instantiated for a goal.
    pub(crate) goal_depth: u32,
    /// What the code under proof reads, if that is recorded.
    pub(crate) seen: Option<Seen>,
}

/// A decision of the path.
#[derive(Clone, Copy)]
pub(crate) struct Decision {
    pub value: bool,
    /// Whether the other answer is feasible too. If so, this decision has a solver scope of its own.
    pub forked: bool,
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Calls `work` with this thread's engine.
///
/// # Panics
/// If the thread has no engine: terms can be made only inside [`with_engine`].
pub(crate) fn engine<R>(work: impl FnOnce(&mut Engine) -> R) -> R {
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
            leaves: FxHashMap::default(),
            solver,
            prefix: Vec::new(),
            decisions: Vec::new(),
            work: Vec::new(),
            path: Vec::new(),
            known: FxHashMap::default(),
            assumed: Vec::new(),
            merges: Vec::new(),
            hide_path: false,
            facts: Facts::default(),
            model: None,
            asserted: vec![Vec::new()],
            writes: Vec::new(),
            failures: Vec::new(),
            undecided: Vec::new(),
            counts: Counts::default(),
            slowest: None,
            sides: Coverage::default(),
            coverage: Coverage::default(),
            arguments: Vec::new(),
            any: Vec::new(),
            searches: Vec::new(),
            taken: Vec::new(),
            events: Vec::new(),
            answers: Vec::new(),
            walk: Walk::default(),
            again: None,
            is_called: false,
            native: Err(NO_CALL),
            proving: None,
            strict: true,
            fresh: 0,
            fuel: 4000,
            mutation: Mutation::default(),
            goal_depth: 3,
            seen: None,
        }
    }

    /// Whether the path up to here was walked before, so that the solver still has its assertions.
    pub(crate) fn replaying(&self) -> bool {
        self.decisions.len() < self.prefix.len()
    }

    /// Asserts `term` on this path.
    pub(crate) fn assume(&mut self, term: Term) {
        if self.arena.as_bool(term) == Some(true) {
            return;
        }
        self.assumed.push(term);
        if self.replaying() {
            self.refute_model(term);
        } else {
            self.suppose(term);
        }
    }

    /// Asserts `term` in the current scope only.
    pub(crate) fn suppose(&mut self, term: Term) {
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

    /// A fresh variable: nothing is known of its value but `range`.
    pub(crate) fn unknown(&mut self, name: &str, range: Range) -> Term {
        self.fresh += 1;
        let name = format!("{name}{FRESH}{}", self.fresh);
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
    pub(crate) fn check_raw(&mut self, extra: &[Term]) -> Verdict {
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
    pub(crate) fn fail(&mut self, clause: String, reason: Reason) {
        let path = self
            .path
            .iter()
            .map(|step| format!("{}:{}: {}", step.at.file(), step.at.line(), shorten(&self.arena.show(step.holds))))
            .collect();
        let mut state = Vec::new();
        if matches!(reason, Reason::Counterexample | Reason::NotReplayed)
            && let Some(mut model) = self.model.take()
        {
            for (name, term) in &self.arguments {
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
            state.extend(cells);
        }
        let walk = self.walk.clone();
        self.failures.push(Failure { path, state, walk, ..Failure::of(clause, reason) });
    }

    /// A leaf of the state as text: its name with its key, and its value in the model.
    fn show_read(&self, model: &mut Model, read: Term) -> (String, String) {
        let text = match self.arena.node(read) {
            smt::term::Node::App(name, _, key) => {
                let key: Vec<String> = key.iter().map(|&k| model.value(&self.arena, k).to_string()).collect();
                smt::term::show_cell(self.arena.text(*name), &key)
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
