//! What each kernel entry modifies, both of the caller's state and of other state, and what it
//! ensures.
//!
//! As a primitive has a contract, an entry has an [`Effect`]: the cells that it may write on any path, and a
//! postcondition. Both are proved with the entry. The postcondition relates the state before, the arguments, the
//! [interactions](Interaction) with the machine, the state after, and the [`Next`] in which the entry ends. Interference
//! by other CPUs is not part of an effect.
mod answer;
mod cells;
mod ending;
mod guest;
mod interaction;
mod message;
mod spawn;

pub(crate) use ending::{exited, wait};
pub(crate) use guest::guest_exit;
pub use interaction::{Interaction, Memory, Written};
pub(crate) use message::{receive, send};
pub(crate) use spawn::{load, main};

use crate::continuation::Continuation;
use crate::next::{Load, Next, Parent, Wake};
use crate::system::{Event, System};
use abi::{Call, Cause, Error, Reason};
use cells::{console, mode, page_of, switch, trap};
use domain::{Map, Wide};
use ending::{killing, kills};
use layer::core::constants::*;
use layer::core::fields::Context;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::mapped;
use layer::spec::contract::{Cells, Region};
use layer::spec::view::View;
use message::Direction;

/// Arguments for any row; each row takes the arguments that it needs.
#[derive(Clone, Copy, Debug)]
pub struct EntryArguments<M: System> {
    /// The registers of a trap.
    pub registers: M::Registers,
    /// The saved context of the running thread.
    pub context: Context<M>,
    /// The reason for stopping a program.
    pub reason: Reason,
    /// The parent that waits for an image.
    pub parent: Parent,
    /// Child, image and next page of a [`Load`].
    pub load: [M::Word; 3],
    /// Condition variable and remaining count of a [`Wake`], and whether the running thread continues in its program
    /// afterwards (0) or ends.
    pub wake: [M::Word; 3],
    /// The registers of a guest that exits.
    pub guest: [M::Wide; SAVED.len()],
}

impl<M: System> EntryArguments<M> {
    /// The load that the arguments describe.
    pub(crate) fn load(&self) -> Load<M> {
        let [child, image, page] = self.load;
        Load { parent: self.parent, child, image, page }
    }

    /// The wake-up that the arguments describe.
    pub(crate) fn wake(&self) -> Wake<M> {
        let [cv, left, then] = self.wake;
        Wake { cv, left, then: if then == 0 { Continuation::StartUser } else { Continuation::Exited } }
    }
}

/// A completed entry: the states before and after it.
pub struct Made<'a, M: System + Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a EntryArguments<M>,
    /// The [`Next`] in which it ended.
    pub next: &'a Next<M>,
    /// What it did with its surroundings, in order.
    pub interactions: &'a [Interaction<M>],
    /// An arbitrary word. If a postcondition holds for all words, it is stated for this one.
    pub any: M::Word,
}

/// The modifies clause and the postcondition of an entry.
pub struct Effect<M: System + Spec> {
    /// The cells that it may write.
    pub modifies: fn(&Made<'_, M>, Cells<'_, M>),
    /// Its postcondition.
    pub ensures: fn(&Made<'_, M>) -> bool,
}

impl<M: System + Spec> Clone for Effect<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: System + Spec> Copy for Effect<M> {}

impl<M: System + Spec> Made<'_, M> {
    /// The thread that ran at the start of the entry: the caller.
    fn cur(&self) -> M::Word {
        self.before.own.cur
    }

    /// The caller's value in `slot` of its saved registers, in the state `at`.
    fn register(&self, at: &View<'_, M>, slot: M::Word) -> M::Wide {
        at.own.uctxt.get([self.cur(), slot]).value
    }

    /// The caller's value in `slot` when it made the call.
    fn given(&self, by: By, slot: M::Word) -> M::Wide {
        match by {
            By::Trap => M::register(&self.arguments.registers, slot),
            By::Continuation => self.register(&self.before, slot),
        }
    }

    /// An argument of the call.
    fn argument(&self, by: By, slot: u32) -> M::Word {
        self.given(by, slot.into()).low()
    }

    /// The trap asks for `call`.
    fn asks_for(&self, call: Call) -> bool {
        self.argument(By::Trap, slot::EAX) == call as u32
    }

    /// The call returned this error number.
    fn ended_with(&self, error: Error) -> bool {
        self.left(slot::EAX) == error as u32
    }

    /// When `thread` runs again, it continues at `continuation`, with an empty kernel stack.
    fn continues(&self, thread: M::Word, continuation: Continuation) -> bool {
        let saved = self.after.own.kctxt.get([thread]);
        saved.ra == continuation as u32 && saved.esp == thread * PAGE_SIZE + (PAGE_SIZE - 4)
    }

    /// The low half of the value in `slot` of the saved registers of `thread`, after the entry.
    fn left_of(&self, thread: M::Word, slot: u32) -> M::Word {
        self.after.own.uctxt.get([thread, slot.into()]).value.low()
    }

    /// As [`left_of`](Made::left_of), for the caller.
    fn left(&self, slot: u32) -> M::Word {
        self.left_of(self.cur(), slot)
    }

    /// The caller still runs.
    fn stays(&self) -> bool {
        self.after.own.cur == self.cur()
    }

    /// The caller's saved registers are those of the call, unchanged.
    fn kept(&self, by: By) -> bool {
        self.keeps(by, &[])
    }

    /// The call was refused with this error. All other registers of the caller are those of the call.
    fn is_refused(&self, by: By, error: Error) -> bool {
        self.ended_with(error) && self.keeps(by, &[slot::EAX])
    }

    /// The page of `thread` at `address`, which was missing, is mapped with this permission, and filled with zeros.
    fn is_reserved(&self, thread: M::Word, address: M::Word, permission: u32) -> bool {
        mapped(&self.before, thread, address).is_none()
            && match mapped(&self.after, thread, address) {
                Some((frame, with)) => {
                    with == permission && (self.any >= PAGE_SIZE || self.after.own.hp.get([frame, self.any]).value == 0)
                }
                None => false,
            }
    }

    /// The page of `thread` at `address` is missing, and nothing was charged for it.
    fn is_exhausted(&self, thread: M::Word, address: M::Word) -> bool {
        let usage = |v: &View<'_, M>| v.own.ac.get([thread]).usage;
        mapped(&self.after, thread, address).is_none() && usage(&self.after) == usage(&self.before)
    }

    /// The first ready thread runs, at its saved continuation. The caller continues at `continuation` when it runs again.
    fn switches(&self, continuation: Continuation) -> bool {
        let Next::Switch(resume) = self.next else { return false };
        let (head, next) = (self.before.own.ready.head, self.after.own.cur);
        let (to, saved) = (resume.context(), self.after.own.kctxt.get([next]));
        to.ra == saved.ra
            && to.esp == saved.esp
            && (head == NO_THREAD || next == head)
            && self.continues(self.cur(), continuation)
    }

    /// The first ready thread runs. The caller is ready, or still runs because no other thread is.
    fn yields(&self, continuation: Continuation) -> bool {
        let place = self.after.threads.tcb.get([self.cur()]).place;
        self.switches(continuation) && (self.stays() || place == self.before.own.cpu)
    }

    /// The first ready thread runs. The caller is the last of those that sleep in the queue `q`.
    fn sleeps(&self, q: M::Word, continuation: Continuation) -> bool {
        let threads = self.after.threads;
        self.switches(continuation)
            && !self.stays()
            && threads.tcb.get([self.cur()]).place == q
            && threads.next.get([self.cur()]).thread == NO_THREAD
    }

    /// No thread sleeps in the queue `q`.
    fn nobody_sleeps(&self, q: M::Word) -> bool {
        self.any >= NUM_PROC || self.after.threads.tcb.get([self.any]).place != q
    }
}

/// The origin of a call, which determines where its arguments are.
#[derive(Clone, Copy)]
enum By {
    /// A trap: the arguments are among its registers.
    Trap,
    /// A continuation: the arguments are among the caller's saved registers.
    Continuation,
}

/// An address of the user window.
fn is_in_window<M: System>(address: M::Word) -> bool {
    address >= ADR_LOW && address < ADR_HIGH
}

/// `system_call`: modifies the caller's registers and the cells of the call.
pub(crate) fn system_call<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            if m.asks_for(Call::Send) {
                message::modifies(m, By::Trap, Direction::Send, &mut *may);
            }
            if m.asks_for(Call::Recv) {
                message::modifies(m, By::Trap, Direction::Receive, &mut *may);
            }
            if m.asks_for(Call::Puts) {
                page_of::<M>(m.cur(), &mut *may);
            }
            // If the call is refused, nothing is written.
            if let Next::Load(load) = m.next {
                cells::child(m, load.child, &mut *may);
            }
            // If the kill is refused, nothing is written. Otherwise the postcondition states that the
            // target is a child that was live.
            if m.asks_for(Call::Kill) && !matches!(m.next, Next::ToUser(_)) {
                killing::<M>(m.argument(By::Trap, slot::EBX), &mut *may);
            }
            if m.asks_for(Call::Yield) {
                switch(m, &mut *may);
            }
            if m.asks_for(Call::Putc) || m.asks_for(Call::Getc) {
                console::<M>(&mut *may);
            }
            guest::modifies(m, may);
        },
        ensures: |m| {
            let Some(&call) = Call::ALL.iter().find(|&&call| m.asks_for(call)) else {
                return m.stays()
                    && matches!(m.next, Next::ToUser(_))
                    && m.is_refused(By::Trap, Error::InvalCallnr)
                    && m.interactions.is_empty();
            };
            match call {
                Call::Send => message::ensures(m, By::Trap, Direction::Send),
                Call::Recv => message::ensures(m, By::Trap, Direction::Receive),
                Call::Spawn => spawn::spawn(m),
                Call::Exit => {
                    let status = m.argument(By::Trap, slot::EBX);
                    matches!(m.next, Next::Continue(Continuation::Exited))
                        && m.stays()
                        && m.ends(status, Cause::Exited)
                        && matches!(
                            m.interactions,
                            [Interaction::Report(Event::Exited { status: reported })] if *reported == status
                        )
                }
                Call::Wait => {
                    matches!(m.next, Next::Continue(Continuation::Wait))
                        && m.stays()
                        && m.kept(By::Trap)
                        && m.interactions.is_empty()
                }
                Call::Kill if !matches!(m.next, Next::ToUser(_)) => m.stays() && kills(m),
                Call::Yield => {
                    m.yields(Continuation::StartUser)
                        && m.ended_with(Error::Succ)
                        && m.left(slot::EBX) == 0
                        && m.keeps_all_but(By::Trap, 1)
                        && m.interactions.is_empty()
                }
                call if call.is_of_monitors() => m.interactions.is_empty() && guest::ensures(m, call),
                call => matches!(m.next, Next::ToUser(_)) && m.stays() && answer::ensures(m, call),
            }
        },
    }
}

/// `page_fault`: modifies the program's registers, page map and quota.
///
/// A missing page of the window is reserved, and the program continues at its instruction. Otherwise the program is
/// stopped.
pub(crate) fn page_fault<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.cur(), may);
        },
        ensures: |m| {
            let fault = m.before.own.ti;
            let address = fault.addr.narrow().filter(|&address| is_in_window::<M>(address));
            let stopped = |reason| m.is_stopped(reason, fault.addr, fault.ra);
            match (address, m.next) {
                (None, _) => stopped(Reason::BadAddress),
                (Some(address), Next::ToUser(_)) => {
                    m.stays()
                        && m.kept(By::Trap)
                        && m.is_reserved(m.cur(), address, perm::PTU)
                        && m.interactions.is_empty()
                }
                (Some(address), _) if mapped(&m.before, m.cur(), address).is_some() => stopped(Reason::ProtectionFault),
                (Some(address), _) => stopped(Reason::OutOfQuota) && m.is_exhausted(m.cur(), address),
            }
        },
    }
}

/// `exception`: modifies the mode and the program's registers.
pub(crate) fn exception<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: trap,
        ensures: |m| {
            let rip = m.given(By::Trap, slot::EIP.into());
            m.is_stopped(m.arguments.reason, rip, rip)
        },
    }
}

/// `interrupt`: modifies the program's registers and the scheduler's state.
pub(crate) fn interrupt<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            switch(m, may);
        },
        ensures: |m| m.kept(By::Trap) && m.yields(Continuation::StartUser) && m.interactions.is_empty(),
    }
}

/// `resume`: modifies nothing. The running thread continues where it saved its context.
pub(crate) fn resume<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |_, _| {},
        ensures: |m| {
            m.stays()
                && m.interactions.is_empty()
                && matches!(m.next, Next::Continue(continuation) if m.arguments.context.ra == *continuation as u32)
        },
    }
}

/// `start_user`: modifies only the mode.
pub(crate) fn start_user<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |_, may| mode::<M>(may),
        ensures: |m| m.stays() && matches!(m.next, Next::ToUser(_)) && m.interactions.is_empty(),
    }
}

/// `wake`: modifies the queues.
pub(crate) fn wake<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |_, may| {
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, Region::All, &[]);
            }
            for field in ["tcb", "tcb.next"] {
                may(field, Region::All, &[]);
            }
        },
        ensures: |m| {
            let [cv, left, then] = m.arguments.wake;
            let then = |continuation| {
                if then == 0 { continuation == Continuation::StartUser } else { continuation == Continuation::Exited }
            };
            m.stays()
                && m.interactions.is_empty()
                && match m.next {
                    Next::Continue(continuation) => then(*continuation) && (left == 0 || m.nobody_sleeps(cv + SLP_Q)),
                    Next::Wake(wake) => then(wake.then) && wake.cv == cv && left > 0 && wake.left + 1 == left,
                    _ => false,
                }
        },
    }
}
