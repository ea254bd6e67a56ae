//! What each kernel entry modifies, of the caller's state and of others', and what it ensures.
//!
//! As a primitive has a contract, an entry has an [`Effect`]: the cells that it may write on any path, and a
//! postcondition. Both are proved with the entry. Interference by other CPUs is not part of an effect.
use crate::message::{FILLED, FREE};
use crate::next::Next;
use crate::process::STEPS_AT_ONCE;
use crate::stage::Stage;
use crate::system::System;
use crate::table::Arguments;
use abi::{CHANNELS, Call, Cause, Error};
use domain::{Flag, Geometry, Map, Wide};
use layer::constants::*;
use layer::contract::{Cells, NEW_FRAME, mapped};
use layer::fields::Pde;
use layer::fields::process::{GONE, LIVE, VACANT};
use layer::invariant::View;
use layer::machine::{Machine, Spec};

/// A completed entry: the states before and after it.
pub struct Made<'a, M: System + Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a Arguments<M>,
    /// The [`Next`] in which it ended.
    pub next: &'a Next<M>,
    /// An arbitrary word. A postcondition that holds for all words is stated of this one.
    pub any: M::Word,
}

/// The modifies clause and the postcondition of an entry.
pub struct Effect<M: System + Spec> {
    /// The cells that it may write.
    pub frame: fn(&Made<'_, M>, Cells<'_, M>),
    /// Its postcondition.
    pub promise: fn(&Made<'_, M>) -> bool,
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
            By::Stage => self.register(&self.before, slot),
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
        self.register(&self.after, slot::EAX.into()).low() == error as u32
    }

    /// When `thread` runs again, it continues at `stage`, with an empty kernel stack.
    fn continues(&self, thread: M::Word, stage: Stage) -> bool {
        let saved = self.after.own.kctxt.get([thread]);
        saved.ra == stage as u32 && saved.esp == thread * PAGE_SIZE + (PAGE_SIZE - 4)
    }

    /// The caller's saved continuation is `stage`.
    fn saved(&self, stage: Stage) -> bool {
        self.continues(self.cur(), stage)
    }

    /// The low half of the caller's value in `slot` of its saved registers, after the entry.
    fn left(&self, slot: u32) -> M::Word {
        self.register(&self.after, slot.into()).low()
    }

    /// The caller is a main thread.
    fn is_main(&self) -> bool {
        self.cur() <= TOTAL_CPU
    }

    /// `child` was a child of the caller, and its process was in `state`.
    fn has_child_in(&self, child: M::Word, state: u32) -> bool {
        child > TOTAL_CPU && child < NUM_PROC && {
            let container = self.before.own.ac.get([child]);
            container.used.holds() && container.parent == self.cur() && self.before.own.proc.get([child]).state == state
        }
    }

    /// The number of the caller's child with index `k`.
    fn child(&self, k: M::Word) -> M::Word {
        self.cur() * MAX_CHILDREN + 1 + k
    }

    /// The caller has had a child.
    fn has_children(&self) -> bool {
        self.before.own.ac.get([self.cur()]).nchildren > 0
    }

    /// `child`, which was live, ends when it runs again, and kills its own children.
    fn is_condemned(&self, child: M::Word) -> bool {
        let has = |slot: u32, value: u32| self.after.own.uctxt.get([child, slot.into()]).value.low() == value;
        let stage = |v: &View<'_, M>| v.own.kctxt.get([child]).ra;
        stage(&self.after) == Stage::Exited as u32
            && has(ending::CHILD, 0)
            && if stage(&self.before) == Stage::Exited as u32 {
                // It keeps its status and its progress.
                let kept = |v: &View<'_, M>| v.own.uctxt.get([child, self.any]).value;
                let esp = |v: &View<'_, M>| v.own.kctxt.get([child]).esp;
                esp(&self.before) == esp(&self.after)
                    && (self.any >= UCTXT_SIZE || self.any == ending::CHILD || kept(&self.before) == kept(&self.after))
            } else {
                self.continues(child, Stage::Exited)
                    && self.begins_to_end(child, 0)
                    && has(ending::STATUS, 0)
                    && has(ending::CAUSE, Cause::Killed.number())
            }
    }

    /// The condition variable on which a child with this continuation sleeps, if it sleeps.
    fn queue_of(&self, child: M::Word) -> Option<M::Word> {
        let stage = self.before.own.kctxt.get([child]).ra;
        if stage == Stage::Send as u32 || stage == Stage::Receive as u32 {
            let channel = self.before.own.uctxt.get([child, slot::EBX.into()]).value.low();
            (channel < CHANNELS).then_some(channel)
        } else {
            let waits = stage == Stage::Wait as u32 || stage == Stage::Exited as u32;
            waits.then(|| self.before.own.cpu + CHANNELS)
        }
    }

    /// `child` is condemned, and nothing is to be woken, or the threads that sleep on `cv` are.
    fn is_condemned_and_woken(&self, child: M::Word, cv: Option<M::Word>) -> bool {
        let is_woken = match (self.queue_of(child), cv) {
            (Some(queue), Some(cv)) => queue == cv,
            (None, None) => true,
            _ => false,
        };
        is_woken && self.is_condemned(child)
    }

    /// The caller still runs.
    fn stays(&self) -> bool {
        self.after.own.cur == self.cur()
    }

    /// The caller's saved registers are those of the call, unchanged.
    fn kept(&self, by: By) -> bool {
        self.any >= UCTXT_SIZE || self.register(&self.after, self.any) == self.given(by, self.any)
    }

    /// `thread` begins to end: nobody has been told, it has a whole turn, and the search of its page map begins. It kills
    /// its children from index `child` on.
    fn begins_to_end(&self, thread: M::Word, child: u32) -> bool {
        let has = |slot: u32, value: u32| self.after.own.uctxt.get([thread, slot.into()]).value.low() == value;
        has(ending::ANNOUNCED, 0)
            && has(ending::STEPS, STEPS_AT_ONCE)
            && has(ending::ADDRESS, ADR_LOW)
            && has(ending::CHILD, child)
    }

    /// The caller begins to end, with this status and cause for its parent. It kills no child.
    fn ends(&self, status: M::Word, cause: Cause) -> bool {
        self.begins_to_end(self.cur(), MAX_CHILDREN)
            && self.left(ending::STATUS) == status
            && self.left(ending::CAUSE) == cause.number()
    }

    /// The caller begins to end because the kernel stops it. It kills no child.
    fn is_stopped(&self) -> bool {
        let cause = self.left(ending::CAUSE);
        self.begins_to_end(self.cur(), MAX_CHILDREN)
            && cause != Cause::Exited.number()
            && cause != Cause::Killed.number()
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
    Stage,
}

/// Cells: the ring, and the current page map.
fn mode<M: Machine>(may: Cells<'_, M>) {
    for scalar in ["ikern", "ipt", "PT"] {
        may(scalar, "", &[]);
    }
}

/// Cells: the saved registers of `thread`.
fn registers<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("uctxt", "", &[thread]);
    may("uctxt.kind", "", &[thread]);
}

/// Cells: those of a trap and of the return from it.
fn trap<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    mode::<M>(&mut *may);
    registers::<M>(m.cur(), may);
}

/// Cells: those of mapping a page for `thread`: its page map and quota, and frames that become its own or are released
/// at once.
fn page_of<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("AC", "usage", &[thread]);
    may("AC.charged", "", &[thread]);
    may("AC.seats", "", &[thread]);
    may("AT.cursor", "", &[]);
    may("ptpool", "", &[thread]);
    may("ptpool.defined", "", &[thread]);
    for field in NEW_FRAME {
        may(field, "fresh", &[]);
        may(field, "returned", &[]);
    }
    for field in ["pt", "pt.ghost"] {
        may(field, "table", &[thread]);
    }
}

/// Cells: those of a switch from the caller to the next ready thread.
fn switch<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    may("cid", "", &[]);
    may("kctxt", "", &[m.cur()]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.lo", "rdy.hi"] {
        may(scalar, "", &[]);
    }
    for field in ["tcb", "tcb.next"] {
        may(field, "mine", &[]);
    }
}

/// Cells: those of creating a child of the caller: the child's own, its parent's quota and count of children, and the
/// ready queue, to which the child is appended.
fn child<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    let (cur, parent) = (m.cur(), m.before.own.ac.get([m.cur()]));
    may("AC", "usage", &[cur]);
    may("AC", "nchildren", &[cur]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
        may(scalar, "", &[]);
    }
    if m.before.own.ready.tail != NO_THREAD {
        may("tcb.next", "", &[m.before.own.ready.tail]);
    }
    // The child may also be one whose process had ended.
    for field in ["AC", "kctxt", "proc", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
        may(field, "ended", &[cur]);
    }
    if cur < NUM_PROC && parent.nchildren < MAX_CHILDREN {
        let child = cur * MAX_CHILDREN + 1 + parent.nchildren;
        for field in ["AC", "AC.charged", "kctxt", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
            may(field, "", &[child]);
        }
    }
}

/// Cells: the console and the serial port.
fn console<M: Machine>(may: Cells<'_, M>) {
    for name in COM1.iter().chain(&["console.len", "console.rpos", "rx_buf", "cons_buf"]) {
        may(name, "", &[]);
    }
    may("ioapic.lines", "enabled", &[COM1_LINE.into()]);
}

/// Cells: the channel `q`, except for its message, and its lock.
fn channel<M: Machine>(q: M::Word, may: Cells<'_, M>) {
    may("syncchpool", "count", &[q]);
    may("syncchpool", "busy", &[q]);
    may("syncchpool.lock", "", &[q]);
    may("lock", "", &[q + CHANNEL_LOCKS]);
    may("section", "", &[]);
}

/// Cells: those of the caller's sleep. The thread before it in the queue may belong to any CPU.
fn sleep<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    switch(m, &mut *may);
    for field in ["tcb", "tcb.next"] {
        may(field, "", &[]);
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
        may("mailbox", "", &[q]);
        may("mailbox.defined", "", &[q]);
    }
}

/// Cells of a receive: those of every transfer, and the caller's page.
fn receiving<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    transfer(m, by, &mut *may);
    for field in ["HP", "HP.defined"] {
        may(field, "page", &[m.cur()]);
    }
}

/// The result of a transfer. Either it was made: it leaves `busy` in the channel's busy word, and every thread that
/// slept there is awake, now or after the steps that follow. Or it was refused. Or the call begins again with the same
/// registers, when the caller is woken, or at once because a page was mapped that was missing before.
fn transferred<M: System + Spec>(m: &Made<'_, M>, by: By, busy: u32, stage: Stage) -> bool {
    let made = |q| m.ended_with(Error::Succ) && m.after.channels.pool.get([q]).busy == busy;
    let is_there = |at| mapped(at, m.cur(), m.argument(by, slot::R10)).is_some();
    match m.next {
        Next::Wake(wake) => {
            m.stays()
                && wake.left + 2 == NUM_PROC
                && wake.then == Stage::StartUser
                && m.named(by).is_some_and(|q| wake.cv + SLP_Q == q && made(q))
        }
        Next::ToUser(_) => {
            m.stays() && (!m.ended_with(Error::Succ) || m.named(by).is_some_and(|q| made(q) && m.nobody_sleeps(q)))
        }
        Next::Switch(_) => !m.stays() && m.saved(stage) && m.kept(by),
        Next::GoOn(again) => m.stays() && *again == stage && m.kept(by) && !is_there(&m.before) && is_there(&m.after),
        _ => false,
    }
}

/// `system_call`: modifies the caller's registers and the cells of the call.
pub(crate) fn system_call<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
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
            if m.asks_for(Call::Kill) {
                killing(m, m.argument(By::Trap, slot::EBX), &mut *may);
            }
            if m.asks_for(Call::Yield) {
                switch(m, &mut *may);
            }
            if m.asks_for(Call::Putc) || m.asks_for(Call::Getc) {
                console::<M>(&mut *may);
            }
        },
        promise: |m| {
            if m.asks_for(Call::Send) {
                return transferred(m, By::Trap, FILLED, Stage::Send);
            }
            if m.asks_for(Call::Recv) {
                return transferred(m, By::Trap, FREE, Stage::Receive);
            }
            match m.next {
                Next::GoOn(Stage::Exited) => {
                    m.stays() && m.asks_for(Call::Exit) && m.ends(m.argument(By::Trap, slot::EBX), Cause::Exited)
                }
                Next::GoOn(Stage::Wait) => m.stays() && m.asks_for(Call::Wait) && m.kept(By::Trap),
                Next::GoOn(Stage::StartUser) => m.stays() && m.asks_for(Call::Kill) && kills(m, None),
                Next::GoOn(_) => false,
                Next::ToUser(_) => {
                    let child = m.argument(By::Trap, slot::EBX);
                    m.stays()
                        && ![Call::Exit, Call::Wait, Call::Yield].into_iter().any(|call| m.asks_for(call))
                        && (!m.asks_for(Call::Kill) || (m.ended_with(Error::InvalId) && !m.has_child_in(child, LIVE)))
                }
                Next::Load(_) => m.stays() && m.asks_for(Call::Spawn),
                Next::Switch(_) => m.asks_for(Call::Yield) && m.saved(Stage::StartUser) && m.ended_with(Error::Succ),
                Next::Wake(wake) => {
                    m.stays()
                        && m.asks_for(Call::Kill)
                        && kills(m, Some(wake.cv))
                        && wake.then == Stage::StartUser
                        && wake.left == NUM_PROC
                }
            }
        },
    }
}

/// `page_fault`: modifies the program's registers, page map and quota.
pub(crate) fn page_fault<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.cur(), may);
        },
        promise: |m| match m.next {
            Next::ToUser(_) => m.stays() && m.kept(By::Trap),
            Next::GoOn(Stage::Exited) => m.stays() && m.is_stopped(),
            _ => false,
        },
    }
}

/// `exception`: modifies the mode and the program's registers.
pub(crate) fn exception<M: System + Spec>() -> Effect<M> {
    Effect { frame: trap, promise: |m| m.stays() && m.is_stopped() && matches!(m.next, Next::GoOn(Stage::Exited)) }
}

/// `interrupt`: modifies the program's registers and the scheduler's state.
pub(crate) fn interrupt<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            trap(m, &mut *may);
            switch(m, may);
        },
        promise: |m| m.kept(By::Trap) && m.saved(Stage::StartUser) && matches!(m.next, Next::Switch(_)),
    }
}

/// `start_user`: modifies only the mode.
pub(crate) fn start_user<M: System + Spec>() -> Effect<M> {
    Effect { frame: |_, may| mode::<M>(may), promise: |m| m.stays() && matches!(m.next, Next::ToUser(_)) }
}

/// `main`: modifies a child of the main thread, or the scheduler's state.
pub(crate) fn main<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            child(m, &mut *may);
            switch(m, may);
        },
        promise: |m| match m.next {
            Next::Switch(_) => m.saved(Stage::Main),
            Next::Load(_) | Next::GoOn(Stage::Main) => m.stays(),
            _ => false,
        },
    }
}

/// `exited`: modifies all that was charged to the thread, its registers, its children, and the scheduler's state.
pub(crate) fn exited<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            let cur = m.cur();
            sleep_for_children(m, &mut *may);
            registers::<M>(cur, &mut *may);
            may("AC", "usage", &[cur]);
            may("AC.charged", "", &[cur]);
            may("AC.seats", "", &[cur]);
            may("ptpool", "", &[cur]);
            may("proc", "", &[cur]);
            may("AT.cursor", "", &[]);
            for field in ["AT", "AT.owner", "pperm", "LAT", "pt", "pt.ghost", "HP.defined"] {
                may(field, "paid", &[cur]);
            }
            for field in ["AC", "proc"] {
                may(field, "ended", &[cur]);
            }
            let k = m.argument(By::Stage, ending::CHILD);
            if k < MAX_CHILDREN {
                killing(m, m.child(k), &mut *may);
            }
            // Its quota, if it reaps itself.
            let parent = m.before.own.ac.get([cur]).parent;
            if parent <= TOTAL_CPU {
                may("AC", "quota", &[cur]);
                may("AC", "usage", &[parent]);
            }
        },
        promise: |m| match m.next {
            Next::GoOn(Stage::Exited) => m.stays() && !m.is_main() && goes_on(m),
            Next::Wake(wake) => m.stays() && wake.then == Stage::Exited && wake.left == NUM_PROC && wakes(m, wake.cv),
            Next::Switch(_) => m.saved(Stage::Exited) && (m.is_main() || lets_others_run(m)),
            _ => false,
        },
    }
}

/// The saved registers of a process that ends.
mod ending {
    use super::slot;

    /// 1 if the waiting threads have been woken.
    pub const ANNOUNCED: u32 = slot::EAX;
    /// The exit status.
    pub const STATUS: u32 = slot::EBX;
    /// The number of the cause.
    pub const CAUSE: u32 = slot::EDX;
    /// The address that is reached in the page map; 0 if the page map is empty.
    pub const ADDRESS: u32 = slot::R10;
    /// The index of the child to kill next; 8 or more if none is left.
    pub const CHILD: u32 = slot::ESI;
    /// The steps that are left in this turn.
    pub const STEPS: u32 = slot::EDI;
}

/// The caller's turn has a step less.
fn counts<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let (steps, left) = (m.argument(By::Stage, ending::STEPS), m.left(ending::STEPS));
    steps > 0 && if steps > STEPS_AT_ONCE { left == STEPS_AT_ONCE - 1 } else { left + 1 == steps }
}

/// A step of an end keeps the status, the cause, and, unless it changes them, what has been announced and the child.
fn keeps_others<M: System + Spec>(m: &Made<'_, M>, changed: &[u32]) -> bool {
    let others = [ending::STATUS, ending::CAUSE, ending::ANNOUNCED, ending::CHILD];
    let is_kept = |slot: &u32| changed.contains(slot) || m.left(*slot) == m.argument(By::Stage, *slot);
    others.iter().all(is_kept)
}

/// A step of an end after which the next one follows.
fn goes_on<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let cur = m.cur();
    let [usage, left] = [&m.before, &m.after].map(|v| v.own.ac.get([cur]).usage);
    let (k, address) = (m.argument(By::Stage, ending::CHILD), m.argument(By::Stage, ending::ADDRESS));
    if m.argument(By::Stage, ending::ANNOUNCED) == 1 {
        return m.left(ending::ANNOUNCED) == 0
            && keeps_others(m, &[ending::ANNOUNCED])
            && (usage > 0 || m.has_children());
    }
    counts(m)
        && if k < MAX_CHILDREN {
            let child = m.child(k);
            m.left(ending::CHILD) == k + 1
                && keeps_others(m, &[ending::CHILD])
                && (!m.has_child_in(child, LIVE) || m.is_condemned_and_woken(child, None))
        } else {
            // A child that had no quota may have been reaped.
            keeps_others(m, &[])
                && (left < usage || m.has_children() || (m.left(ending::ADDRESS) == ADR_LOW && address != ADR_LOW))
        }
}

/// A step of an end that wakes the threads that sleep on `cv`: a child was killed, or nothing is left.
fn wakes<M: System + Spec>(m: &Made<'_, M>, cv: M::Word) -> bool {
    let k = m.argument(By::Stage, ending::CHILD);
    m.argument(By::Stage, ending::ANNOUNCED) != 1
        && counts(m)
        && if k < MAX_CHILDREN {
            let child = m.child(k);
            m.left(ending::CHILD) == k + 1
                && keeps_others(m, &[ending::CHILD])
                && m.has_child_in(child, LIVE)
                && m.is_condemned_and_woken(child, Some(cv))
        } else {
            m.after.own.ac.get([m.cur()]).usage == 0
                && !m.has_child_in(m.any, LIVE)
                && m.left(ending::ANNOUNCED) == 1
                && keeps_others(m, &[ending::ANNOUNCED])
                && cv == m.before.own.cpu + CHANNELS
        }
}

/// A step of an end after which other threads run: the process is gone, its turn is over, or it waits for its children.
fn lets_others_run<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let cur = m.cur();
    let (process, usage) = (m.after.own.proc.get([cur]), m.before.own.ac.get([cur]).usage);
    if m.argument(By::Stage, ending::ANNOUNCED) == 1 {
        return process.state != LIVE
            && process.status == m.argument(By::Stage, ending::STATUS)
            && process.cause == m.argument(By::Stage, ending::CAUSE)
            && m.after.own.ac.get([cur]).usage == 0
            && !m.has_child_in(m.any, LIVE);
    }
    process.state == LIVE
        && keeps_others(m, &[])
        && if m.argument(By::Stage, ending::STEPS) == 0 {
            m.left(ending::STEPS) == STEPS_AT_ONCE
        } else {
            let is_table = |i| matches!(m.before.own.dirs.get([cur, i]), Pde::Table { .. });
            counts(m)
                && !(m.argument(By::Stage, ending::CHILD) < MAX_CHILDREN)
                && m.left(ending::ADDRESS) == 0
                && (m.has_children() || usage > 0)
                && (m.argument(By::Stage, ending::ADDRESS) == 0 || m.any >= M::Geometry::DIRS || !is_table(m.any))
        }
}

/// Cells: those of a sleep where parents wait for their children, or of a yield.
fn sleep_for_children<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    sleep(m, &mut *may);
    channel::<M>(m.before.own.cpu + CHANNELS + SLP_Q, may);
}

/// `wait`: modifies a child that has ended, the caller's quota and registers, and the scheduler's state.
pub(crate) fn wait<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            mode::<M>(&mut *may);
            registers::<M>(m.cur(), &mut *may);
            sleep_for_children(m, &mut *may);
            may("AC", "usage", &[m.cur()]);
            for field in ["AC", "proc"] {
                may(field, "ended", &[m.cur()]);
            }
        },
        promise: |m| match m.next {
            Next::ToUser(_) if m.is_main() => m.stays() && m.ended_with(Error::InvalId),
            Next::ToUser(_) => {
                m.stays()
                    && if m.ended_with(Error::Succ) {
                        has_reaped(m)
                    } else if m.ended_with(Error::Ipc) {
                        !waits_for(m, GONE, m.any) && is_patient(m) && m.argument(By::Stage, slot::R10) == 0
                    } else {
                        m.ended_with(Error::InvalId) && !waits_for(m, GONE, m.any) && !waits_for(m, LIVE, m.any)
                    }
            }
            Next::Switch(_) => {
                !m.stays()
                    && m.saved(Stage::Wait)
                    && m.kept(By::Stage)
                    && !waits_for(m, GONE, m.any)
                    && is_patient(m)
                    && m.argument(By::Stage, slot::R10) != 0
            }
            _ => false,
        },
    }
}

/// The caller waits for `child`, or for any child, and the process of `child` was in `state`.
fn waits_for<M: System + Spec>(m: &Made<'_, M>, state: u32, child: M::Word) -> bool {
    let named = m.argument(By::Stage, slot::EBX);
    (named == 0 || child == named) && m.has_child_in(child, state)
}

/// The caller waits for a child that is live, or for any of its children.
fn is_patient<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let named = m.argument(By::Stage, slot::EBX);
    if named == 0 { m.has_children() } else { m.has_child_in(named, LIVE) }
}

/// The caller received the status of a child that had ended, and that child holds nothing any more.
fn has_reaped<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let told = |slot: u32| m.register(&m.after, slot.into()).low();
    let (child, named) = (told(slot::EBX), m.argument(By::Stage, slot::EBX));
    child < NUM_PROC && (named == 0 || child == named) && {
        let (before, after) = (m.before.own.proc.get([child]), m.after.own.proc.get([child]));
        let [quota, left] = [&m.before, &m.after].map(|v| v.own.ac.get([child]).quota);
        let [usage, now] = [&m.before, &m.after].map(|v| v.own.ac.get([m.cur()]).usage);
        before.state == GONE
            && after.state == VACANT
            && told(slot::R10) == before.status
            && told(slot::EDX) == before.cause
            && left == 0
            && now + quota == usage
    }
}

/// Cells of a kill: the contexts of `child`, if it is a child that was live.
fn killing<M: System + Spec>(m: &Made<'_, M>, child: M::Word, may: Cells<'_, M>) {
    if m.has_child_in(child, LIVE) {
        for field in ["kctxt", "uctxt", "uctxt.kind"] {
            may(field, "", &[child]);
        }
    }
}

/// The caller has killed the child that it named, and wakes the threads that sleep on `cv`. The child continues with its end, in which it kills its own children.
fn kills<M: System + Spec>(m: &Made<'_, M>, cv: Option<M::Word>) -> bool {
    let child = m.argument(By::Trap, slot::EBX);
    m.ended_with(Error::Succ) && m.has_child_in(child, LIVE) && m.is_condemned_and_woken(child, cv)
}

/// `send`: modifies the caller's page map and quota, and one channel with its message.
pub(crate) fn send<M: System + Spec>() -> Effect<M> {
    Effect { frame: |m, may| sending(m, By::Stage, may), promise: |m| transferred(m, By::Stage, FILLED, Stage::Send) }
}

/// `receive`: modifies the caller's page map, quota and page, and one channel.
pub(crate) fn receive<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| receiving(m, By::Stage, may),
        promise: |m| transferred(m, By::Stage, FREE, Stage::Receive),
    }
}

/// `wake`: modifies the queues.
pub(crate) fn wake<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |_, may| {
            for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
                may(scalar, "", &[]);
            }
            for field in ["tcb", "tcb.next"] {
                may(field, "", &[]);
            }
        },
        promise: |m| {
            let [cv, left, then] = m.arguments.wake;
            let then = |stage| if then == 0 { stage == Stage::StartUser } else { stage == Stage::Exited };
            m.stays()
                && match m.next {
                    Next::GoOn(stage) => then(*stage) && (left == 0 || m.nobody_sleeps(cv + SLP_Q)),
                    Next::Wake(wake) => then(wake.then) && wake.cv == cv && left > 0 && wake.left + 1 == left,
                    _ => false,
                }
        },
    }
}

/// `load`: modifies a page of the child, or the parent's registers.
pub(crate) fn load<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.arguments.load[0], may);
        },
        promise: |m| m.stays() && matches!(m.next, Next::Load(_) | Next::ToUser(_) | Next::GoOn(Stage::Main)),
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
