//! Symbolic execution: walks every feasible path of a piece of code and runs the code once for each path.
//!
//! A comparison of symbolic values must return a real `bool`. [`branch`] asks the solver which answers are feasible on
//! the current path. If both are, the code runs again later for the other answer. Paths are walked depth first, so that
//! the solver keeps the assertions that two successive paths share.
use crate::coverage::Coverage;
use crate::effects::see;
use crate::engine::{Abandon, Decision, Engine, Merge, Reason, Slowest, Step, engine, is_proving};
use crate::facts;
use crate::mutant::running;
use crate::replay::{Again, Unrun, Walk, replay, told};
use smt::solver::Verdict;
use smt::term::{Node, Term};
use std::cell::RefCell;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Once;
use std::time::Instant;

/// Decides a symbolic condition: the real `bool` behind `<`, `==`, `holds` and the tag of an enum.
pub(crate) fn branch(condition: Term, at: &'static Location<'static>) -> bool {
    see(&[condition]);
    let side = answer(condition, at);
    engine(|e| {
        // A merged closure becomes one condition. The branch is counted where that condition is used.
        if e.merges.is_empty() {
            e.sides.take(at, side);
            e.goes(at, side);
        }
    });
    side
}

/// Chooses the answer that this path takes, and queues the other answer if it is feasible too.
fn answer(condition: Term, at: &'static Location<'static>) -> bool {
    enum Next {
        Answer(bool),
        Ask { likely: Option<bool> },
    }
    let next = engine(|e| {
        if let Some(value) = e.known_value(condition) {
            return Next::Answer(value);
        }
        if let Some(merge) = e.merges.last_mut() {
            let value = merge.prefix.get(merge.taken.len()).copied().unwrap_or(true);
            merge.taken.push((condition, value));
            return Next::Answer(value);
        }
        if e.replaying() {
            let decision = e.prefix[e.decisions.len()];
            e.decide(condition, decision, at);
            return Next::Answer(decision.value);
        }
        let likely = e.model.as_mut().map(|model| model.holds(&e.arena, condition));
        Next::Ask { likely }
    });
    match next {
        Next::Answer(value) => value,
        Next::Ask { likely } => {
            let feasible = |value: bool| {
                if likely == Some(value) {
                    return true;
                }
                let literal = engine(|e| if value { condition } else { e.arena.not(condition) });
                apart(|| check(&[literal], Aim::Branch)) != Verdict::Unsat
            };
            let (yes, no) = (feasible(true), feasible(false));
            engine(|e| {
                let value = match (yes, no) {
                    (false, false) => resume_unwind(Box::new(Abandon)),
                    (yes, false) => yes,
                    (yes, true) => {
                        if yes {
                            let mut other = e.decisions.clone();
                            other.push(Decision { value: false, forked: true });
                            e.work.push(other);
                        }
                        yes
                    }
                };
                e.decide(condition, Decision { value, forked: yes && no }, at);
                value
            })
        }
    }
}

/// The most decisions that a path may make. Kernel entries make far fewer. Tests walk every iteration of a loop.
const MOST_DECISIONS: usize = if cfg!(test) { 2000 } else { 200 };

impl Engine {
    fn decide(&mut self, condition: Term, decision: Decision, at: &'static Location<'static>) {
        if self.decisions.len() >= MOST_DECISIONS {
            self.fail(format!("a path of more than {MOST_DECISIONS} decisions"), Reason::Fuel);
            resume_unwind(Box::new(Abandon));
        }
        let holds = if decision.value { condition } else { self.arena.not(condition) };
        if decision.forked && !self.replaying_but_last() {
            self.push_scope();
        }
        self.decisions.push(decision);
        self.path.push(Step { at, holds });
        self.learn(holds);
        self.assume(holds);
    }

    /// Whether this decision replays an earlier one. The last decision of the prefix is the new one.
    fn replaying_but_last(&self) -> bool {
        self.decisions.len() + 1 < self.prefix.len()
    }

    /// From here on, the path knows `holds` without asking the solver.
    pub(crate) fn learn(&mut self, holds: Term) {
        let not = self.arena.not(holds);
        self.known.insert(holds, true);
        self.known.insert(not, false);
        if let Node::And(a, b) = *self.arena.node(holds) {
            self.learn(a);
            self.learn(b);
        }
    }

    /// The value of `condition`, if it is a constant or the path has decided it.
    pub(crate) fn known_value(&mut self, condition: Term) -> Option<bool> {
        if let Some(value) = self.arena.as_bool(condition) {
            return Some(value);
        }
        if self.merges.iter().any(|merge| !merge.taken.is_empty()) {
            let not = self.arena.not(condition);
            for &(term, value) in self.merges.iter().rev().flat_map(|merge| &merge.taken) {
                if term == condition {
                    return Some(value);
                }
                if term == not {
                    return Some(!value);
                }
            }
        }
        if self.hide_path { None } else { self.known.get(&condition).copied() }
    }
}

/// How often a branch is asked again with more instances of facts. After that it counts as feasible.
const BRANCH_ROUNDS: u32 = 8;

/// The purpose of a query. It determines how much is done to show that no model exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// Decide a branch. An infeasible path that is walked by mistake is found out later.
    Branch,
    /// Prove a whole goal.
    Goal,
    /// Prove a part of a goal, after the whole goal could not be proved.
    Part,
    /// Show that something is possible: a model of all instances of facts that are considered.
    Witness,
}

impl Aim {
    /// The time limit of one query, in milliseconds.
    fn limit(self) -> u32 {
        match self {
            Aim::Branch => 300,
            Aim::Goal => 1_000,
            Aim::Part | Aim::Witness => u32::MAX,
        }
    }
}

/// Whether the path, the facts and `extra` have a model.
///
/// An instance of a fact is asserted only if the solver's model violates it. Near and small instances come first. The
/// answer can be `Sat` because an instance is missing, but `Unsat` is never wrong.
pub(crate) fn check(extra: &[Term], aim: Aim) -> Verdict {
    #[cfg(test)]
    if let Some(verdict) = crate::agreement::concrete::check(extra) {
        return verdict;
    }
    let depth = if aim == Aim::Branch { 1 } else { engine(|e| e.goal_depth) };
    engine(|e| {
        let again = e.again.as_ref().map(|_| Again::LIMIT);
        let limits = [Some(aim.limit()), again, e.mutation.limit()];
        e.solver.limit(limits.into_iter().flatten().min().unwrap_or(u32::MAX));
    });
    let mut rounds = 0;
    loop {
        rounds += 1;
        if aim == Aim::Branch && rounds > BRANCH_ROUNDS {
            return Verdict::Sat;
        }
        let verdict = engine(|e| e.check_raw(extra));
        if verdict != Verdict::Sat {
            return verdict;
        }
        let near = (0..=depth).any(|depth| facts::assert_broken(depth, extra, false));
        let is_broken = near || (aim != Aim::Branch && facts::assert_broken(depth, extra, true));
        if !is_broken {
            return Verdict::Sat;
        }
    }
}

/// Runs `work` in a solver scope of its own, so that the instances for one query do not slow down the next.
pub(crate) fn apart<R>(work: impl FnOnce() -> R) -> R {
    let mark = engine(|e| {
        e.push_scope();
        e.facts.mark()
    });
    let result = work();
    engine(|e| {
        let open = e.scopes();
        e.pop_to(open - 1);
        e.facts.rewind(mark);
    });
    result
}

/// A path of a merged closure: its decisions and its result. The result is `None` if the path went out of range.
struct Walked<R> {
    taken: Vec<(Term, bool)>,
    result: Option<R>,
}

/// Walks every path of `code`, depth first, without asking the solver.
fn walk<R>(code: &dyn Fn() -> R) -> Vec<Walked<R>> {
    let mut work = vec![Vec::new()];
    let mut walked = Vec::new();
    while let Some(prefix) = work.pop() {
        let known = prefix.len();
        let depth = engine(|e| {
            e.merges.push(Merge { prefix, taken: Vec::new() });
            e.merges.len()
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        let taken = engine(|e| {
            e.merges.truncate(depth);
            e.merges.pop().expect("pushed above").taken
        });
        for (i, &(_, value)) in taken.iter().enumerate().skip(known) {
            if value {
                work.push(taken[..i].iter().map(|t| t.1).chain([false]).collect());
            }
        }
        let result = match result {
            Ok(result) => Some(result),
            Err(payload) if payload.is::<Abandon>() => None,
            Err(payload) => resume_unwind(payload),
        };
        walked.push(Walked { taken, result });
    }
    walked
}

/// Merges paths with the same first `depth` decisions into one term: nested if-then-else over their decisions.
fn tree<R>(paths: &[Walked<R>], depth: usize, leaf: &dyn Fn(&Option<R>) -> Term) -> Term {
    let first = &paths[0];
    let Some(&(condition, _)) = first.taken.get(depth) else { return leaf(&first.result) };
    // The walk finishes one side of a decision before it begins the other.
    let split = paths.iter().position(|path| !path.taken[depth].1).unwrap_or(paths.len());
    match (&paths[..split], &paths[split..]) {
        ([], no) => tree(no, depth + 1, leaf),
        (yes, []) => tree(yes, depth + 1, leaf),
        (yes, no) => {
            let (yes, no) = (tree(yes, depth + 1, leaf), tree(no, depth + 1, leaf));
            engine(|e| e.arena.ite(condition, yes, no))
        }
    }
}

/// Evaluates `code` on all its paths as one Boolean term. A path that goes out of range is false.
pub(crate) fn condition(code: &dyn Fn() -> bool) -> Term {
    let paths = walk(code);
    tree(&paths, 0, &|result| engine(|e| e.arena.bool(*result == Some(true))))
}

/// Whether no path of `code` goes out of range, as a term.
pub(crate) fn in_range(code: &dyn Fn()) -> Term {
    condition(&|| {
        code();
        true
    })
}

/// The results of all paths of `code` that stay in range.
pub(crate) fn every_path<R>(code: &dyn Fn() -> R) -> Vec<R> {
    walk(code).into_iter().filter_map(|path| path.result).collect()
}

/// As [`condition`], for a goal: facts are instantiated at the keys that `code` reads.
pub(crate) fn goal(code: &dyn Fn() -> bool) -> Term {
    let outer = engine(|e| e.facts.record());
    let goal = running(false, || condition(code));
    engine(|e| {
        let reads = e.facts.recorded(outer);
        e.facts.touch_goal(&e.arena, &reads);
    });
    goal
}

/// Merges the paths of `code` into one list of leaves. The value of each leaf depends on the path.
pub(crate) fn choice(code: &dyn Fn() -> Vec<(&'static str, Term)>) -> Vec<(&'static str, Term)> {
    let paths = walk(code);
    let mut leaves: Vec<(&'static str, Term)> = Vec::new();
    for path in &paths {
        for &(leaf, value) in path.result.iter().flatten() {
            if !leaves.iter().any(|l| l.0 == leaf) {
                leaves.push((leaf, value));
            }
        }
    }
    for (leaf, any) in &mut leaves {
        // If a path does not have this leaf, any value is right.
        let fallback = *any;
        *any = tree(&paths, 0, &|result| result.iter().flatten().find(|l| l.0 == *leaf).map_or(fallback, |l| l.1));
    }
    leaves
}

/// An obligation of the code at this place, such as no overflow or an index within bounds.
///
/// Inside a merged condition, a violation makes the condition false. If going out of range counts as stuck, a violation
/// ends the path.
pub(crate) fn oblige(holds: Term, what: Arguments<'_>, at: &'static Location<'static>) {
    let (known, merging, strict) = engine(|e| (e.known_value(holds), !e.merges.is_empty(), e.strict));
    if known == Some(true) {
        return;
    }
    if merging || !strict {
        // This decision is no branch of the code, so it does not count for coverage.
        if !answer(holds, at) {
            resume_unwind(Box::new(Abandon));
        }
        return;
    }
    let clause = || format!("{what} at {}:{}", at.file(), at.line());
    if !engine(|e| e.replaying()) && !apart(|| prove(holds, clause)) {
        resume_unwind(Box::new(Abandon));
    }
    engine(|e| {
        e.learn(holds);
        e.assume(holds);
    });
}

/// Whether `goal` holds on this path. If it does not, the failure is recorded under the name that `clause` returns.
///
/// A goal that cannot be proved as a whole is split, and its parts are proved one by one.
pub(crate) fn prove(goal: Term, clause: impl Fn() -> String) -> bool {
    engine(|e| e.counts.obligations += 1);
    let again = engine(|e| e.again.clone());
    if again.is_some_and(|again| !again.asks(&clause())) {
        return true;
    }
    if engine(|e| e.known_value(goal)) == Some(true) || facts::says(goal) {
        return true;
    }
    let begin = Instant::now();
    let (queries, steps) = engine(|e| (e.solver.queries(), e.solver.steps()));
    let (verdict, asked) = decided(goal);
    let clause = clause();
    engine(|e| {
        let (queries, steps) = (e.solver.queries() - queries, e.solver.steps() - steps);
        let slow = Slowest { clause: clause.clone(), seconds: begin.elapsed().as_secs_f64(), queries, steps };
        e.slowest = Slowest::of(e.slowest.take(), Some(slow));
    });
    match verdict {
        Verdict::Unsat => return true,
        Verdict::Sat => refuted(&asked, clause),
        Verdict::Unknown => match engine(|e| e.again.clone()) {
            Some(again) => again.note(Unrun::Incomplete(UNDECIDED.to_string())),
            None if engine(|e| e.mutation.is_planted()) => {
                // Up to here the mutant takes the path of the original code. If the clause cannot hold on it, the
                // mutant breaks it.
                if apart(|| check(&[goal], Aim::Part)) == Verdict::Unsat {
                    engine(|e| e.fail(clause, Reason::Vacuous));
                    return false;
                }
                // Otherwise another clause may kill the mutant.
                engine(|e| e.undecided.push(clause));
                return true;
            }
            None => engine(|e| e.fail(clause, Reason::Unknown)),
        },
    }
    // While a failing path is walked again, a failure that could not be replayed does not end the search: other paths
    // follow.
    engine(|e| e.failures.is_empty())
}

/// Decides `goal`, as a whole or part by part. Returns the verdict and the query that gave it.
fn decided(goal: Term) -> (Verdict, Vec<Term>) {
    let not = engine(|e| e.arena.not(goal));
    let whole = vec![not];
    let verdict = apart(|| check(&whole, Aim::Goal));
    if verdict != Verdict::Unknown {
        return (verdict, whole);
    }
    let mut parts = Vec::new();
    engine(|e| e.split(goal, &mut Vec::new(), &mut parts));
    for part in parts {
        let verdict = apart(|| check(&part, Aim::Part));
        if verdict != Verdict::Unsat {
            return (verdict, part);
        }
    }
    (Verdict::Unsat, whole)
}

/// The reason for a path on which the solver cannot decide whether the clause fails.
const UNDECIDED: &str = "the solver does not know whether it fails where the primitives that are called run";

/// Records that `clause` fails, because the solver has a model of `asked`. The counterexample is replayed first.
pub(crate) fn refuted(asked: &[Term], clause: String) {
    let (model, native, again) = engine(|e| (e.model.take(), e.native.clone(), e.again.clone()));
    let result = native.map(|native| replay(&native, asked, &clause));
    // Another path may give a counterexample that can be replayed.
    let result = match (result, again) {
        (Ok(Err(why @ (Unrun::NoState | Unrun::Incomplete(_)))), Some(again)) => return again.note(why),
        (result, _) => result,
    };
    engine(|e| {
        e.model = model;
        let reason = match result {
            Ok(Err(Unrun::NotSo(_) | Unrun::NoState)) => Reason::NotReplayed,
            _ => Reason::Counterexample,
        };
        e.fail(clause, reason);
        let Some(failure) = e.failures.last_mut() else { return };
        match result {
            Ok(Ok(replayed)) => {
                failure.replayed = true;
                failure.ending = told(&replayed.ending);
                failure.state = replayed.state;
                failure.witness = Some(replayed.witness);
            }
            Ok(Err(why)) => failure.ending = why.to_string(),
            Err(why) => failure.ending = why.to_string(),
        }
    });
}

impl Engine {
    /// Splits `fact` into the conditions whose conjunction it is.
    pub(crate) fn conjuncts(&mut self, fact: Term) -> Vec<Term> {
        match *self.arena.node(fact) {
            Node::And(a, b) => {
                let mut all = self.conjuncts(a);
                all.extend(self.conjuncts(b));
                all
            }
            Node::Not(inner) => match *self.arena.node(inner) {
                // `not (a and b)` is `a implies not b`.
                Node::And(a, b) => {
                    let b = self.arena.not(b);
                    let parts = self.conjuncts(b);
                    parts.into_iter().map(|part| self.arena.implies(a, part)).collect()
                }
                _ => vec![fact],
            },
            Node::Ite(c, a, b) => {
                let (yes, no) = (self.conjuncts(a), self.conjuncts(b));
                let not = self.arena.not(c);
                let mut all = Vec::new();
                for &part in &yes {
                    let part = if no.contains(&part) { part } else { self.arena.implies(c, part) };
                    all.push(part);
                }
                for &part in &no {
                    if !yes.contains(&part) {
                        all.push(self.arena.implies(not, part));
                    }
                }
                all
            }
            _ => vec![fact],
        }
    }

    /// Splits `goal` into `parts`: the goal holds if no part has a model. Each part is the negation of a piece of the
    /// goal, together with the conditions `given` under which that piece must hold.
    fn split(&mut self, goal: Term, given: &mut Vec<Term>, parts: &mut Vec<Vec<Term>>) {
        let count = given.len();
        match *self.arena.node(goal) {
            Node::Bool(true) => {}
            Node::And(a, b) => {
                self.split(a, given, parts);
                given.push(a);
                self.split(b, given, parts);
            }
            Node::Ite(c, a, b) => {
                given.push(c);
                self.split(a, given, parts);
                given.truncate(count);
                given.push(self.arena.not(c));
                self.split(b, given, parts);
            }
            // `not a or not b`: assume `a` and prove `not b`.
            Node::Not(inner) if matches!(self.arena.node(inner), Node::And(..)) => {
                let Node::And(a, b) = *self.arena.node(inner) else { unreachable!("just matched") };
                let b = self.arena.not(b);
                given.push(a);
                self.split(b, given, parts);
            }
            _ => parts.push(given.iter().copied().chain([self.arena.not(goal)]).collect()),
        }
        given.truncate(count);
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records a panic of the code under proof as a failure of the proof, instead of printing it on the terminal.
pub fn catch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_proving() {
                PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
            } else {
                print(info);
            }
        }));
    });
}

/// Walks every feasible path of `code`, from its start each time. Stops at the first failure.
pub(crate) fn explore(code: &dyn Fn()) {
    engine(|e| {
        e.work = vec![Vec::new()];
        e.decisions.clear();
        // One scope holds the assertions of the whole proof, so that they can be dropped together.
        e.push_scope();
    });
    let base = engine(|e| e.asserted.len() - 1);
    let mut walked = 0;
    while let Some(prefix) = engine(|e| if e.failures.is_empty() { e.work.pop() } else { None }) {
        engine(|e| {
            let shared = prefix.len().saturating_sub(1);
            let forks = e.decisions.iter().take(shared).filter(|d| d.forked).count();
            e.pop_to(base + forks);
            e.begin_path(prefix);
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        engine(|e| e.merges.clear());
        if let Err(payload) = result
            && !payload.is::<Abandon>()
        {
            let message = PANIC.with(|panic| panic.borrow_mut().take()).unwrap_or_else(|| "panic".to_string());
            engine(|e| e.fail(message, Reason::Panic));
        }
        walked += 1;
        if walked > engine(|e| e.fuel) {
            engine(|e| e.fail(format!("more than {} paths", e.fuel), Reason::Fuel));
        }
    }
    engine(|e| {
        e.counts.paths += walked;
        e.pop_to(base - 1);
        e.begin_path(Vec::new());
    });
}

impl Engine {
    fn begin_path(&mut self, prefix: Vec<Decision>) {
        self.prefix = prefix;
        self.decisions.clear();
        self.path.clear();
        self.known.clear();
        self.assumed.clear();
        self.merges.clear();
        self.writes.clear();
        self.arguments.clear();
        self.sides = Coverage::default();
        self.any.clear();
        self.searches.clear();
        self.taken.clear();
        self.events.clear();
        self.answers.clear();
        self.walk = Walk::default();
        self.is_called = false;
        self.facts.begin_path();
        self.model = None;
        self.fresh = 0;
        self.hide_path = false;
    }
}
