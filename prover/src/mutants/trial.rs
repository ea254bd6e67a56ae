//! Mutation testing of the proofs: every mutant of the proved code, and whether a proof fails because of it.
use crate::facts::invariant_set::InvariantSet;
use crate::mutants::equivalent::{EQUIVALENT, Equivalent};
use crate::sources::{is_entry, lines};
use crate::suite::{Job, Options, Subject, SuiteError, begin_run, subjects};
use crate::workers::side_by_side;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;
use symbolic::failure::Reason;
use symbolic::mutant::{Change, Mutant, Mutation, Operator};
use symbolic::proof::Outcome;
use symbolic::solvers::{Choice, Portfolio};

/// The result of a mutant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// A proof fails: the name of the primitive, and the clause.
    Killed(&'static str, String),
    /// The mutant is equivalent, or the specification admits its behaviour: the reason from the source
    /// comment.
    Explained(&'static str),
    /// All proofs still succeed.
    Survived,
    /// The solver could not decide, or the prover stopped: its message.
    Undecided(String),
}

impl Fate {
    /// Whether the mutant is killed or explained.
    pub fn is_settled(&self) -> bool {
        matches!(self, Fate::Killed(..) | Fate::Explained(_))
    }
}

/// A mutant and its result.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The first primitive of the table that executes the operator.
    pub subject: &'static str,
    /// The place: file, line and column.
    pub at: String,
    /// The text of the line.
    pub line: String,
    /// The operator.
    pub operator: Operator,
    /// The change.
    pub change: Change,
    /// The result.
    pub fate: Fate,
    /// The time that it took, in seconds.
    pub seconds: f64,
}

/// The results of all mutants.
#[derive(Clone, Debug, Serialize)]
pub struct MutantReport {
    /// The primitives whose mutants were tried, in the order of the table.
    pub subjects: Vec<&'static str>,
    /// The mutants, in source order.
    pub trials: Vec<Trial>,
    /// Stale explanations: no such mutant survives. They are only looked for if all mutants were
    /// tried.
    pub stale: Vec<&'static Equivalent>,
    /// The whole time, in seconds.
    pub seconds: f64,
    /// The name and version of the solver.
    pub solver: String,
}

impl MutantReport {
    /// Whether every mutant is killed or explained and no explanation is stale.
    pub fn all_killed(&self) -> bool {
        self.stale.is_empty() && self.trials.iter().all(|trial| trial.fate.is_settled())
    }
}

/// Progress, as reported to the callback.
#[derive(Clone, Copy, Debug)]
pub enum MutantProgress {
    /// The number of mutants that will be tried.
    Begin(usize),
    /// One mutant of this primitive was tried.
    Done(&'static str),
}

/// A sample of the mutants: every n-th one, beginning with the first.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The distance between two mutants of the sample; 1 takes all of them.
    pub every: usize,
}

/// Tries the mutants of the named primitives and entries; without names, of all primitives.
///
/// # Errors
/// If no primitive or entry has one of the names, or if the solver does not start.
pub fn try_mutants(
    options: &Options,
    sample: Sample,
    progress: &mut dyn FnMut(MutantProgress),
) -> Result<MutantReport, SuiteError> {
    let begin = Instant::now();
    let (wanted, panel) = begin_run(options)?;
    let (mut wanted, mut others) = (wanted, subjects());
    others.retain(|subject| !wanted.contains(subject));
    // The proof of `system_call` takes half a minute, so entries are tried only if they are named.
    let are_named = !options.wanted.is_empty();
    wanted.retain(|subject| match subject {
        Subject::Primitive(_) => true,
        Subject::Entry(_) => are_named,
        Subject::Theorem(_) => false,
    });
    others.retain(|subject| matches!(subject, Subject::Primitive(_)));

    let mutants = found(&wanted, options.workers, &panel);
    let all: Vec<(Mutant, Vec<Subject>)> = mutants.into_iter().step_by(sample.every.max(1)).collect();
    progress(MutantProgress::Begin(all.len()));

    // If one solver does not soon find a counterexample, another one may.
    let embedded = Portfolio::new(&Choice::Embedded, options.timeout_ms, None).map_err(SuiteError::Solver)?;
    let loop_rule = [(&panel, SOON), (&embedded, SOON), (&panel, LATE)];
    let try_one = |i: usize| {
        let begin = Instant::now();
        let (mutant, subjects) = &all[i];
        (fate_of(*mutant, subjects, &loop_rule), begin.elapsed().as_secs_f64())
    };
    let order: Vec<usize> = (0..all.len()).collect();
    let mut fates = side_by_side(&order, options.workers, &try_one, &mut |i, _| {
        progress(MutantProgress::Done(all[i].1[0].name()));
    });

    let mut lines = lines();
    let mut used = vec![false; EQUIVALENT.len()];
    for ((mutant, _), (fate, _)) in all.iter().zip(&mut fates) {
        if let (Fate::Survived, Some(index)) = (&fate, explanation(mutant)) {
            used[index] = true;
            *fate = Fate::Explained(EQUIVALENT[index].reason);
        }
    }
    // If the wanted primitives do not kill a mutant, other primitives that execute the line may.
    let alive = |(_, (fate, _)): &(_, &mut (Fate, f64))| *fate == Fate::Survived;
    let mut alive: Vec<_> = all.iter().zip(&mut fates).filter(alive).collect();
    if !alive.is_empty() {
        let found = found(&others, options.workers, &panel);
        for ((mutant, _), (fate, seconds)) in &mut alive {
            let begin = Instant::now();
            *fate = fate_of(*mutant, found.get(mutant).map_or(&[], Vec::as_slice), &loop_rule);
            *seconds += begin.elapsed().as_secs_f64();
        }
    }

    let mut trials = Vec::new();
    for ((mutant, subjects), (fate, seconds)) in all.into_iter().zip(fates) {
        let Mutant { site, change } = mutant;
        let line = lines.get(site.file, site.line).to_string();
        trials.push(Trial {
            subject: subjects[0].name(),
            at: format!("{}:{}:{}", site.file, site.line, site.column),
            line,
            operator: site.operator,
            change,
            fate,
            seconds,
        });
    }
    // Stale explanations can be found only if all mutants were tried.
    let complete = options.wanted.is_empty() && sample.every <= 1;
    let is_stale = |(e, used): &(&Equivalent, bool)| complete && !used && !is_entry(e.file);
    let stale = EQUIVALENT.iter().zip(used).filter(is_stale).map(|(e, _)| e).collect();
    let subjects = wanted.iter().map(|subject| subject.name()).collect();
    Ok(MutantReport {
        subjects,
        trials,
        stale,
        seconds: begin.elapsed().as_secs_f64(),
        solver: panel.name().to_string(),
    })
}

/// The proofs that are run against a mutant of `subject`. The proofs that kill the most mutants come
/// first.
pub(super) fn proofs(subject: Subject) -> Vec<Job> {
    let mut jobs: Vec<Job> = subject.jobs();
    jobs.retain(Job::is_x64);
    jobs.sort_by_key(|job| job.invariants == Some(InvariantSet::High));
    jobs
}

/// The index of the explanation of a surviving mutant, if there is one.
fn explanation(Mutant { site, change }: &Mutant) -> Option<usize> {
    EQUIVALENT.iter().position(|e| {
        e.file == site.file && e.number == site.line && e.operator == site.operator && e.changes.contains(change)
    })
}

/// The time limits of one query about a mutant, in milliseconds: of the first round, and of the round for mutants
/// that are still undecided.
pub(super) const SOON: u32 = 1_000;
const LATE: u32 = 4_000;

/// The mutants of these primitives, each with the primitives that execute its operator, the quickest first. A mutant
/// belongs to a source line, so every primitive that executes the line can kill it.
fn found(subjects: &[Subject], workers: usize, panel: &Portfolio) -> BTreeMap<Mutant, Vec<Subject>> {
    let order: Vec<usize> = (0..subjects.len()).collect();
    let mutants_of = |i: usize| -> Vec<Mutant> {
        let of_entry = matches!(subjects[i], Subject::Entry(_));
        proofs(subjects[i])
            .iter()
            .flat_map(|job| job.run(panel, Mutation::recording).1.mutants(|file| is_entry(file) == of_entry))
            .collect()
    };
    let found = side_by_side(&order, workers, &mutants_of, &mut |_, _| ());
    let mut all: BTreeMap<Mutant, Vec<Subject>> = BTreeMap::new();
    for (&subject, mutants) in subjects.iter().zip(found) {
        for mutant in mutants {
            let subjects = all.entry(mutant).or_default();
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
    }
    all.values_mut().for_each(|subjects| subjects.sort_by_key(|subject| subject.weight()));
    all
}

/// The fate of a mutant by the proofs of `subjects`, in the first round that decides it. A round has a panel of solvers
/// and a time limit for one query, in milliseconds.
fn fate_of(mutant: Mutant, subjects: &[Subject], loop_rule: &[(&Portfolio, u32)]) -> Fate {
    let mut last = Fate::Survived;
    for &(panel, limit) in loop_rule {
        let jobs = subjects.iter().flat_map(|&subject| proofs(subject).into_iter().map(move |job| (subject, job)));
        last = fate(jobs.map(|(subject, job)| (subject, job.run(panel, || Mutation::planted(mutant, limit)).0)));
        if !matches!(last, Fate::Undecided(_)) {
            break;
        }
    }
    last
}

/// The fate of a mutant by its proofs. The first proof that fails decides.
fn fate(proofs: impl Iterator<Item = (Subject, Outcome)>) -> Fate {
    let mut fate = Fate::Survived;
    for (subject, outcome) in proofs {
        for failure in outcome.failures {
            match failure.reason {
                Reason::Counterexample | Reason::Panic | Reason::Vacuous => {
                    return Fate::Killed(subject.name(), failure.clause);
                }
                Reason::Unknown
                | Reason::Fuel
                | Reason::Solver
                | Reason::Disagreement
                | Reason::Spurious
                | Reason::Contract => {
                    fate = Fate::Undecided(failure.clause);
                }
            }
        }
    }
    fate
}
