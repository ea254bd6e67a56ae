//! How the code under proof calls functions that have contracts.
use crate::engine::engine;

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
