//! What each entry may touch, of the caller's state and of others', and what it promises.
//!
//! As a primitive has a contract, an entry has an [`Effect`]: the cells that it may write, whatever happens on the way, and
//! a postcondition. Both are proved where the entry is; what other CPUs do meanwhile is theirs.
use crate::message::{FILLED, FREE};
use crate::next::Next;
use crate::stage::Stage;
use crate::system::System;
use crate::table::Arguments;
use abi::{CHANNELS, Call, Cause, Error};
use domain::{Map, Wide};
use layer::constants::*;
use layer::contract::{Cells, NEW_FRAME, mapped};
use layer::fields::process::{GONE, LIVE, VACANT};
use layer::invariant::View;
use layer::machine::{Machine, Spec};

/// An entry that was made: the state before and after it.
pub struct Made<'a, M: System + Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a Arguments<M>,
    /// What it ended in.
    pub next: &'a Next<M>,
    /// A word about which nothing is known, for promises that speak of all.
    pub any: M::Word,
}

/// What an entry may write, and what it promises.
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
    /// Who ran.
    fn cur(&self) -> M::Word {
        self.before.own.cur
    }

    /// What who ran has in `slot` of its saved registers, in the state `at`.
    fn register(&self, at: &View<'_, M>, slot: M::Word) -> M::Wide {
        at.own.uctxt.get([self.cur(), slot]).value
    }

    /// What the caller had in `slot` when it made the call.
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

    /// The call ended with this error number.
    fn ended_with(&self, error: Error) -> bool {
        self.register(&self.after, slot::EAX.into()).low() == error as u32
    }

    /// Who ran goes on with `stage` some day.
    fn saved(&self, stage: Stage) -> bool {
        self.after.own.kctxt.get([self.cur()]).ra == stage as u32
    }

    /// Who ran still does.
    fn stays(&self) -> bool {
        self.after.own.cur == self.cur()
    }

    /// The caller's saved registers are those of the call: nothing has changed them.
    fn kept(&self, by: By) -> bool {
        self.any >= UCTXT_SIZE || self.register(&self.after, self.any) == self.given(by, self.any)
    }

    /// Who ran begins to end, and its parent will be told this.
    fn ends(&self, status: M::Word, cause: Cause) -> bool {
        let has = |slot: u32, value: M::Word| self.register(&self.after, slot.into()).low() == value;
        has(slot::EBX, status) && has(slot::EDX, cause.number().into())
    }

    /// Who ran begins to end because the kernel stops it.
    fn is_stopped(&self) -> bool {
        let cause = self.register(&self.after, slot::EDX.into()).low();
        cause != Cause::Exited.number() && cause != Cause::Killed.number()
    }

    /// Nobody sleeps in the queue `q`.
    fn nobody_sleeps(&self, q: M::Word) -> bool {
        self.any >= NUM_PROC || self.after.threads.tcb.get([self.any]).place != q
    }
}

/// What makes a call, and so where its arguments are.
#[derive(Clone, Copy)]
enum By {
    /// A trap, whose registers they are.
    Trap,
    /// A stage: they are among the registers that who runs has saved.
    Stage,
}

/// The ring, and the page map in use.
fn mode<M: Machine>(may: Cells<'_, M>) {
    for scalar in ["ikern", "ipt", "PT"] {
        may(scalar, "", &[]);
    }
}

/// The registers of `thread`.
fn registers<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("uctxt", "", &[thread]);
    may("uctxt.kind", "", &[thread]);
}

/// A trap, and the way back.
fn trap<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    mode::<M>(&mut *may);
    registers::<M>(m.cur(), may);
}

/// A page of `thread`: its own page map and quota, and frames that become its own, or are given back at once.
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

/// Who ran leaves the CPU, and the next ready thread has it.
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

/// A child of who ran: it alone, its parent's quota and count of children, and the ready queue, whose last one it is.
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
    // Or one whose process had ended.
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

/// The console, and the serial port.
fn console<M: Machine>(may: Cells<'_, M>) {
    for name in COM1.iter().chain(&["console.len", "console.rpos", "rx_buf", "cons_buf"]) {
        may(name, "", &[]);
    }
    may("ioapic.lines", "enabled", &[COM1_LINE.into()]);
}

/// The channel `q`, but for its message, and its lock.
fn channel<M: Machine>(q: M::Word, may: Cells<'_, M>) {
    may("syncchpool", "count", &[q]);
    may("syncchpool", "busy", &[q]);
    may("syncchpool.lock", "", &[q]);
    may("lock", "", &[q + CHANNEL_LOCKS]);
    may("section", "", &[]);
}

/// Who ran sleeps, behind whoever sleeps there, who may be anybody's.
fn sleep<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    switch(m, &mut *may);
    for field in ["tcb", "tcb.next"] {
        may(field, "", &[]);
    }
}

/// A call that transfers a message: the caller's page map and quota, the caller's registers, the channel that it names, and
/// whoever sleeps there.
fn transfer<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    trap(m, &mut *may);
    page_of::<M>(m.cur(), &mut *may);
    sleep(m, &mut *may);
    if let Some(q) = m.named(by) {
        channel::<M>(q, may);
    }
}

/// A send: what every transfer may write, and the message.
fn sending<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    transfer(m, by, &mut *may);
    if let Some(q) = m.named(by) {
        may("mailbox", "", &[q]);
        may("mailbox.defined", "", &[q]);
    }
}

/// A receive: what every transfer may write, and the caller's page.
fn receiving<M: System + Spec>(m: &Made<'_, M>, by: By, may: Cells<'_, M>) {
    transfer(m, by, &mut *may);
    for field in ["HP", "HP.defined"] {
        may(field, "page", &[m.cur()]);
    }
}

/// A transfer was made, which leaves the channel's `busy` word so and everybody who slept there awake, now or in the steps
/// that follow; or it was refused; or the call begins again from the same registers: when the caller was woken, or at once, with
/// a page that was not there before.
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

/// `system_call`: the caller's registers and, besides, what the call says.
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
                killing(m, &mut *may);
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
                Next::GoOn(Stage::StartUser) => m.stays() && m.asks_for(Call::Kill) && kills(m),
                Next::GoOn(_) => false,
                Next::ToUser(_) | Next::Load(_) => m.stays(),
                Next::Switch(_) => m.saved(Stage::StartUser) && m.ended_with(Error::Succ),
                Next::Wake(wake) => {
                    m.stays()
                        && m.asks_for(Call::Kill)
                        && kills(m)
                        && wake.then == Stage::StartUser
                        && wake.left == NUM_PROC
                }
            }
        },
    }
}

/// `page_fault`: the program's own page map and quota.
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

/// `exception`: nothing but the program's registers.
pub(crate) fn exception<M: System + Spec>() -> Effect<M> {
    Effect { frame: trap, promise: |m| m.stays() && m.is_stopped() && matches!(m.next, Next::GoOn(Stage::Exited)) }
}

/// `interrupt`: who runs.
pub(crate) fn interrupt<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            trap(m, &mut *may);
            switch(m, may);
        },
        promise: |m| m.kept(By::Trap) && m.saved(Stage::StartUser) && matches!(m.next, Next::Switch(_)),
    }
}

/// `start_user`: nothing but the mode.
pub(crate) fn start_user<M: System + Spec>() -> Effect<M> {
    Effect { frame: |_, may| mode::<M>(may), promise: |m| m.stays() && matches!(m.next, Next::ToUser(_)) }
}

/// `main`: a child of the main thread, or who runs.
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

/// `exited`: what the thread was charged, its registers, its children, and who runs.
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
            for field in ["kctxt", "uctxt", "uctxt.kind"] {
                may(field, "child", &[cur]);
            }
            // Its quota, where it reaps itself.
            let parent = m.before.own.ac.get([cur]).parent;
            if parent <= TOTAL_CPU {
                may("AC", "quota", &[cur]);
                may("AC", "usage", &[parent]);
            }
        },
        promise: |m| match m.next {
            Next::GoOn(stage) => m.stays() && *stage == Stage::Exited,
            Next::Wake(wake) => m.stays() && wake.then == Stage::Exited && wake.left == NUM_PROC,
            Next::Switch(_) => {
                let after = m.after.own.ac.get([m.cur()]);
                let is_gone = m.after.own.proc.get([m.cur()]).state != LIVE;
                // Who is gone uses nothing.
                m.saved(Stage::Exited) && (!is_gone || after.usage == 0)
            }
            _ => false,
        },
    }
}

/// Who ran sleeps where parents wait for their children, or leaves the CPU.
fn sleep_for_children<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    sleep(m, &mut *may);
    channel::<M>(m.before.own.cpu + CHANNELS + SLP_Q, may);
}

/// `wait`: a child that has ended, the caller's quota and registers, and who runs.
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
            Next::ToUser(_) => m.stays() && (!m.ended_with(Error::Succ) || has_reaped(m)),
            Next::Switch(_) => !m.stays() && m.saved(Stage::Wait) && m.kept(By::Stage),
            _ => false,
        },
    }
}

/// The caller was told of a child that had ended, and that child has nothing any more.
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

/// `kill`: a child's contexts.
fn killing<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    for field in ["kctxt", "uctxt", "uctxt.kind"] {
        may(field, "child", &[m.cur()]);
    }
}

/// The caller has killed the child that it named: it goes on with its end, and kills its children in it.
fn kills<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let child = m.argument(By::Trap, slot::EBX);
    child < NUM_PROC
        && m.ended_with(Error::Succ)
        && m.before.own.proc.get([child]).state == LIVE
        && m.after.own.kctxt.get([child]).ra == Stage::Exited as u32
        && m.after.own.uctxt.get([child, slot::ESI.into()]).value.low() == 0
}

/// `send`: the caller's page map and quota, and one channel with its message.
pub(crate) fn send<M: System + Spec>() -> Effect<M> {
    Effect { frame: |m, may| sending(m, By::Stage, may), promise: |m| transferred(m, By::Stage, FILLED, Stage::Send) }
}

/// `receive`: the caller's page map, quota and page, and one channel.
pub(crate) fn receive<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| receiving(m, By::Stage, may),
        promise: |m| transferred(m, By::Stage, FREE, Stage::Receive),
    }
}

/// `wake`: the queues.
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

/// `load`: a page of the child's, or the parent's registers.
pub(crate) fn load<M: System + Spec>() -> Effect<M> {
    Effect {
        frame: |m, may| {
            trap(m, &mut *may);
            page_of::<M>(m.arguments.load[0], may);
        },
        promise: |m| m.stays() && matches!(m.next, Next::Load(_) | Next::ToUser(_) | Next::GoOn(Stage::Main)),
    }
}

/// What the calls of the console may write of the serial port.
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
