//! All proofs, side by side on as many threads as there are cores.
use crate::engine::{Failure, Reason, engine, with_engine};
use crate::entry::prove_entry;
use crate::explore::catch_panics;
use crate::machine::Sym;
use crate::prove::{Ground, Outcome, prove_primitive};
use crate::report::{ASSUMED, Clause, Report, Row, Status, Summary};
use crate::theorems::theorems;
use domain::{Geometry, Reference, X64};
use layer::primitive::{Kind, TABLE, primitives};
use sim::machine::Sim;
use smt::solver::{Solver, SolverError};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

/// Which solver is used and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The solver's program.
    pub solver: PathBuf,
    /// Bound on the time of one query, in milliseconds.
    pub timeout_ms: u32,
    /// How many proofs run at the same time, at least 1.
    pub workers: usize,
    /// Names of the primitives, entries and theorems to prove; all if there are none.
    pub wanted: Vec<String>,
}

/// Why no proof was begun.
#[derive(Debug)]
pub enum SuiteError {
    /// There is nothing of that name.
    NoSuchName(String),
    /// The solver could not be asked for its version.
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

/// Something to prove, by its place in its table.
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
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Primitive(i) => TABLE[i].name,
            Subject::Entry(i) => syscall::table::rows::<Sym<X64>>()[i].name,
            Subject::Theorem(i) => theorems::<X64>()[i].name,
        }
    }

    fn row(self) -> Row {
        let number = if let Subject::Primitive(i) = self { TABLE[i].number } else { 0 };
        Row::new(number, self.name())
    }

    /// The proofs that it takes.
    fn jobs(self) -> Vec<Job> {
        let job = |ground, geometry| Job { subject: self, ground, geometry };
        let Subject::Primitive(i) = self else { return vec![job(None, Paging::X64)] };
        let both = |geometry| [Ground::High, Ground::Derived].map(|ground| job(Some(ground), geometry));
        let mut jobs = both(Paging::X64).to_vec();
        // Whatever walks or makes page maps holds for the reference's two-level tables as well.
        let primitive = &TABLE[i];
        if matches!(primitive.number, 3 | 4 | 5 | 9) || matches!(primitive.kind, Kind::Accessor | Kind::Internal) {
            jobs.extend(both(Paging::Reference));
        }
        jobs
    }
}

/// Everything that there is to prove, in the order of the tables.
pub fn subjects() -> Vec<Subject> {
    (0..TABLE.len())
        .map(Subject::Primitive)
        .chain((0..syscall::table::rows::<Sym<X64>>().len()).map(Subject::Entry))
        .chain((0..theorems::<X64>().len()).map(Subject::Theorem))
        .collect()
}

/// Whose page tables.
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
struct Job {
    subject: Subject,
    ground: Option<Ground>,
    geometry: Paging,
}

impl Job {
    /// About how long it takes, compared with others: the longest are begun first.
    fn weight(self) -> u32 {
        let weight = match self.subject.name() {
            "system_call" => 100,
            "page_fault" | "load" | "main" => 60,
            "pt_resv" | "thread_yield" | "proc_create" => 40,
            "exited" | "exception" | "stable_threads" => 30,
            "ptInsert" | "exec_load" | "exec_store" => 10,
            _ => 1,
        };
        if self.ground == Some(Ground::High) { weight / 2 } else { weight }
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
                let (_, native) = &primitives::<Sim>()[i];
                prove_primitive(primitive, contract, native, self.ground.unwrap_or(Ground::Derived))
            }
            Subject::Entry(i) => prove_entry(&syscall::table::rows::<Sym<G>>()[i]),
            Subject::Theorem(i) => (theorems::<G>()[i].prove)(),
        }
    }

    /// Proves it, and says what it asked of the solver.
    fn counted(self) -> Outcome {
        let mut outcome = self.prove();
        (outcome.counts.queries, outcome.counts.replaced) = engine(|e| (e.solver.queries, e.solver.replaced));
        outcome
    }

    /// Proves it with a solver of its own, so that it does not matter what was proved before.
    fn run(self, options: &Options) -> Outcome {
        let program = options.solver.to_string_lossy();
        let failed =
            |clause: String, reason| Outcome { failures: vec![Failure::of(clause, reason)], ..Outcome::default() };
        match Solver::start(&program, options.timeout_ms) {
            // A panic outside the code under proof is the prover's own; it must not take the other proofs with it.
            Ok(solver) => catch_unwind(AssertUnwindSafe(|| with_engine(solver, || self.counted())))
                .unwrap_or_else(|_| failed("the prover panicked".to_string(), Reason::Panic)),
            Err(error) => failed(error.to_string(), Reason::Solver),
        }
    }
}

/// What the callback is told.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// So many proofs will be run.
    Begin(usize),
    /// One of them ended.
    Done(&'static str, Status),
}

/// The name and version of a solver, such as `z3 5.4.0`.
///
/// # Errors
/// When it does not start.
pub fn solver_version(program: &std::path::Path) -> Result<String, SolverError> {
    let name = program.to_string_lossy().into_owned();
    let output = Command::new(program).arg("--version").output().map_err(|e| SolverError::Start(name, e))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        [name, "version", version, ..] => format!("{} {version}", name.to_lowercase()),
        _ => text.trim().to_string(),
    })
}

/// Runs the proofs that are wanted.
///
/// # Errors
/// When a name is none, or the solver does not start.
pub fn run(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Report, SuiteError> {
    let begin = Instant::now();
    let all = subjects();
    if let Some(name) = options.wanted.iter().find(|name| !all.iter().any(|s| s.name() == **name)) {
        return Err(SuiteError::NoSuchName(name.clone()));
    }
    let solver = solver_version(&options.solver).map_err(SuiteError::Solver)?;
    let wanted: Vec<Subject> = all
        .into_iter()
        .filter(|s| options.wanted.is_empty() || options.wanted.iter().any(|name| name == s.name()))
        .collect();
    catch_panics();

    let jobs: Vec<Job> = wanted.iter().flat_map(|s| s.jobs()).collect();
    progress(Progress::Begin(jobs.len()));
    let results = run_jobs(&jobs, options, progress);

    let mut rows: Vec<(Subject, Row)> = wanted.iter().map(|&s| (s, s.row())).collect();
    for (job, (outcome, seconds)) in jobs.iter().zip(results) {
        if let Some((_, row)) = rows.iter_mut().find(|(subject, _)| *subject == job.subject) {
            row.add(job.ground, job.geometry.name(), outcome, seconds);
        }
    }
    Ok(report(rows, solver, begin.elapsed().as_secs_f64()))
}

/// The outcome of each job and its time in seconds, in the order of the jobs.
fn run_jobs(jobs: &[Job], options: &Options, progress: &mut dyn FnMut(Progress)) -> Vec<(Outcome, f64)> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(jobs[i].weight()));
    let queue = Mutex::new(VecDeque::from(order));
    let take = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop_front();
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<(Outcome, f64)> = jobs.iter().map(|_| (Outcome::default(), 0.0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..options.workers.max(1) {
            let sender = sender.clone();
            let take = &take;
            // Terms are walked by recursion, as deep as they are nested.
            let worker = move || {
                while let Some(i) = take() {
                    let begin = Instant::now();
                    let outcome = jobs[i].run(options);
                    if sender.send((i, outcome, begin.elapsed().as_secs_f64())).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new()
                .stack_size(64 << 20)
                .spawn_scoped(scope, worker)
                .expect("the system has threads for a worker a core");
        }
        drop(sender);
        for (i, outcome, seconds) in receiver {
            progress(Progress::Done(jobs[i].subject.name(), Status::of(&outcome)));
            results[i] = (outcome, seconds);
        }
    });
    results
}

fn report(rows: Vec<(Subject, Row)>, solver: String, seconds: f64) -> Report {
    let count = |status| rows.iter().filter(|(_, row)| row.status == status).count();
    let summary = Summary {
        proved: count(Status::Proved),
        failed: count(Status::Failed),
        unknown: count(Status::Unknown),
        vacuous: count(Status::Vacuous),
        seconds,
        solver,
    };
    let mut report = Report {
        primitives: Vec::new(),
        entries: Vec::new(),
        theorems: Vec::new(),
        by_construction: layer::invariant::by_construction().map(|(name, says)| Clause { name, says }).collect(),
        assumed: ASSUMED.to_vec(),
        summary,
    };
    for (subject, row) in rows {
        match subject {
            Subject::Primitive(_) => report.primitives.push(row),
            Subject::Entry(_) => report.entries.push(row),
            Subject::Theorem(_) => report.theorems.push(row),
        }
    }
    report
}
