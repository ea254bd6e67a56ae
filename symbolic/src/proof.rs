//! The parts of a proof: fresh words, clauses, paths, and the outcome.
use crate::coverage::Coverage;
use crate::engine::{Results, engine};
use crate::explore::explore;
use crate::facts::instances::assert_interference_at;
use crate::failure::{Counts, Failure, Reason, Slowest};
use crate::merge::goal;
use crate::query::{Aim, check, has_model, in_scope, prove};
use crate::word::SymWord;
use smt::solver::{Tally, Verdict};
use smt::term::Range;
use std::cell::RefCell;

/// The result of a proof.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The clauses that were proved, each on every path.
    pub clauses: Vec<String>,
    /// The number of paths that end in success.
    pub successful_paths: u64,
    /// The kinds of successful paths, and whether the solver has a model of one of them.
    pub ends: Vec<(String, bool)>,
    /// The preconditions that some path violates: the ways to get stuck.
    pub stuck: Vec<String>,
    /// The counts of the proof.
    pub counts: Counts,
    /// The obligation that took the longest.
    pub slowest: Option<Slowest>,
    /// The verdicts of each solver, if several were asked.
    pub tallies: Vec<Tally>,
    /// The branches of the code that were taken.
    pub coverage: Coverage,
    /// The clauses that do not hold. Empty if the proof succeeds.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// Adds the result of another part of the same proof.
    pub fn add(&mut self, part: Outcome) {
        self.counts.paths += part.counts.paths;
        self.counts.obligations += part.counts.obligations;
        self.counts.instances += part.counts.instances;
        self.successful_paths += part.successful_paths;
        for (kind, is_witnessed) in part.ends {
            *self.end_of(&kind) |= is_witnessed;
        }
        self.coverage.add(&part.coverage);
        self.slowest = Slowest::of(self.slowest.take(), part.slowest);
        for clause in part.clauses {
            note(&mut self.clauses, clause);
        }
        for stuck in part.stuck {
            note(&mut self.stuck, stuck);
        }
        self.failures.extend(part.failures);
    }

    /// Whether the solver has a model of a successful path of this kind.
    fn end_of(&mut self, kind: &str) -> &mut bool {
        let at = self.ends.iter().position(|(other, _)| other == kind).unwrap_or_else(|| {
            self.ends.push((kind.to_string(), false));
            self.ends.len() - 1
        });
        &mut self.ends[at].1
    }

    /// Counts the path that was just walked as a success of the kind `kind`. For one path of each kind, the solver must
    /// have a model ([`has_model`]).
    pub fn succeed(&mut self, kind: &str) {
        self.successful_paths += 1;
        let end = self.end_of(kind);
        *end = *end || has_model();
    }

    /// Fails if no path succeeded, or no path of some kind is satisfiable, because such a proof is vacuous.
    pub fn require_success(&mut self) {
        if !self.failures.is_empty() {
            return;
        }
        if self.successful_paths == 0 {
            self.failures.push(Failure::vacuous("some path succeeds"));
        }
        for (kind, _) in self.ends.iter().filter(|(_, is_witnessed)| !is_witnessed) {
            self.failures.push(Failure::vacuous(&format!("a satisfiable path succeeds{kind}")));
        }
    }
}

/// Adds a clause to the proved ones, unless it is there.
pub fn note(proved: &mut Vec<String>, clause: String) {
    if !proved.contains(&clause) {
        proved.push(clause);
    }
}

/// A fresh word below `bound`. The bound is at most 2³².
pub fn any(name: &str, bound: u64) -> SymWord {
    let most = bound.min(1 << 32) - 1;
    SymWord(engine(|e| e.unknown(name, Range::UpTo(most))))
}

/// Fresh keys below their bounds.
pub fn any_keys(bounds: &[u64]) -> Vec<SymWord> {
    bounds.iter().map(|&bound| any("any", bound)).collect()
}

/// The words at which a postcondition or a loop invariant is assumed: the free words of the postcondition under proof,
/// and fresh words if there are not enough. The postcondition or loop invariant holds for all words; only those that
/// occur in the goal are useful.
pub fn free_words<const N: usize>() -> [SymWord; N] {
    let free = engine(|e| e.path.free_words.clone());
    std::array::from_fn(|k| free.get(k).map_or_else(|| any("some", 1 << 32), |&word| SymWord(word)))
}

/// Proves `holds` for fresh keys below `bounds`.
pub fn prove_for_all(clause: &str, bounds: &[u64], holds: &dyn Fn(&[SymWord]) -> bool) -> bool {
    in_scope(|| {
        let keys = any_keys(bounds);
        let goal = goal(&|| holds(&keys));
        assert_interference_at(&keys.iter().map(|key| key.0).collect::<Vec<_>>());
        prove(goal, || clause.to_string())
    })
}

/// Proves a goal without keys.
pub fn prove_once(clause: impl Fn() -> String, holds: &dyn Fn() -> bool) -> bool {
    in_scope(|| prove(goal(holds), clause))
}

/// Proves a goal without keys, and adds it to the proved clauses.
pub fn prove_clause(clause: &str, proved: &mut Vec<String>, holds: &dyn Fn() -> bool) {
    if prove_once(|| clause.to_string(), holds) {
        note(proved, clause.to_string());
    }
}

/// Tries the weakenings of the clauses at the end of a path, if that is asked for. Each clause is given with its
/// condition.
///
/// Without a mutant, a weakening is noticed if the clause is no longer proved. With a mutant, it is noticed if this
/// clause alone refutes the mutant on this path, and the weaker clause admits an outcome that the clause excludes: a
/// kernel with this outcome in this state would be proved.
pub fn probe(clauses: &[(&'static str, &dyn Fn() -> bool)]) {
    let (is_probing, has_mutant) = engine(|e| (e.settings.mutation.is_probing(), e.settings.mutation.has_mutant()));
    if !is_probing || engine(|e| !e.results.undecided.is_empty()) {
        return;
    }
    let failed = engine(|e| e.results.failures.clone());
    for (clause, holds) in clauses {
        let is_alone = failed.iter().all(|failure| failure.clause == *clause) && failed.is_empty() != has_mutant;
        let probes = if is_alone { engine(|e| e.settings.mutation.probes_of(clause)) } else { Vec::new() };
        for weakening in probes {
            let weaker = || {
                engine(|e| e.settings.mutation.weakening = Some(weakening));
                let weaker = goal(holds);
                engine(|e| e.settings.mutation.weakening = None);
                weaker
            };
            let is_noticed = in_scope(|| {
                let (whole, weaker) = (goal(holds), weaker());
                let not = |term| engine(|e| e.arena.not(term));
                let wanted = if has_mutant { vec![weaker, not(whole)] } else { vec![not(weaker)] };
                whole != weaker && check(&wanted, Aim::Witness) == Verdict::Sat
            });
            if is_noticed {
                engine(|e| e.settings.mutation.notice(weakening));
            }
        }
    }
}

/// Runs `path` on every path and returns the result. If `strict` is set, going out of range is a failure.
pub fn run_paths(strict: bool, path: &dyn Fn(&mut Outcome)) -> Outcome {
    engine(|e| {
        e.results = Results::default();
        e.settings.strict = strict;
    });
    let outcome = RefCell::new(Outcome::default());
    explore(&|| path(&mut outcome.borrow_mut()));
    let mut outcome = outcome.into_inner();
    let results = engine(|e| std::mem::take(&mut e.results));
    outcome.counts = results.counts;
    outcome.slowest = results.slowest;
    outcome.coverage = results.coverage;
    outcome.failures = results.failures;
    let undecided = results.undecided.into_iter().map(|clause| Failure::of(clause, Reason::Unknown));
    outcome.failures.extend(undecided);
    outcome
}

/// Whether the path that was just walked may be feasible.
pub fn feasible() -> bool {
    in_scope(|| check(&[], Aim::Branch)) != Verdict::Unsat
}

/// Adds the branches of the path that was just walked to the coverage, if the path is feasible.
pub fn cover(feasible: impl FnOnce() -> bool) {
    let is_new = engine(|e| !e.results.coverage.has_all_of(&e.path.sides));
    if is_new && feasible() {
        engine(|e| e.results.coverage.add(&e.path.sides));
    }
}
