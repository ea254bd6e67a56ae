//! Walks the path of a failure again by inlining: the primitives that it calls run, instead of the call rule.
//!
//! A contract may admit states that its primitive never leaves. A counterexample with such a state fails on no machine.
//! So a failure records the branches that its path takes in the code under proof. Then every path with these branches,
//! and any branches inside the primitives, is asked for the same clause. A failure found there is exact, and is
//! replayed.
use super::Unrun;
use crate::engine::{Abandon, Engine, engine};
use std::cell::RefCell;
use std::fmt;
use std::panic::{Location, resume_unwind};

/// The branches of a path outside of called primitives, and the primitives that it calls.
#[derive(Clone, Default)]
pub(crate) struct Walk {
    sides: Vec<(&'static Location<'static>, bool)>,
    /// The primitives that the call rule replaced.
    pub called: Vec<&'static str>,
}

impl fmt::Debug for Walk {
    /// Only counts the branches, because the path of the failure shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} branches, by the contracts of {:?}", self.sides.len(), self.called)
    }
}

/// A failure whose path is being walked again.
pub(crate) struct Again {
    walk: Walk,
    /// The only clause that is asked, if any.
    clause: Option<String>,
    /// Why other failing paths could not be replayed.
    unrun: RefCell<Vec<Unrun>>,
}

/// The most failing paths for which no state is found.
const TRIES: usize = 4;

impl Again {
    /// The time limit of one query, in milliseconds. It is short, because another path may be easier.
    pub const LIMIT: u32 = 4_000;

    /// Walks the branches of `walk` again, and asks only `clause`, or everything if that is `None`.
    pub fn new(walk: Walk, clause: Option<String>) -> Again {
        Again { walk, clause, unrun: RefCell::default() }
    }

    /// Whether the proof of `clause` is asked for.
    pub fn asks(&self, clause: &str) -> bool {
        self.clause.as_deref().is_none_or(|asked| asked == clause)
    }

    /// Records why a failing path could not be replayed. After too many of them, the search ends.
    pub fn note(&self, why: Unrun) {
        let mut unrun = self.unrun.borrow_mut();
        unrun.push(why);
        if unrun.iter().filter(|why| matches!(why, Unrun::Incomplete(_))).count() > TRIES {
            engine(|e| e.work.clear());
            resume_unwind(Box::new(Abandon));
        }
    }

    /// The last reason why a failing path could not be replayed. `None` if no path failed.
    pub fn unrun(&self) -> Option<String> {
        let unrun = self.unrun.borrow();
        let incomplete = unrun.iter().rev().find(|why| matches!(why, Unrun::Incomplete(_)));
        incomplete.map(Unrun::to_string)
    }
}

impl Engine {
    /// The path takes `side` at a branch. If the failure's path took the other side, this path ends.
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
