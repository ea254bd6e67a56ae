//! The cells that kernel entries may write: parts of their modifies clauses.
use super::made::Made;
use crate::system::System;
use layer::core::constants::*;
use layer::core::machine::{Machine, Spec};
use layer::objects::page_table::spec::NEW_FRAME;
use layer::spec::contract::{Cells, Region};

/// Cells: the ring, and the current page map.
pub(super) fn mode<M: Machine>(may: Cells<'_, M>) {
    for scalar in ["ikern", "ipt", "PT"] {
        may(scalar, Region::All, &[]);
    }
}

/// Cells: the saved registers of `thread`.
pub(super) fn registers<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
    may("uctxt", Region::All, &[thread]);
    may("uctxt.kind", Region::All, &[thread]);
}

/// Cells: those of a trap and of the return from it.
pub(super) fn trap<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    mode::<M>(&mut *may);
    registers::<M>(m.cur(), may);
}

/// Cells: those of mapping a page for `thread`: its page map and quota, and frames that become its own or are released
/// at once.
pub(super) fn page_of<M: Machine>(thread: M::Word, may: Cells<'_, M>) {
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
pub(super) fn switch<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    may("cid", Region::All, &[]);
    may("kctxt", Region::All, &[m.cur()]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.lo", "rdy.hi"] {
        may(scalar, Region::All, &[]);
    }
    for field in ["tcb", "tcb.next"] {
        may(field, Region::Mine, &[]);
    }
}

/// Cells: those of creating `child`, a child of the caller: the child's own, its parent's quota and count of children,
/// and the ready queue, to which the child is appended.
pub(super) fn child<M: System + Spec>(m: &Made<'_, M>, child: M::Word, may: Cells<'_, M>) {
    may("AC", Region::Leaf("usage"), &[m.cur()]);
    may("AC", Region::Leaf("nchildren"), &[m.cur()]);
    for scalar in ["rdy.head", "rdy.tail", "rdy.hi"] {
        may(scalar, Region::All, &[]);
    }
    if m.before.own.ready.tail != NO_THREAD {
        may("tcb.next", Region::All, &[m.before.own.ready.tail]);
    }
    for field in ["AC", "AC.charged", "kctxt", "proc", "uctxt", "uctxt.kind", "tcb", "tcb.next"] {
        may(field, Region::All, &[child]);
    }
}

/// Cells: the console and the serial port.
pub(super) fn console<M: Machine>(may: Cells<'_, M>) {
    for name in COM1.iter().chain(&["console.len", "console.rpos", "rx_buf", "cons_buf"]) {
        may(name, Region::All, &[]);
    }
    may("ioapic.lines", Region::Leaf("enabled"), &[COM1_LINE.into()]);
}

/// Cells: the lock of the channel `q`.
pub(super) fn lock_of_channel<M: Machine>(q: M::Word, may: Cells<'_, M>) {
    may("syncchpool.lock", Region::All, &[q]);
    may("lock", Region::All, &[q + CHANNEL_LOCKS]);
    may("section", Region::All, &[]);
}

/// Cells: those of the caller's sleep. The thread before it in the queue may belong to any CPU.
pub(super) fn sleep<M: System + Spec>(m: &Made<'_, M>, may: Cells<'_, M>) {
    switch(m, &mut *may);
    for field in ["tcb", "tcb.next"] {
        may(field, Region::All, &[]);
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
