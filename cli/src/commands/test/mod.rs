//! `cairn test`: sets up what is missing, and runs all tests.

mod calls;
mod cargo;
mod lints;
mod linux;
mod page;

use crate::commands::bench;
use crate::commands::boots;
use crate::commands::fuzz_x86;
use crate::commands::layer;
use crate::commands::prove;
use crate::commands::setup;
use crate::commands::storm::{Storm, What};
use crate::host::counts::Counts;
use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::image::Kind;
use crate::host::job::{Boot, Job, Ran, Typing};
use crate::host::watch::{Until, Watch};
use cargo::cargo_test;
use programs::manifest::Machine;
use sim::run::config::Checking;
use std::iter;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Set up what is missing and run everything: tests, lints, proofs, boots, programs on all machines
///
/// The exit status is 0 if nothing failed. A step that cannot run on this host is skipped and
/// counted.
#[derive(clap::Args)]
pub struct Arguments {
    /// Steps to run [default: all, in this order: setup, tests, lints, loom, proofs, mutants, pages, boots, bench, programs, calls, fuzz-x86, storm, shell, linux]
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
    /// Run only what takes less than two minutes: the format, the proofs with cached answers, and the programs on the
    /// hosted machine
    #[arg(long, conflicts_with = "steps")]
    quick: bool,
}

/// A step of the test.
struct Step {
    /// Its name on the command line.
    key: &'static str,
    /// Its description.
    name: &'static str,
    /// Runs the step, which prints its results line by line.
    run: fn() -> Result<Counts, Error>,
}

/// The steps, in their order. Steps that need what `setup` cannot install are skipped.
const STEPS: &[Step] = &[
    Step { key: "setup", name: "setup", run: set_up },
    Step { key: "tests", name: "unit and property tests", run: workspace_tests },
    Step { key: "lints", name: "the documentation, and the minimum version of Rust", run: lints::lint_all },
    Step { key: "loom", name: "every interleaving on locks and doorbells", run: loom },
    Step { key: "proofs", name: "proofs", run: proofs },
    Step { key: "mutants", name: "a sample of the mutants", run: prove::try_some_mutants },
    Step { key: "pages", name: "the how-to pages of docs/", run: page::follow_all },
    Step { key: "boots", name: "boots", run: try_boots },
    Step { key: "bench", name: "the bench, twice", run: bench },
    Step { key: "programs", name: "programs on all machines", run: programs },
    Step { key: "calls", name: "the primitives that the booted kernel calls", run: calls::count },
    Step { key: "fuzz-x86", name: "random programs, on QEMU and hosted", run: random_programs },
    Step { key: "storm", name: "the invariant on the live kernel", run: storm },
    Step { key: "shell", name: "a session with the shell", run: shell },
    Step { key: "linux", name: "Linux as a guest", run: linux::boot_everywhere },
];

/// The steps of `--quick`. They build nothing but the programs, and need nothing but Rust.
const QUICK: &[Step] = &[
    Step { key: "format", name: "the format of the code", run: lints::format },
    Step { key: "proofs", name: "proofs, with cached answers", run: cached_proofs },
    Step { key: "hosted", name: "programs on the hosted machine", run: || hosted(&[]) },
];

/// Runs the chosen steps, and prints their results.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if let Some(name) = arguments.steps.iter().find(|name| STEPS.iter().all(|step| step.key != **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.key).collect();
        return Err(Error::Unknown { kind: "step", name: name.clone(), known: known.join(", ") });
    }
    let is_wanted = |step: &&Step| arguments.steps.is_empty() || arguments.steps.iter().any(|name| name == step.key);
    let steps = if arguments.quick { QUICK } else { STEPS };
    let wanted: Vec<&Step> = steps.iter().filter(is_wanted).collect();
    let mut all = Vec::new();
    for (number, Step { key, name, run }) in (1..).zip(&wanted) {
        println!("[{number}/{}] {name}", wanted.len());
        let begin = Instant::now();
        // If a step cannot be run, the results of the others must still appear.
        let mut counts = run().unwrap_or_else(|error| {
            println!("  error: {error}");
            Counts::one("the step itself", false)
        });
        println!("  {counts} ({:.0} s)", begin.elapsed().as_secs_f64());
        counts.failed.iter_mut().for_each(|test| *test = format!("{key}: {test}"));
        all.push(counts);
    }
    let total: Counts = all.into_iter().sum();
    println!("{total}");
    total.failed.iter().for_each(|failure| println!("FAILED   {failure}"));
    Ok(if total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Sets up what is missing. A missing program is no failure: the steps that need it are skipped.
fn set_up() -> Result<Counts, Error> {
    setup::set_up()?;
    Ok(Counts::default())
}

/// All tests of the workspace.
fn workspace_tests() -> Result<Counts, Error> {
    cargo_test(&["--workspace"], &[])
}

/// The tests of locks and doorbells under loom, which tries every interleaving.
fn loom() -> Result<Counts, Error> {
    let arguments = ["--package", "kernel", "--release", "--test", "loom_*", "--target-dir", "target/loom"];
    cargo_test(&arguments, &[("RUSTFLAGS", "--cfg loom")])
}

/// The proofs, and the pages that are made from the layer's code.
fn proofs() -> Result<Counts, Error> {
    Ok([prove::prove_all(false)?, layer::check_picture()?].into_iter().sum())
}

/// The proofs; queries that have been answered before are not asked again.
fn cached_proofs() -> Result<Counts, Error> {
    prove::prove_all(true)
}

/// The boots, as `cairn boots` runs them.
fn try_boots() -> Result<Counts, Error> {
    let verdicts = boots::try_all(|_| true, false, |verdict| println!("  {verdict}"))?;
    Ok(verdicts.iter().map(boots::Verdict::counts).sum())
}

/// Rows that the bench's JSON must have.
const ROWS: [&str; 10] = [
    "null_syscall",
    "yield",
    "ipc_round_trip_1",
    "ipc_round_trip_1024",
    "page_fault",
    "spawn",
    "yield_64",
    "yield_500",
    "palloc_empty",
    "palloc_full",
];

/// Checks that the bench gives all its rows, and the same figures in each of its two runs. Whether the kernel is fast
/// enough is not tested here.
fn bench() -> Result<Counts, Error> {
    if !Emulator::Qemu.is_there() {
        println!("  skipped  {}: it is not installed", Emulator::Qemu);
        return Ok(Counts::SKIPPED);
    }
    let report = bench::report(Emulator::Qemu)?;
    let json = serde_json::to_value(&report).map_err(Error::Json)?;
    let is_row = |name: &str, row: &serde_json::Value| {
        let number = |key: &str| row[key].as_u64().is_some_and(|number| number > 0);
        row["name"] == name && row["unit"] == "instructions" && ["median", "min", "max", "n"].into_iter().all(number)
    };
    let missing = |name: &&str| json["rows"].as_array().is_none_or(|rows| !rows.iter().any(|row| is_row(name, row)));
    let missing: Vec<_> = ROWS.into_iter().filter(missing).collect();
    missing.iter().for_each(|name| println!("  FAILED   there is no row {name}"));
    report.differ.iter().for_each(|name| println!("  FAILED   two runs differ in {name}"));
    Ok(Counts::one("the rows", missing.is_empty() && report.differ.is_empty()))
}

/// Number of random programs that are compared, and their seed.
const RANDOM_PROGRAMS: (usize, u64) = (1024, 1);

/// Checks that random programs end alike on QEMU and on the hosted machine, as `cairn fuzz-x86` compares them.
fn random_programs() -> Result<Counts, Error> {
    if !Emulator::Qemu.is_there() {
        println!("  skipped  {}: it is not installed", Emulator::Qemu);
        return Ok(Counts::SKIPPED);
    }
    let (count, seed) = RANDOM_PROGRAMS;
    let counts = fuzz_x86::fuzz(count, seed, |text| println!("  {}", text.trim_end().replace('\n', "\n  ")))?;
    if !counts.failed.is_empty() {
        println!("  FAILED   again by `cargo cairn fuzz-x86 --count {count} --seed {seed}`");
    }
    Ok(counts)
}

/// Number of CPUs on which programs run.
const CPUS: u32 = kernel::mm::layout::MAX_CPUS as u32;

/// How long each load keeps the kernel busy.
const STORM: Duration = Duration::from_secs(5);

/// Runs every load for some seconds, as `cairn storm` runs them.
fn storm() -> Result<Counts, Error> {
    if !Emulator::Qemu.is_there() {
        println!("  skipped  {}: it is not installed", Emulator::Qemu);
        return Ok(What::ALL.map(|_| Counts::SKIPPED).into_iter().sum());
    }
    let try_one = |what| {
        let watch = Watch { every: Duration::from_secs(1), until: Some(Until::Time(STORM)) };
        let (ran, problems) =
            Storm { what, cpus: CPUS, seed: 1, processes: None, watch, kind: Kind::Checked, show: false }.run()?;
        match (problems.first(), ran.watched) {
            (Some(problem), _) => println!("  FAILED   {what:?}: {problem}, and {} more problems", problems.len() - 1),
            (None, Some(watched)) => println!("  passed   {what:?}: {watched}"),
            (None, None) => println!("  passed   {what:?}"),
        }
        Ok(Counts::one(format!("{what:?}"), problems.is_empty()))
    };
    What::ALL.into_iter().map(try_one).sum()
}

/// Time limit of the programs.
const PROGRAMS_LIMIT: Duration = Duration::from_secs(120);

/// Runs all programs on 8 CPUs, as `cairn run` runs them: the usual ones together, the others by themselves.
fn programs() -> Result<Counts, Error> {
    let built = programs::build()?;
    let alone = built.iter().filter(|program| program.manifest.alone && !program.manifest.starts.is_empty());
    let jobs = iter::once(Vec::new()).chain(alone.map(|program| vec![program.name.to_owned()]));
    jobs.map(|names| everywhere(&names)).chain([twice()]).sum()
}

/// A guest on each CPU, beside programs that exchange messages.
const BESIDE: [&str; 3] = ["guests", "ping-pong", "producers"];

/// Runs guests beside other programs, twice. Bochs is deterministic, so both runs print the same.
fn twice() -> Result<Counts, Error> {
    if !Emulator::Bochs.is_there() {
        println!("  skipped  {}: it is not installed", Emulator::Bochs);
        return Ok(Counts::SKIPPED);
    }
    let job = Job::new(&BESIDE.map(str::to_owned), Machine::with_guests(CPUS))?;
    let run = || job.booted(&Boot { emulator: Emulator::Bochs, timeout: Some(PROGRAMS_LIMIT), ..Boot::QUIET });
    let (first, second) = (run()?, run()?);
    let mut problems = job.problems(&first);
    if first.console != second.console {
        problems.push("a second run printed something else".to_owned());
    }
    match problems.first() {
        None => println!("  passed   {}: guests beside other programs, twice with the same output", Emulator::Bochs),
        Some(problem) => println!("  FAILED   {}: guests beside other programs: {problem}", Emulator::Bochs),
    }
    Ok(Counts::one("guests beside other programs", problems.is_empty()))
}

/// Judges a run of the named programs, or of the usual ones, on a machine.
fn judge(names: &[String], machine: &str, job: &Job, ran: &Ran) -> Counts {
    let what = if names.is_empty() { "programs".to_owned() } else { format!("copies of {}", names.join(", ")) };
    let problems = job.problems(ran);
    match problems.first() {
        None => println!("  passed   {machine}: all {} {what} ended as expected", ran.ended()),
        Some(problem) => println!("  FAILED   {machine}: {problem}, and {} more differences", problems.len() - 1),
    }
    Counts::one(format!("{what}, {machine}"), problems.is_empty())
}

/// Runs programs on the hosted machine.
fn hosted(names: &[String]) -> Result<Counts, Error> {
    let job = Job::new(names, Machine::without_guests(CPUS))?;
    let ran = job.hosted(1, Some(PROGRAMS_LIMIT), false, Checking::AtEnd)?;
    Ok(judge(names, "hosted machine", &job, &ran))
}

/// Runs programs on all machines.
fn everywhere(names: &[String]) -> Result<Counts, Error> {
    let mut counts = vec![hosted(names)?];
    let job = Job::new(names, Machine::with_guests(CPUS))?;
    for emulator in [Emulator::Qemu, Emulator::Bochs] {
        counts.push(if emulator.is_there() {
            let ran = job.booted(&Boot { emulator, timeout: Some(PROGRAMS_LIMIT), ..Boot::QUIET })?;
            judge(names, &emulator.to_string(), &job, &ran)
        } else {
            println!("  skipped  {emulator}: it is not installed");
            Counts::SKIPPED
        });
    }
    Ok(counts.into_iter().sum())
}

/// A session with the shell, on the hosted machine and at QEMU's serial port.
fn shell() -> Result<Counts, Error> {
    let job = Job::shell(2, Typing::Lines(programs::session::script()))?;
    let judge = |machine: &str, ran: Ran| {
        let mut problems = programs::session::problems(&ran.console);
        problems.extend(ran.failure.map(|failure| failure.to_string()));
        if problems.is_empty() {
            println!("  passed   {machine}: the session with the shell went as expected");
        } else {
            println!("  FAILED   {machine}: {}\n{}", problems.join("; "), ran.console);
        }
        Counts::one(machine, problems.is_empty())
    };
    let hosted = judge("hosted machine", job.hosted(1, Some(PROGRAMS_LIMIT), false, Checking::AtEnd)?);
    let emulated = if Emulator::Qemu.is_there() {
        judge("QEMU", job.booted(&Boot { timeout: Some(PROGRAMS_LIMIT), ..Boot::QUIET })?)
    } else {
        println!("  skipped  QEMU: it is not installed");
        Counts::SKIPPED
    };
    Ok([hosted, emulated].into_iter().sum())
}
