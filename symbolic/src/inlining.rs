//! Walks the path of a failure again with inlining: the code of called functions runs, and the call rule is
//! not used.
//!
//! A contract may admit final states that its function never reaches. A counterexample with such a state does not fail
//! on any machine. So a failure records the branches that its path takes in the code under proof. Then the same clause
//! is checked on every path with these branches; inside the called functions, the path may take any branches. A
//! failure that is found there does not depend on contracts, and is run.
use crate::counterexample::Unconfirmed;
use crate::path::Abandon;
use crate::trace::Trace;
use std::cell::RefCell;
use std::panic::{Location, resume_unwind};

/// A failure whose path is being walked again.
pub struct Inlining {
    trace: Trace,
    /// The only clause that is checked; `None` to check all.
    clause: Option<String>,
    /// Why other failing paths could not be run.
    unconfirmed: RefCell<Vec<Unconfirmed>>,
    /// Why a path was not walked to its end.
    unexplored: RefCell<Option<String>>,
}

/// The maximum number of failing paths for which no state is found.
const TRIES: usize = 4;

impl Inlining {
    /// The time limit of one query, in milliseconds. It is short, because another path may be easier.
    pub(crate) const LIMIT: u32 = 4_000;

    /// Walks the branches of `trace` again, and checks only `clause`, or all clauses if that is
    /// `None`.
    pub fn new(trace: Trace, clause: Option<String>) -> Inlining {
        Inlining { trace, clause, unconfirmed: RefCell::default(), unexplored: RefCell::default() }
    }

    /// Whether `clause` is checked on this walk.
    pub fn asks(&self, clause: &str) -> bool {
        self.clause.as_deref().is_none_or(|asked| asked == clause)
    }

    /// Records why a failing path could not be run. Returns whether the search should go on.
    pub(crate) fn note(&self, why: Unconfirmed) -> bool {
        let mut unconfirmed = self.unconfirmed.borrow_mut();
        unconfirmed.push(why);
        unconfirmed.iter().filter(|why| matches!(why, Unconfirmed::Incomplete(_))).count() <= TRIES
    }

    /// Ends the current path before its end, because of `why`. Other paths follow.
    pub fn abandon(&self, why: &str) -> ! {
        self.unexplored.borrow_mut().get_or_insert_with(|| why.to_string());
        resume_unwind(Box::new(Abandon))
    }

    /// Whether a path that takes `side` at its branch number `number` leaves the path of the failure there.
    pub(crate) fn leaves(&self, number: usize, side: (&'static Location<'static>, bool)) -> bool {
        self.trace.sides.get(number).is_some_and(|other| *other != side)
    }

    /// The last reason why a failing path could not be run, or why a path was not walked to its end. `None` if no path
    /// failed and all were walked.
    pub fn unconfirmed(&self) -> Option<String> {
        let unconfirmed = self.unconfirmed.borrow();
        let incomplete = unconfirmed.iter().rev().find(|why| matches!(why, Unconfirmed::Incomplete(_)));
        incomplete.map(Unconfirmed::to_string).or_else(|| self.unexplored.borrow().clone())
    }
}
