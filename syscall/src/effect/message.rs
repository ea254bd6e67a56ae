//! Modifies clauses and postconditions of `send` and `recv`, as system calls and as continuations.
use super::cells::{lock_of_channel, page_of, sleep, trap};
use super::interaction::Interaction;
use super::made::{By, Effect, Made};
use crate::continuation::Continuation;
use crate::next::Next;
use crate::system::System;
use abi::{CHANNELS, Error};
use domain::Map;
use layer::core::constants::*;
use layer::core::machine::Spec;
use layer::objects::channel::pool::Channels;
use layer::objects::page_table::spec::{in_window, mapped};
use layer::spec::contract::{Cells, Region};

/// The two directions of a transfer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the caller's page to the mailbox.
    Send,
    /// From the mailbox to the caller's page.
    Receive,
}

/// The `busy` word of a channel with room, and of one with a message.
const FREE: u32 = 0;
const FILLED: u32 = 2;

impl Direction {
    /// The continuation of a caller that has to wait.
    fn continuation(self) -> Continuation {
        match self {
            Direction::Send => Continuation::Send,
            Direction::Receive => Continuation::Receive,
        }
    }

    /// The caller can use a page with this permission.
    fn can_use<W: PartialEq<u32>>(self, permission: W) -> bool {
        permission == perm::PTU || (self == Direction::Send && permission == perm::PTUR)
    }

    /// The caller has to wait while the channel has this `busy` word.
    fn has_to_wait<W: PartialEq<u32>>(self, busy: W) -> bool {
        (busy == FILLED) == (self == Direction::Send)
    }
}

/// Cells of a transfer: the caller's page map, quota and registers, the channel that the call names, the threads that
/// sleep there, and the message or the caller's page.
pub(super) fn modifies<M: System + Spec>(m: &Made<'_, M>, by: By, direction: Direction, may: Cells<'_, M>) {
    trap(m, &mut *may);
    if refusal(m, by).is_some() {
        return;
    }
    page_of::<M>(m.cur(), &mut *may);
    sleep(m, &mut *may);
    let q = m.argument(by, slot::EBX) + SLP_Q;
    lock_of_channel::<M>(q, &mut *may);
    if !m.ended_with(Error::Succ) || !matches!(m.next, Next::Wake(_) | Next::ToUser(_)) {
        return;
    }
    may("syncchpool", Region::Leaf("count"), &[q]);
    may("syncchpool", Region::Leaf("busy"), &[q]);
    if direction == Direction::Send {
        may("mailbox", Region::All, &[q]);
        may("mailbox.defined", Region::All, &[q]);
    } else {
        for field in ["HP", "HP.defined"] {
            may(field, Region::Page, &[m.cur()]);
        }
    }
}

/// The error of a call whose arguments are refused before the lock of the channel is taken.
fn refusal<M: System + Spec>(m: &Made<'_, M>, by: By) -> Option<Error> {
    let address = m.argument(by, slot::R10);
    if m.is_main() {
        Some(Error::Ipc)
    } else if m.argument(by, slot::EBX) >= CHANNELS {
        Some(Error::InvalChid)
    } else if !in_window::<M>(address) || address % PAGE_SIZE != 0 {
        Some(Error::InvalAddr)
    } else {
        None
    }
}

/// The postcondition of a transfer.
///
/// A call with bad arguments is refused at once. Otherwise the lock of the channel is taken. If the caller's page is
/// missing, it is reserved and the call begins again, or the call is refused for want of memory. If the page has the
/// wrong permission, the call is refused. If the channel is not ready for the transfer, the caller sleeps there, or is
/// refused if it does not want to wait. Otherwise the message is transferred, and nobody is left asleep.
pub(super) fn ensures<M: System + Spec>(m: &Made<'_, M>, by: By, direction: Direction) -> bool {
    let is_refused = |error| matches!(m.next, Next::ToUser(_)) && m.stays() && m.is_refused(by, error);
    if let Some(error) = refusal(m, by) {
        return m.interactions.is_empty() && is_refused(error);
    }
    let (cur, address, q) = (m.cur(), m.argument(by, slot::R10), m.argument(by, slot::EBX) + SLP_Q);
    let [Interaction::Acquire { channel, channels }] = m.interactions else { return false };
    if *channel != q {
        return false;
    }
    let Some((frame, permission)) = mapped(&m.before, cur, address) else {
        return if matches!(m.next, Next::ToUser(_)) {
            is_refused(Error::Mem) && m.is_exhausted(cur, address)
        } else {
            matches!(m.next, Next::Continue(again) if *again == direction.continuation())
                && m.stays()
                && m.kept(by)
                && m.is_reserved(cur, address, perm::PTU)
        };
    };
    if !direction.can_use(permission) {
        return is_refused(Error::InvalAddr);
    }
    if direction.has_to_wait(channels.pool.get([q]).busy) {
        return if direction == Direction::Receive && m.argument(by, slot::ESI) == 0 {
            is_refused(Error::Ipc)
        } else {
            m.sleeps(q, direction.continuation()) && m.kept(by)
        };
    }
    m.stays()
        && m.ended_with(Error::Succ)
        && m.keeps_all_but(by, 1)
        && is_transferred(m, (by, direction), (q, frame), channels)
        && match m.next {
            Next::Wake(wake) => {
                wake.left + 2 == NUM_PROC && wake.then == Continuation::StartUser && wake.cv + SLP_Q == q
            }
            Next::ToUser(_) => m.nobody_sleeps(q),
            _ => false,
        }
}

/// The message went from the caller's page, in `frame`, to the mailbox of the channel `q` or back, and the result is
/// the number of its words. `channels` is the state in which the lock of the channel was taken.
fn is_transferred<M: System + Spec>(
    m: &Made<'_, M>,
    (by, direction): (By, Direction),
    (q, frame): (M::Word, M::Word),
    channels: &Channels<M>,
) -> bool {
    let (words, count, byte) = (m.argument(by, slot::EDX), m.left(slot::EBX), m.any);
    let (old, new) = (channels.pool.get([q]), m.after.channels.pool.get([q]));
    let least = |one: M::Word, other: M::Word| if one < other { one } else { other };
    let is_counted = match direction {
        Direction::Send => count == least(words, MAX_WORDS.into()) && new.busy == FILLED && new.count == count,
        Direction::Receive => count == least(words, old.count) && new.busy == FREE && new.count == 0,
    };
    is_counted
        && (byte >= PAGE_SIZE || {
            let [page, page_before] = [&m.after, &m.before].map(|at| at.own.hp.get([frame, byte]).value);
            let mail = m.after.channels.mailbox.get([q, byte]).value;
            let mail_before = channels.mailbox.get([q, byte]).value;
            let is_in_message = byte < count * WORD_SIZE;
            match direction {
                Direction::Send => mail == if is_in_message { page_before } else { mail_before },
                Direction::Receive => {
                    mail == mail_before && page == if is_in_message { mail_before } else { page_before }
                }
            }
        })
}

/// `send`: modifies the caller's page map and quota, and one channel with its message.
pub(crate) fn send<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| modifies(m, By::Continuation, Direction::Send, may),
        ensures: |m| ensures(m, By::Continuation, Direction::Send),
    }
}

/// `receive`: modifies the caller's page map, quota and page, and one channel.
pub(crate) fn receive<M: System + Spec>() -> Effect<M> {
    Effect {
        modifies: |m, may| modifies(m, By::Continuation, Direction::Receive, may),
        ensures: |m| ensures(m, By::Continuation, Direction::Receive),
    }
}
