//! `cairn boots`: one small image for each hardware behaviour of the kernel, with its expected
//! result.

mod behaviour;
mod behaviours;

use crate::host::archive;
use crate::host::counts::Counts;
use crate::host::emulator::machine::{Ended, Run};
use crate::host::error::Error;
use crate::host::image::{self, Images, Kind};
use crate::host::job::{self, Boot, Job};
use crate::host::watch::Watch;
use crate::host::workspace;
use behaviour::Behaviour;
use programs::manifest::Machine;
use sim::run::config::Checking;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

/// Boot the images that test the kernel's hardware-dependent code, and compare each result with the
/// expected one
#[derive(clap::Args)]
pub struct Arguments {
    /// Behaviours to test [default: all]; see --list
    behaviours: Vec<String>,
    /// List the behaviours and exit
    #[arg(long)]
    list: bool,
    /// Show the console output
    #[arg(long)]
    show: bool,
}

/// The result of a behaviour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Result {
    /// The behaviour was as expected.
    Passed,
    /// Something differed; with a description of the difference.
    Failed(String),
    /// The behaviour cannot be tested on this host; with the reason.
    Skipped(String),
}

/// The verdict on a behaviour.
pub struct Verdict {
    /// Its name.
    pub name: &'static str,
    /// Its result.
    pub result: Result,
}

impl Verdict {
    /// The verdict as counts of one test.
    pub fn counts(&self) -> Counts {
        match &self.result {
            Result::Skipped(_) => Counts::SKIPPED,
            Result::Passed | Result::Failed(_) => Counts::one(self.name, self.result == Result::Passed),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Result::Passed => write!(formatter, "passed   {}", self.name),
            Result::Skipped(reason) => write!(formatter, "skipped  {}: {reason}", self.name),
            Result::Failed(difference) => write!(formatter, "FAILED   {}: {difference}", self.name),
        }
    }
}

/// Tests the behaviours that `wanted` accepts; calls `each` with every verdict as soon as it is known.
pub fn try_all(
    wanted: impl Fn(&str) -> bool,
    show: bool,
    mut each: impl FnMut(&Verdict),
) -> std::result::Result<Vec<Verdict>, Error> {
    image::build(Images::All, Kind::Fast)?;
    let mut verdicts = Vec::new();
    for behaviour in behaviours::all().filter(|behaviour| wanted(behaviour.name)) {
        let result = if !behaviour.emulator.is_there() {
            Result::Skipped(format!("{} is not installed (`cargo cairn setup`)", behaviour.emulator))
        } else {
            match try_one(behaviour, show)? {
                None => Result::Passed,
                Some(difference) => Result::Failed(difference),
            }
        };
        let verdict = Verdict { name: behaviour.name, result };
        each(&verdict);
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

/// Boots a behaviour's image; returns the difference from what was expected, or `None`.
fn try_one(behaviour: &Behaviour, show: bool) -> std::result::Result<Option<String>, Error> {
    if !behaviour.broken.is_empty() {
        return try_watching(behaviour, show);
    }
    if let Some(names) = behaviour.programs {
        return try_programs(behaviour, names, show);
    }
    let image = image::path(behaviour.image, behaviour.kind);
    let archive = workspace::target().join("kernel").join(format!("{}.tar", behaviour.name));
    if behaviour.archive {
        let built = if behaviour.boot_list.is_empty() { Vec::new() } else { programs::build()? };
        let programs: Vec<_> = built.iter().map(|program| (program.name, program.elf.as_slice())).collect();
        archive::write(&archive, &image, behaviour.boot_list, &programs, false)?;
        // An archive may have zeros after its end.
        let file = fs::OpenOptions::new().append(true).open(&archive).map_err(Error::file("open", &archive))?;
        let length = file.metadata().map_err(Error::file("read", &archive))?.len() + behaviour.padding;
        file.set_len(length).map_err(Error::file("write", &archive))?;
    }
    let ended = behaviour.emulator.run(&Run {
        archive: behaviour.archive.then_some(&*archive),
        cpus: behaviour.cpus,
        timeout: Some(behaviour.timeout),
        options: behaviour.options,
        parts: behaviour.parts,
        script: behaviour.script,
        show,
        ..Run::of(&image)
    })?;
    Ok(difference(behaviour, &ended).map(|difference| format!("{difference}\n{}", ended.console)))
}

/// Time between two checkpoints while the kernel runs.
const CHECKPOINTS: Duration = Duration::from_millis(100);

/// Boots an image that has a bug, with all programs. The checkpoints must find the facts that the bug breaks, or the
/// values of the hardware that are not the layer's.
fn try_watching(behaviour: &Behaviour, show: bool) -> std::result::Result<Option<String>, Error> {
    let job = Job::new(&[], Machine::with_guests(behaviour.cpus))?;
    let Behaviour { emulator, image, kind, timeout, .. } = *behaviour;
    let watch = Some(Watch { every: CHECKPOINTS, until: None });
    let ran = job.booted(&Boot { emulator, image, kind, timeout: Some(timeout), show, watch, ..Boot::QUIET })?;
    let violations = ran.watched.as_ref().map_or(&[][..], |watched| &watched.violations);
    let found = |number: &str| violations.iter().any(|violation| violation.starts_with(&format!("{number} (")));
    let missed = behaviour.broken.iter().find(|number| !found(number));
    Ok(missed.map(|number| format!("no checkpoint has reported {number}, but: {violations:?}\n{}", ran.console)))
}

/// Seeds of the hosted machine's schedules that a boot is compared with.
const SEEDS: Range<u64> = 1..3;

/// Boots the kernel with the programs of these names, or the usual ones. Each must do what its manifest says, and all
/// must print the same as on the hosted machine, whatever the schedule.
fn try_programs(behaviour: &Behaviour, names: &[&str], show: bool) -> std::result::Result<Option<String>, Error> {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let job = Job::new(&names, Machine::without_guests(behaviour.cpus))?;
    let timeout = Some(behaviour.timeout);
    let Behaviour { emulator, image, kind, options, .. } = *behaviour;
    let booted = job.booted(&Boot { emulator, image, kind, timeout, options, show, ..Boot::QUIET })?;
    let problems = job.problems(&booted);
    if !problems.is_empty() {
        return Ok(Some(format!("{}\n{}", problems.join("\n"), booted.console)));
    }
    for seed in SEEDS {
        let hosted = job.hosted(seed, timeout, show, Checking::AtEnd)?;
        if let Some(problem) = job.problems(&hosted).first() {
            return Ok(Some(format!("the hosted machine, with seed {seed}: {problem}")));
        }
        if let Some(difference) = job::difference(&booted, &hosted) {
            return Ok(Some(format!("{emulator} and the hosted machine, with seed {seed}, differ: {difference}")));
        }
    }
    Ok(None)
}

/// The first difference of a run from what was expected.
fn difference(expected: &Behaviour, ended: &Ended) -> Option<String> {
    if ended.outcome != expected.outcome {
        return Some(format!("{}, instead of: {}", ended.outcome, expected.outcome));
    }
    let mut rest = ended.console.as_str();
    for text in expected.texts {
        let Some((_, after)) = rest.split_once(text) else {
            return Some(format!("the console does not show `{text}`, or not in the expected order"));
        };
        rest = after;
    }
    if let Some((text, count)) = expected.count {
        let shown = ended.console.matches(text).count();
        if shown != count {
            return Some(format!("the console shows `{text}` {shown} times, instead of {count}"));
        }
    }
    ended
        .console
        .lines()
        .find(|line| !(expected.lines)(line))
        .map(|line| format!("the console shows a broken line `{line}`"))
}

/// Boots the images, and prints the verdicts.
pub fn run(arguments: &Arguments) -> std::result::Result<ExitCode, Error> {
    if arguments.list {
        behaviours::all().for_each(|behaviour| println!("{}", behaviour.name));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) =
        arguments.behaviours.iter().find(|name| behaviours::all().all(|behaviour| behaviour.name != **name))
    {
        let known: Vec<&str> = behaviours::all().map(|behaviour| behaviour.name).collect();
        return Err(Error::Unknown { kind: "behaviour", name: name.clone(), known: known.join(", ") });
    }
    let wanted =
        |name: &str| arguments.behaviours.is_empty() || arguments.behaviours.iter().any(|wanted| wanted == name);
    let verdicts = try_all(wanted, arguments.show, |verdict| println!("{verdict}"))?;
    let counts: Counts = verdicts.iter().map(Verdict::counts).sum();
    println!("{counts}");
    Ok(if counts.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::behaviour::USUAL;
    use super::*;
    use crate::host::emulator::machine::Outcome;
    use kernel::devices::exit::Reason;
    use std::collections::BTreeMap;

    fn ended(outcome: Outcome, console: &str) -> Ended {
        let (console, time, arrivals, calls) = (console.to_owned(), Duration::ZERO, Vec::new(), BTreeMap::new());
        Ended { outcome, console, time, arrivals, watched: None, calls }
    }

    #[test]
    fn differences_are_seen() {
        let expected = Behaviour { texts: &["a", "b"], count: Some(("a", 1)), lines: |line| line != "c", ..USUAL };
        let done = Outcome::Ended(Reason::Done);
        assert_eq!(difference(&expected, &ended(done, "a\nb\n")), None);
        for (outcome, console) in
            [(Outcome::Reset, "a\nb\n"), (done, "b\na\n"), (done, "a\n"), (done, "a\nb\na\n"), (done, "a\nb\nc\n")]
        {
            assert!(difference(&expected, &ended(outcome, console)).is_some(), "{outcome} {console}");
        }
    }

    #[test]
    fn names_are_distinct() {
        for (index, behaviour) in behaviours::all().enumerate() {
            assert!(behaviours::all().take(index).all(|other| other.name != behaviour.name), "{}", behaviour.name);
        }
    }
}
