//! Runs all proofs, in parallel on several threads.
use crate::facts::invariant_set::InvariantSet;
use crate::report::explained::EXPLAINED;
use crate::report::reference::Page;
use crate::report::row::{ReportRow, Status};
use crate::report::run::{ASSUMED, Clause, Opinion, Report, Summary};
use crate::sources::with_engine;
use crate::state::sym::Sym;
use crate::subjects::entries::prove_entry;
use crate::subjects::primitives::prove_primitive;
use crate::subjects::theorems::theorems;
use crate::workers::side_by_side;
use layer::catalogue::{Kind, TABLE, primitives};
use layer::core::geometry::{Geometry, Reference, X64};
use layer::invariant::BY_THEOREMS;
use sim::machine::Sim;
use smt::solver::SolverError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;
use symbolic::coverage::{Branches, Coverage};
use symbolic::engine::engine;
use symbolic::explore::catch_panics;
use symbolic::failure::{Failure, Reason};
use symbolic::mutant::Mutation;
use symbolic::proof::Outcome;
use symbolic::solvers::{Choice, Others, Portfolio};
use syscall::table::rows;

/// The solvers and how they are used.
#[derive(Clone, Debug)]
pub struct Options {
    /// The proving solver.
    pub solver: Choice,
    /// Further solvers that must not contradict it.
    pub others: Option<Others>,
    /// The time limit of one query, in milliseconds.
    pub timeout_ms: u32,
    /// The number of proofs that run at the same time, at least 1.
    pub workers: usize,
    /// The names of the primitives, entries and theorems to prove. If empty, all of them.
    pub wanted: Vec<String>,
    /// The directory of the cache of the solver's answers. `None` to ask the solver every query. Mutants and further
    /// solvers never use the cache.
    pub answers: Option<PathBuf>,
}

/// Why no proof was started.
#[derive(Debug)]
pub enum SuiteError {
    /// No primitive, entry or theorem has this name.
    NoSuchName(String),
    /// A solver does not report its version, or does not answer.
    Solver(SolverError),
}

impl std::fmt::Display for SuiteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SuiteError::NoSuchName(name) => {
                let names: Vec<&str> = subjects().iter().map(|subject| subject.name()).collect();
                write!(f, "there is no `{name}` to prove; there are: {}", names.join(", "))
            }
            SuiteError::Solver(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SuiteError {}

/// A subject of proofs, by its index in its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A primitive.
    Primitive(usize),
    /// An entry of the kernel.
    Entry(usize),
    /// A theorem.
    Theorem(usize),
}

impl Subject {
    /// The name of the subject.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Primitive(i) => TABLE[i].name,
            Subject::Entry(i) => rows::<Sym<X64>>()[i].name,
            Subject::Theorem(i) => theorems::<X64>()[i].name,
        }
    }

    fn row(self) -> ReportRow {
        let number = if let Subject::Primitive(i) = self { TABLE[i].number } else { 0 };
        ReportRow::new(number, self.name())
    }

    /// A rough estimate of the time of all its proofs, compared with other subjects.
    pub(crate) fn weight(self) -> u32 {
        self.jobs().iter().map(|job| job.weight()).sum()
    }

    /// The proofs of this subject.
    pub(crate) fn jobs(self) -> Vec<Job> {
        let job = |invariants, geometry| Job { subject: self, invariants, geometry };
        let Subject::Primitive(i) = self else { return vec![job(None, Paging::X64)] };
        let both =
            |geometry| [InvariantSet::High, InvariantSet::Derived].map(|invariants| job(Some(invariants), geometry));
        let mut jobs = both(Paging::X64).to_vec();
        // Primitives that walk or make page maps are also proved for the reference's two-level tables.
        let primitive = &TABLE[i];
        if matches!(primitive.number, 3 | 4 | 5 | 9) || matches!(primitive.kind, Kind::Accessor | Kind::Internal) {
            jobs.extend(both(Paging::Reference));
        }
        jobs
    }
}

/// All subjects, in the order of the tables.
pub fn subjects() -> Vec<Subject> {
    (0..TABLE.len())
        .map(Subject::Primitive)
        .chain((0..rows::<Sym<X64>>().len()).map(Subject::Entry))
        .chain((0..theorems::<X64>().len()).map(Subject::Theorem))
        .collect()
}

/// The geometry of the page tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paging {
    X64,
    Reference,
}

impl Paging {
    fn name(self) -> &'static str {
        match self {
            Paging::X64 => "x86-64",
            Paging::Reference => "reference",
        }
    }
}

/// One proof.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub subject: Subject,
    pub invariants: Option<InvariantSet>,
    geometry: Paging,
}

impl Job {
    /// Whether the proof is about the page tables that the kernel uses.
    pub(crate) fn is_x64(&self) -> bool {
        self.geometry == Paging::X64
    }

    /// The unique name of the proof.
    fn name(self) -> String {
        let invariants = self
            .invariants
            .map_or("", |invariants| if invariants == InvariantSet::High { "-high" } else { "-derived" });
        format!("{}{invariants}-{}", self.subject.name(), self.geometry.name())
    }

    /// A rough estimate of the time of the proof, compared with others. The longest proofs start first.
    fn weight(self) -> u32 {
        let weight = match self.subject.name() {
            "system_call" => 100,
            "page_fault" | "load" | "main" => 60,
            "pt_resv" | "thread_yield" | "proc_create" => 40,
            "exited" | "exception" | "stable_threads" => 30,
            "ptInsert" | "exec_load" | "exec_store" => 10,
            _ => 1,
        };
        if self.invariants == Some(InvariantSet::High) { weight / 2 } else { weight }
    }

    fn prove(self) -> Outcome {
        match self.geometry {
            Paging::X64 => self.prove_with::<X64>(),
            Paging::Reference => self.prove_with::<Reference>(),
        }
    }

    fn prove_with<G: Geometry>(self) -> Outcome {
        match self.subject {
            Subject::Primitive(i) => {
                let (primitive, contract) = &primitives::<Sym<G>>()[i];
                let (_, hosted) = &primitives::<Sim>()[i];
                prove_primitive(primitive, contract, hosted, self.invariants.unwrap_or(InvariantSet::Derived))
            }
            Subject::Entry(i) => prove_entry(&rows::<Sym<G>>()[i], &rows::<Sim>()[i]),
            Subject::Theorem(i) => (theorems::<G>()[i].prove)(),
        }
    }

    /// Runs the proof, and adds the counts of the solver.
    fn counted(self) -> Outcome {
        let mut outcome = self.prove();
        engine(|e| {
            outcome.counts.queries = e.solver.queries();
            outcome.counts.remembered = e.solver.remembered();
            outcome.counts.steps = e.solver.steps();
            outcome.counts.replaced = e.solver.replaced();
            outcome.tallies = e.solver.tallies();
        });
        outcome
    }

    /// Runs the proof with new solvers, so that earlier proofs have no influence. `mutation` is the setting for
    /// mutants; the setting after the proof is returned as well.
    pub(crate) fn run(self, panel: &Portfolio, mutation: impl Fn() -> Mutation) -> (Outcome, Mutation) {
        let failed = |clause: String, reason| {
            (Outcome { failures: vec![Failure::of(clause, reason)], ..Outcome::default() }, Mutation::default())
        };
        let prove = || {
            engine(|e| {
                e.settings.mutation = mutation();
                // If one query does not kill the mutant, another query or another solver may.
                if e.settings.mutation.is_planted() {
                    e.solver.fail_fast();
                }
            });
            let outcome = self.counted();
            (outcome, engine(|e| std::mem::take(&mut e.settings.mutation)))
        };
        match panel.start(&self.name()) {
            // A panic outside of the code under proof is a fault of the prover. It must not stop the other proofs.
            Ok(solver) => catch_unwind(AssertUnwindSafe(|| with_engine(solver, prove)))
                .unwrap_or_else(|_| failed("the prover panicked".to_string(), Reason::Panic)),
            Err(error) => failed(error.to_string(), Reason::Solver),
        }
    }
}

/// Progress, as reported to the callback.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// The number of proofs that will run.
    Begin(usize),
    /// A proof has ended.
    Done(&'static str, Status),
}

/// Returns the wanted subjects and the solvers. From here on panics are caught.
pub(crate) fn begin_run(options: &Options) -> Result<(Vec<Subject>, Portfolio), SuiteError> {
    let all = subjects();
    if let Some(name) = options.wanted.iter().find(|name| !all.iter().any(|s| s.name() == **name)) {
        return Err(SuiteError::NoSuchName(name.clone()));
    }
    let panel =
        Portfolio::new(&options.solver, options.timeout_ms, options.others.as_ref()).map_err(SuiteError::Solver)?;
    let is_wanted = |s: &Subject| options.wanted.is_empty() || options.wanted.iter().any(|name| name == s.name());
    let wanted = all.into_iter().filter(is_wanted).collect();
    catch_panics();
    Ok((wanted, panel))
}

/// Runs the wanted proofs.
///
/// # Errors
/// If no subject has one of the names, or if a solver does not answer.
pub fn run(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Report, SuiteError> {
    let begin = Instant::now();
    let (wanted, panel) = begin_run(options)?;
    let panel = panel.remembering(options.answers.clone());
    let jobs: Vec<Job> = wanted.iter().flat_map(|s| s.jobs()).collect();
    progress(Progress::Begin(jobs.len()));
    let results = run_jobs(&jobs, options.workers, &panel, progress);

    let mut rows: Vec<(Subject, ReportRow)> = wanted.iter().map(|&s| (s, s.row())).collect();
    let (mut opinions, mut coverage) = (Vec::new(), Coverage::default());
    for (job, (outcome, seconds)) in jobs.iter().zip(results) {
        Opinion::add(&mut opinions, &outcome.tallies);
        coverage.add(&outcome.coverage);
        if let Some((_, row)) = rows.iter_mut().find(|(subject, _)| *subject == job.subject) {
            row.add(job.invariants, job.geometry.name(), outcome, seconds);
        }
    }
    let coverage = options.wanted.is_empty().then(|| coverage.branches(&EXPLAINED));
    let summary = summary(&rows, panel.name().to_string(), opinions, begin.elapsed().as_secs_f64());
    Ok(report(rows, coverage, summary))
}

/// Runs the jobs. Returns the outcome of each and its time in seconds, in the order of the jobs.
fn run_jobs(
    jobs: &[Job],
    workers: usize,
    panel: &Portfolio,
    progress: &mut dyn FnMut(Progress),
) -> Vec<(Outcome, f64)> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(jobs[i].weight()));
    let work = |i: usize| {
        let begin = Instant::now();
        let outcome = jobs[i].run(panel, Mutation::default).0;
        (outcome, begin.elapsed().as_secs_f64())
    };
    side_by_side(&order, workers, &work, &mut |i, (outcome, _)| {
        progress(Progress::Done(jobs[i].subject.name(), Status::of(outcome)));
    })
}

/// Counts the rows by their status.
fn summary(rows: &[(Subject, ReportRow)], solver: String, opinions: Vec<Opinion>, seconds: f64) -> Summary {
    let count = |status| rows.iter().filter(|(_, row)| row.status == status).count();
    Summary {
        proved: count(Status::Proved),
        failed: count(Status::Failed),
        unknown: count(Status::Unknown),
        solver_failed: count(Status::Solver),
        vacuous: count(Status::Vacuous),
        seconds,
        solver,
        opinions,
    }
}

fn report(rows: Vec<(Subject, ReportRow)>, coverage: Option<Branches>, summary: Summary) -> Report {
    let mut report = Report {
        primitives: Vec::new(),
        entries: Vec::new(),
        theorems: Vec::new(),
        page: Page::default(),
        by_construction: layer::invariant::by_construction()
            .map(|(name, description)| Clause { name, description })
            .collect(),
        by_theorems: BY_THEOREMS.iter().map(|&(name, _, description)| Clause { name, description }).collect(),
        assumed: ASSUMED.to_vec(),
        coverage,
        summary,
    };
    for (subject, row) in rows {
        match subject {
            Subject::Primitive(_) => report.primitives.push(row),
            Subject::Entry(_) => report.entries.push(row),
            Subject::Theorem(_) => report.theorems.push(row),
        }
    }
    report.page = Page::of(&report.rows().collect::<Vec<_>>());
    report
}
