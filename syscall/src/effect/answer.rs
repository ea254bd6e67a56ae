//! The postcondition of a call that returns to its caller at once, except for those of a monitor.
use super::{By, Made};
use crate::system::System;
use abi::{Call, Error, ThreadState};
use domain::{Flag, Map};
use layer::core::constants::*;
use layer::core::fields::process::LIVE;
use layer::core::machine::Spec;
use layer::objects::page_table::spec::mapped;

/// The registers of results, in their order.
pub(super) const RESULTS: [u32; 5] = [slot::EBX, slot::R10, slot::EDX, slot::ESI, slot::EDI];

impl<M: System + Spec> Made<'_, M> {
    /// The call succeeded with this many results, or was refused. All of the caller's other registers are those of the call.
    pub(super) fn keeps_all_but(&self, by: By, results: usize) -> bool {
        let has_results = self.ended_with(Error::Succ);
        (has_results && RESULTS[..results].iter().any(|&slot| self.any == slot)) || self.keeps(by, &[slot::EAX])
    }

    /// All of the caller's registers but these are those of the call.
    pub(super) fn keeps(&self, by: By, changed: &[u32]) -> bool {
        self.any >= UCTXT_SIZE
            || changed.iter().any(|&slot| self.any == slot)
            || self.register(&self.after, self.any) == self.given(by, self.any)
    }
}

/// The caller's page and the mailbox of the channel `q` have the same first words, as many as the result says: all that
/// were asked for if the caller `sends` and they fit, and no more if it receives.
pub(super) fn is_transferred<M: System + Spec>(m: &Made<'_, M>, by: By, q: M::Word, sends: bool) -> bool {
    let (words, count, byte) = (m.argument(by, slot::EDX), m.left(slot::EBX), m.any);
    let is_right =
        if sends { count == if words < MAX_WORDS { words } else { MAX_WORDS.into() } } else { count <= words };
    is_right
        && count <= MAX_WORDS
        && (byte >= PAGE_SIZE
            || byte >= count * WORD_SIZE
            || match mapped(&m.after, m.cur(), m.argument(by, slot::R10)) {
                Some((page, _)) => {
                    m.after.own.hp.get([page, byte]).value == m.after.channels.mailbox.get([q, byte]).value
                }
                None => false,
            })
}

/// The postcondition.
pub(super) fn ensures<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let Some(&call) = Call::ALL.iter().find(|&&call| m.asks_for(call)) else {
        return m.ended_with(Error::InvalCallnr) && m.keeps_all_but(By::Trap, 0);
    };
    let results = match call {
        Call::ThreadInfo => 5,
        Call::WhoAmI => 3,
        _ => 1,
    };
    m.keeps_all_but(By::Trap, results) && is_answered(m, call)
}

/// The error number and the results are right.
fn is_answered<M: System + Spec>(m: &Made<'_, M>, call: Call) -> bool {
    let first = m.argument(By::Trap, slot::EBX);
    let container = |thread: M::Word| m.before.own.ac.get([thread]);
    let succeeds = || m.ended_with(Error::Succ);
    let refused = |errors: &[Error]| errors.iter().any(|&error| m.ended_with(error));
    match call {
        Call::Kill => m.ended_with(Error::InvalId) && !m.has_child_in(first, LIVE),
        Call::GetQuota => {
            let own = container(m.cur());
            let left = M::Nat::from(m.left(slot::EBX));
            succeeds() && left + M::Nat::from(own.usage) == M::Nat::from(own.quota)
        }
        Call::WhoAmI => {
            succeeds()
                && m.left(slot::EBX) == m.cur()
                && m.left(slot::R10) == m.before.own.cpu
                && m.left(slot::EDX) == container(m.cur()).parent
        }
        Call::ThreadInfo => {
            // Of the main threads, each CPU knows its own.
            let is_here = first < NUM_PROC && (first > TOTAL_CPU || first == m.before.own.cpu + 1);
            if !is_here || !container(first).used.holds() {
                return m.ended_with(Error::InvalId);
            }
            let of = container(first);
            let state = if first == m.cur() {
                (ThreadState::Running as u32).into()
            } else {
                m.before.own.kctxt.get([first]).ra
            };
            // The number of the program, in R10, is the machine's answer.
            succeeds()
                && m.left(slot::EBX) == state
                && m.left(slot::EDX) == of.quota
                && m.left(slot::ESI) == of.usage
                && m.left(slot::EDI) == of.nchildren
        }
        Call::Puts => {
            let is_in_window = first >= ADR_LOW && first < ADR_HIGH;
            if !is_in_window {
                return m.ended_with(Error::InvalAddr);
            }
            let (length, to_end) = (m.argument(By::Trap, slot::R10), M::Word::from(PAGE_SIZE) - first % PAGE_SIZE);
            refused(&[Error::InvalAddr, Error::Mem])
                || (succeeds() && m.left(slot::EBX) == if length < to_end { length } else { to_end })
        }
        Call::Putc => succeeds() || refused(&[Error::NoDevice, Error::SendFail]),
        Call::Getc => succeeds() || refused(&[Error::NoDevice, Error::NoChar]),
        Call::Uptime => succeeds(),
        // A call that succeeds does not return before the child is loaded.
        Call::Spawn => refused(&[Error::InvalId, Error::InvalAddr, Error::Mem]),
        // The others do not return at once, or have a postcondition of their own.
        _ => false,
    }
}
