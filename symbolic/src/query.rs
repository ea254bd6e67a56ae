//! Queries: whether the path, the facts and a goal have a model.
use crate::counterexample::Unconfirmed;
use crate::engine::{Engine, engine};
use crate::facts::instances;
use crate::failure::{Reason, Slowest};
use crate::inlining::Inlining;
use crate::path::Abandon;
use smt::solver::Verdict;
use smt::term::{Node, Term};
use std::panic::resume_unwind;
use std::time::Instant;

/// How often the query of a branch is repeated with more instances of facts. After that it counts as
/// feasible.
const BRANCH_ROUNDS: u32 = 8;

/// The purpose of a query. The purpose determines how much effort is made to show that there is no
/// model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// Decide a branch. If an infeasible path is walked by mistake, a later query notices it.
    Branch,
    /// Prove a whole goal.
    Goal,
    /// Prove a part of a goal, after the whole goal could not be proved.
    Part,
    /// Show that something is possible: find a model that satisfies all instances of facts that are
    /// considered.
    Witness,
}

impl Aim {
    /// The time limit of one query, in milliseconds.
    fn limit(self) -> u32 {
        match self {
            Aim::Branch => 300,
            Aim::Goal => 1_000,
            // Another path may have a model that is easier to find.
            Aim::Witness => 1_000,
            Aim::Part => u32::MAX,
        }
    }
}

/// Whether the path, the facts and `extra` have a model.
///
/// An instance of a fact is asserted only if the solver's model violates it. Near and small instances come first. The
/// answer can be `Sat` because an instance is missing, but `Unsat` is never wrong.
pub fn check(extra: &[Term], aim: Aim) -> Verdict {
    if let Some(valuation) = engine(|e| e.settings.valuation.clone()) {
        return valuation.check(extra);
    }
    let depth = if aim == Aim::Branch { 1 } else { engine(|e| e.settings.goal_depth) };
    limit(aim.limit());
    if !matches!(aim, Aim::Goal | Aim::Part) || !engine(|e| e.facts.has_dropped()) {
        return search(extra, aim, depth, false).0;
    }
    // The facts about earlier states can make a query too hard: then it is put without them.
    let (verdict, has_looked_back) = in_scope(|| search(extra, aim, depth, true));
    if verdict == Verdict::Unknown && has_looked_back { search(extra, aim, depth, false).0 } else { verdict }
}

/// Whether the solver has a model of the path that satisfies all instances of facts at the cells that the path has read,
/// and at the cells that these instances read, to the usual depth. If such a model is too hard to find, a smaller depth is
/// enough.
pub fn has_model() -> bool {
    let deepest = engine(|e| e.settings.goal_depth);
    (0..=deepest).rev().any(|depth| {
        limit(Aim::Witness.limit());
        in_scope(|| search(&[], Aim::Witness, depth, false).0) == Verdict::Sat
    })
}

/// Searches a model of the path, the facts and `extra`. If `looks_back` is set, and the model satisfies all near instances
/// of the facts about the current state, the facts about earlier states are used too: those that a call rule or interference
/// has dropped. Few goals need them. Also returns whether they were used.
fn search(extra: &[Term], aim: Aim, depth: u32, looks_back: bool) -> (Verdict, bool) {
    let mut kept = None;
    let mut rounds = 0;
    let verdict = loop {
        rounds += 1;
        if aim == Aim::Branch && rounds > BRANCH_ROUNDS {
            break Verdict::Sat;
        }
        let verdict = engine(|e| e.check_raw(extra));
        if verdict != Verdict::Sat {
            break verdict;
        }
        if asserts_more(extra, depth, false) {
            continue;
        }
        if looks_back && kept.is_none() {
            kept = Some(engine(|e| e.facts.revive()));
            if asserts_more(extra, depth, false) {
                continue;
            }
        }
        if aim == Aim::Branch || !asserts_more(extra, depth, true) {
            break Verdict::Sat;
        }
    };
    if let Some(kept) = kept {
        engine(|e| e.facts.truncate(kept));
    }
    (verdict, kept.is_some())
}

/// Bounds the time of each of the next queries, in milliseconds.
fn limit(milliseconds: u32) {
    engine(|e| {
        let inlining = e.settings.inlining.as_ref().map(|_| Inlining::LIMIT);
        let limits = [Some(milliseconds), inlining, e.settings.mutation.limit()];
        e.solver.limit(limits.into_iter().flatten().min().unwrap_or(u32::MAX));
    });
}

/// Asserts instances, up to `depth`, that the solver's model violates: near ones, or `all`. Returns whether there were
/// any.
fn asserts_more(goals: &[Term], depth: u32, all: bool) -> bool {
    (0..=depth).any(|depth| instances::assert_broken(depth, goals, all))
}

/// Runs `work` in a solver scope of its own, so that the instances for one query do not slow down the next.
pub fn in_scope<R>(work: impl FnOnce() -> R) -> R {
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

/// Whether `goal` holds on this path. If it does not hold, the failure is recorded under the name that `clause`
/// returns.
///
/// A goal that cannot be proved as a whole is split, and its parts are proved one by one.
pub fn prove(goal: Term, clause: impl Fn() -> String) -> bool {
    engine(|e| e.results.counts.obligations += 1);
    let inlining = engine(|e| e.settings.inlining.clone());
    if inlining.is_some_and(|inlining| !inlining.asks(&clause())) {
        return true;
    }
    if engine(|e| e.known_value(goal)) == Some(true) || instances::is_instance(goal) {
        return true;
    }
    let begin = Instant::now();
    let (queries, steps) = engine(|e| (e.solver.queries(), e.solver.steps()));
    let (verdict, asked) = decided(goal);
    let clause = clause();
    engine(|e| {
        let (queries, steps) = (e.solver.queries() - queries, e.solver.steps() - steps);
        let slow = Slowest { clause: clause.clone(), seconds: begin.elapsed().as_secs_f64(), queries, steps };
        e.results.slowest = Slowest::of(e.results.slowest.take(), Some(slow));
    });
    match verdict {
        Verdict::Unsat => return true,
        Verdict::Sat => refuted(&asked, clause),
        Verdict::Unknown => match engine(|e| e.settings.inlining.clone()) {
            Some(inlining) => note(&inlining, Unconfirmed::Incomplete(UNDECIDED.to_string())),
            None if engine(|e| e.settings.mutation.is_planted()) => {
                // Up to this point the mutant takes the path of the original code. If the clause cannot hold on
                // this path, it kills the mutant.
                if in_scope(|| check(&[goal], Aim::Part)) == Verdict::Unsat {
                    engine(|e| e.fail(clause, Reason::Vacuous));
                    return false;
                }
                // Otherwise another clause may kill the mutant.
                engine(|e| e.results.undecided.push(clause));
                return true;
            }
            None => engine(|e| e.fail(clause, Reason::Unknown)),
        },
    }
    // While a failing path is walked again, a counterexample that could not be run does not end the search:
    // other paths follow.
    engine(|e| e.results.failures.is_empty())
}

/// Records why a failing path could not be run. After too many of them, the search ends.
fn note(inlining: &Inlining, why: Unconfirmed) {
    if !inlining.note(why) {
        engine(|e| e.work.clear());
        resume_unwind(Box::new(Abandon));
    }
}

/// Decides `goal`, as a whole or part by part. Returns the verdict and the query that gave it.
fn decided(goal: Term) -> (Verdict, Vec<Term>) {
    let not = engine(|e| e.arena.not(goal));
    let whole = vec![not];
    let verdict = in_scope(|| check(&whole, Aim::Goal));
    if verdict != Verdict::Unknown {
        return (verdict, whole);
    }
    let mut parts = Vec::new();
    engine(|e| e.split(goal, &mut Vec::new(), &mut parts));
    for part in parts {
        let verdict = in_scope(|| check(&part, Aim::Part));
        if verdict != Verdict::Unsat {
            return (verdict, part);
        }
    }
    (Verdict::Unsat, whole)
}

/// The reason for which the solver cannot decide whether the clause fails on a path.
const UNDECIDED: &str = "the solver cannot decide whether the clause fails when the bodies of the called primitives \
 run";

/// Records that `clause` fails, because the solver has a model of `asked`. The counterexample is run first.
pub fn refuted(asked: &[Term], clause: String) {
    let (model, runner, again) = engine(|e| (e.model.take(), e.settings.runner.clone(), e.settings.inlining.clone()));
    let result = runner.map(|runner| runner.run(asked, &clause));
    // Another path may give a counterexample that can be run.
    let result = match (result, again) {
        (Ok(Err(why @ (Unconfirmed::NoState | Unconfirmed::Incomplete(_)))), Some(again)) => return note(&again, why),
        (result, _) => result,
    };
    engine(|e| {
        e.model = model;
        let reason = match result {
            Ok(Err(Unconfirmed::DoesNotFail(_) | Unconfirmed::NoState)) => Reason::Spurious,
            _ => Reason::Counterexample,
        };
        e.fail(clause, reason);
        let Some(failure) = e.results.failures.last_mut() else { return };
        match result {
            Ok(Ok(run)) => {
                failure.confirmed = true;
                failure.ending = run.ending;
                failure.state = run.state;
                failure.counterexample = Some(run.counterexample);
            }
            Ok(Err(why)) => failure.ending = why.to_string(),
            Err(why) => failure.ending = why.to_string(),
        }
    });
}

impl Engine {
    /// Splits `fact` into the conditions whose conjunction it is.
    pub fn conjuncts(&mut self, fact: Term) -> Vec<Term> {
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
