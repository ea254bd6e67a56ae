//! The call rule and the loop rule.
//!
//! * **The call rule.** A called function is replaced by its contract, which has a proof of its own. At a call we
//!   prove the callee's precondition and the invariant, havoc what the callee may modify, and assume its postcondition
//!   and the invariant.
//! * **The loop rule.** We prove the loop invariant on entry, havoc what the loop modifies, run one iteration, and prove
//!   the loop invariant again. If the iteration breaks, the path continues after the loop. If it does not, the path
//!   continues there too, because the iteration may have been the last one. The loop invariant may name the number of
//!   iterations so far.
//!
//! The client defines the state, and how it is havocked.
use crate::engine::engine;
use crate::merge::condition;
use crate::mutation::running;
use crate::origin::Origin;
use crate::path::{Abandon, Write};
use crate::proof::any;
use crate::query::refuted;
use crate::word::SymWord;
use smt::term::Term;
use std::ops::ControlFlow;
use std::panic::resume_unwind;

/// A call to which the call rule is applied.
pub trait Call {
    /// The name of the callee.
    fn name(&self) -> &'static str;
    /// Proves the invariant and the callee's precondition. Returns whether both hold.
    fn prove_requires(&self) -> bool;
    /// Havocs what the callee may modify: these cells get the version `origin`. Assumes the
    /// invariant.
    fn havoc(&mut self, origin: Origin);
    /// The callee's postcondition.
    fn ensures(&self) -> bool;
    /// The cells that the callee may have written. The caller must be allowed to modify them too.
    fn writes(&self) -> Vec<Write>;
}

/// Applies the call rule. If the precondition or the invariant fails, the path ends.
pub fn call(call: &mut impl Call) {
    prove_here(|| call.prove_requires());
    engine(|e| e.path.trace.called.push(call.name()));
    call.havoc(Origin::fresh());
    assume_ensures(call.name(), &|| call.ensures());
    let writes = call.writes();
    engine(|e| e.path.writes.extend(writes));
}

/// As [`call`](fn@call), for a callee that changes nothing: there is nothing to havoc.
pub fn call_without_effect(name: &'static str, prove_requires: impl FnOnce() -> bool, ensures: &dyn Fn() -> bool) {
    prove_here(prove_requires);
    engine(|e| e.path.trace.called.push(name));
    assume_ensures(name, ensures);
}

/// A loop to which the loop rule is applied.
pub trait Loop {
    /// The error of an iteration.
    type Error;
    /// The name of the loop.
    fn name(&self) -> &'static str;
    /// Proves the loop invariant in the current state, after `count` iterations; `when` names the moment in reports.
    /// Returns whether it holds.
    fn prove_invariant(&self, when: &str, count: SymWord) -> bool;
    /// Havocs what the loop may modify: these cells get the version `origin`. Assumes the loop
    /// invariant, after `count` iterations.
    fn havoc(&mut self, origin: Origin, count: SymWord);
    /// Runs one iteration.
    ///
    /// # Errors
    /// The errors of the iteration.
    fn iterate(&mut self) -> Result<ControlFlow<()>, Self::Error>;
    /// A forbidden effect of the last iteration, if there was one.
    fn forbidden(&self) -> Option<String>;
}

/// Applies the loop rule to a loop of at most `most` iterations. If the loop invariant fails, or an iteration has a
/// forbidden effect, the path ends.
///
/// # Errors
/// The errors of an iteration.
pub fn bounded_loop<L: Loop>(it: &mut L, most: u32) -> Result<(), L::Error> {
    prove_here(|| it.prove_invariant("before the first iteration", 0.into()));
    let count = any("iterations", most.into());
    it.havoc(Origin::fresh(), count);
    if it.iterate()?.is_break() {
        return Ok(());
    }
    if let Some(what) = it.forbidden() {
        refuted(&[], format!("an iteration of {} {what}", it.name()));
        resume_unwind(Box::new(Abandon));
    }
    let count = SymWord(engine(|e| {
        let one = e.arena.number(1);
        e.arena.add(count.0, one)
    }));
    prove_here(|| it.prove_invariant("after an iteration", count));
    // An iteration that does not break is followed by another one, unless it is the last.
    assume_term(engine(|e| {
        let most = e.arena.number(most.into());
        e.arena.eq(count.0, most)
    }));
    Ok(())
}

/// Proves something at this point of the path. If it fails, the path ends. A path that is repeated up to here skips it,
/// because it was proved when the path first came here.
pub fn prove_here(prove: impl FnOnce() -> bool) {
    if engine(|e| e.path.is_repeated()) {
        return;
    }
    let fresh = engine(|e| e.path.fresh);
    let holds = prove();
    engine(|e| e.path.fresh = fresh);
    if !holds {
        resume_unwind(Box::new(Abandon));
    }
}

/// Assumes `holds` on this path.
pub fn assume(holds: &dyn Fn() -> bool) {
    assume_term(running(false, || condition(holds)));
}

fn assume_term(holds: Term) {
    engine(|e| {
        e.learn(holds);
        e.assume(holds);
    });
}

/// Assumes the postcondition of the function `name` on this path.
///
/// # Panics
/// If nothing satisfies the postcondition: with such a contract, everything could be proved.
fn assume_ensures(name: &str, ensures: &dyn Fn() -> bool) {
    let holds = running(false, || condition(ensures));
    let never = engine(|e| e.arena.as_bool(holds)) == Some(false);
    assert!(!never, "no result of {name} can satisfy its contract");
    assume_term(holds);
}
