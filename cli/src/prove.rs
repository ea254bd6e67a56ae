//! `cairn prove`: proofs of the layer and of the entries of the kernel.

mod print;

use crate::counts::Counts;
use crate::error::Error;
use crate::{setup, tools, workspace};
use indicatif::{ProgressBar, ProgressStyle};
use prover::{Options, Progress, Report, Status};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Seconds that the solver gets for one question, unless told otherwise: most take it milliseconds.
const TIMEOUT: u32 = 60;

/// Prove primitives, entries of the kernel and theorems of the layer
///
/// For all states that satisfy the invariant and all arguments: the exit status is 0 if everything that was asked for
/// is proved. What the solver cannot decide in time is not proved.
#[derive(clap::Args)]
pub struct Arguments {
    /// Primitives, entries or theorems, by name [default: all]
    #[arg(value_name = "PRIMITIVE")]
    wanted: Vec<String>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds that the solver gets for one question
    #[arg(long, value_name = "S", default_value_t = TIMEOUT, value_parser = clap::value_parser!(u32).range(1..=3600))]
    timeout: u32,
    /// The solver, an SMT-LIB reader such as z3, by its name on the search path or its file [default: the pinned z3,
    /// or the one on the search path]
    #[arg(long, value_name = "PROGRAM")]
    solver: Option<PathBuf>,
    /// Proofs at the same time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Write each counterexample that was replayed as a Rust test into this directory; its place is sim/tests
    #[arg(long, value_name = "DIR")]
    emit_test: Option<PathBuf>,
    /// Print what is assumed, and what the types make true
    #[arg(long)]
    assumptions: bool,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let report = prove(arguments)?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report).map_err(Error::Json)?;
        std::fs::write(path, text + "\n").map_err(Error::file("write", path))?;
    }
    if let Some(directory) = &arguments.emit_test {
        emit_tests(&report, directory)?;
    }
    print::report(&report, arguments.assumptions || arguments.wanted.is_empty());
    Ok(if report.all_proved() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Proves everything and prints what is not proved; how many rows are.
pub fn prove_all() -> Result<Counts, Error> {
    let arguments = Arguments {
        wanted: Vec::new(),
        json: None,
        timeout: TIMEOUT,
        solver: None,
        jobs: None,
        emit_test: None,
        assumptions: false,
    };
    let report = prove(&arguments)?;
    print::failures(&report);
    Ok(report.rows().map(|row| Counts::one(row.status == Status::Proved)).sum())
}

/// Writes the counterexamples that were replayed as tests.
fn emit_tests(report: &Report, directory: &Path) -> Result<(), Error> {
    for test in report.tests() {
        std::fs::create_dir_all(directory).map_err(Error::file("write", directory))?;
        let path = directory.join(test.name).with_extension("rs");
        std::fs::write(&path, test.text).map_err(Error::file("write", &path))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

fn prove(arguments: &Arguments) -> Result<Report, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options {
        solver: arguments.solver.clone().map_or_else(solver, Ok)?,
        timeout_ms: arguments.timeout * 1000,
        workers: arguments.jobs.map_or(cores, usize::from),
        wanted: arguments.wanted.clone(),
    };
    let bar = ProgressBar::no_length().with_style(style());
    bar.enable_steady_tick(Duration::from_millis(200));
    let report = prover::run(&options, &mut |progress| match progress {
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
    ProgressStyle::with_template("{bar:30} {pos}/{len} proofs {elapsed} {msg}")
        .expect("the template is a constant that a test tries")
}

/// The pinned solver if it is there, otherwise the one on the search path.
fn solver() -> Result<PathBuf, Error> {
    let pinned = setup::z3(&workspace::tools().join("z3"));
    if pinned.is_file() { Ok(pinned) } else { tools::find("z3").ok_or(Error::NoSolver) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_progress_bar_has_a_template() {
        let _ = super::style();
    }
}
