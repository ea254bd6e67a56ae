//! D20 and D21: facts that the console's primitives need so that they are never stuck.
use super::Class::Derived;
use super::Fact;
use crate::constants::*;
use crate::machine::Spec;
use domain::{Flag, Map};

pub(super) fn facts<M: Spec>() -> [Fact<M>; 7] {
    [
        Fact {
            number: "D20.1",
            name: "the UART is set up",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                let com1 = &v.own.com1;
                com1.on.holds() && com1.rx_int_enable.holds() && !com1.dlab.holds()
            },
        },
        Fact {
            number: "D20.2",
            name: "what is received is announced",
            class: Derived,
            keys: &[],
            holds: |v, _| v.own.com1.rx.len == 0 || v.own.com1.irq.holds(),
        },
        Fact {
            number: "D20.3",
            name: "the UART keeps 12 characters and sends 2",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                let com1 = &v.own.com1;
                com1.rx.start < SERIAL_HW_BUF_SIZE && com1.rx.len <= SERIAL_HW_BUF_SIZE && com1.tx_len <= 2
            },
        },
        Fact {
            number: "D20.4",
            name: "what is received are bytes",
            class: Derived,
            keys: &[("rx_buf", &[0])],
            holds: |v, k| v.own.rx_buf.get([k[0]]).value <= 255,
        },
        Fact {
            number: "D20.5",
            name: "the console's input are bytes",
            class: Derived,
            keys: &[("cons_buf", &[0])],
            holds: |v, k| v.own.cons_buf.get([k[0]]).value <= 255,
        },
        Fact {
            number: "D20.6",
            name: "the UART has a line",
            class: Derived,
            keys: &[],
            holds: |v, _| {
                !(v.ghost.init.holds() && v.own.serial_exists.holds())
                    || (v.own.ioapic.irqs > COM1_LINE && v.own.ioapic.enables > COM1_LINE)
            },
        },
        Fact {
            number: "D21",
            name: "no interrupt handler executes",
            class: Derived,
            keys: &[],
            holds: |v, _| !v.ghost.in_intr.holds(),
        },
    ]
}
