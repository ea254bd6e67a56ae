//! The postcondition of a call that returns to its caller at once, except for those of a monitor.
use super::interaction::Interaction;
use super::made::{By, Made};
use crate::system::{Question, System};
use abi::{Call, Error, ThreadState};
use domain::{Flag, Map};
use layer::core::constants::*;
use layer::core::fields::process::LIVE;
use layer::core::machine::Spec;
use layer::objects::console::spec::is_quiet;
use layer::objects::page_table::spec::{in_window, mapped};

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

/// The postcondition of `call`, which returned to its caller at once.
pub(super) fn ensures<M: System + Spec>(m: &Made<'_, M>, call: Call) -> bool {
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
    let is_silent = m.interactions.is_empty();
    match call {
        Call::Kill => is_silent && m.ended_with(Error::InvalId) && !m.has_child_in(first, LIVE),
        Call::GetQuota => {
            let own = container(m.cur());
            let left = M::Nat::from(m.left(slot::EBX));
            is_silent && m.ended_with(Error::Succ) && left + M::Nat::from(own.usage) == M::Nat::from(own.quota)
        }
        Call::WhoAmI => {
            is_silent
                && m.ended_with(Error::Succ)
                && m.left(slot::EBX) == m.cur()
                && m.left(slot::R10) == m.before.own.cpu
                && m.left(slot::EDX) == container(m.cur()).parent
        }
        Call::ThreadInfo => {
            // Of the main threads, each CPU knows its own.
            let is_here = first < NUM_PROC && (first > TOTAL_CPU || first == m.before.own.cpu + 1);
            if !is_here || !container(first).used.holds() {
                return is_silent && m.ended_with(Error::InvalId);
            }
            let of = container(first);
            let state = if first == m.cur() {
                (ThreadState::Running as u32).into()
            } else {
                m.before.own.kctxt.get([first]).ra
            };
            let [Interaction::Tell { question: Question::Image { thread }, answer: image }] = m.interactions else {
                return false;
            };
            m.ended_with(Error::Succ)
                && *thread == first
                && m.left(slot::EBX) == state
                && m.left(slot::R10) == *image
                && m.left(slot::EDX) == of.quota
                && m.left(slot::ESI) == of.usage
                && m.left(slot::EDI) == of.nchildren
        }
        Call::Puts => is_written(m),
        Call::Putc => is_silent && is_put(m, first),
        Call::Getc => is_silent && is_got(m),
        Call::Uptime => match m.interactions {
            [Interaction::Tell { question: Question::Uptime, answer }] => {
                m.ended_with(Error::Succ) && m.left(slot::EBX) == *answer
            }
            _ => false,
        },
        // The others do not return at once, or have a postcondition of their own.
        _ => false,
    }
}

/// `puts` wrote the bytes of the caller's page at the address, at most to the end of the page. It reserved the page if
/// it was missing.
fn is_written<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let (address, length) = (m.argument(By::Trap, slot::EBX), m.argument(By::Trap, slot::R10));
    let is_refused = |error| m.interactions.is_empty() && m.ended_with(error);
    if !in_window::<M>(address) {
        return is_refused(Error::InvalAddr);
    }
    let (offset, to_end) = (address % PAGE_SIZE, M::Word::from(PAGE_SIZE) - address % PAGE_SIZE);
    let written = if length < to_end { length } else { to_end };
    if written == 0 {
        return m.interactions.is_empty() && m.ended_with(Error::Succ) && m.left(slot::EBX) == 0;
    }
    let is_new = mapped(&m.before, m.cur(), address).is_none();
    let Some((frame, permission)) = mapped(&m.after, m.cur(), address) else {
        return is_refused(Error::Mem) && m.is_exhausted(m.cur(), address);
    };
    if permission != perm::PTU && permission != perm::PTUR {
        return is_refused(Error::InvalAddr);
    }
    m.ended_with(Error::Succ)
        && m.left(slot::EBX) == written
        && matches!(
            m.interactions,
            [Interaction::ConsoleWrite { frame: of, offset: from, length: many }]
                if *of == frame && *from == offset && *many == written
        )
        && (!is_new || m.is_reserved(m.cur(), address, perm::PTU))
}

/// `putc` handed the low 8 bits of `byte` to the UART. It failed if there is no UART, or if the UART still holds bytes
/// that it has not sent.
fn is_put<M: System + Spec>(m: &Made<'_, M>, byte: M::Word) -> bool {
    let com1 = &m.after.own.com1;
    if !m.before.own.serial_exists.holds() {
        return m.ended_with(Error::NoDevice);
    }
    if m.ended_with(Error::SendFail) {
        return com1.tx_len != 0;
    }
    m.ended_with(Error::Succ) && m.left(slot::EBX) == byte % 256 && com1.tx[0] == byte % 256 && com1.tx_len != 0
}

/// `getc` took the oldest byte of the console's input. If the UART requests an interrupt, its bytes have come to the
/// input before.
fn is_got<M: System + Spec>(m: &Made<'_, M>) -> bool {
    let (before, after) = (m.before.own, m.after.own);
    if !before.serial_exists.holds() {
        return m.ended_with(Error::NoDevice);
    }
    if m.ended_with(Error::NoChar) {
        return before.console.len == 0;
    }
    m.ended_with(Error::Succ)
        && (!is_quiet(before)
            || (before.console.len == after.console.len + 1
                && (m.any != before.console.start || m.left(slot::EBX) == before.cons_buf.get([m.any]).value)))
}
