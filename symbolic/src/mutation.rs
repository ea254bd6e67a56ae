//! Determines which code is mutated: the code under proof. Its specification is weakened, where that is asked for.
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

/// Evaluates `clause` of the specification. A weakening of it applies only here, and not to facts or preconditions that
/// use the same functions.
pub fn specifying(clause: &'static str, holds: impl FnOnce() -> bool) -> bool {
    struct Outer(Option<&'static str>);
    // A path can end by unwinding.
    impl Drop for Outer {
        fn drop(&mut self) {
            engine(|e| e.settings.mutation.specifying = self.0);
        }
    }
    if engine(|e| e.settings.mutation.drops(clause)) {
        return true;
    }
    let _outer = Outer(engine(|e| e.settings.mutation.specifying.replace(clause)));
    holds()
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

/// Whether this outcome of the call under proof is any value instead of the right one.
pub fn is_wrong(outcome: Operator) -> bool {
    engine(|e| e.settings.mutation.is_wrong(outcome))
}
