//! Determines which code is mutated: the code under proof. Its specification is weakened, where that is asked for.
use crate::engine::engine;
use crate::mutant::{Change, Mutation, Operator};
use std::panic::Location;

/// Runs `work` while `place` has `value`. Afterwards it has its old value, even if the path ends by unwinding.
fn scoped<T: Copy, R>(place: fn(&mut Mutation) -> &mut T, value: T, work: impl FnOnce() -> R) -> R {
    struct Outer<T: Copy>(fn(&mut Mutation) -> &mut T, T);
    impl<T: Copy> Drop for Outer<T> {
        fn drop(&mut self) {
            engine(|e| *self.0(&mut e.settings.mutation) = self.1);
        }
    }
    let _outer = Outer(place, engine(|e| std::mem::replace(place(&mut e.settings.mutation), value)));
    work()
}

/// Runs `work` as code under proof, or as specification.
pub fn running<R>(is_running: bool, work: impl FnOnce() -> R) -> R {
    scoped(|mutation| &mut mutation.running, is_running, work)
}

/// Evaluates `clause` of the specification. A weakening of it applies only here, and not to facts or preconditions that
/// use the same functions.
pub fn specifying(clause: &'static str, holds: impl FnOnce() -> bool) -> bool {
    engine(|e| e.settings.mutation.drops(clause)) || scoped(|mutation| &mut mutation.specifying, Some(clause), holds)
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
