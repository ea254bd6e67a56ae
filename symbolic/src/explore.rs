//! Symbolic execution: walks every feasible path of a piece of code and runs the code once for each path.
//!
//! Paths are walked depth first, so that the solver keeps the assertions that two successive paths share.
use crate::branch::answer;
use crate::engine::{Engine, engine, is_proving};
use crate::failure::Reason;
use crate::path::{Abandon, Decision, Path};
use crate::query::{in_scope, prove};
use smt::term::Term;
use std::cell::RefCell;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Once;

/// An obligation of the code at this place, such as no overflow or an index within bounds.
///
/// Inside a merged condition, a violation makes the condition false. If going out of range counts as stuck, a violation
/// ends the path.
pub fn oblige(holds: Term, what: Arguments<'_>, at: &'static Location<'static>) {
    let (known, merging, strict) = engine(|e| (e.known_value(holds), !e.path.merges.is_empty(), e.settings.strict));
    if known == Some(true) {
        return;
    }
    if merging || !strict {
        // This decision is no branch of the code, so it does not count for coverage.
        if !answer(holds, at) {
            resume_unwind(Box::new(Abandon));
        }
        return;
    }
    let clause = || format!("{what} at {}:{}", at.file(), at.line());
    if !engine(|e| e.path.is_repeated()) && !in_scope(|| prove(holds, clause)) {
        resume_unwind(Box::new(Abandon));
    }
    engine(|e| {
        e.learn(holds);
        e.assume(holds);
    });
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records a panic of the code under proof as a failure of the proof, instead of printing it.
pub fn catch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_proving() {
                PANIC.with(|panic| *panic.borrow_mut() = Some(info.to_string()));
            } else {
                print(info);
            }
        }));
    });
}

/// Walks every feasible path of `code`, from its start each time. Stops at the first failure.
pub fn explore(code: &dyn Fn()) {
    engine(|e| {
        e.work = vec![Vec::new()];
        e.path.decisions.clear();
        // One scope holds the assertions of the whole proof, so that they can be dropped together.
        e.push_scope();
    });
    let base = engine(|e| e.asserted.len() - 1);
    let mut walked = 0;
    let next = |e: &mut Engine| {
        if e.settings.mutation.is_probing() {
            // Every path is of interest. The failures of a path are those of this path alone.
            let has_failed = !e.results.failures.is_empty();
            e.settings.mutation.ended(has_failed);
            e.results.failures.clear();
            e.results.undecided.clear();
        }
        if e.results.failures.is_empty() { e.work.pop() } else { None }
    };
    while let Some(prefix) = engine(next) {
        engine(|e| {
            let shared = prefix.len().saturating_sub(1);
            let forks = e.path.decisions.iter().take(shared).filter(|d| d.forked).count();
            e.pop_to(base + forks);
            e.begin_path(prefix);
        });
        let result = catch_unwind(AssertUnwindSafe(code));
        engine(|e| e.path.merges.clear());
        if let Err(payload) = result
            && !payload.is::<Abandon>()
        {
            let message = PANIC.with(|panic| panic.borrow_mut().take()).unwrap_or_else(|| "panic".to_string());
            engine(|e| e.fail(message, Reason::Panic));
        }
        walked += 1;
        if walked > engine(|e| e.settings.fuel) {
            engine(|e| e.fail(format!("more than {} paths", e.settings.fuel), Reason::Fuel));
        }
    }
    engine(|e| {
        e.results.counts.paths += walked;
        e.pop_to(base - 1);
        e.begin_path(Vec::new());
    });
}

impl Engine {
    fn begin_path(&mut self, prefix: Vec<Decision>) {
        self.path = Path::beginning(prefix);
        self.facts.begin_path();
        self.model = None;
    }
}
