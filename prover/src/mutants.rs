//! Every mutant of the code that is proved, each with what came of it: a proof tool is worth what its failures are worth.
use crate::choice::{Choice, Panel};
use crate::engine::Reason;
use crate::equivalent::{EQUIVALENT, Equivalent};
use crate::mutant::{Change, Mutant, Mutation, Operator};
use crate::prove::{Ground, Outcome};
use crate::source::Lines;
use crate::suite::{Job, Options, Subject, SuiteError, begin_run, side_by_side, subjects};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// What came of a mutant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Something that was to hold does not: of which primitive, and the clause.
    Killed(&'static str, String),
    /// It does what the code itself does, or what differs is not promised: the reason, from the list in the tree.
    Explained(&'static str),
    /// The proof goes through all the same.
    Survived,
    /// The solver could not tell, or the prover broke off: what it said.
    Undecided(String),
}

impl Fate {
    /// It is killed or explained.
    pub fn is_settled(&self) -> bool {
        matches!(self, Fate::Killed(..) | Fate::Explained(_))
    }
}

/// A mutant, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The first primitive of the table that runs it.
    pub subject: &'static str,
    /// Where: file, line, column.
    pub at: String,
    /// The line.
    pub line: String,
    /// The operator.
    pub operator: Operator,
    /// What is wrong with it.
    pub change: Change,
    /// What came of it.
    pub fate: Fate,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// What came of all mutants.
#[derive(Clone, Debug, Serialize)]
pub struct MutantReport {
    /// The primitives that were looked at, in the order of the table.
    pub subjects: Vec<&'static str>,
    /// Each mutant, in the order of the source.
    pub trials: Vec<Trial>,
    /// Explanations, of what was looked at, that explain nothing any more.
    pub stale: Vec<&'static Equivalent>,
    /// Time from beginning to end, in seconds.
    pub seconds: f64,
    /// Name and version of the solver.
    pub solver: String,
}

impl MutantReport {
    /// No mutant survives without an explanation, and no explanation is stale.
    pub fn all_killed(&self) -> bool {
        self.stale.is_empty() && self.trials.iter().all(|trial| trial.fate.is_settled())
    }
}

/// What the callback is told.
#[derive(Clone, Copy, Debug)]
pub enum MutantProgress {
    /// So many mutants will be tried.
    Begin(usize),
    /// One of them was, of this primitive.
    Done(&'static str),
}

/// Which of the mutants are tried: every so many, beginning with the first.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// 1 is all of them.
    pub every: usize,
}

/// Tries the mutants of the primitives that are wanted.
///
/// # Errors
/// When a name is none, or the solver does not start.
pub fn try_mutants(
    options: &Options,
    sample: Sample,
    progress: &mut dyn FnMut(MutantProgress),
) -> Result<MutantReport, SuiteError> {
    let begin = Instant::now();
    let (wanted, panel) = begin_run(options)?;
    let (mut wanted, mut others) = (wanted, subjects());
    others.retain(|subject| !wanted.contains(subject));
    for subjects in [&mut wanted, &mut others] {
        subjects.retain(|subject| matches!(subject, Subject::Primitive(_)));
    }

    let mutants = found(&wanted, options.workers, &panel);
    let all: Vec<(Mutant, Vec<Subject>)> = mutants.into_iter().step_by(sample.every.max(1)).collect();
    progress(MutantProgress::Begin(all.len()));

    // A counterexample that one solver does not find soon, another one may.
    let embedded = Panel::new(&Choice::Embedded, options.timeout_ms, None).map_err(SuiteError::Solver)?;
    let rounds = [(&panel, SOON), (&embedded, SOON), (&panel, LATE)];
    let try_one = |i: usize| {
        let begin = Instant::now();
        let (mutant, subjects) = &all[i];
        (fate_of(*mutant, subjects, &rounds), begin.elapsed().as_secs_f64())
    };
    let order: Vec<usize> = (0..all.len()).collect();
    let mut fates = side_by_side(&order, options.workers, &try_one, &mut |i, _| {
        progress(MutantProgress::Done(all[i].1[0].name()));
    });

    let mut lines = Lines::default();
    let mut used = vec![false; EQUIVALENT.len()];
    for ((mutant, _), (fate, _)) in all.iter().zip(&mut fates) {
        if let (Fate::Survived, Some(index)) = (&fate, explanation(mutant, &mut lines)) {
            used[index] = true;
            *fate = Fate::Explained(EQUIVALENT[index].reason);
        }
    }
    // What those who were asked for do not notice, others who run the same line may.
    let alive = |(_, (fate, _)): &(_, &mut (Fate, f64))| *fate == Fate::Survived;
    let mut alive: Vec<_> = all.iter().zip(&mut fates).filter(alive).collect();
    if !alive.is_empty() {
        let found = found(&others, options.workers, &panel);
        for ((mutant, _), (fate, seconds)) in &mut alive {
            let begin = Instant::now();
            *fate = fate_of(*mutant, found.get(mutant).map_or(&[], Vec::as_slice), &rounds);
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
    // What was not looked at cannot be known to be stale.
    let complete = options.wanted.is_empty() && sample.every <= 1;
    let stale = EQUIVALENT.iter().zip(used).filter(|(_, used)| complete && !used).map(|(e, _)| e).collect();
    let subjects = wanted.iter().map(|subject| subject.name()).collect();
    Ok(MutantReport {
        subjects,
        trials,
        stale,
        seconds: begin.elapsed().as_secs_f64(),
        solver: panel.name().to_string(),
    })
}

/// The proofs that a mutant of `subject` has to get through: those that show most first.
fn proofs(subject: Subject) -> Vec<Job> {
    let mut jobs: Vec<Job> = subject.jobs();
    jobs.retain(Job::is_x64);
    jobs.sort_by_key(|job| job.ground == Some(Ground::High));
    jobs
}

/// The number of the explanation why nobody notices a mutant, if there is one.
fn explanation(Mutant { site, change }: &Mutant, lines: &mut Lines) -> Option<usize> {
    let line = lines.get(site.file, site.line);
    EQUIVALENT.iter().position(|e| {
        e.file == site.file && e.line == line && e.operator == site.operator && e.changes.contains(change)
    })
}

/// How long one question about a mutant may take, in milliseconds: at first, and if that does not decide it.
const SOON: u32 = 1_000;
const LATE: u32 = 4_000;

/// The mutants of these primitives, each with those of them that run it, the quickest first. A mutant is one of the source:
/// whoever runs that line may notice it.
fn found(subjects: &[Subject], workers: usize, panel: &Panel) -> BTreeMap<Mutant, Vec<Subject>> {
    let order: Vec<usize> = (0..subjects.len()).collect();
    let mutants_of = |i: usize| -> Vec<Mutant> {
        proofs(subjects[i]).iter().flat_map(|job| job.run(panel, Mutation::recording).1.mutants()).collect()
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

/// What the proofs of those who run a mutant say of it, in the first round that decides it: a panel, and a bound on the time
/// of one question.
fn fate_of(mutant: Mutant, subjects: &[Subject], rounds: &[(&Panel, u32)]) -> Fate {
    let mut last = Fate::Survived;
    for &(panel, limit) in rounds {
        let jobs = subjects.iter().flat_map(|&subject| proofs(subject).into_iter().map(move |job| (subject, job)));
        last = fate(jobs.map(|(subject, job)| (subject, job.run(panel, || Mutation::planted(mutant, limit)).0)));
        if !matches!(last, Fate::Undecided(_)) {
            break;
        }
    }
    last
}

/// What the proofs of a mutant say of it; the first that fails is enough.
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
                | Reason::NotReplayed
                | Reason::Contract => {
                    fate = Fate::Undecided(failure.clause);
                }
            }
        }
    }
    fate
}
