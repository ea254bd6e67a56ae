//! Events of the shared objects (reference, section 4.1.1).
use crate::machine::Machine;

domain::data! {
    /// What happened to a shared object; who did it is recorded beside it. Threads are called `tid` where they run.
    pub enum Event {
        /// `PALLOC(tid, page)`: the running thread was handed out a page, or 0.
        Palloc { tid: Word, page: Word },
        /// `PFREE(tid, page)`: the running thread gave a page back: an addition of the layer above.
        Pfree { tid: Word, page: Word },
        /// `YIELD(tid)`: the thread yielded.
        Yield { tid: Word },
        /// `Lock(id, WAIT(tid, n))`: the thread waits for the lock of a channel, for a section of so many events.
        Wait { tid: Word, channel: Word, budget: Word },
        /// `Lock(id, GET(tid))`: the thread has the lock of a channel.
        Get { tid: Word, channel: Word },
        /// `Lock(id, REL(tid, pool))`: the thread gives the lock of a channel back, whose control block is this. Of the pool
        /// nothing else is ever looked at (P3).
        Release { tid: Word, channel: Word, to: Word, senderpaddr: Word, count: Word, busy: Word },
        /// `BUFFER(tid, chan, words)`: the thread put a message of so many words into the mailbox of a channel.
        Buffer { tid: Word, channel: Word, words: Word },
        /// `SLEEP(tid, cv, pool)`: the thread sleeps on a condition variable and gives the lock of its channel back, whose
        /// control block is this.
        Sleep { tid: Word, cv: Word, to: Word, senderpaddr: Word, count: Word, busy: Word },
        /// `EXIT(tid)`: the thread's process has ended: an addition of the layer above.
        Exit { tid: Word },
        /// `RESPAWN(tid, child, q)`: the thread made another process of a child whose process had ended.
        Respawn { tid: Word, child: Word, quota: Word },
        /// `WAKE(tid, cv)`: the first thread that sleeps on a condition variable is woken, if there is one.
        Wake { tid: Word, cv: Word },
        /// `WAKE_DIFF(tid, cv, woken, cpu2)`: the one that was woken joins the pending queue of its CPU.
        WakeDiff { tid: Word, cv: Word, woken: Word, cpu: Word },
        /// `SPAWN(tid, child, q, sp_ofs, code)`: the thread made a child that starts at `code`, and gave it so many pages.
        Spawn { tid: Word, child: Word, quota: Word, sp_ofs: Word, code: Wide },
    }
}

impl<M: Machine> Event<M> {
    /// The thread that ran.
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

/// The log behind an object. It lives inside the object, so it is written under the object's lock and its order
/// is the order in which things happened. Compiled out it has no bytes.
pub trait Log<M: Machine> {
    /// Appends what CPU `by` did.
    fn push(&mut self, by: M::Word, event: Event<M>);
}
