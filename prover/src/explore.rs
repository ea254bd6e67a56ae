//! Walking every feasible path of a piece of code, by running it once a path.
//!
//! A comparison of symbolic values has to give a real `bool`. [`branch`] asks the solver which answers are feasible
//! on the path so far; where both are, the code is run again later for the other one. Paths are walked depth
//! first, so that the solver keeps what is common to a path and the next.
use crate::engine::{Abandon, Decision, Engine, Merge, Reason, Step, engine};
use crate::facts;
use crate::solver::Verdict;
use crate::term::Term;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// The real `bool` behind `<`, `==`, `holds` and the tag of an enum.
pub(crate) fn branch(condition: Term, at: &'static Location<'static>) -> bool {
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
                check(&[literal], engine(|e| e.depths.0)) != Verdict::Unsat
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

impl Engine {
    fn decide(&mut self, condition: Term, decision: Decision, at: &'static Location<'static>) {
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
        if let crate::term::Node::And(a, b) = *self.arena.node(holds) {
            self.learn(a);
            self.learn(b);
        }
    }

    /// The value of `condition`, if its shape or the path says it.
    pub(crate) fn known_value(&mut self, condition: Term) -> Option<bool> {
        if let Some(value) = self.arena.as_bool(condition) {
            return Some(value);
        }
        let not = self.arena.not(condition);
        for merge in self.merges.iter().rev() {
            for &(term, value) in &merge.taken {
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

/// Whether the path, the facts and `extra` have a model; facts are instantiated as far as `depth`.
///
/// An instance is asserted only where the solver's model breaks it, so the answer may be `Sat` for want of an
/// instance, never `Unsat` wrongly.
pub(crate) fn check(extra: &[Term], depth: u32) -> Verdict {
    loop {
        let verdict = engine(|e| e.check_raw(extra));
        if verdict != Verdict::Sat {
            return verdict;
        }
        if !(0..=depth).any(facts::assert_broken) {
            return Verdict::Sat;
        }
    }
}

/// Every path of `code` and what it gives, as conditions; nothing is asked of the solver.
pub(crate) fn merge<R>(code: &dyn Fn() -> R) -> Vec<(Term, R)> {
    let mut work = vec![Vec::new()];
    let mut results = Vec::new();
    while let Some(prefix) = work.pop() {
        let walked = prefix.len();
        let depth = engine(|e| {
            e.merges.push(Merge { prefix, taken: Vec::new() });
            e.merges.len()
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        let taken = engine(|e| {
            e.merges.truncate(depth);
            e.merges.pop().expect("pushed above").taken
        });
        for (i, &(_, value)) in taken.iter().enumerate().skip(walked) {
            if value {
                work.push(taken[..i].iter().map(|t| t.1).chain([false]).collect());
            }
        }
        match result {
            Ok(result) => {
                let condition = engine(|e| {
                    let mut all = e.arena.bool(true);
                    for &(term, value) in taken.iter().rev() {
                        let literal = if value { term } else { e.arena.not(term) };
                        all = e.arena.and(literal, all);
                    }
                    all
                });
                results.push((condition, result));
            }
            Err(payload) if payload.is::<Abandon>() => {}
            Err(payload) => resume_unwind(payload),
        }
    }
    results
}

/// `code` as one truth value; where it goes out of range it is false.
pub(crate) fn condition(code: &dyn Fn() -> bool) -> Term {
    let paths = merge(code);
    engine(|e| {
        let mut any = e.arena.bool(false);
        for (condition, holds) in paths {
            if holds {
                any = e.arena.or(any, condition);
            }
        }
        any
    })
}

/// `code` as one list of terms, each a choice by path.
pub(crate) fn choice(code: &dyn Fn() -> Vec<(&'static str, Term)>) -> Vec<(&'static str, Term)> {
    let mut leaves: Vec<(&'static str, Term)> = Vec::new();
    for (condition, values) in merge(code) {
        for (leaf, value) in values {
            match leaves.iter_mut().find(|l| l.0 == leaf) {
                Some(slot) => slot.1 = engine(|e| e.arena.ite(condition, value, slot.1)),
                None => leaves.push((leaf, value)),
            }
        }
    }
    leaves
}

/// What must hold here: no overflow, index in bounds.
///
/// Inside a merged condition it makes the condition false; where going out of range counts as stuck, the path ends.
pub(crate) fn oblige(holds: Term, what: &str, at: &'static Location<'static>) {
    let (known, merging, strict) =
        engine(|e| (e.known_value(holds), !e.merges.is_empty(), e.strict));
    if known == Some(true) {
        return;
    }
    if merging || !strict {
        if !branch(holds, at) {
            resume_unwind(Box::new(Abandon));
        }
        return;
    }
    if !engine(|e| e.replaying()) && !prove(holds, || format!("{what} at {}:{}", at.file(), at.line())) {
        resume_unwind(Box::new(Abandon));
    }
    engine(|e| {
        e.learn(holds);
        e.assume(holds);
    });
}

/// Whether `goal` holds on this path; if not, the failure is recorded under the name that `clause` gives.
pub(crate) fn prove(goal: Term, clause: impl FnOnce() -> String) -> bool {
    engine(|e| e.counts.obligations += 1);
    let not = engine(|e| e.arena.not(goal));
    if engine(|e| e.arena.as_bool(not)) == Some(false) {
        return true;
    }
    let depth = engine(|e| e.depths.1);
    match check(&[not], depth) {
        Verdict::Unsat => true,
        Verdict::Sat => {
            engine(|e| e.fail(clause(), Reason::Counterexample));
            false
        }
        Verdict::Unknown => {
            engine(|e| e.fail(clause(), Reason::Unknown));
            false
        }
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics of the code under proof a message of the proof instead of one on the terminal.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|info| PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()))));
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
        self.merges.clear();
        self.writes.clear();
        self.arguments.clear();
        self.facts.begin_path();
        self.model = None;
        self.fresh = 0;
        self.hide_path = false;
    }
}
