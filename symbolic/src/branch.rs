//! Decisions: a comparison of symbolic values must return a real `bool`.
//!
//! [`branch`] asks the solver which answers are feasible on the current path. If both are feasible, the code runs again
//! later for the other answer.
use crate::engine::{Engine, engine};
use crate::failure::Reason;
use crate::merge::condition;
use crate::path::{Abandon, Decision, Step};
use crate::query::{Aim, check, in_scope};
use crate::reads::see;
use smt::solver::Verdict;
use smt::term::{Node, Term};
use std::panic::{Location, resume_unwind};

/// Decides a symbolic condition: the real `bool` behind `<`, `==`, `holds` and the tag of an enum.
pub fn branch(condition: Term, at: &'static Location<'static>) -> bool {
    see(&[condition]);
    let side = answer(condition, at);
    engine(|e| {
        // Inside a merged closure, the closure becomes one condition. The branch is counted when that
        // condition is used.
        if e.path.merges.is_empty() {
            if (e.settings.is_code)(at.file()) {
                e.path.sides.take(at, side);
            }
            e.goes(at, side);
        }
    });
    side
}

/// Decides a whole condition at once.
#[track_caller]
pub fn decide(code: &dyn Fn() -> bool) -> bool {
    branch(condition(code), Location::caller())
}

/// Chooses the answer that this path takes, and queues the other answer if it is feasible too.
pub(crate) fn answer(condition: Term, at: &'static Location<'static>) -> bool {
    enum Next {
        Answer(bool),
        Ask { likely: Option<bool> },
    }
    let next = engine(|e| {
        if let Some(value) = e.known_value(condition) {
            return Next::Answer(value);
        }
        if let Some(merge) = e.path.merges.last_mut() {
            let value = merge.prefix.get(merge.taken.len()).copied().unwrap_or(true);
            merge.taken.push((condition, value));
            return Next::Answer(value);
        }
        if e.path.is_repeated() {
            let decision = e.path.prefix[e.path.decisions.len()];
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
                in_scope(|| check(&[literal], Aim::Branch)) != Verdict::Unsat
            };
            let (yes, no) = (feasible(true), feasible(false));
            engine(|e| {
                let value = match (yes, no) {
                    (false, false) => resume_unwind(Box::new(Abandon)),
                    (yes, false) => yes,
                    (yes, true) => {
                        if yes {
                            let mut other = e.path.decisions.clone();
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
        let most = self.settings.most_decisions;
        if self.path.decisions.len() >= most {
            self.fail(format!("a path of more than {most} decisions"), Reason::Fuel);
            resume_unwind(Box::new(Abandon));
        }
        let holds = if decision.value { condition } else { self.arena.not(condition) };
        if decision.forked && !self.path.is_repeated_but_last() {
            self.push_scope();
        }
        self.path.decisions.push(decision);
        self.path.steps.push(Step { at, holds });
        self.learn(holds);
        self.assume(holds);
    }

    /// From here on, the path knows that `holds` is true without asking the solver.
    pub fn learn(&mut self, holds: Term) {
        let not = self.arena.not(holds);
        self.path.known.insert(holds, true);
        self.path.known.insert(not, false);
        if let Some((term, number)) = self.arena.as_equation(holds) {
            self.path.numbers.insert(term, number);
        }
        if let Node::And(a, b) = *self.arena.node(holds) {
            self.learn(a);
            self.learn(b);
        }
    }

    /// The value of `condition`, if it is a constant or the path has decided it.
    pub fn known_value(&mut self, condition: Term) -> Option<bool> {
        if let Some(value) = self.arena.as_bool(condition) {
            return Some(value);
        }
        // A term that equals one number equals no other.
        let equation = self.arena.as_equation(condition);
        if self.path.merges.iter().any(|merge| !merge.taken.is_empty()) {
            let not = self.arena.not(condition);
            for &(term, value) in self.path.merges.iter().rev().flat_map(|merge| &merge.taken) {
                if term == condition {
                    return Some(value);
                }
                if term == not {
                    return Some(!value);
                }
                if let Some((of, number)) = equation
                    && value
                    && self.arena.as_equation(term).is_some_and(|(other, is)| other == of && is != number)
                {
                    return Some(false);
                }
            }
        }
        if self.path.is_hidden {
            return None;
        }
        let known = self.path.known.get(&condition).copied();
        known.or_else(|| {
            let (of, number) = equation?;
            self.path.numbers.get(&of).map(|&is| is == number)
        })
    }
}

impl Engine {
    /// The path takes `side` at a branch. If the path of the failure that is walked again took the
    /// other side, this path ends.
    pub(crate) fn goes(&mut self, at: &'static Location<'static>, side: bool) {
        if self.path.is_called {
            return;
        }
        let taken = self.path.trace.sides.len();
        self.path.trace.sides.push((at, side));
        if let Some(inlining) = &self.settings.inlining
            && inlining.leaves(taken, (at, side))
        {
            resume_unwind(Box::new(Abandon));
        }
    }
}
