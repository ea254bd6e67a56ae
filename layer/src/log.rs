//! Events of the shared objects (reference, section 4.1.1).
use crate::fields::SyncChannel;
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
    /// `Lock(id, WAIT(tid, n))`: waits for the lock of a channel.
    Wait {
        /// The running thread.
        tid: M::Word,
        /// The channel.
        channel: M::Word,
        /// Events that its critical section may have.
        budget: M::Word,
    },
    /// `Lock(id, GET(tid))`: has it.
    Get {
        /// The running thread.
        tid: M::Word,
        /// The channel.
        channel: M::Word,
    },
    /// `Lock(id, REL(tid, pool))`: gives it back. Of the pool only the channel of the lock is ever looked at (P3).
    Release {
        /// The running thread.
        tid: M::Word,
        /// The channel.
        channel: M::Word,
        /// Its control block.
        control: SyncChannel<M>,
    },
    /// `BUFFER(tid, chan, words)`: a message was put into the mailbox.
    Buffer {
        /// The running thread.
        tid: M::Word,
        /// The channel.
        channel: M::Word,
        /// How many words.
        words: M::Word,
    },
    /// `SLEEP(tid, cv, pool)`: sleeps, and gives the channel's lock back; of the pool as in [`Event::Release`].
    Sleep {
        /// The running thread.
        tid: M::Word,
        /// The condition variable.
        cv: M::Word,
        /// The control block of its channel.
        control: SyncChannel<M>,
    },
    /// `WAKE(tid, cv)`: the first sleeper is woken.
    Wake {
        /// The running thread.
        tid: M::Word,
        /// The condition variable.
        cv: M::Word,
    },
    /// `WAKE_DIFF(tid, cv, woken, cpu2)`: it joins the pending queue of its CPU, which is another one.
    WakeDiff {
        /// The running thread.
        tid: M::Word,
        /// The condition variable.
        cv: M::Word,
        /// The thread that is woken.
        woken: M::Word,
        /// Its CPU.
        cpu: M::Word,
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
