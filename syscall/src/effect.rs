//! What each kernel entry modifies, both of the caller's state and of other state, and what it
//! ensures.
//!
//! As a primitive has a contract, an entry has an [`Effect`]: the cells that it may write on any path, and a
//! postcondition. Both are proved with the entry. Interference by other CPUs is not part of an effect.
mod answer;
mod ending;
mod guest;

use crate::next::{Load, Parent, Wake};
use abi::Reason;
pub(crate) use ending::{exited, wait};
use ending::{killing, kills};
pub(crate) use guest::guest_exit;

use crate::continuation::Continuation;
use crate::message::{FILLED, FREE};
use crate::next::Next;
use crate::system::System;
use abi::{CHANNELS, Call, Cause, Error};
use domain::{Map, Wide};
use layer::core::constants::*;
use layer::core::machine::{Machine, Spec};
use layer::objects::page_table::spec::{NEW_FRAME, mapped};
use layer::spec::contract::{Cells, Region};
use layer::spec::view::View;

/// Arguments for any row; each row takes the arguments that it needs.
#[derive(Clone, Copy, Debug)]
pub struct EntryArguments<M: System> {
    /// The registers of a trap.
    pub registers: M::Registers,
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

    /// The channel that the call names, if it names one.
    fn named(&self, by: By) -> Option<M::Word> {
        let channel = self.argument(by, slot::EBX);
        (channel < CHANNELS).then(|| channel + SLP_Q)
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

    /// The caller's saved continuation is `continuation`.
    fn saved(&self, continuation: Continuation) -> bool {
        self.continues(self.cur(), continuation)
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

/// Cells: the ring, and the current page map.
fn mode<M: Machine>(may: Cells<'_, M>) {
    for scalar in ["ikern", "ipt", "PT"] {
        may(scalar, Region::All, &[]);
    }
}

/// Cells: the saved registers of `thread`.
fn registers<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("uctxt", Region::All, &[thread]);
    may("uctxt.kind", Region::All, &[thread]);
}

/// Cells: those of a trap and of the return from it.
fn trap<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    mode::<M>(&mut *may);
    registers::<M>(m.cur(), may);
}

/// Cells: those of mapping a page for `thread`: its page map and quota, and frames that become its own or are released
/// at once.
fn page_of<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("AC", Region::Leaf("usage"), &[thread]);
    may("AC.charged", Region::All, &[thread]);
    may("AC.seats", Region::All, &[thread]);
    may("AT.cursor", Region::All, &[]);
    may("ptpool", Region::All, &[thread]);
    may("ptpool.defined", Region::All, &[thread]);
    for field in NEW_FRAME {
        may(field, Region::Fresh, &[]);
        may(field, Region::Returned, &[]);
    }
    for field in ["pt", "pt.ghost"] {
        may(field, Region::Table, &[thread]);
    }
}

/// Cells: those of a switch from the caller to the next ready thread.
fn switch<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    may("cid", Region::All, &[]);
    may("kctxt", Region::All, &[m.cur()]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.lo", "rdy.hi"] {
        may(scalar, Region::All, &[]);
    }
    for field in ["tcb", "tcb.next"] {
        may(field, Region::Mine, &[]);
    }
}

/// Cells: those of creating a child of the caller: the child's own, its parent's quota and count of children, and the
/// ready queue, to which the child is appended.
fn child<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    let (cur, parent) = (m.cur(), m.before.own.ac.get([m.cur()]));
    may("AC", Region::Leaf("usage"), &[cur]);
    may("AC", Region::Leaf("nchildren"), &[cur]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
        may(scalar, Region::All, &[]);
    }
    if m.before.own.ready.tail != NO_THREAD {
        may("tcb.next", Region::All, &[m.before.own.ready.tail]);
    }
    // The child may also be a thread whose previous process had ended.
    for field in ["AC", "kctxt", "proc", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
        may(field, Region::Ended, &[cur]);
    }
    if cur < NUM_PROC && parent.nchildren < MAX_CHILDREN {
        let child = m.child(parent.nchildren);
        for field in ["AC", "AC.charged", "kctxt", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
            may(field, Region::All, &[child]);
        }
    }
}

/// Cells: the console and the serial port.
fn console<M: Machine>(may: Cells<'_, M>) {
    for name in COM1.iter().chain(&["console.len", "console.rpos", "rx_buf", "cons_buf"]) {
        may(name, Region::All, &[]);
    }
    may("ioapic.lines", Region::Leaf("enabled"), &[COM1_LINE.into()]);
}

/// Cells: the channel `q`, except for its message, and its lock.
fn channel<M: Machine>(q: M::Word, may: Cells<'_, M>) {
    may("syncchpool", Region::Leaf("count"), &[q]);
    may("syncchpool", Region::Leaf("busy"), &[q]);
    may("syncchpool.lock", Region::All, &[q]);
    may("lock", Region::All, &[q + CHANNEL_LOCKS]);
    may("section", Region::All, &[]);
}

/// Cells: those of the caller's sleep. The thread before it in the queue may belong to any CPU.
fn sleep<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    switch(m, &mut *may);
    for field in ["tcb", "tcb.next"] {
        may(field, Region::All, &[]);
    }
}

/// Cells: those of a call that transfers a message: the caller's page map, quota and registers, the channel that it
/// names, and the threads that sleep there.
fn transfer<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    trap(m, &mut *may);
    page_of::<M>(m.cur(), &mut *may);
    sleep(m, &mut *may);
    if let Some(q) = m.named(by) {
        channel::<M>(q, may);
    }
}

/// Cells of a send: those of every transfer, and the message.
fn sending<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    transfer(m, by, &mut *may);
    if let Some(q) = m.named(by) {
        may("mailbox", Region::All, &[q]);
        may("mailbox.defined", Region::All, &[q]);
    }
}

/// Cells of a receive: those of every transfer, and the caller's page.
fn receiving<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    transfer(m, by, &mut *may);
    for field in ["HP", "HP.defined"] {
        may(field, Region::Page, &[m.cur()]);
    }
}

/// The result of a transfer. Either the transfer was made. Then it leaves `busy` in the channel's busy word, and every
/// thread that slept there is awake, now or after the steps that follow. Or the call was refused. Or the call begins
/// again with the same registers: when the caller is woken, or at once because a missing page has been mapped.
fn transferred<M: System + Spec>(m: &Made<'_, M>, by: By, busy: u32, continuation: Continuation) -> bool {
    let made = |q| {
        m.ended_with(Error::Succ)
            && m.keeps_all_but(by, 1)
            && m.after.channels.pool.get([q]).busy == busy
            && answer::is_transferred(m, by, q, busy == FILLED)
    };
    let is_there = |at| mapped(at, m.cur(), m.argument(by, slot::R10)).is_some();
    match m.next {
        Next::Wake(wake) => {
            m.stays()
                && wake.left + 2 == NUM_PROC
                && wake.then == Continuation::StartUser
                && m.named(by).is_some_and(|q| wake.cv + SLP_Q == q && made(q))
        }
        Next::ToUser(_) => {
            let refused = !m.ended_with(Error::Succ);
            m.stays()
                && ((refused && m.keeps_all_but(by, 0)) || m.named(by).is_some_and(|q| made(q) && m.nobody_sleeps(q)))
        }
        Next::Switch(_) => !m.stays() && m.saved(continuation) && m.kept(by),
        Next::Continue(again) => {
            m.stays() && *again == continuation && m.kept(by) && !is_there(&m.before) && is_there(&m.after)
        }
        _ => false,
    }
}

/// `system_call`: modifies the caller's registers and the cells of the call.
pub(crate) fn system_call<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            if m.asks_for(Call::Send) {
                sending(m, By::Trap, &mut *may);
            }
            if m.asks_for(Call::Recv) {
                receiving(m, By::Trap, &mut *may);
            }
            if m.asks_for(Call::Puts) {
                page_of::<M>(m.cur(), &mut *may);
            }
            if m.asks_for(Call::Spawn) {
                child(m, &mut *may);
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
            if m.asks_for(Call::Send) {
                return transferred(m, By::Trap, FILLED, Continuation::Send);
            }
            if m.asks_for(Call::Recv) {
                return transferred(m, By::Trap, FREE, Continuation::Receive);
            }
            if let Some(call) = Call::ALL.iter().find(|&&call| call.is_of_monitors() && m.asks_for(call)) {
                return guest::ensures(m, *call);
            }
            match m.next {
                Next::Continue(Continuation::Exited) => {
                    m.stays() && m.asks_for(Call::Exit) && m.ends(m.argument(By::Trap, slot::EBX), Cause::Exited)
                }
                Next::Continue(Continuation::Wait) => m.stays() && m.asks_for(Call::Wait) && m.kept(By::Trap),
                Next::Continue(Continuation::StartUser) => m.stays() && m.asks_for(Call::Kill) && kills(m, None),
                Next::Continue(_) | Next::ToGuest(_) => false,
                Next::ToUser(_) => m.stays() && answer::ensures(m),
                Next::Load(_) => m.stays() && m.asks_for(Call::Spawn),
                Next::Switch(_) => {
                    m.asks_for(Call::Yield) && m.saved(Continuation::StartUser) && m.ended_with(Error::Succ)
                }
                Next::Wake(wake) => {
                    m.stays()
                        && m.asks_for(Call::Kill)
                        && kills(m, Some(wake.cv))
                        && wake.then == Continuation::StartUser
                        && wake.left == NUM_PROC
                }
            }
        },
    }
}

/// `page_fault`: modifies the program's registers, page map and quota.
pub(crate) fn page_fault<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.cur(), may);
        },
        ensures: |m| match m.next {
            Next::ToUser(_) => m.stays() && m.kept(By::Trap),
            Next::Continue(Continuation::Exited) => m.stays() && m.is_stopped(),
            _ => false,
        },
    }
}

/// `exception`: modifies the mode and the program's registers.
pub(crate) fn exception<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: trap,
        ensures: |m| m.stays() && m.is_stopped() && matches!(m.next, Next::Continue(Continuation::Exited)),
    }
}

/// `interrupt`: modifies the program's registers and the scheduler's state.
pub(crate) fn interrupt<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            switch(m, may);
        },
        ensures: |m| m.kept(By::Trap) && m.saved(Continuation::StartUser) && matches!(m.next, Next::Switch(_)),
    }
}

/// `start_user`: modifies only the mode.
pub(crate) fn start_user<M: System + Spec>() -> Effect<M> {
    Effect { modifies: |_, may| mode::<M>(may), ensures: |m| m.stays() && matches!(m.next, Next::ToUser(_)) }
}

/// `main`: modifies a child of the main thread, or the scheduler's state.
pub(crate) fn main<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            child(m, &mut *may);
            switch(m, may);
        },
        ensures: |m| match m.next {
            Next::Switch(_) => m.saved(Continuation::Main),
            Next::Load(_) | Next::Continue(Continuation::Main) => m.stays(),
            _ => false,
        },
    }
}

/// `send`: modifies the caller's page map and quota, and one channel with its message.
pub(crate) fn send<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| sending(m, By::Continuation, may),
        ensures: |m| transferred(m, By::Continuation, FILLED, Continuation::Send),
    }
}

/// `receive`: modifies the caller's page map, quota and page, and one channel.
pub(crate) fn receive<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| receiving(m, By::Continuation, may),
        ensures: |m| transferred(m, By::Continuation, FREE, Continuation::Receive),
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
                && match m.next {
                    Next::Continue(continuation) => then(*continuation) && (left == 0 || m.nobody_sleeps(cv + SLP_Q)),
                    Next::Wake(wake) => then(wake.then) && wake.cv == cv && left > 0 && wake.left + 1 == left,
                    _ => false,
                }
        },
    }
}

/// `load`: modifies a page of the child, or the parent's registers.
pub(crate) fn load<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.arguments.load[0], may);
        },
        ensures: |m| {
            m.stays() && matches!(m.next, Next::Load(_) | Next::ToUser(_) | Next::Continue(Continuation::Main))
        },
    }
}

/// Fields of the serial port that the calls of the console may write.
const COM1: &[&str] = &[
    "com1.serial_on",
    "com1.serial_irq",
    "com1.rx_start",
    "com1.rx_len",
    "com1.tx0",
    "com1.tx1",
    "com1.tx_len",
    "com1.l1",
    "com1.l2",
];
