//! Branch coverage: which sides of the branches of the code under proof are taken on feasible paths.
//!
//! The explorer only knows branches that a feasible path reaches. If code is unreachable, the branch before it is
//! taken to one side only. Each such branch needs an explanation.
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::Location;

/// The sides taken of each branch, false and true. A branch is identified by file, line and column.
#[derive(Clone, Default, Debug)]
pub struct Coverage(BTreeMap<(&'static str, u32, u32), [bool; 2]>);

impl Coverage {
    /// Records that a side was taken.
    pub fn take(&mut self, at: &'static Location<'static>, side: bool) {
        self.0.entry((at.file(), at.line(), at.column())).or_default()[usize::from(side)] = true;
    }

    /// Adds another coverage.
    pub fn add(&mut self, other: &Coverage) {
        for (&site, sides) in &other.0 {
            let mine = self.0.entry(site).or_default();
            *mine = [mine[0] || sides[0], mine[1] || sides[1]];
        }
    }

    /// Whether this coverage includes `other`.
    pub fn has_all_of(&self, other: &Coverage) -> bool {
        let none = [false; 2];
        other.0.iter().all(|(site, sides)| {
            let mine = self.0.get(site).unwrap_or(&none);
            (!sides[0] || mine[0]) && (!sides[1] || mine[1])
        })
    }
}

/// An explanation why a side of a branch is never taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Explained {
    /// The file.
    pub file: &'static str,
    /// The number of the line, from 1.
    pub number: u32,
    /// The text of the line.
    pub line: &'static str,
    /// The side that is never taken.
    pub never: bool,
    /// The explanation.
    pub reason: &'static str,
}

/// A branch that no proof takes to one of its sides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OneWay {
    /// File, line and column.
    pub at: String,
    /// The side that is never taken.
    pub never: &'static str,
    /// The explanation, if there is one.
    pub reason: Option<&'static str>,
}

/// The branch coverage of the proofs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Branches {
    /// The number of branches.
    pub branches: usize,
    /// The number of branches that are taken to both sides.
    pub both: usize,
    /// The other branches.
    pub one: Vec<OneWay>,
    /// Stale explanations: the side is taken, or the line is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Explained>,
}

impl Branches {
    /// Whether every branch is taken to both sides or is explained, and no explanation is stale.
    pub fn is_explained(&self) -> bool {
        self.stale.is_empty() && self.one.iter().all(|branch| branch.reason.is_some())
    }
}

impl Coverage {
    /// The branches, with their explanations from `explained`.
    pub fn branches(&self, explained: &[Explained]) -> Branches {
        let (mut one, mut stale) = (Vec::new(), explained.to_vec());
        for (&(file, line, column), &sides) in self.0.iter().filter(|(_, sides)| **sides != [true; 2]) {
            let never = !sides[1];
            let explains = |e: &Explained| e.file == file && e.number == line && e.never == never;
            stale.retain(|explained| !explains(explained));
            let reason = explained.iter().find(|explained| explains(explained)).map(|explained| explained.reason);
            let never = if never { "true" } else { "false" };
            one.push(OneWay { at: format!("{file}:{line}:{column}"), never, reason });
        }
        Branches { branches: self.0.len(), both: self.0.len() - one.len(), one, stale }
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, Explained};

    const EXPLAINED: &[Explained] = &[
        Explained { file: "a.rs", number: 3, line: "a < b", never: true, reason: "a test" },
        Explained { file: "b.rs", number: 5, line: "c < d", never: false, reason: "a test" },
    ];

    /// A coverage in which exactly the explained sides are missing.
    fn explained() -> Coverage {
        let mut coverage = Coverage::default();
        for Explained { file, number, never, .. } in EXPLAINED {
            coverage.0.insert((file, *number, 1), [*never, !never]);
        }
        coverage
    }

    #[test]
    fn a_side_that_is_never_taken_is_explained_by_its_line() {
        let branches = explained().branches(EXPLAINED);
        assert!(branches.is_explained(), "{branches:?}");
        assert_eq!((branches.both, branches.one.len()), (0, EXPLAINED.len()));
    }

    #[test]
    fn an_explanation_of_a_branch_that_is_taken_is_stale() {
        let mut coverage = explained();
        let taken = *coverage.0.keys().next().expect("there is an explanation");
        coverage.0.insert(taken, [true; 2]);
        let branches = coverage.branches(EXPLAINED);
        assert_eq!((branches.both, &*branches.stale), (1, &EXPLAINED[..1]));
        assert!(!branches.is_explained());
    }

    #[test]
    fn a_branch_that_is_taken_one_way_has_to_be_explained() {
        let mut coverage = explained();
        coverage.0.insert(("c.rs", 1, 1), [true, false]);
        let branches = coverage.branches(EXPLAINED);
        let missing: Vec<_> = branches.one.iter().filter(|branch| branch.reason.is_none()).collect();
        assert_eq!((&*missing[0].at, missing[0].never, missing.len()), ("c.rs:1:1", "true", 1));
        assert!(!branches.is_explained());
    }
}
