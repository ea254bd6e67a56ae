//! Judges a run: reads its console line by line.

use crate::manifest::End;
use crate::plan::{ExpectedEnd, Group, Plan};
use abi::report::{self, Ended};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The lines and ends that the console must still show.
///
/// Lines that begin with `cairn: ` are the kernel's: of these, ends of programs are checked, and all others are
/// ignored. All other lines come from the programs.
#[derive(Clone, Debug)]
pub struct Check {
    groups: Vec<(Group, VecDeque<String>)>,
    ends: BTreeMap<u32, ExpectedEnd>,
    ancestors: BTreeSet<u32>,
}

/// A difference between what is expected and what the console shows.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// A line that no program should print, or not at this point.
    #[error("unexpected line '{line}'{}", next_lines(.next))]
    Line {
        /// The line.
        line: String,
        /// The lines that could have come next.
        next: Vec<String>,
    },
    /// A program ended that should not exist, or a program ended twice.
    #[error("unexpected end of thread {thread} ({program}) on CPU {cpu}: {end}", end = describe(.end))]
    End {
        /// Its CPU.
        cpu: u32,
        /// Its thread number.
        thread: u32,
        /// Its program.
        program: String,
        /// How it ended.
        end: report::End,
    },
    /// A program ended in another way than expected, or another program did.
    #[error(
        "thread {thread} ({program}) on CPU {cpu} {end}, but {expected} was expected",
        end = describe(.end)
    )]
    WrongEnd {
        /// Its CPU.
        cpu: u32,
        /// Its thread number.
        thread: u32,
        /// Its program.
        program: String,
        /// How it ended.
        end: report::End,
        /// What was expected.
        expected: String,
    },
    /// A program has not ended.
    #[error("thread {thread} ({program}) on CPU {cpu} has not ended; {expected} was expected")]
    NoEnd {
        /// Its CPU.
        cpu: u32,
        /// Its thread number.
        thread: u32,
        /// Its program.
        program: String,
        /// What was expected.
        expected: String,
    },
    /// A line has not been printed.
    #[error("{program} on CPU {cpu} has not printed '{line}'")]
    NoLine {
        /// Its CPU.
        cpu: u32,
        /// The program.
        program: String,
        /// The line.
        line: String,
    },
}

/// Some of the expected lines, for a message.
fn next_lines(next: &[String]) -> String {
    const SHOWN: usize = 4;
    let quoted: Vec<_> = next.iter().take(SHOWN).map(|line| format!("'{line}'")).collect();
    match quoted.len() {
        0 => "; no more lines were expected".to_owned(),
        _ if next.len() > SHOWN => format!("; expected was one of {}, ...", quoted.join(", ")),
        _ => format!("; expected was {}", quoted.join(" or ")),
    }
}

/// How a program ended, for a message.
fn describe(end: &report::End) -> String {
    match end {
        report::End::Exited { status } => format!("exited with status {status}"),
        report::End::Stopped { reason, address, .. } => format!("was stopped: {reason} at {address:#x}"),
        report::End::Killed => "was killed".to_owned(),
    }
}

/// An expected end, for a message.
fn describe_expected(expected: &ExpectedEnd) -> String {
    let end = match expected.end {
        End::Exited(status) => format!("exit with status {status}"),
        End::Stopped { reason, at: Some(at) } => format!("a stop by '{reason}' at {at:#x}"),
        End::Stopped { reason, at: None } => format!("a stop by '{reason}'"),
        End::Killed => "a kill".to_owned(),
    };
    format!("{end} of {}", expected.program)
}

/// Whether a program ended as expected.
fn fits(expected: End, end: report::End) -> bool {
    match (expected, end) {
        (End::Exited(expected), report::End::Exited { status }) => expected == status,
        (End::Stopped { reason: expected, at }, report::End::Stopped { reason, address, .. }) => {
            expected == reason && at.is_none_or(|at| at == address)
        }
        (End::Killed, report::End::Killed) => true,
        _ => false,
    }
}

impl Check {
    /// Expects the lines and ends of a plan.
    pub fn new(plan: &Plan) -> Check {
        let groups = plan.groups.iter().map(|group| (group.clone(), group.lines.clone().into()));
        Check { groups: groups.collect(), ends: plan.ends.clone(), ancestors: plan.ancestors.clone() }
    }

    /// Checks a line of the console, without its line feed.
    ///
    /// # Errors
    ///
    /// If the line is not expected. Afterwards further lines can still be checked.
    pub fn line(&mut self, line: &str) -> Result<(), Problem> {
        if let Some(ended) = Ended::parse(line) {
            return self.ended(&ended);
        }
        if line.starts_with("cairn: ") {
            return Ok(());
        }
        let mut queues = self.groups.iter_mut().map(|(_, lines)| lines);
        if let Some(queue) = queues.find(|lines| lines.front().is_some_and(|next| next == line)) {
            queue.pop_front();
            return Ok(());
        }
        let next = self.groups.iter().filter_map(|(_, lines)| lines.front().cloned()).collect();
        Err(Problem::Line { line: line.to_owned(), next })
    }

    fn ended(&mut self, ended: &Ended) -> Result<(), Problem> {
        let Ended { cpu, thread, name, end } = *ended;
        let program = name.to_owned();
        match self.ends.remove(&thread) {
            None if self.is_below_ancestor(thread) => Ok(()),
            None => Err(Problem::End { cpu, thread, program, end }),
            Some(expected) if expected.cpu == cpu && expected.program == name && fits(expected.end, end) => Ok(()),
            Some(expected) => {
                let expected = describe_expected(&expected);
                Err(Problem::WrongEnd { cpu, thread, program, end, expected })
            }
        }
    }

    /// Whether a thread descends from a thread whose descendants are not judged.
    fn is_below_ancestor(&self, mut thread: u32) -> bool {
        while let Some(parent) = abi::parent(thread) {
            thread = parent;
            if self.ancestors.contains(&thread) {
                return true;
            }
        }
        false
    }

    /// Whether all expected lines and ends have come.
    pub fn is_complete(&self) -> bool {
        self.ends.is_empty() && self.groups.iter().all(|(_, lines)| lines.is_empty())
    }

    /// The missing lines and ends: the next line of each incomplete group, and each end.
    pub fn missing(&self) -> Vec<Problem> {
        let lines = self.groups.iter().filter_map(|(group, lines)| {
            let (cpu, program) = (group.cpu, group.program.clone());
            lines.front().map(|line| Problem::NoLine { cpu, program, line: line.clone() })
        });
        let ends = self.ends.iter().map(|(&thread, expected)| Problem::NoEnd {
            cpu: expected.cpu,
            thread,
            program: expected.program.clone(),
            expected: describe_expected(expected),
        });
        lines.chain(ends).collect()
    }
}
