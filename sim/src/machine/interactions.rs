//! Records the interactions of a kernel entry with its surroundings, for postconditions.
use super::{Sim, scoped};
use std::cell::RefCell;
use syscall::effect::Interaction;

thread_local! {
    static RECORDED: RefCell<Option<Vec<Interaction<Sim>>>> = const { RefCell::new(None) };
}

/// Runs `work`, and returns the interactions on this thread with its result.
pub(crate) fn recorded<R>(work: impl FnOnce() -> R) -> (R, Vec<Interaction<Sim>>) {
    scoped::with(&RECORDED, Vec::new(), || {
        let result = work();
        (result, RECORDED.take().unwrap_or_default())
    })
}

/// Whether interactions are recorded.
pub(super) fn is_recording() -> bool {
    RECORDED.with_borrow(Option::is_some)
}

/// Adds an interaction, if they are recorded.
pub(super) fn record(interaction: impl FnOnce() -> Interaction<Sim>) {
    RECORDED.with_borrow_mut(|recorded| {
        if let Some(recorded) = recorded {
            recorded.push(interaction());
        }
    });
}
