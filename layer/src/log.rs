//! Events of the shared objects (reference, section 4.1.1).
use crate::machine::Machine;

/// What happened to a shared object; who did it is recorded beside it.
#[derive(Clone, Copy, Debug)]
pub enum Event<M: Machine> {
    /// `PALLOC(tid, page)`: a page was handed out, or 0.
    Palloc {
        /// The running thread.
        tid: M::Word,
        /// The frame, 0 for none.
        page: M::Word,
    },
    /// `YIELD(tid)`.
    Yield {
        /// The thread that yielded.
        tid: M::Word,
    },
    /// `SPAWN(tid, child, …)`.
    Spawn {
        /// The parent.
        tid: M::Word,
        /// The new thread.
        child: M::Word,
        /// Pages given to it.
        quota: M::Word,
    },
}

/// The log behind an object. It lives inside the object, so it is written under the object's lock and its order
/// is the order in which things happened. Compiled out it has no bytes.
pub trait Log<M: Machine> {
    /// Appends what CPU `by` did.
    fn push(&mut self, by: M::Word, event: Event<M>);
}
