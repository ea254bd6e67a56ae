//! `cairn storm`: keeps every CPU of the booted kernel busy with programs that never end, and evaluates the invariant on
//! it all the while.

use crate::emulator::Emulator;
use crate::error::Error;
use crate::image::Kind;
use crate::job::{Boot, Job, Ran};
use crate::run::seconds;
use crate::watch::{Until, Watch};
use abi::report::{End, Ended};
use clap::ValueEnum;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Keep the booted kernel busy, and evaluate the invariant on it all the while
///
/// `storm` is 8 processes a CPU that fault, yield, are refused and send messages around a ring of all CPUs, and check what
/// they compute; `fuzz` is as many that make random system calls; `life` starts children without end on each CPU, which end, are
/// stopped, or are killed, and asks whether everything has come back. The exit status is 0 if the kernel went on, the invariant
/// held at each checkpoint, and no process saw anything wrong.
#[derive(clap::Args)]
pub struct Arguments {
    /// What to run
    #[arg(value_enum, default_value_t = What::Storm)]
    what: What,
    /// For how long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    seconds: Duration,
    /// Until so many system calls were made, however long it takes
    #[arg(long, value_name = "NUMBER", conflicts_with = "seconds")]
    calls: Option<u64>,
    /// Time between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    every: Duration,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=kernel::layout::MAX_CPUS as i64))]
    cpus: u32,
    /// Fixes what `fuzz` calls; each further CPU has one more
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=i64::from(SEEDS - kernel::layout::MAX_CPUS as u32)))]
    seed: u32,
    /// Boot a kernel that panics where arithmetic overflows and where locks are taken out of order
    #[arg(long)]
    checked: bool,
    /// Show the console
    #[arg(long)]
    show: bool,
}

/// What keeps a kernel busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum What {
    /// Processes that work together.
    Storm,
    /// Processes that make no sense.
    Fuzz,
    /// Processes that end.
    Life,
}

impl What {
    /// Everything.
    pub const ALL: [What; 3] = [What::Storm, What::Fuzz, What::Life];

    /// What a process says that has seen something wrong. Those that `fuzz` starts have every reason to complain.
    fn complaint(self) -> &'static str {
        match self {
            What::Storm => ": FAILED: ",
            What::Fuzz => "fuzz: FAILED: ",
            What::Life => "reuse on CPU",
        }
    }
}

/// How to keep it busy.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// With what.
    pub what: What,
    /// On how many CPUs.
    pub cpus: u32,
    /// See [`Arguments::seed`].
    pub seed: u32,
    /// See [`Watch`].
    pub watch: Watch,
    /// Which checks the kernel contains.
    pub kind: Kind,
    /// Whether to show the console.
    pub show: bool,
}

/// Pages of what a main thread starts.
const QUOTA: u32 = 16384;
/// Seeds are below this.
const SEEDS: u32 = 8192;
/// How long the machine may take to boot, and to a checkpoint, beside all else.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long a call may take, on average over all CPUs.
const CALL_LIMIT: Duration = Duration::from_millis(1);

impl Storm {
    /// The programs that main threads start.
    fn boot_list(&self) -> String {
        let mut list = String::new();
        for cpu in 0..self.cpus {
            let _ = match self.what {
                What::Storm => writeln!(list, "{cpu} storm {QUOTA} launch {} endless", self.cpus),
                What::Fuzz => writeln!(list, "{cpu} fuzz {QUOTA} root {} endless", self.seed + cpu),
                What::Life => writeln!(list, "{cpu} reuse {QUOTA} endless"),
            };
        }
        list
    }

    /// Runs it, and gives what was wrong beside how it went.
    pub fn run(&self) -> Result<(Ran, Vec<String>), Error> {
        let job = Job::of_list(self.boot_list(), self.cpus)?;
        let time = match self.watch.until {
            Some(Until::Time(time)) => time,
            Some(Until::Calls(calls)) => CALL_LIMIT.saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX)),
            None => Duration::ZERO,
        };
        let (kind, show, watch) = (self.kind, self.show, Some(self.watch));
        let ran = job.booted(&Boot { kind, timeout: Some(time + PATIENCE), show, watch, ..Boot::QUIET })?;
        let problems = self.problems(&ran);
        Ok((ran, problems))
    }

    /// What was wrong, in words.
    fn problems(&self, ran: &Ran) -> Vec<String> {
        let mut problems: Vec<String> = ran.failure.iter().map(|failure| ran.explain(failure)).collect();
        for line in ran.console.lines() {
            let ended = Ended::parse(line).filter(|ended| self.what == What::Storm && ended.name == "storm");
            // Launchers end when they are done.
            if line.contains(self.what.complaint()) || ended.is_some_and(|ended| ended.end != End::Exited { status: 0 })
            {
                problems.push(line.to_owned());
            }
        }
        match &ran.watched {
            None => problems.push("nobody watched the machine".to_owned()),
            Some(watched) => {
                problems.extend(watched.violations.iter().cloned());
                if watched.checkpoints == 0 && problems.is_empty() {
                    problems.push("there was no checkpoint".to_owned());
                }
            }
        }
        problems
    }
}

/// Most problems that are shown.
const SHOWN: usize = 20;

/// Keeps the kernel busy, and prints what was seen.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let Arguments { what, seconds, calls, every, cpus, seed, checked, show } = *arguments;
    if !Emulator::Qemu.is_there() {
        return Err(Error::NotInstalled(Emulator::Qemu));
    }
    let kind = if checked { Kind::Checked } else { Kind::Fast };
    let until = Some(calls.map_or(Until::Time(seconds), Until::Calls));
    if what == What::Fuzz {
        eprintln!("the seed is {seed}");
    }
    let (ran, problems) = Storm { what, cpus, seed, watch: Watch { every, until }, kind, show }.run()?;
    if let Some(watched) = &ran.watched {
        println!("{watched}");
    }
    if problems.is_empty() {
        println!("all was well for {:.1} s; {} processes have ended", ran.time.as_secs_f64(), ran.ended());
        return Ok(ExitCode::SUCCESS);
    }
    println!("error: not as it should be, after {:.1} s:", ran.time.as_secs_f64());
    problems.iter().take(SHOWN).for_each(|problem| println!("  {problem}"));
    if problems.len() > SHOWN {
        println!("  and {} more", problems.len() - SHOWN);
    }
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Outcome;
    use crate::job::Failure;
    use crate::watch::Watched;
    use kernel::exit::Reason;

    const WATCH: Watch = Watch { every: Duration::from_secs(1), until: None };

    fn problems(what: What, console: &str, failure: Option<Failure>, watched: Option<Watched>) -> Vec<String> {
        let storm = Storm { what, cpus: 2, seed: 3, watch: WATCH, kind: Kind::Fast, show: false };
        storm.problems(&Ran { failure, console: console.to_owned(), time: Duration::ZERO, watched, replayed: None })
    }

    #[test]
    fn arguments_say_who_does_what() {
        let storm = Storm { what: What::Storm, cpus: 2, seed: 3, watch: WATCH, kind: Kind::Fast, show: false };
        assert_eq!(storm.boot_list(), "0 storm 16384 launch 2 endless\n1 storm 16384 launch 2 endless\n");
        let fuzz = Storm { what: What::Fuzz, ..storm };
        assert_eq!(fuzz.boot_list(), "0 fuzz 16384 root 3 endless\n1 fuzz 16384 root 4 endless\n");
        assert_eq!(Storm { what: What::Life, ..storm }.boot_list(), "0 reuse 16384 endless\n1 reuse 16384 endless\n");
    }

    #[test]
    fn whatever_is_wrong_is_a_problem() {
        let watched = || Some(Watched { checkpoints: 1, ..Watched::default() });
        let storm = |console: &str| problems(What::Storm, console, None, watched());
        assert_eq!(storm("cairn: 2 CPUs\ncairn: CPU 0: thread 9 (storm) exited with status 0\n"), [""; 0]);
        assert_eq!(storm("storm 1.2: FAILED: oh\n").len(), 1);
        let stopped = "cairn: CPU 0: thread 9 (storm) stopped: divide error at 0x1 (rip 0x1)\n";
        assert_eq!(storm(stopped).len(), 1);
        // What programs come to that nobody has asked for is none of the fuzzer's business.
        assert_eq!(problems(What::Fuzz, stopped, None, watched()), [""; 0]);
        assert_eq!(problems(What::Fuzz, "hog 3: FAILED: oh\n", None, watched()), [""; 0]);
        assert_eq!(problems(What::Fuzz, "rubbish fuzz: FAILED: oh\n", None, watched()).len(), 1);
        assert_eq!(problems(What::Fuzz, "", None, None).len(), 1);
        assert_eq!(problems(What::Fuzz, "", None, Some(Watched::default())).len(), 1);
        let violated = Watched { checkpoints: 1, violations: vec!["D18".to_owned()], ..Watched::default() };
        assert_eq!(problems(What::Storm, "", None, Some(violated)), ["D18"]);
        let panic = Failure::Emulated(Outcome::Ended(Reason::Panic));
        assert_eq!(problems(What::Storm, "", Some(panic), watched()).len(), 1);
    }
}
