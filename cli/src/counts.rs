//! The number of tests with each result, for the last line of a command that runs tests.
use std::fmt;
use std::iter::Sum;

/// The number of tests with each result.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were not run.
    pub skipped: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { passed, failed, skipped } = self;
        write!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(all: I) -> Counts {
        all.fold(Counts::default(), |one, other| Counts {
            passed: one.passed + other.passed,
            failed: one.failed + other.failed,
            skipped: one.skipped + other.skipped,
        })
    }
}

impl Counts {
    /// One test that has passed or failed.
    pub fn one(passed: bool) -> Counts {
        Counts { passed: passed.into(), failed: (!passed).into(), skipped: 0 }
    }

    /// One test that was not run.
    pub const SKIPPED: Counts = Counts { passed: 0, failed: 0, skipped: 1 };
}
