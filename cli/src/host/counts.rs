//! The results of tests, for the last lines of a command that runs tests.
use std::fmt;
use std::iter::Sum;

/// The number of tests with each result, and the names of those that failed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Names of tests that failed.
    pub failed: Vec<String>,
    /// Tests that were not run.
    pub skipped: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { passed, failed, skipped } = self;
        write!(formatter, "{passed} passed, {} failed, {skipped} skipped", failed.len())
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(all: I) -> Counts {
        all.fold(Counts::default(), |one, other| Counts {
            passed: one.passed + other.passed,
            failed: [one.failed, other.failed].concat(),
            skipped: one.skipped + other.skipped,
        })
    }
}

impl Counts {
    /// One test of this name that has passed or failed.
    pub fn one(name: impl Into<String>, passed: bool) -> Counts {
        let failed = if passed { Vec::new() } else { vec![name.into()] };
        Counts { passed: passed.into(), failed, skipped: 0 }
    }

    /// One test that was not run.
    pub const SKIPPED: Counts = Counts { passed: 0, failed: Vec::new(), skipped: 1 };
}
