//! `cairn prove`: proofs of the layer and of the entries of the kernel.

mod print;

use crate::commands::setup;
use crate::host::counts::Counts;
use crate::host::error::Error;
use crate::host::tools;
use crate::host::workspace;
use indicatif::{ProgressBar, ProgressStyle};
use prover::{Choice, MutantProgress, Options, Others, Progress, Report, Sample, Status, SuiteError, Trial};
use serde::Serialize;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Default time limit of the solver for one query, in seconds. Most queries take milliseconds.
const TIMEOUT: u32 = 60;

/// Prove primitives, entries of the kernel and theorems of the layer
///
/// The proofs are for all arguments and all states that satisfy the invariant. The exit status is 0 if everything
/// that was asked for is proved. If no names are given, each branch of the code must also be taken both ways, or be
/// explained. A query that the solver cannot decide in time counts as not proved.
#[derive(clap::Args)]
pub struct Arguments {
    /// Primitives, entries or theorems, by name [default: all]
    #[arg(value_name = "PRIMITIVE")]
    wanted: Vec<String>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Time limit of the solver for one query, in seconds
    #[arg(long, value_name = "S", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
    /// The solver: `embedded` for the built-in solver, or the name or path of an SMT-LIB solver such as z3
    /// [default: the pinned z3 if installed, otherwise z3 on the search path, otherwise the embedded solver]
    #[arg(long, value_name = "PROGRAM", value_parser = choice)]
    solver: Option<Choice>,
    /// Also put every query to all other available solvers (embedded, z3, cvc5); fail if one of them contradicts
    #[arg(long)]
    cross_check: bool,
    /// Put every query to the solver, even if the cache (target/answers) has the answer to the same query with the
    /// same assertions
    #[arg(long)]
    no_cache: bool,
    /// Number of proofs that run at the same time [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Write each confirmed counterexample as a Rust test into this directory; its place is sim/tests
    #[arg(long, value_name = "DIR")]
    emit_test: Option<PathBuf>,
    /// Print the assumptions, and the ranges that follow from the types
    #[arg(long)]
    assumptions: bool,
    /// Write a page (Markdown) of what is proved, assumed and trusted
    #[arg(long, value_name = "FILE", conflicts_with = "wanted")]
    document: Option<PathBuf>,
    /// Do not prove, but test the proofs with mutants: primitives with one wrong operator each. At least one of the
    /// chosen proofs must fail for each mutant
    #[arg(long)]
    mutants: bool,
    /// Do not prove, but test the contracts: primitives whose contract says less, by one comparison or by a whole clause.
    /// The proof must fail, or a mutant of the code must now be proved
    #[arg(long, conflicts_with = "mutants")]
    weaken: bool,
    /// Test only every N-th mutant or weaker contract
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments {
            wanted: Vec::new(),
            json: None,
            timeout: TIMEOUT,
            solver: None,
            cross_check: false,
            no_cache: false,
            jobs: None,
            assumptions: false,
            document: None,
            emit_test: None,
            mutants: false,
            weaken: false,
            every: 1,
        }
    }
}

/// Proves the named rows, or tries their mutants, and prints the report.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if arguments.mutants {
        let report = tested(arguments, prover::try_mutants)?;
        write_json(arguments, &report)?;
        print::mutants(&report);
        return Ok(if report.all_killed() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if arguments.weaken {
        let report = tested(arguments, prover::try_weakenings)?;
        write_json(arguments, &report)?;
        print::weakenings(&report);
        return Ok(if report.is_noticed() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let report = prove(arguments)?;
    write_json(arguments, &report)?;
    if let Some(path) = &arguments.document {
        std::fs::write(path, report.document()).map_err(Error::file("write", path))?;
    }
    if let Some(directory) = &arguments.emit_test {
        emit_tests(&report, directory)?;
    }
    print::report(&report, arguments.assumptions || arguments.wanted.is_empty());
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the report as JSON, if that was asked for.
fn write_json(arguments: &Arguments, report: &impl Serialize) -> Result<(), Error> {
    let Some(path) = &arguments.json else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).map_err(Error::Json)?;
    std::fs::write(path, text + "\n").map_err(Error::file("write", path))
}

/// The command `test` tries one in this many mutants of the primitives, and of these entries.
const SAMPLES: [(&[&str], u16); 2] =
    [(&[], 20), (&["exited", "wait", "wake", "page_fault", "interrupt", "load", "receive"], 16)];

/// Tries some of the mutants and prints the surviving ones; returns how many were killed or are explained.
pub fn try_some_mutants() -> Result<Counts, Error> {
    SAMPLES.into_iter().map(|(names, every)| try_sample(names, every)).sum()
}

/// Tries every `every`-th mutant of the named entries, or of all primitives if no names are given.
fn try_sample(names: &[&str], every: u16) -> Result<Counts, Error> {
    let wanted = names.iter().map(ToString::to_string).collect();
    let arguments = Arguments { mutants: true, every, wanted, ..Arguments::default() };
    let report = tested(&arguments, prover::try_mutants)?;
    print::unnoticed(&report);
    let counted = |trial: &Trial| Counts::one(format!("{}: {:?}", trial.at, trial.change), trial.fate.is_settled());
    Ok(report.trials.iter().map(counted).sum())
}

/// The page of the proved properties.
const DOCUMENT: &str = "docs/proved.md";

/// Proves everything, by the cache if `cached`, and prints what is not proved. Counts the rows that are proved, and whether
/// the page of the proved properties is up to date.
pub fn prove_all(cached: bool) -> Result<Counts, Error> {
    let report = prove(&Arguments { no_cache: !cached, ..Arguments::default() })?;
    print::failures(&report);
    let page = workspace::root().join(DOCUMENT);
    let written = std::fs::read_to_string(&page).map_err(Error::file("read", &page))?;
    let is_fresh = written == report.document();
    if !is_fresh {
        println!("  {DOCUMENT} is stale; regenerate it: cargo cairn prove --document {DOCUMENT}");
    }
    print::page(&report.page);
    report.coverage.iter().for_each(print::branches);
    let rows = report.rows().map(|row| Counts::one(row.name, row.status == Status::Proved));
    let branches = report.coverage.iter().map(|branches| Counts::one("branches", branches.is_explained()));
    let pages =
        [Counts::one(DOCUMENT, is_fresh), Counts::one("the obligations of the reference", report.page.is_proved())];
    Ok(rows.chain(branches).chain(pages).sum())
}

/// Writes the confirmed counterexamples as tests.
fn emit_tests(report: &Report, directory: &Path) -> Result<(), Error> {
    for test in report.tests() {
        std::fs::create_dir_all(directory).map_err(Error::file("write", directory))?;
        let path = directory.join(test.name).with_extension("rs");
        std::fs::write(&path, test.text).map_err(Error::file("write", &path))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Number of proofs that run at the same time by default.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn options(arguments: &Arguments) -> Result<Options, Error> {
    let solver = arguments.solver.clone().unwrap_or_else(solver);
    Ok(Options {
        others: arguments.cross_check.then(|| others(&solver)).transpose()?,
        solver,
        timeout_ms: arguments.timeout * 1000,
        workers: arguments.jobs.map_or_else(cores, usize::from),
        wanted: arguments.wanted.clone(),
        answers: (!arguments.no_cache).then(|| workspace::target().join("answers")),
    })
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length().with_style(style());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Runs a test of the proofs, and shows its progress.
fn tested<R>(
    arguments: &Arguments,
    test: impl FnOnce(&Options, Sample, &mut dyn FnMut(MutantProgress)) -> Result<R, SuiteError>,
) -> Result<R, Error> {
    let bar = bar();
    let sample = Sample { every: arguments.every.into() };
    let report = test(&options(arguments)?, sample, &mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    Ok(report?)
}

/// Shows the progress of a test of the proofs.
fn show(bar: &ProgressBar, progress: MutantProgress) {
    match progress {
        MutantProgress::Begin(all) => bar.set_length(all as u64),
        MutantProgress::Done(name) => {
            bar.inc(1);
            bar.set_message(name);
        }
    }
}

/// Proves the named rows, with a progress bar.
pub fn prove(arguments: &Arguments) -> Result<Report, Error> {
    let bar = bar();
    let report = prover::run(&options(arguments)?, &mut |progress| match progress {
        Progress::Begin(proofs) => bar.set_length(proofs as u64),
        Progress::Done(name, status) => {
            bar.inc(1);
            bar.set_message(name);
            if status != Status::Proved {
                bar.suspend(|| eprintln!("{}: {name}", status.word()));
            }
        }
    });
    bar.finish_and_clear();
    Ok(report?)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
        .expect("the template is a constant that a test tries")
}

/// The solver of this name.
fn choice(name: &str) -> Result<Choice, Infallible> {
    Ok(if name == "embedded" { Choice::Embedded } else { Choice::Program(name.into()) })
}

/// The z3 that `setup` has installed, if it has.
fn pinned() -> Option<PathBuf> {
    Some(setup::z3(&workspace::tools().join("z3"))).filter(|program| program.is_file())
}

/// The pinned solver if it is installed, otherwise the one on the search path, otherwise the embedded one.
fn solver() -> Choice {
    pinned().or_else(|| tools::find("z3")).map_or_else(
        || {
            eprintln!("z3 is not installed, so the slow embedded solver is used; `cargo cairn setup` installs z3");
            Choice::Embedded
        },
        Choice::Program,
    )
}

/// All available solvers except `main`.
fn others(main: &Choice) -> Result<Others, Error> {
    let file = |choice: &Choice| match choice {
        Choice::Program(program) => {
            let file = if program.components().count() == 1 { tools::find(&program.to_string_lossy()) } else { None };
            file.as_ref().unwrap_or(program).canonicalize().ok()
        }
        Choice::Embedded => None,
    };
    let same = |one: &Choice, other: &Choice| one == other || file(one).is_some() && file(one) == file(other);
    let programs = pinned().into_iter().chain(["z3", "cvc5"].into_iter().filter_map(tools::find));
    let mut solvers = Vec::new();
    for other in [Choice::Embedded].into_iter().chain(programs.map(Choice::Program)) {
        if !solvers.iter().chain([main]).any(|known| same(known, &other)) {
            solvers.push(other);
        }
    }
    if solvers.is_empty() {
        return Err(Error::NoOtherSolver);
    }
    Ok(Others { solvers, disagreements: workspace::target().join("disagreements") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_bar_has_a_template() {
        let _ = style();
    }

    #[test]
    fn no_solver_is_asked_twice() {
        let of = |main| others(&main).map(|others| others.solvers).unwrap_or_default();
        assert!(!of(Choice::Embedded).contains(&Choice::Embedded));
        assert!(of(Choice::Program("./no-such-solver".into())).contains(&Choice::Embedded));
        if let Some(z3) = tools::find("z3") {
            assert!(!of(Choice::Program("z3".into())).contains(&Choice::Program(z3)));
        }
    }
}
