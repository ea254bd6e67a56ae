//! Events of the shared objects (reference, section 4.1.1).
use crate::machine::Machine;

domain::data! {
    /// What happened to a shared object; who did it is recorded beside it.
    pub enum Event {
        /// `PALLOC(tid, page)`: the running thread was handed out a page, or 0.
        Palloc { tid: Word, page: Word },
        /// `YIELD(tid)`: the thread yielded.
        Yield { tid: Word },
        /// `SPAWN(tid, child, …)`: the thread made a child and gave it so many pages.
        Spawn { tid: Word, child: Word, quota: Word },
    }
}

/// The log behind an object. It lives inside the object, so it is written under the object's lock and its order
/// is the order in which things happened. Compiled out it has no bytes.
pub trait Log<M: Machine> {
    /// Appends what CPU `by` did.
    fn push(&mut self, by: M::Word, event: Event<M>);
}
