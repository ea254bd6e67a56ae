//! Determines which code is mutated: the code under proof, and not its specification.
use crate::engine::engine;
use crate::mutant::{Change, Operator};
use std::panic::Location;

/// Runs `work` as code under proof, or as specification.
pub fn running<R>(is_running: bool, work: impl FnOnce() -> R) -> R {
    struct Outer(bool);
    // A path can end by unwinding.
    impl Drop for Outer {
        fn drop(&mut self) {
            engine(|e| e.settings.mutation.running = self.0);
        }
    }
    let _outer = Outer(engine(|e| std::mem::replace(&mut e.settings.mutation.running, is_running)));
    work()
}

/// Whether code under proof is running.
pub fn is_running() -> bool {
    engine(|e| e.settings.mutation.running)
}

/// The change of this operator, if it is the active mutant's.
pub fn change(operator: Operator, at: &'static Location<'static>) -> Option<Change> {
    engine(|e| {
        let is_code = e.settings.is_code;
        e.settings.mutation.at(operator, at, is_code)
    })
}
