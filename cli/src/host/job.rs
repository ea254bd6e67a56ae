//! A job: programs to run, on any machine, and what is expected of them.

use crate::host::archive;
use crate::host::calls::{Calls, Functions};
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Act, Ended, Outcome, Parts, Run};
use crate::host::emulator::process::Shown;
use crate::host::error::Error;
use crate::host::image::{self, Images, Kind};
use crate::host::linux::{self, Linux};
use crate::host::watch::{Watch, Watched};
use crate::host::workspace;
use kernel::devices::exit::Reason;
use programs::manifest::{Machine, Start};
use programs::transcript::Controls;
use programs::{Check, Plan, Program};
use sim::machine::platform::Memory;
use sim::machine::turns::Limit;
use sim::run::config::{Checking, Config, TIME_SLICE};
use sim::run::report::End;
use std::fmt;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use user::command::PROMPT;

/// The image of the kernel.
const IMAGE: &str = "cairn";

/// Programs to run.
pub struct Job {
    /// All programs of the tree: the boot archive, in its order.
    archive: Vec<Program>,
    /// The programs that run, and what is expected of them.
    plan: Plan,
    /// Number of CPUs.
    cpus: u32,
    /// The source of the console's input.
    typing: Typing,
    /// The text after which a line is typed.
    prompt: &'static str,
}

/// The source of the console's input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Typing {
    /// There is no input.
    Nobody,
    /// The user at this terminal, which shows the console.
    Terminal,
    /// These lines, one each time the shell's prompt appears.
    Lines(Vec<String>),
}

/// How to boot a job.
#[derive(Clone, Copy)]
pub struct Boot<'a> {
    /// The emulator.
    pub emulator: Emulator,
    /// Name of the image.
    pub image: &'a str,
    /// The checks in the image.
    pub kind: Kind,
    /// Time limit of the run.
    pub timeout: Option<Duration>,
    /// Boot options, as the kernel reads them.
    pub options: &'a str,
    /// Whether to wait for a debugger.
    pub gdb: bool,
    /// Whether to show the console while the machine runs.
    pub show: bool,
    /// Whether and when to evaluate the invariant while it runs; on QEMU only.
    pub watch: Option<Watch>,
}

impl Boot<'_> {
    /// The kernel on QEMU, without checks, time-out, debugger and console output.
    pub const QUIET: Boot<'static> = Boot {
        emulator: Emulator::Qemu,
        image: IMAGE,
        kind: Kind::Fast,
        timeout: None,
        options: "",
        gdb: false,
        show: false,
        watch: None,
    };
}

/// The result of a job.
pub struct Ran {
    /// Why the machine ended before its programs did, if it did.
    pub failure: Option<Failure>,
    /// The text on the console.
    pub console: String,
    /// How long the run took.
    pub time: Duration,
    /// The result of watching it.
    pub watched: Option<Watched>,
    /// How often each primitive was called, if that was counted.
    pub calls: Option<Calls>,
    /// Number of events that were logged, and replayed to the same final state; on the hosted machine only.
    pub replayed: Option<usize>,
}

impl Ran {
    /// Reports why the machine ended too early, if it did, on standard error. Returns the exit status.
    pub fn report(&self) -> ExitCode {
        let Some(failure) = &self.failure else { return ExitCode::SUCCESS };
        eprintln!("error: {failure}");
        ExitCode::FAILURE
    }
}

/// Why a machine ended before its programs did.
#[derive(Debug)]
pub enum Failure {
    /// An emulated PC ended in this way.
    Emulated(Outcome),
    /// The hosted machine ended in this way; with details, line by line.
    Hosted(End, Vec<String>),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Emulated(outcome) => write!(formatter, "{outcome}"),
            Failure::Hosted(end, details) => {
                match end {
                    End::PowerOff => formatter.write_str("power-off")?,
                    End::TimeOut => formatter.write_str("time-out; the positions of the CPUs:")?,
                    End::Deadlock => formatter.write_str("every CPU waits for a lock:")?,
                    End::Stuck { cpu, stuck } => write!(
                        formatter,
                        "CPU {cpu}: a precondition did not hold: \
                     {stuck:?}"
                    )?,
                    End::Violated => formatter.write_str("the invariant does not hold:")?,
                    End::Diverged => formatter.write_str("the machine differs from its log:")?,
                    End::Panicked { cpu, message } => write!(formatter, "panic on CPU {cpu}: {message}")?,
                }
                details.iter().try_for_each(|detail| write!(formatter, "\n  {detail}"))
            }
        }
    }
}

impl Job {
    /// Builds all programs, and plans a run of those with these names, or of the usual ones if there are no names.
    pub fn new(names: &[String], machine: Machine) -> Result<Job, Error> {
        if let Some(name) = names.iter().find(|name| user::image::number(name).is_none()) {
            let known = user::image::NAMES.join(", ");
            return Err(Error::Unknown { kind: "program", name: name.clone(), known });
        }
        let archive = programs::build()?;
        let named = |program: &&Program| names.iter().any(|name| name == program.name);
        let chosen: Vec<_> = match names {
            [] => programs::usual(&archive).collect(),
            _ => archive.iter().filter(named).collect(),
        };
        let plan = Plan::new(chosen, machine)?;
        Ok(Job { archive, plan, cpus: machine.cpus, typing: Typing::Nobody, prompt: PROMPT })
    }

    /// Builds all programs, and plans a run of the small guest with this name, alone on CPU 0.
    pub fn guest(name: &str, cpus: u32) -> Result<Job, Error> {
        let archive = programs::build()?;
        let with_guest =
            |program: &Program| Some(Program { manifest: program.manifest.of_guest(name)?, ..program.clone() });
        let Some(program) = archive.iter().find_map(with_guest) else {
            let starts = archive.iter().flat_map(|program| &program.manifest.starts);
            let known: Vec<_> = starts.filter_map(Start::guest).collect();
            return Err(Error::Unknown { kind: "guest", name: name.to_owned(), known: known.join(", ") });
        };
        let plan = Plan::new([&program], Machine::with_guests(cpus))?;
        Ok(Job { archive, plan, cpus, typing: Typing::Nobody, prompt: PROMPT })
    }

    /// A machine with a shell on its console. What the shell and its programs do is not judged.
    pub fn shell(cpus: u32, typing: Typing) -> Result<Job, Error> {
        Ok(Job { typing, ..Job::of_list(programs::SHELL_BOOT_LIST.to_owned(), cpus)? })
    }

    /// Linux in a virtual machine. With `script`, it executes these commands and ends; otherwise its shell has the
    /// console. What it does is not judged.
    pub fn linux(cpus: u32, script: Option<&str>, typing: Typing) -> Result<Job, Error> {
        let mut archive = programs::build()?;
        linux::fetch()?;
        let commands = script.map(|script| format!("{script}\nbusybox poweroff -f")).unwrap_or_default();
        let monitor = archive.iter_mut().find(|program| program.name == "linux").ok_or(Error::NoLinux)?;
        let Linux { elf, boot_list } = linux::build(&monitor.elf, &commands, false)?;
        monitor.elf = elf;
        let mut plan = Plan::unjudged(boot_list);
        plan.runs_guests = true;
        Ok(Job { archive, plan, cpus, typing, prompt: vmm::linux::PROMPT })
    }

    /// The treatment of control characters on the console: at a terminal they take effect.
    fn controls(&self) -> Controls {
        if self.typing == Typing::Terminal { Controls::Kept } else { Controls::Escaped }
    }

    /// The whole input, for a machine that needs it from the beginning.
    fn typed(&self) -> Result<Vec<u8>, Error> {
        Ok(match &self.typing {
            Typing::Nobody => Vec::new(),
            Typing::Terminal => {
                let mut all = Vec::new();
                io::stdin().read_to_end(&mut all).map_err(Error::stream("read what is typed"))?;
                all
            }
            Typing::Lines(lines) => lines.concat().into_bytes(),
        })
    }

    /// Builds all programs, and plans a run of this boot list, of which nothing is expected.
    pub fn of_list(boot_list: String, cpus: u32) -> Result<Job, Error> {
        Ok(Job {
            archive: programs::build()?,
            plan: Plan::unjudged(boot_list),
            cpus,
            typing: Typing::Nobody,
            prompt: PROMPT,
        })
    }

    /// Boots the job on an emulated PC. If the image is not optimised, the calls of primitives are counted.
    pub fn booted(&self, boot: &Boot) -> Result<Ran, Error> {
        let Boot { emulator, image: name, kind, timeout, options, gdb, show, watch } = *boot;
        image::build(Images::One(name), kind)?;
        let image = image::path(name, kind);
        let archive = workspace::target().join("kernel").join(format!("{name}-{}.tar", self.cpus));
        let programs: Vec<_> = self.archive.iter().map(|program| (program.name, program.elf.as_slice())).collect();
        archive::write(&archive, &image, &self.plan.boot_list, &programs, watch.is_some())?;
        if gdb {
            eprintln!(
                "waiting for a debugger: gdb {} -ex 'target remote :1234' (set breakpoints with hbreak)",
                image.display()
            );
        }
        let functions = (kind == Kind::Unoptimised).then(|| Functions::of(&image)).transpose()?;
        let addresses = functions.as_ref().map(Functions::addresses).unwrap_or_default();
        let lines: &[String] = if let Typing::Lines(lines) = &self.typing { lines } else { &[] };
        let script: Vec<_> = lines.iter().map(|line| (self.prompt, Act::Type(line))).collect();
        let run = Run {
            archive: Some(&archive),
            cpus: self.cpus,
            timeout,
            options,
            gdb,
            show,
            watch,
            terminal: self.typing == Typing::Terminal,
            script: &script,
            functions: &addresses,
            parts: if self.plan.runs_guests { Parts::GUESTS } else { Parts::USUAL },
            ..Run::of(&image)
        };
        let Ended { outcome, console, time, watched, calls, .. } = emulator.run(&run)?;
        let failure = (outcome != Outcome::Ended(Reason::Done)).then_some(Failure::Emulated(outcome));
        let calls = functions.map(|functions| Calls::new(&functions, &calls));
        Ok(Ran { failure, console, time, watched, calls, replayed: None })
    }

    /// Runs the job on the hosted machine, with the schedule that `seed` fixes.
    pub fn hosted(&self, seed: u64, timeout: Option<Duration>, show: bool, checking: Checking) -> Result<Ran, Error> {
        let begin = Instant::now();
        let program =
            |program: &Program| sim::run::config::Program { name: program.name.to_owned(), elf: program.elf.clone() };
        let config = Config {
            programs: self.archive.iter().map(program).collect(),
            boot_list: &self.plan.boot_list,
            cpus: self.cpus,
            seed,
            time_slice: TIME_SLICE,
            memory: Memory::default(),
            input: self.typed()?,
            limit: Limit { work: None, until: timeout.map(|timeout| begin + timeout) },
            checking,
            forgets_flushes: false,
        };
        let mut console = Shown::new(self.controls(), show);
        let report = sim::run(config, |bytes| console.push(bytes)).map_err(|error| Error::Hosted(error.to_string()))?;
        let details = match report.end {
            End::Violated => report.violations.iter().map(ToString::to_string).collect(),
            End::Diverged => report.differences.iter().map(ToString::to_string).collect(),
            _ => report.cpus.iter().map(ToString::to_string).collect(),
        };
        let replayed = Some(report.log.len());
        let failure = (report.end != End::PowerOff).then_some(Failure::Hosted(report.end, details));
        let console = console.finish();
        Ok(Ran { failure, console, time: begin.elapsed(), watched: None, calls: None, replayed })
    }

    /// The differences of a run from what was expected, as messages; empty if there are none. If calls were counted,
    /// only the machine's end is judged: the kernel is then too slow for programs that measure time.
    pub fn problems(&self, ran: &Ran) -> Vec<String> {
        if ran.calls.is_some() {
            return ran.failure.iter().map(|failure| ran.explain(failure)).collect();
        }
        let mut check = Check::new(&self.plan);
        let lines = ran.console.lines().take_while(|line| !is_last_report(line));
        let mut problems: Vec<_> = lines.filter_map(|line| check.line(line).err()).map(|p| p.to_string()).collect();
        match &ran.failure {
            // If the machine has ended too early, missing lines are not reported.
            Some(failure) => problems.insert(0, ran.explain(failure)),
            None => problems.extend(check.missing().iter().map(ToString::to_string)),
        }
        problems.extend(ran.watched.iter().flat_map(|watched| &watched.violations).cloned());
        problems
    }
}

/// Whether a line begins the kernel's last report: a panic, an exception, or the positions of the CPUs.
fn is_last_report(line: &str) -> bool {
    line.strip_prefix("cairn: ").is_some_and(|rest| {
        rest.starts_with("kernel panic ") || rest.starts_with("stopped from outside") || rest.contains(" (vector ")
    })
}

impl Ran {
    /// The lines of the programs and of their ends, sorted, so that they do not depend on the schedule of the CPUs.
    /// All machines must agree on them.
    pub fn lines(&self) -> Vec<&str> {
        let ours = |line: &&str| !line.starts_with("cairn: ") || abi::report::Ended::parse(line).is_some();
        let mut lines: Vec<_> = self.console.lines().filter(ours).collect();
        lines.sort_unstable();
        lines
    }

    /// A failure with the kernel's own report, of which one line is about each CPU.
    pub fn explain(&self, failure: &Failure) -> String {
        let report = self.console.lines().skip_while(|line| !is_last_report(line));
        let count = match failure {
            // One line for each CPU follows.
            Failure::Emulated(Outcome::TimedOut) => 1 + kernel::mm::layout::MAX_CPUS,
            _ => 1,
        };
        report.take(count).fold(failure.to_string(), |text, line| text + "\n  " + line)
    }

    /// Number of programs that have ended.
    pub fn ended(&self) -> usize {
        self.console.lines().filter(|line| abi::report::Ended::parse(line).is_some()).count()
    }
}

/// The first difference of two runs of one job: a line that only one of them has. `None` if they agree.
pub fn difference(one: &Ran, other: &Ran) -> Option<String> {
    let (one, other) = (one.lines(), other.lines());
    let at = (0..one.len().max(other.len())).find(|&at| one.get(at) != other.get(at))?;
    // Both lists are sorted, so the other run lacks the lesser line.
    match (one.get(at), other.get(at)) {
        (Some(line), Some(theirs)) if line < theirs => Some(format!("only the first run shows `{line}`")),
        (Some(line), None) => Some(format!("only the first run shows `{line}`")),
        (_, line) => line.map(|line| format!("only the second run shows `{line}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(console: &str) -> Ran {
        let console = console.to_owned();
        Ran { failure: None, console, time: Duration::ZERO, watched: None, calls: None, replayed: None }
    }

    #[test]
    fn interleaving_and_reports_of_the_machine_do_not_count() {
        let end = "cairn: CPU 0: thread 9 (hello) exited with status 0";
        let one = ran(&format!("cairn: 8 CPUs\na\nb\n{end}\n"));
        let other = ran(&format!("cairn: protections\nb\n{end}\na\n"));
        assert_eq!(difference(&one, &other), None);
        assert_eq!((one.ended(), one.lines().len()), (1, 3));
    }

    #[test]
    fn a_failure_comes_with_the_kernels_report() {
        let failure = Failure::Emulated(Outcome::Ended(Reason::Panic));
        let ran = ran("a\ncairn: kernel panic on CPU 1: oh\n  at x.rs:1:2\n");
        assert_eq!(ran.explain(&failure), "kernel panic\n  cairn: kernel panic on CPU 1: oh");
        assert!(is_last_report("cairn: page fault (vector 14) in the kernel on CPU 0, error code 0x0"));
        assert!(!is_last_report("cairn: CPU 0: thread 9 (hello) exited with status 0"));
    }

    #[test]
    fn a_line_that_one_run_lacks_is_named() {
        let (one, other) = (ran("a\nb\nc\n"), ran("a\nc\n"));
        assert_eq!(difference(&one, &other), Some("only the first run shows `b`".to_owned()));
        assert_eq!(difference(&other, &one), Some("only the second run shows `b`".to_owned()));
        assert_eq!(difference(&ran("a\n"), &ran("a\na\n")), Some("only the second run shows `a`".to_owned()));
        let ends = [0, 1].map(|status| ran(&format!("cairn: CPU 0: thread 9 (hello) exited with status {status}\n")));
        assert!(difference(&ends[0], &ends[1]).is_some());
    }
}
