//! Mutation testing of the specification: every clause of a contract that says less, and whether anything notices it.
//!
//! A weakening is noticed if the primitive is no longer proved, since another part of its contract needs the condition;
//! or if the weaker clause admits an outcome of a mutant of the code that only this clause has excluded. The mutants are
//! those of `trial`, and wrong outcomes: an answer, a scalar or a written leaf is any value.
//!
//! What nothing notices is a condition that the rest of the contract, the invariant and the effects of events imply; or
//! one that no code can break, such as what other CPUs leave unchanged; or one for which the mutants are too few.
use crate::mutants::trial::{MutantProgress, SOON, Sample, proofs};
use crate::sources::{EXPLANATIONS, is_code, lines};
use crate::suite::{Options, Subject, SuiteError, begin_run};
use crate::workers::side_by_side;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use symbolic::mutant::{Change, Mutation, Weakening};
use symbolic::solvers::Portfolio;

/// The first words of a comment above a line of a specification: why nothing notices that the line says less.
const BEGIN: &str = "// Unnoticed: ";

/// What notices a weakening.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The primitive is no longer proved.
    Proof,
    /// On some path, this mutant of the code is now proved.
    Mutant(String),
    /// Nothing, for the reason in the comment above the line.
    Explained(&'static str),
    /// Nothing.
    None,
}

/// A weakening, and what notices it.
#[derive(Clone, Debug, Serialize)]
pub struct WeakeningTrial {
    /// The primitive.
    pub subject: &'static str,
    /// The clause that says less.
    pub clause: &'static str,
    /// The place of the comparison that is always true: file, line and column. Empty if the whole clause is.
    pub at: String,
    /// The text of the line.
    pub line: String,
    /// What notices it.
    pub notice: Notice,
}

/// The results of all weakenings.
#[derive(Clone, Debug, Serialize)]
pub struct WeakeningReport {
    /// The weakenings, in the order of the table.
    pub trials: Vec<WeakeningTrial>,
    /// The number of outcomes of calls that were replaced by any value.
    pub outcomes: usize,
    /// Those that no clause excludes: the primitive, and the outcome.
    pub undetermined: Vec<(&'static str, String)>,
    /// The whole time, in seconds.
    pub seconds: f64,
}

impl WeakeningReport {
    /// Whether every weakening is noticed or explained.
    pub fn is_noticed(&self) -> bool {
        self.trials.iter().all(|trial| trial.notice != Notice::None)
    }
}

/// What is known of the contract of one primitive.
struct Tried {
    /// What notices each weakening.
    notices: BTreeMap<Weakening, Notice>,
    outcomes: usize,
    undetermined: Vec<String>,
}

/// Weakens the contract of one primitive; takes every n-th weakening of `sample`.
fn tried(subject: Subject, sample: Sample, panel: &Portfolio) -> Tried {
    let (jobs, mut all, mut mutants) = (proofs(subject), BTreeSet::new(), BTreeSet::new());
    for job in &jobs {
        let (_, met) = job.run(panel, Mutation::recording);
        all.extend(met.weakenings().iter().copied());
        // Wrong outcomes first: they differ on more paths.
        mutants.extend(met.outcomes().into_iter().map(|mutant| (0, mutant)));
        mutants.extend(met.mutants(is_code).into_iter().map(|mutant| (1, mutant)));
    }
    let mut left: BTreeSet<Weakening> = all.into_iter().step_by(sample.every.max(1)).collect();
    let mut tried = Tried { notices: BTreeMap::new(), outcomes: 0, undetermined: Vec::new() };
    for job in &jobs {
        let (_, probed) = job.run(panel, || Mutation::probing(None, left.clone(), SOON));
        for weakening in probed.noticed() {
            left.remove(weakening);
            tried.notices.insert(*weakening, Notice::Proof);
        }
    }
    for (_, mutant) in mutants {
        let is_outcome = mutant.change == Change::Other;
        if left.is_empty() && !is_outcome {
            break;
        }
        let mut killed = false;
        for job in &jobs {
            let (_, probed) = job.run(panel, || Mutation::probing(Some(mutant), left.clone(), SOON));
            killed |= probed.is_killed();
            for weakening in probed.noticed() {
                left.remove(weakening);
                tried.notices.insert(*weakening, Notice::Mutant(mutant.to_string()));
            }
        }
        tried.outcomes += usize::from(is_outcome);
        if is_outcome && !killed {
            tried.undetermined.push(mutant.to_string());
        }
    }
    for weakening in left {
        tried.notices.insert(weakening, explanation(weakening).map_or(Notice::None, Notice::Explained));
    }
    tried
}

/// The reason in the comment above the line of a weakening.
fn explanation(weakening: Weakening) -> Option<&'static str> {
    let Weakening::Operator(_, site) = weakening else { return None };
    let is_above =
        |explanation: &&crate::sources::Explanation| explanation.file == site.file && explanation.number == site.line;
    EXPLANATIONS.iter().filter(is_above).find_map(|explanation| explanation.text.strip_prefix(&BEGIN[3..]))
}

/// Weakens the contracts of the named primitives, or of all; takes every n-th weakening of `sample`.
///
/// # Errors
/// If no primitive has one of the names, or if the solver does not start.
pub fn try_weakenings(
    options: &Options,
    sample: Sample,
    progress: &mut dyn FnMut(MutantProgress),
) -> Result<WeakeningReport, SuiteError> {
    let begin = Instant::now();
    let (mut wanted, panel) = begin_run(options)?;
    wanted.retain(|subject| matches!(subject, Subject::Primitive(_)));

    progress(MutantProgress::Begin(wanted.len()));
    let order: Vec<usize> = (0..wanted.len()).collect();
    let names = |i: usize| wanted[i].name();
    let try_one = |i: usize| tried(wanted[i], sample, &panel);
    let all = side_by_side(&order, options.workers, &try_one, &mut |i, _| progress(MutantProgress::Done(names(i))));
    let mut lines = lines();
    let mut report = WeakeningReport { trials: Vec::new(), outcomes: 0, undetermined: Vec::new(), seconds: 0.0 };
    for (i, tried) in all.into_iter().enumerate() {
        report.outcomes += tried.outcomes;
        report.undetermined.extend(tried.undetermined.into_iter().map(|outcome| (names(i), outcome)));
        for (weakening, notice) in tried.notices {
            let (at, line) = match weakening {
                Weakening::Operator(_, site) => (
                    format!("{}:{}:{}", site.file, site.line, site.column),
                    lines.get(site.file, site.line).to_string(),
                ),
                Weakening::Clause(_) => Default::default(),
            };
            report.trials.push(WeakeningTrial { subject: names(i), clause: weakening.clause(), at, line, notice });
        }
    }
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}
