//! Walks the path of a failure again with inlining: the functions that it calls run, instead of the call rule.
//!
//! A contract may admit states that its function never leaves. A counterexample with such a state fails on no machine.
//! So a failure records the branches that its path takes in the code under proof. Then every path with these branches,
//! and any branches inside the called functions, is asked for the same clause. A failure found there is exact, and is
//! run.
use crate::counterexample::Unconfirmed;
use crate::engine::{Abandon, Engine, engine};
use std::cell::RefCell;
use std::fmt;
use std::panic::{Location, resume_unwind};

/// The branches of a path outside of called functions, and the functions that it calls.
#[derive(Clone, Default)]
pub struct Trace {
    sides: Vec<(&'static Location<'static>, bool)>,
    /// The functions that the call rule replaced.
    pub called: Vec<&'static str>,
}

impl fmt::Debug for Trace {
    /// Only counts the branches, because the path of the failure shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} branches, by the contracts of {:?}", self.sides.len(), self.called)
    }
}

/// A failure whose path is being walked again.
pub struct Inlining {
    trace: Trace,
    /// The only clause that is asked, if any.
    clause: Option<String>,
    /// Why other failing paths could not be run.
    unconfirmed: RefCell<Vec<Unconfirmed>>,
}

/// The most failing paths for which no state is found.
const TRIES: usize = 4;

impl Inlining {
    /// The time limit of one query, in milliseconds. It is short, because another path may be easier.
    pub(crate) const LIMIT: u32 = 4_000;

    /// Walks the branches of `trace` again, and asks only `clause`, or everything if that is `None`.
    pub fn new(trace: Trace, clause: Option<String>) -> Inlining {
        Inlining { trace, clause, unconfirmed: RefCell::default() }
    }

    /// Whether the proof of `clause` is asked for.
    pub fn asks(&self, clause: &str) -> bool {
        self.clause.as_deref().is_none_or(|asked| asked == clause)
    }

    /// Records why a failing path could not be run. After too many of them, the search ends.
    pub fn note(&self, why: Unconfirmed) {
        let mut unconfirmed = self.unconfirmed.borrow_mut();
        unconfirmed.push(why);
        if unconfirmed.iter().filter(|why| matches!(why, Unconfirmed::Incomplete(_))).count() > TRIES {
            engine(|e| e.work.clear());
            resume_unwind(Box::new(Abandon));
        }
    }

    /// The last reason why a failing path could not be run. `None` if no path failed.
    pub fn unconfirmed(&self) -> Option<String> {
        let unconfirmed = self.unconfirmed.borrow();
        let incomplete = unconfirmed.iter().rev().find(|why| matches!(why, Unconfirmed::Incomplete(_)));
        incomplete.map(Unconfirmed::to_string)
    }
}

impl Engine {
    /// The path takes `side` at a branch. If the failure's path took the other side, this path ends.
    pub(crate) fn goes(&mut self, at: &'static Location<'static>, side: bool) {
        if self.path.is_called {
            return;
        }
        let taken = self.path.trace.sides.len();
        self.path.trace.sides.push((at, side));
        if let Some(inlining) = &self.settings.inlining
            && inlining.trace.sides.get(taken).is_some_and(|other| *other != (at, side))
        {
            resume_unwind(Box::new(Abandon));
        }
    }
}

/// How a call of a function is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The function's code runs, because it is under proof or is called by a function whose code runs.
    Runs,
    /// The precondition is proved and the code runs, because the path of a failure is being walked again.
    Inlined,
    /// The call rule: the contract replaces the code.
    Contract,
}

impl Way {
    /// How a call of the function `name` is executed.
    pub fn of(name: &str) -> Way {
        engine(|e| {
            if e.settings.proving == Some(name) || e.path.is_called {
                Way::Runs
            } else if e.settings.inlining.is_some() {
                Way::Inlined
            } else {
                Way::Contract
            }
        })
    }
}

/// Runs the code of a called function, including the functions that it calls.
pub fn inlined<R>(run: impl FnOnce() -> R) -> R {
    engine(|e| e.path.is_called = true);
    let result = run();
    engine(|e| e.path.is_called = false);
    result
}
