//! The result of one proof: a row of a report.
use crate::facts::invariant_set::InvariantSet;
use serde::Serialize;
use symbolic::failure::{Failure, Reason, Slowest};
use symbolic::proof::{Outcome, note};
/// How a proof ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every clause holds on every path.
    Proved,
    /// No path succeeds, so that nothing is proved.
    Vacuous,
    /// The solver cannot decide or ran out of time, there are too many paths, the counterexample does not fail on the
    /// hosted machine, or a contract admits more than its primitive does.
    Unknown,
    /// The solver died or gave no valid answer, or another solver contradicts it.
    Solver,
    /// A clause does not hold, or the code panicked.
    Failed,
}

impl Status {
    /// The status as a word, for the report.
    pub fn word(self) -> &'static str {
        match self {
            Status::Proved => "proved",
            Status::Vacuous => "vacuous",
            Status::Unknown => "unknown",
            Status::Solver => "solver failed",
            Status::Failed => "failed",
        }
    }

    /// The status of a proof with this outcome.
    pub fn of(outcome: &Outcome) -> Status {
        let of = |failure: &Failure| match failure.reason {
            Reason::Counterexample | Reason::Panic => Status::Failed,
            Reason::Solver | Reason::Disagreement => Status::Solver,
            Reason::Unknown | Reason::Fuel | Reason::Spurious | Reason::Contract => Status::Unknown,
            Reason::Vacuous => Status::Vacuous,
        };
        outcome.failures.iter().map(of).max().unwrap_or(Status::Proved)
    }
}

/// One proof of a row: its invariant set and geometry.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The invariant set that is assumed. `None` for a theorem, which states its own premises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invariants: Option<InvariantSet>,
    /// The geometry of the page tables.
    pub geometry: &'static str,
    /// The status of the proof.
    pub status: Status,
    /// Whether no state of the invariant set admits a successful call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// The preconditions that a caller can violate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<String>,
    /// The clauses that were proved.
    pub clauses: Vec<String>,
    /// The clauses that do not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// The result of a primitive, an entry or a theorem, over all its parts.
#[derive(Clone, Debug, Serialize)]
pub struct ReportRow {
    /// The primitive's number in the reference; 0 if it has none.
    pub number: u32,
    /// The name.
    pub name: &'static str,
    /// The worst status of its parts.
    pub status: Status,
    /// Paths that were walked.
    pub paths: u64,
    /// Paths that succeed.
    pub successful_paths: u64,
    /// Obligations, counted once on each path.
    pub obligations: u64,
    /// Queries to the solver.
    pub queries: u64,
    /// Queries whose answers were in the cache.
    pub remembered: u64,
    /// Steps that the solver took, if it counts them.
    pub steps: u64,
    /// Solvers that exceeded their time limit and were replaced. If there are any, the counts above depend on timing.
    pub replaced: u64,
    /// The obligation that took the longest. `None` if the solver was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowest: Option<Slowest>,
    /// The sum of the times of its parts, in seconds.
    pub seconds: f64,
    /// The clauses that were proved, in any part.
    pub clauses: Vec<String>,
    /// The parts.
    pub parts: Vec<Part>,
}

impl ReportRow {
    pub(crate) fn new(number: u32, name: &'static str) -> ReportRow {
        ReportRow {
            number,
            name,
            status: Status::Proved,
            paths: 0,
            successful_paths: 0,
            obligations: 0,
            queries: 0,
            remembered: 0,
            steps: 0,
            replaced: 0,
            slowest: None,
            seconds: 0.0,
            clauses: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Whether all parts are proved.
    pub fn is_proved(&self) -> bool {
        self.status == Status::Proved
    }

    pub(crate) fn add(
        &mut self,
        invariants: Option<InvariantSet>,
        geometry: &'static str,
        outcome: Outcome,
        seconds: f64,
    ) {
        let status = Status::of(&outcome);
        self.status = self.status.max(status);
        self.paths += outcome.counts.paths;
        self.successful_paths += outcome.successful_paths;
        self.obligations += outcome.counts.obligations;
        self.queries += outcome.counts.queries;
        self.remembered += outcome.counts.remembered;
        self.steps += outcome.counts.steps;
        self.replaced += outcome.counts.replaced;
        self.slowest = Slowest::of(self.slowest.take(), outcome.slowest);
        self.seconds += seconds;
        for clause in &outcome.clauses {
            note(&mut self.clauses, clause.clone());
        }
        self.parts.push(Part {
            invariants,
            geometry,
            status,
            unreachable: status == Status::Proved && outcome.successful_paths == 0,
            stuck: outcome.stuck,
            clauses: outcome.clauses,
            failures: outcome.failures,
        });
    }
}
