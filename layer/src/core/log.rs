//! Events of the shared objects (reference, section 4.1.1).
use crate::core::machine::Machine;

domain::data! {
    /// An event of a shared object; the log records the CPU beside it. `tid` is the thread that runs.
    pub enum Event {
        /// `PALLOC(tid, page)`: a page was allocated to the running thread; 0 if none was
        /// available.
        Palloc { tid: Word, page: Word },
        /// `PFREE(tid, page)`: the running thread released a page. An addition for the layer above.
        Pfree { tid: Word, page: Word },
        /// `YIELD(tid)`: the thread yielded.
        Yield { tid: Word },
        /// `Lock(id, WAIT(tid, n))`: the thread waits for the lock of a channel, for a critical section of up to `n`
        /// events.
        Wait { tid: Word, channel: Word, budget: Word },
        /// `Lock(id, GET(tid))`: the thread has taken the lock of a channel.
        Get { tid: Word, channel: Word },
        /// `Lock(id, REL(tid, pool))`: the thread releases the lock of a channel and publishes this control block. No
        /// other part of the pool is ever read (P3).
        Release { tid: Word, channel: Word, to: Word, senderpaddr: Word, count: Word, busy: Word },
        /// `BUFFER(tid, chan, words)`: the thread put a message of `words` words into the mailbox of a channel.
        Buffer { tid: Word, channel: Word, words: Word },
        /// `SLEEP(tid, cv, pool)`: the thread sleeps on a condition variable, releases the lock of its channel, and
        /// publishes this control block.
        Sleep { tid: Word, cv: Word, to: Word, senderpaddr: Word, count: Word, busy: Word },
        /// `EXIT(tid)`: the thread's process has ended. An addition for the layer above.
        Exit { tid: Word },
        /// `RESPAWN(tid, child, q)`: the thread created another process in a child whose process had ended.
        Respawn { tid: Word, child: Word, quota: Word },
        /// `WAKE(tid, cv)`: the first thread that sleeps on a condition variable is woken, if there is one.
        Wake { tid: Word, cv: Word },
        /// `WAKE_DIFF(tid, cv, woken, cpu2)`: the woken thread joins the pending queue of its CPU.
        WakeDiff { tid: Word, cv: Word, woken: Word, cpu: Word },
        /// `SPAWN(tid, child, q, sp_ofs, code)`: the thread created a child that starts at `code`, with `q` pages of
        /// quota.
        Spawn { tid: Word, child: Word, quota: Word, sp_ofs: Word, code: Wide },
    }
}

impl<M: Machine> Event<M> {
    /// The thread that ran at the event.
    pub fn tid(&self) -> M::Word {
        match *self {
            Event::Palloc { tid, .. }
            | Event::Pfree { tid, .. }
            | Event::Exit { tid }
            | Event::Respawn { tid, .. }
            | Event::Yield { tid }
            | Event::Wait { tid, .. }
            | Event::Get { tid, .. }
            | Event::Release { tid, .. }
            | Event::Buffer { tid, .. }
            | Event::Sleep { tid, .. }
            | Event::Wake { tid, .. }
            | Event::WakeDiff { tid, .. }
            | Event::Spawn { tid, .. } => tid,
            Event::__Domain(never, _) => match never {},
        }
    }
}

/// The log of an object. It lives inside the object, so it is written under the object's lock, and its order is the
/// order of events. If the log is compiled out, it has no bytes.
pub trait Log<M: Machine> {
    /// Appends an event of CPU `by`.
    fn push(&mut self, by: M::Word, event: Event<M>);
}
