//! Walking every feasible path of a piece of code, by running it once a path.
//!
//! A comparison of symbolic values has to give a real `bool`. [`branch`] asks the solver which answers are feasible
//! on the path so far; where both are, the code is run again later for the other one. Paths are walked depth
//! first, so that the solver keeps what is common to a path and the next.
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

/// The real `bool` behind `<`, `==`, `holds` and the tag of an enum.
pub(crate) fn branch(condition: Term, at: &'static Location<'static>) -> bool {
    see(&[condition]);
    let side = answer(condition, at);
    engine(|e| {
        // What is merged is one condition, and branches where it is used.
        if e.merges.is_empty() {
            e.sides.take(at, side);
            e.goes(at, side);
        }
    });
    side
}

/// The side that is taken.
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

/// How many decisions a path has at most: kernel entries are straight lines, far below it. Tests walk every round of a loop.
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

    /// Replaying, and not at the decision that is new.
    fn replaying_but_last(&self) -> bool {
        self.decisions.len() + 1 < self.prefix.len()
    }

    /// From here on `holds` is known without asking.
    pub(crate) fn learn(&mut self, holds: Term) {
        let not = self.arena.not(holds);
        self.known.insert(holds, true);
        self.known.insert(not, false);
        if let Node::And(a, b) = *self.arena.node(holds) {
            self.learn(a);
            self.learn(b);
        }
    }

    /// The value of `condition`, if its shape or the path says it.
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

/// How often a branch is asked about with more facts, before it counts as feasible.
const BRANCH_ROUNDS: u32 = 8;

/// What a query is for: how much is done to find out that there is no model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// To decide a branch; a path too many is walked and found out later.
    Branch,
    /// To prove a goal in one go.
    Goal,
    /// To prove a part of a goal that could not be proved in one go.
    Part,
    /// To show that something is possible: a model of every fact that is looked at.
    Witness,
}

impl Aim {
    /// How long one query may take at most, in milliseconds.
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
/// An instance of a fact is asserted only where the solver's model breaks it, near ones and small ones first; so the
/// answer may be `Sat` for want of an instance, never `Unsat` wrongly.
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

/// Runs `work` in a scope of its own, so that the instances that one question needs do not burden the next.
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

/// A path of a merged closure: its decisions, and what it gave, or nothing where it went out of range.
struct Walked<R> {
    taken: Vec<(Term, bool)>,
    result: Option<R>,
}

/// Every path of `code`, in the order of a walk; nothing is asked of the solver.
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

/// The tree of decisions of some paths that agree on their first `depth` ones, as one term.
fn tree<R>(paths: &[Walked<R>], depth: usize, leaf: &dyn Fn(&Option<R>) -> Term) -> Term {
    let first = &paths[0];
    let Some(&(condition, _)) = first.taken.get(depth) else { return leaf(&first.result) };
    // A walk goes through all of one side before the other.
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

/// `code` as one truth value; where it goes out of range it is false.
pub(crate) fn condition(code: &dyn Fn() -> bool) -> Term {
    let paths = walk(code);
    tree(&paths, 0, &|result| engine(|e| e.arena.bool(*result == Some(true))))
}

/// Whether `code` stays in range.
pub(crate) fn in_range(code: &dyn Fn()) -> Term {
    condition(&|| {
        code();
        true
    })
}

/// What `code` gives on each of its paths.
pub(crate) fn every_path<R>(code: &dyn Fn() -> R) -> Vec<R> {
    walk(code).into_iter().filter_map(|path| path.result).collect()
}

/// `code` as a goal: as [`condition`], and facts are looked at where it reads.
pub(crate) fn goal(code: &dyn Fn() -> bool) -> Term {
    let outer = engine(|e| e.facts.record());
    let goal = running(false, || condition(code));
    engine(|e| {
        let reads = e.facts.recorded(outer);
        e.facts.touch_goal(&e.arena, &reads);
    });
    goal
}

/// `code` as one list of terms, each a choice by path.
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
        // Where a path does not give the leaf, any value will do.
        let fallback = *any;
        *any = tree(&paths, 0, &|result| result.iter().flatten().find(|l| l.0 == *leaf).map_or(fallback, |l| l.1));
    }
    leaves
}

/// What must hold here: no overflow, index in bounds.
///
/// Inside a merged condition it makes the condition false; where going out of range counts as stuck, the path ends.
pub(crate) fn oblige(holds: Term, what: Arguments<'_>, at: &'static Location<'static>) {
    let (known, merging, strict) = engine(|e| (e.known_value(holds), !e.merges.is_empty(), e.strict));
    if known == Some(true) {
        return;
    }
    if merging || !strict {
        // No branch of the code.
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

/// Whether `goal` holds on this path; if not, the failure is recorded under the name that `clause` gives.
///
/// What cannot be proved in one go is taken apart and proved part by part.
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
                // The mutant's path is that of the code up to here: if the clause cannot hold on it, it is broken.
                if apart(|| check(&[goal], Aim::Part)) == Verdict::Unsat {
                    engine(|e| e.fail(clause, Reason::Vacuous));
                    return false;
                }
                // If not, another clause may well kill the mutant.
                engine(|e| e.undecided.push(clause));
                return true;
            }
            None => engine(|e| e.fail(clause, Reason::Unknown)),
        },
    }
    // What fails on a path that is walked again, and was not run, is left to other paths.
    engine(|e| e.failures.is_empty())
}

/// Whether `goal` holds: in one go or part by part; with the question whose answer it is.
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

/// What is said of a path on which the solver does not know whether it fails.
const UNDECIDED: &str = "the solver does not know whether it fails where the primitives that are called run";

/// Records that `clause` does not hold where the solver has a model of `asked`, which is run.
pub(crate) fn refuted(asked: &[Term], clause: String) {
    let (model, native, again) = engine(|e| (e.model.take(), e.native.clone(), e.again.clone()));
    let result = native.map(|native| replay(&native, asked, &clause));
    // Another path may do.
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
    /// `fact` as the conditions that it is the conjunction of.
    pub(crate) fn conjuncts(&mut self, fact: Term) -> Vec<Term> {
        match *self.arena.node(fact) {
            Node::And(a, b) => {
                let mut all = self.conjuncts(a);
                all.extend(self.conjuncts(b));
                all
            }
            Node::Not(inner) => match *self.arena.node(inner) {
                // Unless the first holds, the second.
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

    /// Takes `goal` apart: it holds if none of `parts` has a model. Each is the negation of a part of the goal, with
    /// what may be assumed when it is looked at.
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
            // One or the other: if not the first, the second.
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

/// Makes panics of the code under proof a message of the proof instead of one on the terminal.
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

/// Walks every feasible path of `code`, which is run from the start for each; stops at the first failure.
pub(crate) fn explore(code: &dyn Fn()) {
    engine(|e| {
        e.work = vec![Vec::new()];
        e.decisions.clear();
        // One scope for the whole proof, so that what it asserted goes with it.
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
