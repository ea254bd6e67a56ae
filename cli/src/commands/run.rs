//! `cairn run`: builds the programs and the kernel, and runs them with the console on the terminal.

use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::image::Kind;
use crate::host::job::{Boot, Job};
use crate::host::watch::Watch;
use clap::ValueEnum;
use programs::manifest;
use sim::run::config::Checking;
use std::process::ExitCode;
use std::time::Duration;

/// Run programs on the kernel and check that each does what its manifest says
///
/// The console output appears while the programs run. The exit status is 0 if everything ended as expected; otherwise
/// the last lines name the differences.
#[derive(clap::Args)]
pub struct Arguments {
    /// The machine to run on [default: qemu where it is installed, otherwise sim]
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=kernel::mm::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Time limit in seconds; then each CPU is asked what it is running, and the machine is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Seed of the order in which the hosted machine's CPUs take turns
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Boot a kernel that panics if arithmetic overflows or a lock is taken out of order
    #[arg(long)]
    checked: bool,
    /// Kind of locks in the booted kernel
    #[arg(long, value_enum)]
    lock: Option<Lock>,
    /// Evaluate the invariant during the run: on a booted kernel every SECONDS seconds and at the end, on the hosted
    /// machine after every 500 entries of a CPU
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", require_equals = true, value_parser = seconds)]
    check: Option<Duration>,
    /// Count the calls of each primitive, on QEMU, in a kernel that is not optimised; programs are not judged, and need
    /// a longer time limit
    #[arg(long, conflicts_with = "checked")]
    calls: bool,
    /// Run only the small guest with this name, on CPU 0 of QEMU or Bochs
    #[arg(long, value_name = "NAME", conflicts_with = "programs")]
    guest: Option<String>,
    /// Wait for a debugger before the first instruction, without a time-out
    #[arg(long)]
    gdb: bool,
    /// Names of programs to start [default: all except those whose manifest says `alone`]
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Machine {
    /// A PC emulated by QEMU: the kernel boots
    Qemu,
    /// A PC emulated by Bochs: slower than QEMU, but every run gives the same result
    Bochs,
    /// The hosted machine: a plain process that needs nothing but Rust
    Sim,
}

/// Number of entries of a CPU of the hosted machine between two evaluations of the invariant.
const ENTRIES: u64 = 500;

/// Parses a time in seconds.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lock {
    /// A ticket lock: waiting CPUs get the lock in the order in which they came
    Ticket,
    /// Waiting CPUs queue, and each polls a word of its own (Mellor-Crummey and Scott)
    Mcs,
}

impl Lock {
    /// The boot option.
    fn option(self) -> &'static str {
        match self {
            Lock::Ticket => "lock=ticket",
            Lock::Mcs => "lock=mcs",
        }
    }
}

/// The maximum number of differences that are shown.
const SHOWN: usize = 20;

/// Runs the programs, and judges how they ended.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let machine = arguments.machine.unwrap_or_else(choose);
    let emulator = match machine {
        Machine::Qemu => Some(Emulator::Qemu),
        Machine::Bochs => Some(Emulator::Bochs),
        Machine::Sim => None,
    };
    if arguments.gdb && machine != Machine::Qemu {
        return Err(Error::Needs { option: "--gdb", machine: "qemu" });
    }
    if arguments.lock.is_some() && emulator.is_none() {
        return Err(Error::Needs { option: "--lock", machine: "qemu or bochs" });
    }
    if arguments.checked && emulator.is_none() {
        return Err(Error::Needs { option: "--checked", machine: "qemu or bochs" });
    }
    if arguments.calls && machine != Machine::Qemu {
        return Err(Error::Needs { option: "--calls", machine: "qemu" });
    }
    if arguments.guest.is_some() && emulator.is_none() {
        return Err(Error::Needs { option: "--guest", machine: "qemu or bochs" });
    }
    if arguments.check.is_some() && machine == Machine::Bochs {
        return Err(Error::Needs { option: "--check", machine: "qemu or sim" });
    }
    if let Some(emulator) = emulator.filter(|emulator| !emulator.is_there()) {
        return Err(Error::NotInstalled(emulator.name()));
    }
    let guests = emulator.is_some();
    let job = match &arguments.guest {
        Some(name) => Job::guest(name, arguments.cpus)?,
        None => Job::new(&arguments.programs, manifest::Machine { cpus: arguments.cpus, guests })?,
    };
    let timeout = (!arguments.gdb).then(|| Duration::from_secs(arguments.timeout));
    let ran = match emulator {
        Some(emulator) => {
            let kind = match arguments {
                Arguments { checked: true, .. } => Kind::Checked,
                Arguments { calls: true, .. } => Kind::Unoptimised,
                _ => Kind::Fast,
            };
            let watch = arguments.check.map(|every| Watch { every, until: None });
            let options = arguments.lock.map_or("", Lock::option);
            job.booted(&Boot {
                emulator,
                kind,
                timeout,
                options,
                gdb: arguments.gdb,
                show: true,
                watch,
                ..Boot::QUIET
            })?
        }
        None => {
            let checking = arguments.check.map_or(Checking::AtEnd, |_| Checking::Every(ENTRIES));
            job.hosted(arguments.seed, timeout, true, checking)?
        }
    };
    if !ran.console.is_empty() && !ran.console.ends_with('\n') {
        println!();
    }
    if let Some(watched) = &ran.watched {
        eprintln!("{watched}");
    }
    if let Some(calls) = &ran.calls {
        println!("{calls}");
    }
    let problems = job.problems(&ran);
    let seconds = ran.time.as_secs_f64();
    if problems.is_empty() && ran.calls.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    if problems.is_empty() {
        eprintln!("all {} programs ended as expected, after {seconds:.1} s", ran.ended());
        if let Some(events) = ran.replayed {
            eprintln!("replayed the log: {events} events lead to the machine's state");
        }
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: not as expected, after {seconds:.1} s:");
    problems.iter().take(SHOWN).for_each(|problem| eprintln!("  {problem}"));
    if problems.len() > SHOWN {
        eprintln!("  and {} more differences", problems.len() - SHOWN);
    }
    Ok(ExitCode::FAILURE)
}

/// The default machine.
fn choose() -> Machine {
    if Emulator::Qemu.is_there() {
        return Machine::Qemu;
    }
    eprintln!("QEMU is not installed (`cargo cairn setup` installs it): this is the hosted machine");
    Machine::Sim
}
