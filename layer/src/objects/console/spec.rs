//! The specification of the console: contracts of 52 to 55 and of the two internal functions that they call, the loop
//! invariant of 52, and facts.
use super::serial::DRAIN;
use super::uart::event;
use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Spec;
use crate::core::ring::Ring;
use crate::core::state::Own;
use crate::objects::mode::spec::{hk_init, in_kernel};
use crate::spec::contract::{Contract, Iterations, LoopRule, Region, no_events};
use crate::spec::fact::{Class, Fact};
use crate::spec::view::View;
use domain::{Flag, Ghost, Map, Word};

const RX: u32 = SERIAL_HW_BUF_SIZE;
const CONSOLE: u32 = CONSOLE_BUFFER_SIZE;

/// The I/O APIC has a line for COM1.
fn has_line<M: Spec>(v: &View<'_, M>) -> bool {
    v.own.ioapic.irqs > COM1_LINE && v.own.ioapic.enables > COM1_LINE
}

/// The line of COM1 exists and is enabled.
fn is_open<M: Spec>(v: &View<'_, M>) -> bool {
    has_line(v) && v.own.lines.get([COM1_LINE.into()]).enabled.holds()
}

/// The precondition of the interrupt handler on the UART.
fn can_interrupt<M: Spec>(v: &View<'_, M>) -> bool {
    let com1 = &v.own.com1;
    v.own.serial_exists.holds()
        && com1.on.holds()
        && com1.rx_int_enable.holds()
        && com1.irq.holds()
        && !com1.dlab.holds()
}

/// Interrupts are on, and no handler executes.
fn is_interruptible<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk_init(v, a) && v.own.intr_flag.holds() && !v.ghost.in_intr.holds()
}

/// This CPU has the UART, and its interrupts are on.
fn has_serial<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && v.own.intr_flag.holds() && v.own.serial_exists.holds()
}

/// Entry `k` of the UART's received characters, counted from the oldest.
fn received<M: Spec>(own: &Own<M>, k: M::Word) -> Cell<M> {
    own.rx_buf.get([own.com1.rx.key(k, RX)])
}

/// Character `k` of the console, counted from the oldest.
fn character<M: Spec>(own: &Own<M>, k: M::Word) -> Cell<M> {
    own.cons_buf.get([own.console.key(k, CONSOLE)])
}

/// The number of entries that are dropped if `more` entries are added to `len` entries and at most `most` are kept.
fn dropped<M: Spec>(len: M::Word, more: M::Word, most: u32) -> M::Word {
    if len + more > most { len + more - most } else { 0.into() }
}

/// Both rings have the same start and length.
fn is_same<M: Spec>(one: Ring<M>, other: Ring<M>) -> bool {
    one.start == other.start && one.len == other.len
}

/// The console's input is its old input followed by the UART's received characters, without the oldest if there are
/// more than 511. Stated about character `x` of the new input.
fn took_received<M: Spec>(before: &Own<M>, after: &Own<M>, x: M::Word) -> bool {
    let (len, more) = (before.console.len, before.com1.rx.len);
    let lost = dropped::<M>(len, more, CONSOLE - 1);
    let kept = len + more - lost;
    after.console.len == kept
        && after.console.start == before.console.key(lost, CONSOLE)
        && (x >= kept || {
            let was = x + lost;
            let value = if was < len { character(before, was) } else { received(before, was - len) };
            character(after, x).value == value.value
        })
        && after.com1.rx.len == 0
        && !after.com1.irq.holds()
        && after.com1.l1 == before.com1.l1.wrapping_add(more * 2 + 1)
}

/// The console is unchanged. Stated about its entry `x`.
fn same_console<M: Spec>(before: &Own<M>, after: &Own<M>, x: M::Word) -> bool {
    is_same(before.console, after.console)
        && (x >= CONSOLE || before.cons_buf.get([x]).value == after.cons_buf.get([x]).value)
}

/// The UART is unchanged. Stated about entry `x` of its received characters.
fn same_serial<M: Spec>(before: &Own<M>, after: &Own<M>, x: M::Word) -> bool {
    let (old, new) = (&before.com1, &after.com1);
    old.on.holds() == new.on.holds()
        && old.irq.holds() == new.irq.holds()
        && is_same(old.rx, new.rx)
        && (x >= RX || before.rx_buf.get([x]).value == after.rx_buf.get([x]).value)
        && old.tx_len == new.tx_len
        && old.l1 == new.l1
        && old.l2 == new.l2
}

/// The UART requests no interrupt, and will not after its next event.
pub fn is_quiet<M: Spec>(own: &Own<M>) -> bool {
    let com1 = &own.com1;
    !(com1.irq.holds() || (M::serial_event(com1.l1).kind == event::RECV && com1.rx_int_enable.holds()))
}

/// Used if the UART requests an interrupt, or will after its next event. If the line is enabled, the console took the
/// characters that the UART held after that event. If the line is masked, the UART still requests the interrupt.
fn took_first<M: Spec>(entry: &View<'_, M>, now: &View<'_, M>) -> bool {
    let com1 = &entry.own.com1;
    if !is_open(entry) {
        return now.own.com1.irq.holds();
    }
    let event = M::serial_event(com1.l1);
    let more = if event.kind == event::RECV { event.count } else { 0.into() };
    let taken = com1.rx.len + more - dropped::<M>(com1.rx.len, more, RX);
    let len = entry.own.console.len;
    now.own.console.len >= len + taken - dropped::<M>(len, taken, CONSOLE - 1)
}

/// What `serial_intr_disable` has ensured after any number of iterations.
fn drained<M: Spec>(entry: &View<'_, M>, now: &View<'_, M>, [x, y]: [M::Word; 2]) -> bool {
    let (old, new) = (entry.own, now.own);
    (!is_quiet(old) || same_serial(old, new, y))
        && ((is_open(entry) && !is_quiet(old)) || same_console(old, new, x))
        && new.console.len >= old.console.len
        && (!old.com1.on.holds() || new.com1.on.holds())
}

/// Fields and scalars that the iterations of `serial_intr_disable` may write.
const DRAINED: &[&str] = &[
    "com1.serial_on",
    "com1.serial_irq",
    "com1.rx_start",
    "com1.rx_len",
    "com1.tx_len",
    "com1.l1",
    "com1.l2",
    "console.len",
    "console.rpos",
    "rx_buf",
    "cons_buf",
];

/// The loop rule of `serial_intr_disable`.
pub(crate) fn drain<M: Spec>() -> LoopRule<M> {
    LoopRule {
        name: DRAIN,
        writes: DRAINED,
        facts: &["H15", "H16", "D20.1", "D20.2", "D20.3", "D20.4", "D20.5"],
        holds: |r: &Iterations<'_, M>| {
            let (old, new, [x, y]) = (r.entry.own, r.now.own, r.any);
            drained(&r.entry, &r.now, r.any)
                && (took_first(&r.entry, &r.now) || (same_serial(old, new, y) && same_console(old, new, x)))
        },
    }
}

pub(crate) fn serial_intr_disable<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::serial::serial_intr_disable(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: is_interruptible,
        requires: has_serial,
        ensures: |s| {
            let (before, after) = (&s.before, &s.after);
            !after.ghost.in_intr.holds()
                && !is_open(after)
                && drained(before, after, s.any)
                && (is_quiet(before.own) || took_first(before, after))
                && (!is_open(before) || (!after.own.com1.irq.holds() && after.own.com1.rx.len == 0))
        },
        events: no_events,
        modifies: |s, may| {
            DRAINED.iter().for_each(|name| may(name, Region::All, &[]));
            if has_line(&s.before) {
                may("ioapic.lines", Region::Leaf("enabled"), &[COM1_LINE.into()]);
            }
        },
    }
}

pub(crate) fn serial_intr_enable<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::serial::serial_intr_enable(cpu).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            is_interruptible(v, a) && has_line(v) && (!v.own.com1.irq.holds() || can_interrupt(v))
        },
        requires: has_serial,
        ensures: |s| {
            let (before, after) = (s.before.own, s.after.own);
            !s.after.ghost.in_intr.holds()
                && is_open(&s.after)
                && if before.com1.irq.holds() {
                    took_received(before, after, s.any[0])
                } else {
                    is_same(before.console, after.console) && after.com1.l1 == before.com1.l1
                }
        },
        events: no_events,
        modifies: |s, may| {
            may("ioapic.lines", Region::Leaf("enabled"), &[COM1_LINE.into()]);
            if s.before.own.com1.irq.holds() {
                TAKEN.iter().for_each(|name| may(name, Region::All, &[]));
            }
        },
    }
}

/// Fields and scalars that the interrupt handler may write.
const TAKEN: &[&str] = &["com1.serial_irq", "com1.rx_len", "com1.l1", "console.len", "console.rpos", "cons_buf"];

/// The interrupt handler; its callers set `in_intr` before it and clear it afterwards, and so does `run`.
pub(crate) fn cons_intr<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| {
            cpu.own.ghost.update(|g| g.in_intr = true.into());
            let result = super::serial::cons_intr(cpu);
            cpu.own.ghost.update(|g| g.in_intr = false.into());
            result.map(|()| Answer::Unit)
        },
        assumes: |_, _| true,
        reference_requires: |v, a| hk_init(v, a) && can_interrupt(v),
        requires: |v, a| in_kernel(v, a) && v.own.serial_exists.holds() && v.own.com1.irq.holds(),
        ensures: |s| took_received(s.before.own, s.after.own, s.any[0]),
        events: no_events,
        modifies: |_, may| TAKEN.iter().for_each(|name| may(name, Region::All, &[])),
    }
}

pub(crate) fn serial_env_step<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| {
            super::serial::serial_env_step(cpu);
            Ok(Answer::Unit)
        },
        assumes: |_, _| true,
        reference_requires: |_, _| true,
        requires: |_, _| true,
        ensures: |s| {
            let (before, after, x) = (s.before.own, s.after.own, s.any[0]);
            let (old, new) = (&before.com1, &after.com1);
            let (rx, tx) = (M::serial_event(old.l1), M::serial_event(old.l2));
            let received_some = rx.kind == event::RECV;
            let more = if received_some { rx.count } else { 0.into() };
            let lost = dropped::<M>(old.rx.len, more, RX);
            let kept = old.rx.len + more - lost;
            new.l1 == old.l1.wrapping_add(1.into())
                && new.l2 == old.l2.wrapping_add(1.into())
                && new.on.holds() == (old.on.holds() || rx.kind == event::PLUGIN)
                && new.irq.holds() == (old.irq.holds() || (received_some && old.rx_int_enable.holds()))
                && new.tx_len == if tx.kind == event::SEND_COMPLETE { 0.into() } else { old.tx_len }
                && new.rx.len == kept
                && new.rx.start == old.rx.key(lost, RX)
                && (x >= kept || {
                    let was = x + lost;
                    let value = if was < old.rx.len {
                        received(before, was).value
                    } else {
                        M::serial_byte(old.l1, was - old.rx.len)
                    };
                    received(after, x).value == value
                })
        },
        events: no_events,
        modifies: |s, may| {
            let com1 = &s.before.own.com1;
            for name in ["com1.serial_on", "com1.serial_irq", "com1.tx_len", "com1.l1", "com1.l2"] {
                may(name, Region::All, &[]);
            }
            if M::serial_event(com1.l1).kind == event::RECV {
                for name in ["com1.rx_start", "com1.rx_len", "rx_buf"] {
                    may(name, Region::All, &[]);
                }
            }
        },
    }
}

pub(crate) fn serial_putc<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::serial::serial_putc(cpu, a.words[0]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let com1 = &v.own.com1;
            hk_init(v, a)
                && (!v.own.serial_exists.holds() || (com1.on.holds() && com1.rx.len == 0 && !com1.dlab.holds()))
        },
        requires: |v, a| in_kernel(v, a) && (!v.own.serial_exists.holds() || v.own.com1.rx.len == 0),
        ensures: |s| {
            let (old, new) = (&s.before.own.com1, &s.after.own.com1);
            let (c, answer) = (s.arguments.words[0] % 256, s.answer.word());
            let none = u32::MAX;
            if !s.before.own.serial_exists.holds() {
                return answer == none && new.l2 == old.l2 && new.tx_len == old.tx_len;
            }
            // The number of events for which the call waits.
            let events = if old.tx_len == 0 { 1.into() } else { M::serial_sent(old.l2) };
            if events == 0 {
                return answer == none && new.l2 == old.l2.wrapping_add(12_800.into()) && new.tx_len == old.tx_len;
            }
            answer == c
                && new.l2 == old.l2.wrapping_add(events)
                && new.tx[0] == c
                && if c == 10 { new.tx_len == 2 && new.tx[1] == 13 } else { new.tx_len == 1 }
        },
        events: no_events,
        modifies: |s, may| {
            if s.before.own.serial_exists.holds() {
                may("com1.l2", Region::All, &[]);
            }
            if s.answer.word() != NO_CHARACTER {
                for name in ["com1.tx0", "com1.tx1", "com1.tx_len"] {
                    may(name, Region::All, &[]);
                }
            }
        },
    }
}

pub(crate) fn cons_buf_read<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, _| super::cons_buf_read(cpu).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: hk_init,
        requires: in_kernel,
        ensures: |s| {
            let (old, new, answer) = (s.before.own, s.after.own, s.answer.word());
            if old.console.len == 0 {
                return answer == u32::MAX && is_same(old.console, new.console);
            }
            let rest = s.any[0];
            answer <= 255
                && answer == character(old, 0.into()).value
                && new.console.len == old.console.len - 1
                && new.console.start == (old.console.start + 1) % 512
                // Every other character is one position nearer to the start.
                && (rest >= new.console.len || character(new, rest).value == character(old, rest + 1).value)
        },
        events: no_events,
        modifies: |s, may| {
            if s.before.own.console.len != 0 {
                may("console.len", Region::All, &[]);
                may("console.rpos", Region::All, &[]);
            }
        },
    }
}

/// The facts about the UART and the console.
pub(crate) fn facts<M: Spec>() -> [Fact<M>; 8] {
    [
        Fact {
            number: "H15",
            name: "valid_cons_buf_rpos",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.own.console.start < CONSOLE_BUFFER_SIZE,
        },
        Fact {
            number: "H16",
            name: "valid_cons_buf_length",
            class: Class::High,
            keys: &[],
            holds: |v, _| v.own.console.len < CONSOLE_BUFFER_SIZE,
        },
        Fact {
            number: "D20.1",
            name: "the UART is set up",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                let com1 = &v.own.com1;
                com1.on.holds() && com1.rx_int_enable.holds() && !com1.dlab.holds()
            },
        },
        Fact {
            number: "D20.2",
            name: "what is received is announced",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| v.own.com1.rx.len == 0 || v.own.com1.irq.holds(),
        },
        Fact {
            number: "D20.3",
            name: "the UART keeps 12 characters and sends 2",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                let com1 = &v.own.com1;
                com1.rx.start < SERIAL_HW_BUF_SIZE && com1.rx.len <= SERIAL_HW_BUF_SIZE && com1.tx_len <= 2
            },
        },
        Fact {
            number: "D20.4",
            name: "what is received are bytes",
            class: Class::Derived,
            keys: &[("rx_buf", &[0])],
            holds: |v, k| v.own.rx_buf.get([k[0]]).value <= 255,
        },
        Fact {
            number: "D20.5",
            name: "the console's input are bytes",
            class: Class::Derived,
            keys: &[("cons_buf", &[0])],
            holds: |v, k| v.own.cons_buf.get([k[0]]).value <= 255,
        },
        Fact {
            number: "D20.6",
            name: "the UART has a line",
            class: Class::Derived,
            keys: &[],
            holds: |v, _| {
                !(v.ghost.init.holds() && v.own.serial_exists.holds())
                    || (v.own.ioapic.irqs > COM1_LINE && v.own.ioapic.enables > COM1_LINE)
            },
        },
    ]
}
