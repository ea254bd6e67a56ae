//! The state of the UART, and the events that its machine reports.
use crate::core::machine::{Machine, Visit};
use crate::core::ring::Ring;

/// The UART, without its received characters (`com1`).
#[derive(Clone, Copy, Debug)]
pub struct Serial<M: Machine> {
    /// It is plugged in (`serial_on`).
    pub on: M::Flag,
    /// It requests an interrupt (`serial_irq`).
    pub irq: M::Flag,
    /// It requests an interrupt when it receives something.
    pub rx_int_enable: M::Flag,
    /// The baud rate is being set, and the data registers are not accessible.
    pub dlab: M::Flag,
    /// Position of the received characters in `rx_buf`; these are the newest, up to 12.
    pub rx: Ring<M>,
    /// The characters to send (`tx_buf`), in the reference's order. Entries from `tx_len` on have no
    /// meaning.
    pub tx: [M::Word; 2],
    /// Number of characters to send.
    pub tx_len: M::Word,
    /// Index of the next event of the receiver.
    pub l1: M::Word,
    /// Index of the next event of the transmitter.
    pub l2: M::Word,
    /// Not used at this layer.
    pub l3: M::Word,
}

/// The event of the UART at an index of its log (`SerialEvent`).
#[derive(Clone, Copy, Debug)]
pub struct SerialEvent<M: Machine> {
    /// A value of [`event`].
    pub kind: M::Word,
    /// Number of characters received. At most 12: of more characters, the UART keeps the newest 12 (P39).
    pub count: M::Word,
}

/// Kinds of events.
pub mod event {
    /// Nothing.
    pub const NULL: u32 = 0;
    /// Characters are received.
    pub const RECV: u32 = 1;
    /// The transmitter has finished.
    pub const SEND_COMPLETE: u32 = 2;
    /// The UART is plugged in.
    pub const PLUGIN: u32 = 3;
}

impl<M: Machine> Serial<M> {
    /// The UART as boot leaves it: on, with empty buffers (reference, section 3.2).
    pub fn boot() -> Self {
        let zero = M::Word::from(0);
        Serial {
            on: true.into(),
            irq: false.into(),
            rx_int_enable: true.into(),
            dlab: false.into(),
            rx: Ring::empty(),
            tx: [zero; 2],
            tx_len: zero,
            l1: zero,
            l2: zero,
            l3: zero,
        }
    }

    pub(crate) fn words(&mut self, visit: &mut dyn Visit<M>) {
        visit.flag("com1.serial_on", &mut self.on);
        visit.flag("com1.serial_irq", &mut self.irq);
        visit.flag("com1.rx_int_enable", &mut self.rx_int_enable);
        visit.flag("com1.dlab", &mut self.dlab);
        visit.word("com1.rx_start", &mut self.rx.start);
        visit.word("com1.rx_len", &mut self.rx.len);
        visit.word("com1.tx0", &mut self.tx[0]);
        visit.word("com1.tx1", &mut self.tx[1]);
        visit.word("com1.tx_len", &mut self.tx_len);
        visit.word("com1.l1", &mut self.l1);
        visit.word("com1.l2", &mut self.l2);
        visit.word("com1.l3", &mut self.l3);
    }
}
