//! The path of a failure once more, where the primitives that it calls run instead of being what their contracts say.
//!
//! A contract admits states that the primitive does not leave; a counterexample that goes through one of them fails on
//! no machine. So a path is noted that fails by contracts, branch by branch of the code that was entered, and every path
//! that takes the same sides there and any sides in the primitives is asked for the same clause. What fails there is
//! exact, and is run.
use super::Unrun;
use crate::engine::{Abandon, Engine, engine};
use std::cell::RefCell;
use std::fmt;
use std::panic::{Location, resume_unwind};

/// The sides that a path takes outside of the primitives that it calls, and what it calls.
#[derive(Clone, Default)]
pub(crate) struct Walk {
    sides: Vec<(&'static Location<'static>, bool)>,
    /// The primitives of which it took the contract.
    pub called: Vec<&'static str>,
}

impl fmt::Debug for Walk {
    /// The branches themselves are in the path of the failure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} branches, by the contracts of {:?}", self.sides.len(), self.called)
    }
}

/// A failure whose path is walked again.
pub(crate) struct Again {
    walk: Walk,
    /// What does not hold, if nothing else is asked.
    clause: Option<String>,
    /// Why paths that fail as well were not run.
    unrun: RefCell<Vec<Unrun>>,
}

/// How many paths are tried of which no state is found.
const TRIES: usize = 4;

impl Again {
    /// How long one question takes at most, in milliseconds: another path may be easier.
    pub const LIMIT: u32 = 4_000;

    /// Walks the way of `walk`, and asks nothing but `clause`, or everything.
    pub fn new(walk: Walk, clause: Option<String>) -> Again {
        Again { walk, clause, unrun: RefCell::default() }
    }

    /// Whether `clause` is asked.
    pub fn asks(&self, clause: &str) -> bool {
        self.clause.as_deref().is_none_or(|asked| asked == clause)
    }

    /// A path that fails as well was not run.
    pub fn note(&self, why: Unrun) {
        let mut unrun = self.unrun.borrow_mut();
        unrun.push(why);
        if unrun.iter().filter(|why| matches!(why, Unrun::Incomplete(_))).count() > TRIES {
            engine(|e| e.work.clear());
            resume_unwind(Box::new(Abandon));
        }
    }

    /// Why no path was run: the last reason; none if no path fails.
    pub fn unrun(&self) -> Option<String> {
        let unrun = self.unrun.borrow();
        let incomplete = unrun.iter().rev().find(|why| matches!(why, Unrun::Incomplete(_)));
        incomplete.map(Unrun::to_string)
    }
}

impl Engine {
    /// The path takes `side` at a branch; where it is not that of the failure it ends.
    pub(crate) fn goes(&mut self, at: &'static Location<'static>, side: bool) {
        if self.is_called {
            return;
        }
        let taken = self.walk.sides.len();
        self.walk.sides.push((at, side));
        if let Some(again) = &self.again
            && again.walk.sides.get(taken).is_some_and(|other| *other != (at, side))
        {
            resume_unwind(Box::new(Abandon));
        }
    }
}
