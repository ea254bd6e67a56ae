//! `cairn storm`: keeps every CPU of the booted kernel busy with programs that never end, and evaluates the invariant
//! at regular intervals.

mod lives;

use crate::commands::run::seconds;
use crate::host::emulator::Emulator;
use crate::host::error::Error;
use crate::host::image::Kind;
use crate::host::job::{Boot, Job, Ran};
use crate::host::watch::{Until, Watch};
use abi::refused::Refused;
use abi::report::{End, Ended};
use clap::ValueEnum;
use lives::Lives;
use sim::check::live::Pages;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Keep the booted kernel busy, and evaluate the invariant on its state at regular intervals
///
/// There are three loads. `storm`: on each CPU 8 processes fault, yield, make calls that are refused, send messages
/// around a ring of all CPUs, and check what they compute. `fuzz`: on each CPU 8 processes make random system calls,
/// and kill and wait for each other. `life`: on each CPU a program starts children without end; they exit, are stopped,
/// or are killed, and it checks that all their pages have come back. The exit status is 0 if the kernel kept running,
/// the invariant held at each checkpoint, no process found an error, and no process ended that should go on.
#[derive(clap::Args)]
pub struct Arguments {
    /// Load to run
    #[arg(value_enum, default_value_t = What::Storm)]
    what: What,
    /// Duration
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    seconds: Duration,
    /// Run until this many system calls were made, instead of for a fixed time
    #[arg(long, value_name = "NUMBER", conflicts_with = "seconds")]
    calls: Option<u64>,
    /// Only for `life`: run until this many children have ended; then all pages must be free as
    /// before
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["seconds", "calls"], value_parser = clap::value_parser!(u32).range(1..))]
    processes: Option<u32>,
    /// Time between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    every: Duration,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=kernel::mm::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Seed of the calls of `fuzz`; each further CPU uses the next number
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=i64::from(SEEDS - kernel::mm::layout::MAX_CPUS as u32)))]
    seed: u32,
    /// Boot a kernel that panics if arithmetic overflows or a lock is taken out of order
    #[arg(long)]
    checked: bool,
    /// Show the console output
    #[arg(long)]
    show: bool,
}

/// The programs that keep a kernel busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum What {
    /// Processes that work together.
    Storm,
    /// Processes that make random calls.
    Fuzz,
    /// Processes that end.
    Life,
}

impl What {
    /// Every load.
    pub const ALL: [What; 3] = [What::Storm, What::Fuzz, What::Life];

    /// The mark of a process that has found something wrong. A process that `fuzz` starts prints the mark
    /// only for a real error.
    fn complaint(self) -> &'static str {
        match self {
            What::Storm | What::Life => ": FAILED: ",
            What::Fuzz => "fuzz: FAILED: ",
        }
    }
}

/// A storm: how to keep the kernel busy.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// The load.
    pub what: What,
    /// Number of CPUs.
    pub cpus: u32,
    /// See [`Arguments::seed`].
    pub seed: u32,
    /// See [`Arguments::processes`].
    pub processes: Option<u32>,
    /// See [`Watch`].
    pub watch: Watch,
    /// The checks in the kernel.
    pub kind: Kind,
    /// Whether to show the console.
    pub show: bool,
}

/// Pages of each program that a main thread starts.
const QUOTA: u32 = 16384;
/// Seeds are below this.
const SEEDS: u32 = 8192;
/// Time for booting, and for a checkpoint, beside all other time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time limit of a call, on average over all CPUs.
const CALL_LIMIT: Duration = Duration::from_millis(1);
/// Time limit of a process, on average over all CPUs.
const PROCESS_LIMIT: Duration = Duration::from_millis(100);

impl Storm {
    /// The boot list: the programs that main threads start.
    fn boot_list(&self) -> String {
        let mut list = String::new();
        for cpu in 0..self.cpus {
            let _ = match self.what {
                What::Storm => writeln!(list, "{cpu} storm {QUOTA} launch {} endless", self.cpus),
                What::Fuzz => writeln!(list, "{cpu} fuzz {QUOTA} root {} endless", self.seed + cpu),
                What::Life => match self.processes {
                    Some(processes) => {
                        writeln!(list, "{cpu} reuse {QUOTA} processes {}", processes.div_ceil(self.cpus))
                    }
                    None => writeln!(list, "{cpu} reuse {QUOTA} endless"),
                },
            };
        }
        list
    }

    /// Runs the storm; returns the run and its problems.
    pub fn run(&self) -> Result<(Ran, Vec<String>), Error> {
        let job = Job::of_list(self.boot_list(), self.cpus)?;
        let time = match self.watch.until {
            Some(Until::Time(time)) => time,
            Some(Until::Calls(calls)) => CALL_LIMIT.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX)),
            None => PROCESS_LIMIT.saturating_mul(self.processes.unwrap_or_default()),
        };
        let (kind, show, watch) = (self.kind, self.show, Some(self.watch));
        let ran = job.booted(&Boot { kind, timeout: Some(time + PATIENCE), show, watch, ..Boot::QUIET })?;
        let problems = self.problems(&ran);
        Ok((ran, problems))
    }

    /// The problems of a run, as messages.
    fn problems(&self, ran: &Ran) -> Vec<String> {
        let mut problems: Vec<String> = ran.failure.iter().map(|failure| ran.explain(failure)).collect();
        for line in ran.console.lines() {
            let should_go_on = Ended::parse(line).is_some_and(|ended| self.should_go_on(&ended));
            if line.contains(self.what.complaint()) || Refused::is_line(line) || should_go_on {
                problems.push(line.to_owned());
            }
        }
        if self.what == What::Fuzz {
            problems.extend(Lives::of(&ran.console).lacks().iter().map(|what| format!("there were no {what}")));
        }
        match &ran.watched {
            None => problems.push("the machine was not watched".to_owned()),
            Some(watched) => {
                problems.extend(watched.violations.iter().cloned());
                if watched.checkpoints == 0 && problems.is_empty() {
                    problems.push("there was no checkpoint".to_owned());
                }
                let Pages { mapped, tables, lost, strays, .. } = watched.pages;
                if self.processes.is_some() && mapped + tables + lost + strays > 0 {
                    problems.push(format!("not all pages have come back: {}", watched.pages));
                }
            }
        }
        let done = ran.console.lines().filter(|line| line.ends_with(" processes, 0 pages missing")).count();
        if self.processes.is_some() && done < self.cpus as usize {
            problems.push(format!("on {done} of {} CPUs the whole quota has come back", self.cpus));
        }
        problems
    }

    /// Whether this process should have gone on, but has ended, or has ended in this way.
    fn should_go_on(&self, ended: &Ended) -> bool {
        let is_good = ended.end == End::Exited { status: 0 };
        match self.what {
            // Launchers end when they are done.
            What::Storm => ended.name == "storm" && !(is_first(ended.thread) && is_good),
            What::Fuzz => is_first(ended.thread),
            What::Life => is_first(ended.thread) && !(self.processes.is_some() && is_good),
        }
    }
}

/// Whether a main thread has started this thread.
fn is_first(thread: u32) -> bool {
    abi::parent(thread).is_some_and(|starter| abi::parent(starter).is_none())
}

/// The maximum number of problems that are shown.
const SHOWN: usize = 20;

/// Keeps the kernel busy, and prints the result.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Arguments { what, seconds, calls, processes, every, cpus, seed, checked, show } = *arguments;
    if !Emulator::Qemu.is_there() {
        return Err(Error::NotInstalled(Emulator::Qemu.name()));
    }
    if processes.is_some() && what != What::Life {
        return Err(Error::OnlyOfLife);
    }
    let kind = if checked { Kind::Checked } else { Kind::Fast };
    // If a number of processes is given, the last process switches the machine off.
    let until = processes.is_none().then_some(calls.map_or(Until::Time(seconds), Until::Calls));
    if what == What::Fuzz {
        eprintln!("the seed is {seed}");
    }
    let (ran, problems) = Storm { what, cpus, seed, processes, watch: Watch { every, until }, kind, show }.run()?;
    if let Some(watched) = &ran.watched {
        println!("{watched}");
    }
    if what == What::Fuzz {
        println!("{}", Lives::of(&ran.console));
    }
    if problems.is_empty() {
        let (seconds, ended) = (ran.time.as_secs_f64(), ran.ended());
        println!("no errors in {seconds:.1} s; {ended} processes have ended, {:.0} a second", ended as f64 / seconds);
        return Ok(ExitCode::SUCCESS);
    }
    println!("error: the load failed, after {:.1} s:", ran.time.as_secs_f64());
    problems.iter().take(SHOWN).for_each(|problem| println!("  {problem}"));
    if problems.len() > SHOWN {
        println!("  and {} more", problems.len() - SHOWN);
    }
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::emulator::machine::Outcome;
    use crate::host::job::Failure;
    use crate::host::watch::Watched;
    use kernel::devices::exit::Reason;

    const STORM: Storm = Storm {
        what: What::Storm,
        cpus: 2,
        seed: 3,
        processes: None,
        watch: Watch { every: Duration::from_secs(1), until: None },
        kind: Kind::Fast,
        show: false,
    };

    fn problems(what: What, console: &str, failure: Option<Failure>, watched: Option<Watched>) -> Vec<String> {
        let storm = Storm { what, ..STORM };
        storm.problems(&Ran {
            failure,
            console: console.to_owned(),
            time: Duration::ZERO,
            watched,
            calls: None,
            replayed: None,
        })
    }

    #[test]
    fn arguments_say_who_does_what() {
        let storm = STORM;
        assert_eq!(storm.boot_list(), "0 storm 16384 launch 2 endless\n1 storm 16384 launch 2 endless\n");
        let fuzz = Storm { what: What::Fuzz, ..storm };
        assert_eq!(fuzz.boot_list(), "0 fuzz 16384 root 3 endless\n1 fuzz 16384 root 4 endless\n");
        assert_eq!(Storm { what: What::Life, ..storm }.boot_list(), "0 reuse 16384 endless\n1 reuse 16384 endless\n");
        let ending = Storm { what: What::Life, processes: Some(9), ..storm };
        assert_eq!(ending.boot_list(), "0 reuse 16384 processes 5\n1 reuse 16384 processes 5\n");
    }

    #[test]
    fn whatever_is_wrong_is_a_problem() {
        let watched = || Some(Watched { checkpoints: 1, ..Watched::default() });
        let storm = |console: &str| problems(What::Storm, console, None, watched());
        assert_eq!(storm("cairn: 2 CPUs\ncairn: CPU 0: thread 9 (storm) exited with status 0\n"), [""; 0]);
        assert_eq!(storm("storm 1.2: FAILED: oh\n").len(), 1);
        let stopped = "cairn: CPU 0: thread 9 (storm) stopped: divide error at 0x1 (rip 0x1)\n";
        assert_eq!(storm(stopped).len(), 1);
        // A process that should run on.
        assert_eq!(storm("cairn: CPU 0: thread 73 (storm) exited with status 0\n").len(), 1);
        assert_eq!(storm("cairn: CPU 0: storm not started: no such program\n").len(), 1);
        // The fuzzer does not judge the ends of programs that the boot list did not start.
        let lives =
            "fuzz on CPU 1: 1 kills, 1 waits, 1 refusals\ncairn: CPU 0: thread 73 (fuzz) exited with status 1\n";
        let fuzz = |line: &str| problems(What::Fuzz, &format!("{lives}{line}"), None, watched());
        assert_eq!(fuzz("cairn: CPU 0: thread 73 (fuzz) stopped: divide error at 0x1 (rip 0x1)\n"), [""; 0]);
        assert_eq!(fuzz("hog 3: FAILED: oh\n"), [""; 0]);
        assert_eq!(fuzz("rubbish fuzz: FAILED: oh\n").len(), 1);
        // A root runs on.
        assert_eq!(fuzz("cairn: CPU 0: thread 9 (fuzz) stopped: out of quota at 0x1 (rip 0x1)\n").len(), 1);
        assert_eq!(problems(What::Fuzz, "", None, watched()).len(), 4);
        // Of the processes that end, only those that main threads have started count.
        let life = |line: &str| problems(What::Life, line, None, watched());
        assert_eq!(life("cairn: CPU 1: thread 81 (reuse) stopped: bad address at 0x8 (rip 0x1)\n"), [""; 0]);
        assert_eq!(life("cairn: CPU 1: thread 17 (reuse) stopped: bad address at 0x8 (rip 0x1)\n").len(), 1);
        assert_eq!(life("cairn: CPU 1: thread 17 (reuse) exited with status 0\n").len(), 1);
        assert_eq!(life("reuse on CPU 0: FAILED: oh\n").len(), 1);
        assert_eq!(problems(What::Life, "", None, None).len(), 1);
        assert_eq!(problems(What::Life, "", None, Some(Watched::default())).len(), 1);
        let violated = Watched { checkpoints: 1, violations: vec!["D18".to_owned()], ..Watched::default() };
        assert_eq!(problems(What::Storm, "", None, Some(violated)), ["D18"]);
        let ending = |console: &str, pages| {
            let watched = Some(Watched { checkpoints: 1, pages, ..Watched::default() });
            let storm = Storm { what: What::Life, processes: Some(9), ..STORM };
            let console = console.to_owned();
            storm.problems(&Ran { failure: None, console, time: Duration::ZERO, watched, calls: None, replayed: None })
        };
        let said = "reuse on CPU 0: 5 processes, 0 pages missing\ncairn: CPU 0: thread 9 (reuse) exited with status 0\n\
                    reuse on CPU 1: 5 processes, 0 pages missing\ncairn: CPU 1: thread 17 (reuse) exited with status 0\n";
        assert_eq!(ending(said, Pages { free: 7, kernel: 1, ..Pages::default() }), [""; 0]);
        assert_eq!(ending(said, Pages { mapped: 1, ..Pages::default() }).len(), 1);
        assert_eq!(ending("reuse on CPU 0: 5 processes, 0 pages missing\n", Pages::default()).len(), 1);
        let panic = Failure::Emulated(Outcome::Ended(Reason::Panic));
        assert_eq!(problems(What::Storm, "", Some(panic), watched()).len(), 1);
    }
}
