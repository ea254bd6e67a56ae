//! Modifies clauses and postconditions about the ends of processes: `exited`, `wait`, and a kill.
use super::cells::{lock_of_channel, registers, sleep, trap};
use super::interaction::Interaction;
use super::made::{By, Effect, Made};
use crate::continuation::Continuation;
use crate::next::Next;
use crate::process::STEPS_AT_ONCE;
use crate::system::{Event, System};
use abi::{CHANNELS, Cause, Error, Reason};
use domain::{Flag, Map, Wide};
use layer::core::constants::*;
use layer::core::fields::process::{GONE, LIVE, VACANT};
use layer::core::fields::{Pde, place};
use layer::core::geometry::Geometry;
use layer::core::machine::Spec;
use layer::objects::vmx::spec::RELEASED;
use layer::spec::contract::{Cells, Region};
use layer::spec::view::View;

/// The saved registers of a process that ends, by the meaning that they have then.
mod register {
    use super::slot;

    /// 1 if the waiting threads have been woken.
    pub const ANNOUNCED: u32 = slot::EAX;
    /// The exit status.
    pub const STATUS: u32 = slot::EBX;
    /// The number of the cause.
    pub const CAUSE: u32 = slot::EDX;
    /// The address up to which the page map has been released; 0 if the page map is empty.
    pub const ADDRESS: u32 = slot::R10;
    /// The index of the child to kill next; 8 or more if none is left.
    pub const CHILD: u32 = slot::ESI;
    /// The steps that are left in this turn.
    pub const STEPS: u32 = slot::EDI;
}

impl<M: System + Spec> Made<'_, M> {
    /// The caller is the main thread of its CPU.
    pub(super) fn is_main(&self) -> bool {
        self.cur() == self.before.own.cpu + 1
    }

    /// `child` was a child of the caller, and its process was in `state`.
    pub(super) fn has_child_in(&self, child: M::Word, state: u32) -> bool {
        child > TOTAL_CPU && child < NUM_PROC && {
            let container = self.before.own.ac.get([child]);
            container.used.holds() && container.parent == self.cur() && self.before.own.proc.get([child]).state == state
        }
    }

    /// The number of the caller's child with index `k`.
    pub(super) fn child(&self, k: M::Word) -> M::Word {
        self.cur() * MAX_CHILDREN + 1 + k
    }

    /// The caller has had a child.
    fn has_children(&self) -> bool {
        self.before.own.ac.get([self.cur()]).nchildren > 0
    }

    /// `child`, which was live, ends when it runs again, and kills its own children.
    fn is_condemned(&self, child: M::Word) -> bool {
        let has = |slot: u32, value: u32| self.left_of(child, slot) == value;
        let continuation = |v: &View<'_, M>| v.own.kctxt.get([child]).ra;
        continuation(&self.after) == Continuation::Exited as u32
            && has(register::CHILD, 0)
            && if continuation(&self.before) == Continuation::Exited as u32 {
                // It keeps its status and its progress.
                let kept = |v: &View<'_, M>| v.own.uctxt.get([child, self.any]).value;
                let esp = |v: &View<'_, M>| v.own.kctxt.get([child]).esp;
                esp(&self.before) == esp(&self.after)
                    && (self.any >= UCTXT_SIZE
                        || self.any == register::CHILD
                        || kept(&self.before) == kept(&self.after))
            } else {
                self.continues(child, Continuation::Exited)
                    && self.begins_to_end(child, 0)
                    && has(register::STATUS, 0)
                    && has(register::CAUSE, Cause::Killed.number())
            }
    }

    /// The condition variable on which a child with this continuation sleeps, if it sleeps.
    fn queue_of(&self, child: M::Word) -> Option<M::Word> {
        let continuation = self.before.own.kctxt.get([child]).ra;
        if continuation == Continuation::Send as u32 || continuation == Continuation::Receive as u32 {
            let channel = self.before.own.uctxt.get([child, slot::EBX.into()]).value.low();
            (channel < CHANNELS).then_some(channel)
        } else {
            let waits = continuation == Continuation::Wait as u32 || continuation == Continuation::Exited as u32;
            waits.then(|| self.before.own.cpu + CHANNELS)
        }
    }

    /// `child` is condemned. Either there is no thread to wake, or the threads that sleep on `cv`
    /// are to be woken.
    fn is_condemned_and_woken(&self, child: M::Word, cv: Option<M::Word>) -> bool {
        self.queue_of(child) == cv
            && self.is_condemned(child)
            && matches!(
                self.interactions,
                [Interaction::Report(Event::Killed { child: reported })] if *reported == child
            )
    }

    /// `thread` begins to end: no waiting thread has been woken, it has a whole turn of steps, and the search of
    /// its page map begins. It kills its children from index `child` on.
    fn begins_to_end(&self, thread: M::Word, child: u32) -> bool {
        let has = |slot: u32, value: u32| self.left_of(thread, slot) == value;
        has(register::ANNOUNCED, 0)
            && has(register::STEPS, STEPS_AT_ONCE)
            && has(register::ADDRESS, ADR_LOW)
            && has(register::CHILD, child)
    }

    /// The caller begins to end, with this status and cause for its parent. It kills no child.
    pub(super) fn ends(&self, status: M::Word, cause: Cause) -> bool {
        self.begins_to_end(self.cur(), MAX_CHILDREN)
            && self.left(register::STATUS) == status
            && self.left(register::CAUSE) == cause.number()
    }

    /// The caller begins to end because the kernel stops it, for this reason, at this address and instruction. It kills no
    /// child.
    pub(super) fn is_stopped(&self, reason: Reason, address: M::Wide, rip: M::Wide) -> bool {
        self.stays()
            && matches!(self.next, Next::Continue(Continuation::Exited))
            && self.ends(address.low(), Cause::Stopped(reason))
            && match self.interactions {
                [Interaction::Report(Event::Stopped { reason: why, address: at, rip: instruction })] => {
                    *why == reason && *at == address && *instruction == rip
                }
                _ => false,
            }
    }
}

/// `exited`: modifies all that was charged to the thread, its registers, its children, and the scheduler's state.
pub(crate) fn exited<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            let cur = m.cur();
            if owns_guest(m) {
                return RELEASED.into_iter().for_each(|name| may(name, Region::All, &[]));
            }
            sleep_for_children(m, &mut *may);
            registers::<M>(cur, &mut *may);
            may("AC", Region::Leaf("usage"), &[cur]);
            may("AC.charged", Region::All, &[cur]);
            may("AC.seats", Region::All, &[cur]);
            may("ptpool", Region::All, &[cur]);
            may("proc", Region::All, &[cur]);
            may("AT.cursor", Region::All, &[]);
            for field in ["AT", "AT.owner", "pperm", "LAT", "pt", "pt.ghost", "HP.defined"] {
                may(field, Region::Paid, &[cur]);
            }
            for field in ["AC", "proc"] {
                may(field, Region::Ended, &[cur]);
            }
            let k = m.argument(By::Continuation, register::CHILD);
            if k < MAX_CHILDREN && m.has_child_in(m.child(k), LIVE) {
                killing::<M>(m.child(k), &mut *may);
            }
            // The thread's quota, if it reaps itself.
            let parent = m.before.own.ac.get([cur]).parent;
            if parent <= TOTAL_CPU {
                may("AC", Region::Leaf("quota"), &[cur]);
                may("AC", Region::Leaf("usage"), &[parent]);
            }
        },
        ensures: |m| match m.next {
            Next::Continue(Continuation::Exited) if owns_guest(m) => {
                m.stays() && m.after.own.vm.owner == 0 && m.interactions.is_empty()
            }
            _ if owns_guest(m) => false,
            Next::Continue(Continuation::Exited) => m.stays() && !m.is_main() && goes_on(m),
            Next::Wake(wake) => {
                m.stays() && wake.then == Continuation::Exited && wake.left == NUM_PROC && wakes(m, wake.cv)
            }
            Next::Switch(_) if m.is_main() => m.yields(Continuation::Exited) && m.interactions.is_empty(),
            Next::Switch(_) => lets_others_run(m),
            _ => false,
        },
    }
}

/// The virtual machine is the caller's: first of all it is released.
fn owns_guest<M: System + Spec>(m: &Made<'_, M>) -> bool {
    m.cur() != m.before.own.cpu + 1 && m.before.own.vm.owner == m.cur()
}

/// The number of steps left in the caller's turn is one less.
fn counts<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let (steps, left) = (m.argument(By::Continuation, register::STEPS), m.left(register::STEPS));
    steps > 0 && if steps > STEPS_AT_ONCE { left == STEPS_AT_ONCE - 1 } else { left + 1 == steps }
}

/// A step of an end. It keeps the status and the cause. Unless it changes them, it also keeps the index of the
/// child, and whether the waiting threads have been woken.
fn keeps_others<M: System + Spec>(m: &Made<'_, M>, changed: &[u32]) -> bool {
    let others = [register::STATUS, register::CAUSE, register::ANNOUNCED, register::CHILD];
    let is_kept = |slot: &u32| changed.contains(slot) || m.left(*slot) == m.argument(By::Continuation, *slot);
    others.iter().all(is_kept)
}

/// A step of an end that kills the child with index `k` if it is live, and wakes the threads that sleep on `cv`.
fn kills_next<M: System + Spec>(m: &Made<'_, M>, k: M::Word, cv: Option<M::Word>) -> bool {
    let child = m.child(k);
    m.left(register::CHILD) == k + 1
        && keeps_others(m, &[register::CHILD])
        && if m.has_child_in(child, LIVE) {
            m.is_condemned_and_woken(child, cv)
        } else {
            cv.is_none() && m.interactions.is_empty()
        }
}

/// A step of an end that is followed by the next step.
fn goes_on<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let cur = m.cur();
    let [usage, left] = [&m.before, &m.after].map(|v| v.own.ac.get([cur]).usage);
    let (k, address) = (m.argument(By::Continuation, register::CHILD), m.argument(By::Continuation, register::ADDRESS));
    if m.argument(By::Continuation, register::ANNOUNCED) == 1 {
        return m.left(register::ANNOUNCED) == 0
            && m.interactions.is_empty()
            && keeps_others(m, &[register::ANNOUNCED])
            && (usage > 0 || m.has_children());
    }
    counts(m)
        && if k < MAX_CHILDREN {
            kills_next(m, k, None)
        } else {
            // A child that had no quota may have been reaped.
            keeps_others(m, &[])
                && m.interactions.is_empty()
                && (left < usage || m.has_children() || (m.left(register::ADDRESS) == ADR_LOW && address != ADR_LOW))
        }
}

/// A step of an end that wakes the threads that sleep on `cv`: a child was killed, or nothing is left.
fn wakes<M: System + Spec>(m: &Made<'_, M>, cv: M::Word) -> bool {
    let k = m.argument(By::Continuation, register::CHILD);
    m.argument(By::Continuation, register::ANNOUNCED) != 1
        && counts(m)
        && if k < MAX_CHILDREN {
            kills_next(m, k, Some(cv))
        } else {
            m.after.own.ac.get([m.cur()]).usage == 0
                && m.interactions.is_empty()
                && !m.has_child_in(m.any, LIVE)
                && m.left(register::ANNOUNCED) == 1
                && keeps_others(m, &[register::ANNOUNCED])
                && cv == m.before.own.cpu + CHANNELS
        }
}

/// A step of an end after which other threads run: the process is gone, its turn is over, or it waits for its children.
fn lets_others_run<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let cur = m.cur();
    let (process, usage) = (m.after.own.proc.get([cur]), m.before.own.ac.get([cur]).usage);
    if m.argument(By::Continuation, register::ANNOUNCED) == 1 {
        return process.state != LIVE
            && m.switches(Continuation::Exited)
            && !m.stays()
            && m.after.threads.tcb.get([cur]).place == place::GONE
            && m.interactions.is_empty()
            && process.status == m.argument(By::Continuation, register::STATUS)
            && process.cause == m.argument(By::Continuation, register::CAUSE)
            && m.after.own.ac.get([cur]).usage == 0
            && !m.has_child_in(m.any, LIVE);
    }
    process.state == LIVE
        && keeps_others(m, &[])
        && if m.argument(By::Continuation, register::STEPS) == 0 {
            m.left(register::STEPS) == STEPS_AT_ONCE && m.yields(Continuation::Exited) && m.interactions.is_empty()
        } else {
            let is_table = |i| matches!(m.before.own.dirs.get([cur, i]), Pde::Table { .. });
            let leaves = m.interactions.is_empty() && m.yields(Continuation::Exited) && !m.has_child_in(m.any, LIVE);
            (leaves || sleeps_for_children(m, Continuation::Exited))
                && counts(m)
                && m.argument(By::Continuation, register::CHILD) >= MAX_CHILDREN
                && m.left(register::ADDRESS) == 0
                && (m.has_children() || usage > 0)
                && (m.argument(By::Continuation, register::ADDRESS) == 0
                    || m.any >= M::Geometry::DIRS
                    || !is_table(m.any))
        }
}

/// The caller sleeps where the parents of its CPU wait for their children.
fn sleeps_for_children<M: System + Spec>(m: &Made<'_, M>, continuation: Continuation) -> bool {
    let q = m.before.own.cpu + CHANNELS + SLP_Q;
    m.sleeps(q, continuation) && matches!(m.interactions, [Interaction::Acquire { channel, .. }] if *channel == q)
}

/// Cells: those of a sleep where parents wait for their children, or of a yield.
fn sleep_for_children<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    sleep(m, &mut *may);
    lock_of_channel::<M>(m.before.own.cpu + CHANNELS + SLP_Q, may);
}

/// `wait`: modifies a child that has ended, the caller's quota and registers, and the scheduler's state.
pub(crate) fn wait<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| {
            if matches!(m.next, Next::Switch(_)) {
                return sleep_for_children(m, may);
            }
            trap(m, &mut *may);
            if m.ended_with(Error::Succ) {
                let child = m.left(slot::EBX);
                may("AC", Region::Leaf("usage"), &[m.cur()]);
                may("AC", Region::Leaf("quota"), &[child]);
                may("proc", Region::Leaf("state"), &[child]);
            }
        },
        ensures: |m| {
            let refused = |error| m.is_refused(By::Continuation, error);
            match m.next {
                Next::ToUser(_) => {
                    m.stays()
                        && m.interactions.is_empty()
                        && if m.is_main() {
                            refused(Error::InvalId)
                        } else if m.ended_with(Error::Succ) {
                            has_reaped(m) && m.keeps_all_but(By::Continuation, 3)
                        } else if m.ended_with(Error::Ipc) {
                            refused(Error::Ipc)
                                && !waits_for(m, GONE, m.any)
                                && is_patient(m)
                                && m.argument(By::Continuation, slot::R10) == 0
                        } else {
                            refused(Error::InvalId) && !waits_for(m, GONE, m.any) && !waits_for(m, LIVE, m.any)
                        }
                }
                Next::Switch(_) => {
                    sleeps_for_children(m, Continuation::Wait)
                        && m.kept(By::Continuation)
                        && !waits_for(m, GONE, m.any)
                        && is_patient(m)
                        && m.argument(By::Continuation, slot::R10) != 0
                }
                _ => false,
            }
        },
    }
}

/// The caller waits for `child`, or for any child, and the process of `child` was in `state`.
fn waits_for<M: System + Spec>(m: &Made<'_, M>, state: u32, child: M::Word) -> bool {
    let named = m.argument(By::Continuation, slot::EBX);
    (named == 0 || child == named) && m.has_child_in(child, state)
}

/// The caller waits for a child that is live, or for any of its children.
fn is_patient<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let named = m.argument(By::Continuation, slot::EBX);
    if named == 0 { m.has_children() } else { m.has_child_in(named, LIVE) }
}

/// The caller received the status of a child that had ended, and that child holds nothing any more.
fn has_reaped<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let (child, named) = (m.left(slot::EBX), m.argument(By::Continuation, slot::EBX));
    child < NUM_PROC && (named == 0 || child == named) && {
        let (before, after) = (m.before.own.proc.get([child]), m.after.own.proc.get([child]));
        let [quota, left] = [&m.before, &m.after].map(|v| v.own.ac.get([child]).quota);
        let [usage, now] = [&m.before, &m.after].map(|v| v.own.ac.get([m.cur()]).usage);
        before.state == GONE
            && after.state == VACANT
            && m.left(slot::R10) == before.status
            && m.left(slot::EDX) == before.cause
            && left == 0
            && now + quota == usage
    }
}

/// Cells of a kill: the contexts of `child`.
pub(super) fn killing<M: System + Spec>(child: M::Word, may: Cells<'_, M>) {
    for field in ["kctxt", "uctxt", "uctxt.kind"] {
        may(field, Region::All, &[child]);
    }
}

/// The caller has killed the child that it named, and wakes the threads that sleep where the child sleeps. The child
/// continues with its end, in which it kills its own children.
pub(super) fn kills<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let child = m.argument(By::Trap, slot::EBX);
    let cv = match m.next {
        Next::Continue(Continuation::StartUser) => None,
        Next::Wake(wake) if wake.then == Continuation::StartUser && wake.left == NUM_PROC => Some(wake.cv),
        _ => return false,
    };
    m.ended_with(Error::Succ)
        && m.left(slot::EBX) == 0
        && m.keeps_all_but(By::Trap, 1)
        && m.has_child_in(child, LIVE)
        && m.is_condemned_and_woken(child, cv)
}
