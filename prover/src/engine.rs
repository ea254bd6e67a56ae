//! One prover thread: its terms, its solver, and where it is on the path that it explores.
use crate::coverage::Coverage;
use crate::effects::Seen;
use crate::facts::Facts;
use crate::mutant::Mutation;
use crate::replay::{Again, Native, Said, Taken, Walk};
use rustc_hash::FxHashMap;
use sim::witness::Witness;
use smt::model::Model;
use smt::solver::{Solver, SolverError, Verdict};
use smt::term::{Arena, FRESH, Name, Range, Term};
use std::any::Any;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::panic::Location;
use std::rc::Rc;

/// Unwinds from a path that goes no further: it is infeasible, its obligation failed, or its fuel is used up.
pub struct Abandon;

/// A decision of the path, by source line.
#[derive(Clone, Copy)]
pub struct Step {
    /// Where it was taken.
    pub at: &'static Location<'static>,
    /// What holds from here on.
    pub holds: Term,
}

/// Why a proof does not hold.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Failure {
    /// What was to hold.
    pub clause: String,
    /// Why it is not proved.
    pub reason: Reason,
    /// The path, by source line.
    pub path: Vec<String>,
    /// The part of the state that matters, by field name, and the arguments: what differs from boot, if it was replayed.
    pub state: Vec<(String, String)>,
    /// A counterexample was run on the hosted machine and failed there as well.
    pub replayed: bool,
    /// How it ended there, or why it was not run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ending: String,
    /// What was run.
    #[serde(skip)]
    pub witness: Option<Witness>,
    /// The path, to walk it again.
    #[serde(skip)]
    pub(crate) walk: Walk,
}

impl Failure {
    /// `clause`, which is what keeps a proof from being about nothing, does not hold.
    pub(crate) fn vacuous(clause: &str) -> Failure {
        Failure::of(clause.to_string(), Reason::Vacuous)
    }

    /// `clause` does not hold; nothing more is known.
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

/// How a proof fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is a state in which it does not hold.
    Counterexample,
    /// The solver has a state in which it does not hold, but on the hosted machine it does not fail so: the prover is
    /// wrong, or the solver.
    NotReplayed,
    /// It does not hold by the contracts of the primitives that are called, but it does where these run: a contract admits
    /// more than its primitive does.
    Contract,
    /// The solver does not know, or ran out of time.
    Unknown,
    /// The code panicked.
    Panic,
    /// There are more paths than the explorer walks.
    Fuel,
    /// The solver died or answered nonsense.
    Solver,
    /// A solver found a model where another says that there is none: one of them is to blame.
    Disagreement,
    /// No path succeeds.
    Vacuous,
}

/// Why counterexamples to theorems are not replayed.
pub(crate) const NO_CALL: &str = "a theorem makes no call that could be replayed";

/// A closure whose paths are merged into one term: the decisions of the path being walked.
pub(crate) struct Merge {
    pub prefix: Vec<bool>,
    pub taken: Vec<(Term, bool)>,
}

/// A write of the code under proof, for the comparison with its declared frame.
#[derive(Clone)]
pub struct Write {
    /// The field, or the scalar.
    pub field: &'static str,
    /// The key, or the first words of it when a whole row was written.
    pub key: Vec<Term>,
    /// The leaf.
    pub leaf: &'static str,
    /// The write changes something, as far as is known.
    pub changes: Term,
    /// Where it was made.
    pub at: &'static Location<'static>,
}

/// Counts of one proof.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Paths walked to their end.
    pub paths: u64,
    /// Things that were to hold, path by path.
    pub obligations: u64,
    /// Instances of facts that were needed.
    pub instances: u64,
    /// Questions that the solver was asked.
    pub queries: u64,
    /// Those of them that it had answered before, and was not asked again.
    pub remembered: u64,
    /// Steps that it took the solver to answer, where it counts them.
    pub steps: u64,
    /// Solvers that overran their limit and were replaced.
    pub replaced: u64,
}

/// The obligation of a proof that took longest.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Slowest {
    /// What was to hold.
    pub clause: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many questions the solver was asked about it.
    pub queries: u64,
    /// How many steps it took the solver, where it counts them: that does not depend on how busy the machine is.
    pub steps: u64,
}

impl Slowest {
    /// Which of two is slower: by steps, or where none are counted by time.
    pub fn compare(&self, other: &Slowest) -> Ordering {
        self.steps.cmp(&other.steps).then(self.seconds.total_cmp(&other.seconds))
    }

    /// The slower of two.
    pub(crate) fn of(one: Option<Slowest>, other: Option<Slowest>) -> Option<Slowest> {
        one.into_iter().chain(other).max_by(Slowest::compare)
    }
}

/// One prover thread.
pub struct Engine {
    /// Its terms.
    pub arena: Arena,
    /// What the leaves of unknown maps are called.
    pub(crate) leaves: FxHashMap<Name, FxHashMap<String, Name>>,
    pub(crate) solver: Solver,
    pub(crate) prefix: Vec<Decision>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) work: Vec<Vec<Decision>>,
    pub(crate) path: Vec<Step>,
    pub(crate) known: FxHashMap<Term, bool>,
    /// What was asserted on this path besides its decisions.
    pub(crate) assumed: Vec<Term>,
    pub(crate) merges: Vec<Merge>,
    pub(crate) hide_path: bool,
    pub(crate) facts: Facts,
    pub(crate) model: Option<Model>,
    /// Facts asserted in each open scope of the solver.
    pub(crate) asserted: Vec<Vec<Term>>,
    pub(crate) writes: Vec<Write>,
    pub(crate) failures: Vec<Failure>,
    /// Clauses that could not be decided of a mutant.
    pub(crate) undecided: Vec<String>,
    pub(crate) counts: Counts,
    /// The obligation that took longest, if the solver was asked about any.
    pub(crate) slowest: Option<Slowest>,
    /// Branches of this path.
    pub(crate) sides: Coverage,
    /// Branches of the feasible paths of this proof.
    pub(crate) coverage: Coverage,
    pub(crate) arguments: Vec<(String, Term)>,
    /// The words of the promise of which nothing is known.
    pub(crate) any: Vec<Term>,
    /// The searches of the path, by field, and what they found.
    pub(crate) searches: Vec<(&'static str, Option<Term>)>,
    /// The locks of the path.
    pub(crate) taken: Vec<Taken>,
    /// The events of the path.
    pub(crate) events: Vec<Rc<dyn Any>>,
    /// What the machine of the layer above answered on the path, question by question.
    pub(crate) answers: Vec<Said>,
    /// The way that the path takes.
    pub(crate) walk: Walk,
    /// The failure whose path is walked again, if one is.
    pub(crate) again: Option<Rc<Again>>,
    /// A primitive that was called runs.
    pub(crate) is_called: bool,
    /// What is being proved on the hosted machine, or why counterexamples are not replayed.
    pub(crate) native: Result<Rc<Native>, &'static str>,
    /// The primitive that is being proved: a call of it runs.
    pub(crate) proving: Option<&'static str>,
    /// Whether going out of range is an obligation to refute, or one more way to be stuck.
    pub(crate) strict: bool,
    pub(crate) fresh: u32,
    pub(crate) fuel: u64,
    pub(crate) mutation: Mutation,
    /// How far facts are instantiated to prove a goal.
    pub(crate) goal_depth: u32,
    /// What the code under proof looks at, if that is wanted.
    pub(crate) seen: Option<Seen>,
}

/// A decision of the path.
#[derive(Clone, Copy)]
pub(crate) struct Decision {
    pub value: bool,
    /// The other side is feasible as well: the solver has a scope of its own for this one.
    pub forked: bool,
}

thread_local! {
    static ENGINE: RefCell<Option<Engine>> = const { RefCell::new(None) };
}

/// Gives this thread's engine to `work`.
///
/// # Panics
/// When the thread has none: terms are made inside [`with_engine`] only.
pub(crate) fn engine<R>(work: impl FnOnce(&mut Engine) -> R) -> R {
    ENGINE.with(|engine| work(engine.borrow_mut().as_mut().expect("terms are made inside with_engine")))
}

/// Whether this thread has an engine.
pub(crate) fn is_proving() -> bool {
    // It panicked with it, if it is borrowed.
    ENGINE.with(|engine| engine.try_borrow().map_or(true, |engine| engine.is_some()))
}

/// Runs `work` with an engine on this thread that uses `solver`.
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

    /// Whether the path up to here was walked before, and what it asserted still stands.
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

    /// Asserts `term` as long as the scope is open.
    pub(crate) fn suppose(&mut self, term: Term) {
        self.refute_model(term);
        self.solver.assert(&self.arena, term);
    }

    /// Forgets a model in which `term` does not hold.
    fn refute_model(&mut self, term: Term) {
        if let Some(model) = &mut self.model
            && !model.holds(&self.arena, term)
        {
            self.model = None;
        }
    }

    /// A variable that nothing is known of.
    pub(crate) fn unknown(&mut self, name: &str, range: Range) -> Term {
        self.fresh += 1;
        let name = format!("{name}{FRESH}{}", self.fresh);
        self.arena.var(&name, range)
    }

    pub(crate) fn push_scope(&mut self) {
        self.solver.push();
        self.asserted.push(Vec::new());
    }

    /// How many scopes are open.
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

    /// Asks the solver, with facts instantiated as far as `depth`.
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

    /// A leaf of the state with its key and value in the model.
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
