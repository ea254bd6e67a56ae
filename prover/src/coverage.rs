//! Which sides of the branches of the code under proof are taken on feasible paths.
//!
//! A branch is seen where a feasible path reaches it; code that none reaches is behind one that is taken one way only.
//! Each of these is to be explained.
use crate::source::Lines;
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;

/// A branch by file, line and column, and whether each of its sides, false and true, was taken.
#[derive(Clone, Default, Debug)]
pub struct Coverage(BTreeMap<(&'static str, u32, u32), [bool; 2]>);

/// Where the code under proof is; what is said of it is not part of it.
const CODE: [&str; 2] = ["layer/src/", "syscall/src/"];
const NOT_CODE: [&str; 2] = ["layer/src/invariant/", "layer/src/contract/"];

impl Coverage {
    /// Notes a side.
    pub(crate) fn take(&mut self, at: &'static Location<'static>, side: bool) {
        let begins = |with: &[&str]| with.iter().any(|start| at.file().starts_with(start));
        if begins(&CODE) && !begins(&NOT_CODE) {
            self.0.entry((at.file(), at.line(), at.column())).or_default()[usize::from(side)] = true;
        }
    }

    /// Takes over what another one has.
    pub(crate) fn add(&mut self, other: &Coverage) {
        for (&site, sides) in &other.0 {
            let mine = self.0.entry(site).or_default();
            *mine = [mine[0] || sides[0], mine[1] || sides[1]];
        }
    }

    /// Whether `other` has nothing that this one has not.
    pub(crate) fn has_all_of(&self, other: &Coverage) -> bool {
        let none = [false; 2];
        other.0.iter().all(|(site, sides)| {
            let mine = self.0.get(site).unwrap_or(&none);
            (!sides[0] || mine[0]) && (!sides[1] || mine[1])
        })
    }
}

/// Why a side of a branch is never taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Explained {
    /// The file.
    pub file: &'static str,
    /// The text of the line.
    pub line: &'static str,
    /// The side.
    pub never: bool,
    /// Why.
    pub reason: &'static str,
}

/// The sides that no proof takes.
const EXPLAINED: &[Explained] = &[
    Explained {
        file: "layer/src/process.rs",
        line: "require(!own.ac.get([child]).used.holds(), Stuck::ChildUsed)?;",
        never: true,
        reason: "a container in use is one of the children that its parent has had (H6); this one is the next",
    },
    Explained {
        file: "layer/src/serial.rs",
        line: "require(cpu.own.ghost.check(|g| g.in_intr.holds()), Stuck::NoInterrupt)?;",
        never: false,
        reason: "whoever calls the handler has set it",
    },
    Explained {
        file: "layer/src/thread.rs",
        line: "require(next < NUM_PROC, Stuck::BadThread)?;",
        never: false,
        reason: "it is the head of a queue: one out of range has ended the path where the queue looked at its link",
    },
    Explained {
        file: "layer/src/thread.rs",
        line: "require(home < TOTAL_CPU, Stuck::BadThread)?;",
        never: false,
        reason: "whoever sleeps is alive, and belongs to a CPU: that holds of the threads by itself whenever a lock is taken",
    },
    Explained {
        file: "syscall/src/memory.rs",
        line: "require(cpu.own.ghost.check(|g| matches!(g.pperm.get([frame]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;",
        never: false,
        reason: "what a page map of this CPU maps is this CPU's data (D); entries are proved from D alone",
    },
];

/// A branch of which no proof takes one side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OneWay {
    /// File, line and column.
    pub at: String,
    /// The side that is never taken.
    pub never: &'static str,
    /// Why, if that is known.
    pub reason: Option<&'static str>,
}

/// What the proofs take of the branches of the code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Branches {
    /// How many there are.
    pub branches: usize,
    /// Of how many both sides are taken.
    pub both: usize,
    /// The others.
    pub one: Vec<OneWay>,
    /// Explanations of sides that are taken, or of lines that are no longer there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Explained>,
}

impl Branches {
    /// Every branch is taken both ways or explained, and no explanation is stale.
    pub fn is_explained(&self) -> bool {
        self.stale.is_empty() && self.one.iter().all(|branch| branch.reason.is_some())
    }
}

impl Coverage {
    /// What is taken, with the lines as they are in the source.
    pub(crate) fn branches(&self) -> Branches {
        let mut lines = Lines::default();
        let (mut one, mut stale) = (Vec::new(), EXPLAINED.to_vec());
        for (&(file, line, column), &sides) in self.0.iter().filter(|(_, sides)| **sides != [true; 2]) {
            let text = lines.get(file, line);
            let never = !sides[1];
            let explains = |e: &Explained| e.file == file && e.line == text && e.never == never;
            stale.retain(|explained| !explains(explained));
            let reason = EXPLAINED.iter().find(|explained| explains(explained)).map(|explained| explained.reason);
            let never = if never { "true" } else { "false" };
            one.push(OneWay { at: format!("{file}:{line}:{column}"), never, reason });
        }
        Branches { branches: self.0.len(), both: self.0.len() - one.len(), one, stale }
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, EXPLAINED, Explained};
    use crate::source::path;

    /// Every explained branch, as the table has it, and the line of `file` that is `line`.
    fn explained() -> Coverage {
        let mut coverage = Coverage::default();
        for Explained { file, line, never, .. } in EXPLAINED {
            let source = std::fs::read_to_string(path(file)).expect("the table names files that are there");
            let number =
                source.lines().position(|text| text.trim() == *line).expect("the table has a line of the file");
            coverage.0.insert((file, number as u32 + 1, 1), [*never, !never]);
        }
        coverage
    }

    #[test]
    fn every_explanation_is_of_a_line_that_is_there() {
        let branches = explained().branches();
        assert!(branches.is_explained(), "{branches:?}");
        assert_eq!((branches.both, branches.one.len()), (0, EXPLAINED.len()));
    }

    #[test]
    fn an_explanation_of_a_branch_that_is_taken_is_stale() {
        let mut coverage = explained();
        let taken = *coverage.0.keys().next().expect("there is an explanation");
        coverage.0.insert(taken, [true; 2]);
        let branches = coverage.branches();
        assert_eq!((branches.both, &*branches.stale), (1, &EXPLAINED[..1]));
        assert!(!branches.is_explained());
    }

    #[test]
    fn a_branch_that_is_taken_one_way_has_to_be_explained() {
        let mut coverage = explained();
        coverage.0.insert(("layer/src/vmx.rs", 1, 1), [true, false]);
        let branches = coverage.branches();
        let missing: Vec<_> = branches.one.iter().filter(|branch| branch.reason.is_none()).collect();
        assert_eq!((&*missing[0].at, missing[0].never, missing.len()), ("layer/src/vmx.rs:1:1", "true", 1));
        assert!(!branches.is_explained());
    }
}
