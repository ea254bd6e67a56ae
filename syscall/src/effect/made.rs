//! What an effect relates: a completed entry with its arguments, and the questions that several effects ask about it.
use super::interaction::Interaction;
use crate::continuation::Continuation;
use crate::next::{Load, Next, Parent, Wake};
use crate::system::System;
use abi::{Call, Error, Reason};
use domain::{Map, Wide};
use layer::core::constants::*;
use layer::core::fields::Context;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::mapped;
use layer::spec::contract::Cells;
use layer::spec::view::View;

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
    pub(super) fn cur(&self) -> M::Word {
        self.before.own.cur
    }

    /// The caller's value in `slot` of its saved registers, in the state `at`.
    pub(super) fn register(&self, at: &View<'_, M>, slot: M::Word) -> M::Wide {
        at.own.uctxt.get([self.cur(), slot]).value
    }

    /// The caller's value in `slot` when it made the call.
    pub(super) fn given(&self, by: By, slot: M::Word) -> M::Wide {
        match by {
            By::Trap => M::register(&self.arguments.registers, slot),
            By::Continuation => self.register(&self.before, slot),
        }
    }

    /// An argument of the call.
    pub(super) fn argument(&self, by: By, slot: u32) -> M::Word {
        self.given(by, slot.into()).low()
    }

    /// The trap asks for `call`.
    pub(super) fn asks_for(&self, call: Call) -> bool {
        self.argument(By::Trap, slot::EAX) == call as u32
    }

    /// The call returned this error number.
    pub(super) fn ended_with(&self, error: Error) -> bool {
        self.left(slot::EAX) == error as u32
    }

    /// When `thread` runs again, it continues at `continuation`, with an empty kernel stack.
    pub(super) fn continues(&self, thread: M::Word, continuation: Continuation) -> bool {
        let saved = self.after.own.kctxt.get([thread]);
        saved.ra == continuation as u32 && saved.esp == thread * PAGE_SIZE + (PAGE_SIZE - 4)
    }

    /// The low half of the value in `slot` of the saved registers of `thread`, after the entry.
    pub(super) fn left_of(&self, thread: M::Word, slot: u32) -> M::Word {
        self.after.own.uctxt.get([thread, slot.into()]).value.low()
    }

    /// As [`left_of`](Made::left_of), for the caller.
    pub(super) fn left(&self, slot: u32) -> M::Word {
        self.left_of(self.cur(), slot)
    }

    /// The caller still runs.
    pub(super) fn stays(&self) -> bool {
        self.after.own.cur == self.cur()
    }

    /// The caller's saved registers are those of the call, unchanged.
    pub(super) fn kept(&self, by: By) -> bool {
        self.keeps(by, &[])
    }

    /// The call was refused with this error. All other registers of the caller are those of the call.
    pub(super) fn is_refused(&self, by: By, error: Error) -> bool {
        self.ended_with(error) && self.keeps(by, &[slot::EAX])
    }

    /// The page of `thread` at `address`, which was missing, is mapped with this permission, and filled with zeros.
    pub(super) fn is_reserved(&self, thread: M::Word, address: M::Word, permission: u32) -> bool {
        mapped(&self.before, thread, address).is_none()
            && match mapped(&self.after, thread, address) {
                Some((frame, with)) => {
                    with == permission && (self.any >= PAGE_SIZE || self.after.own.hp.get([frame, self.any]).value == 0)
                }
                None => false,
            }
    }

    /// The page of `thread` at `address` is missing, and nothing was charged for it.
    pub(super) fn is_exhausted(&self, thread: M::Word, address: M::Word) -> bool {
        let usage = |v: &View<'_, M>| v.own.ac.get([thread]).usage;
        mapped(&self.after, thread, address).is_none() && usage(&self.after) == usage(&self.before)
    }

    /// The first ready thread runs, at its saved continuation. The caller continues at `continuation` when it runs again.
    pub(super) fn switches(&self, continuation: Continuation) -> bool {
        let Next::Switch(resume) = self.next else { return false };
        let (head, next) = (self.before.own.ready.head, self.after.own.cur);
        let (to, saved) = (resume.context(), self.after.own.kctxt.get([next]));
        to.ra == saved.ra
            && to.esp == saved.esp
            && (head == NO_THREAD || next == head)
            && self.continues(self.cur(), continuation)
    }

    /// The first ready thread runs. The caller is ready, or still runs because no other thread is.
    pub(super) fn yields(&self, continuation: Continuation) -> bool {
        let place = self.after.threads.tcb.get([self.cur()]).place;
        self.switches(continuation) && (self.stays() || place == self.before.own.cpu)
    }

    /// The first ready thread runs. The caller is the last of those that sleep in the queue `q`.
    pub(super) fn sleeps(&self, q: M::Word, continuation: Continuation) -> bool {
        let threads = self.after.threads;
        self.switches(continuation)
            && !self.stays()
            && threads.tcb.get([self.cur()]).place == q
            && threads.next.get([self.cur()]).thread == NO_THREAD
    }

    /// No thread sleeps in the queue `q`.
    pub(super) fn nobody_sleeps(&self, q: M::Word) -> bool {
        self.any >= NUM_PROC || self.after.threads.tcb.get([self.any]).place != q
    }
}

/// The origin of a call, which determines where its arguments are.
#[derive(Clone, Copy)]
pub(super) enum By {
    /// A trap: the arguments are among its registers.
    Trap,
    /// A continuation: the arguments are among the caller's saved registers.
    Continuation,
}
