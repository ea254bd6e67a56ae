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
mod made;
mod message;
mod spawn;

pub(crate) use ending::{exited, wait};
pub(crate) use guest::guest_exit;
pub use interaction::{Interaction, Memory, Written};
pub use made::{Effect, EntryArguments, Made};
pub(crate) use message::{receive, send};
pub(crate) use spawn::{load, main};

use crate::continuation::Continuation;
use crate::next::Next;
use crate::system::{Event, System};
use abi::{Call, Cause, Error, Reason};
use cells::{console, mode, page_of, switch, trap};
use domain::Wide;
use ending::{killing, kills};
use layer::core::constants::*;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::{in_window, mapped};
use layer::spec::contract::Region;
use made::By;
use message::Direction;

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
            let address = fault.addr.narrow().filter(|&address| in_window::<M>(address));
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
