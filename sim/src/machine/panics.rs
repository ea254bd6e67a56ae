//! Catches panics of the code that runs on a machine.
use super::lock::Waiting;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A panic of the called code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// The message.
    pub message: String,
    /// The place: file and line.
    pub at: String,
    /// The lock for which the code would have waited for ever, if that is why it was stopped.
    pub waiting: Option<Waiting>,
}

thread_local! {
    /// Whether panics of this thread are recorded instead of printed, and the last one.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs `work`. A panic is returned, instead of printed on the terminal.
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> Result<R, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                return print(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            let waiting = payload.downcast_ref::<Waiting>().copied();
            let message = waiting.map_or_else(|| text.unwrap_or("a panic").to_string(), |waiting| waiting.to_string());
            let at = info.location().map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
            PANIC.set(Some(Panic { message, at, waiting }));
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    let unknown = || Panic { message: "a panic".to_string(), at: String::new(), waiting: None };
    result.map_err(|_| PANIC.take().unwrap_or_else(unknown))
}

/// Evaluates a condition. It is false if it goes out of range.
pub(crate) fn holds(condition: impl FnOnce() -> bool) -> bool {
    quietly(condition).unwrap_or(false)
}
