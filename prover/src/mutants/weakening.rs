//! Mutation testing of the specification: every clause of a contract that says less, and whether anything notices it.
//!
//! A weakening is noticed if the primitive is no longer proved, since another part of its contract needs the condition;
//! or if a mutant of the code that no other clause kills is proved now.
use crate::mutants::trial::{MutantProgress, SOON, Sample, proofs};
use crate::sources::{EXPLANATIONS, is_code, lines};
use crate::suite::{Job, Options, Subject, SuiteError, begin_run};
use crate::workers::side_by_side;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use symbolic::failure::Reason;
use symbolic::mutant::{Mutant, Mutation, Weakening};
use symbolic::proof::Outcome;
use symbolic::solvers::Portfolio;

/// The first words of a comment above a line of a specification: why nothing notices that the line says less.
const BEGIN: &str = "// Unnoticed: ";

/// What notices a weakening.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// The primitive is no longer proved: the clause that fails.
    Proof(String),
    /// This mutant of the code is now proved.
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
    /// The whole time, in seconds.
    pub seconds: f64,
}

impl WeakeningReport {
    /// Whether every weakening is noticed or explained.
    pub fn is_noticed(&self) -> bool {
        self.trials.iter().all(|trial| trial.notice != Notice::None)
    }
}

/// The clauses that fail in the proofs of a primitive with `mutation`. `None` if a proof is not decided.
fn failing(jobs: &[Job], panel: &Portfolio, mutation: impl Fn() -> Mutation) -> Option<BTreeSet<String>> {
    let mut clauses = BTreeSet::new();
    for job in jobs {
        let Outcome { failures, .. } = job.run(panel, &mutation).0;
        for failure in failures {
            match failure.reason {
                Reason::Counterexample | Reason::Panic | Reason::Vacuous => _ = clauses.insert(failure.clause),
                _ => return None,
            }
        }
    }
    Some(clauses)
}

/// A primitive, with what a weakening of its contract needs.
struct Candidates {
    subject: Subject,
    weakenings: Vec<Weakening>,
    /// The mutants of the code that one clause alone kills, by the clause.
    killed: BTreeMap<String, Vec<Mutant>>,
}

impl Candidates {
    /// What notices the weakening.
    fn notice(&self, weakening: Weakening, panel: &Portfolio) -> Notice {
        let jobs = proofs(self.subject);
        if let Some(clause) = failing(&jobs, panel, || Mutation::weakened(weakening, None, SOON))
            .and_then(|clauses| clauses.into_iter().next())
        {
            return Notice::Proof(clause);
        }
        let is_proved = |&&mutant: &&Mutant| {
            let clauses = failing(&jobs, panel, || Mutation::weakened(weakening, Some(mutant), SOON));
            clauses.is_some_and(|clauses| clauses.is_empty())
        };
        let killed = self.killed.get(weakening.clause()).into_iter().flatten();
        if let Some(mutant) = killed.clone().find(is_proved) {
            return Notice::Mutant(mutant.to_string());
        }
        explanation(weakening).map_or(Notice::None, Notice::Explained)
    }
}

/// The reason in the comment above the line of a weakening.
fn explanation(weakening: Weakening) -> Option<&'static str> {
    let Weakening::Operator(_, site) = weakening else { return None };
    let is_above =
        |explanation: &&crate::sources::Explanation| explanation.file == site.file && explanation.number == site.line;
    let found = EXPLANATIONS.iter().filter(is_above).find_map(|explanation| explanation.text.strip_prefix(&BEGIN[3..]));
    found
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

    // What there is to weaken, and what there is to kill.
    let order: Vec<usize> = (0..wanted.len()).collect();
    let recorded = side_by_side(
        &order,
        options.workers,
        &|i: usize| {
            let (mut weakenings, mut mutants) = (BTreeSet::new(), BTreeSet::new());
            for job in proofs(wanted[i]) {
                let (_, met) = job.run(&panel, Mutation::recording);
                weakenings.extend(met.weakenings().iter().copied());
                mutants.extend(met.mutants(is_code));
            }
            (weakenings, mutants)
        },
        &mut |_, _| (),
    );
    let mut chosen: Vec<(usize, Weakening)> = Vec::new();
    for (i, (weakenings, _)) in recorded.iter().enumerate() {
        chosen.extend(weakenings.iter().map(|&weakening| (i, weakening)));
    }
    let chosen: Vec<(usize, Weakening)> = chosen.into_iter().step_by(sample.every.max(1)).collect();
    let is_needed = |i: usize| chosen.iter().any(|&(other, _)| other == i);
    let trials: Vec<(usize, Mutant)> = (0..wanted.len())
        .filter(|&i| is_needed(i))
        .flat_map(|i| recorded[i].1.iter().map(move |&mutant| (i, mutant)))
        .collect();
    progress(MutantProgress::Begin(trials.len() + chosen.len()));

    let order: Vec<usize> = (0..trials.len()).collect();
    let killing = |k: usize| {
        let (i, mutant) = trials[k];
        failing(&proofs(wanted[i]), &panel, || Mutation::planted(mutant, SOON))
    };
    let names = |i: usize| wanted[i].name();
    let clauses = side_by_side(&order, options.workers, &killing, &mut |k, _| {
        progress(MutantProgress::Done(names(trials[k].0)));
    });
    let mut candidates: Vec<Candidates> =
        wanted.iter().map(|&subject| Candidates { subject, weakenings: Vec::new(), killed: BTreeMap::new() }).collect();
    chosen.iter().for_each(|&(i, weakening)| candidates[i].weakenings.push(weakening));
    for (&(i, mutant), clauses) in trials.iter().zip(clauses) {
        let Some(clauses) = clauses else { continue };
        if let (Some(clause), 1) = (clauses.first(), clauses.len()) {
            candidates[i].killed.entry(clause.clone()).or_default().push(mutant);
        }
    }

    let order: Vec<usize> = (0..chosen.len()).collect();
    let notice = |k: usize| candidates[chosen[k].0].notice(chosen[k].1, &panel);
    let notices = side_by_side(&order, options.workers, &notice, &mut |k, _| {
        progress(MutantProgress::Done(names(chosen[k].0)));
    });
    let mut lines = lines();
    let trials = chosen.iter().zip(notices).map(|(&(i, weakening), notice)| {
        let (at, line) = match weakening {
            Weakening::Operator(_, site) => {
                (format!("{}:{}:{}", site.file, site.line, site.column), lines.get(site.file, site.line).to_string())
            }
            Weakening::Clause(_) => Default::default(),
        };
        WeakeningTrial { subject: names(i), clause: weakening.clause(), at, line, notice }
    });
    Ok(WeakeningReport { trials: trials.collect(), seconds: begin.elapsed().as_secs_f64() })
}
