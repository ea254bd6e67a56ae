//! One execution from the start state of a counterexample, with its interference.
use super::interference::Interference;
use super::outcome::Refused;
use super::witness::Witness;
use crate::check::facts::check_facts;
use crate::machine::Sim;
use crate::machine::interactions::recorded;
use crate::machine::lock::watched;
use crate::machine::panics::{Panic, quietly};
use crate::machine::sparse::Cells;
use crate::state::snapshot::Snapshot;
use crate::state::values::NoSuch;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::spec::fact::Class;
use std::cell::RefCell;
use std::rc::Rc;
use syscall::effect::Interaction;

/// An execution.
pub(super) struct Made<R> {
    /// The result.
    pub(super) result: Result<Result<R, Stuck>, Panic>,
    /// The final state.
    pub(super) after: Snapshot,
    /// The interference, and the guarantees that were violated.
    pub(super) interference: Interference,
    /// The interactions with the machine, and the locks of channels that were taken.
    pub(super) interactions: Vec<Interaction<Sim>>,
}

/// Checks that `state` satisfies the facts of all classes up to `most`.
pub(super) fn satisfies(state: &Snapshot, most: Class) -> Result<(), Refused> {
    match quietly(|| check_facts(&state.view(), Cells::Neighbours, most)) {
        Ok(violations) if violations.is_empty() => Ok(()),
        Ok(violations) => Err(Refused::Facts(violations)),
        Err(panic) => Err(NoSuch(panic.message).into()),
    }
}

/// Runs `call` on the CPU of `witness`, from the state `before`, with the interference of `witness`.
pub(super) fn make<R>(
    witness: &Witness,
    before: &Snapshot,
    call: impl FnOnce(&mut Cpu<'_, Sim>) -> Result<R, Stuck>,
) -> Result<Made<R>, Refused> {
    let interference = Rc::new(RefCell::new(Interference::new(witness, before)));
    let (result, after, interactions) = witness.on_machine(|cpu, shared| {
        before.snapshot().restore(cpu);
        let (watching, shared) = (interference.clone(), shared.clone());
        let watch = move |object, row| watching.borrow_mut().before_lock(object, row, &shared);
        let (result, interactions) = recorded(|| watched(watch, || quietly(|| call(cpu))));
        let after = Snapshot { boot: before.boot, current_cpu: before.current_cpu, ..Snapshot::take(cpu) };
        (result, after, interactions)
    });
    let mut interference = interference.take();
    match interference.refused.take() {
        Some(refused) => Err(refused),
        None => Ok(Made { result, after, interference, interactions }),
    }
}

/// A description of the result of a call.
pub(super) fn describe<R>(result: &Result<Result<R, Stuck>, Panic>, shown: impl FnOnce(&R) -> String) -> String {
    match result {
        Ok(Ok(answer)) => shown(answer),
        Ok(Err(stuck)) => format!("stuck: {stuck:?}"),
        Err(panic) => format!("panic: {}", panic.message),
    }
}
