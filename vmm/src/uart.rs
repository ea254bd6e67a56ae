//! The serial line of a PC: a National Semiconductor 16550A, later PC16550D.
//!
//! Modelled from the data sheet "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs": all registers, the
//! priorities of interrupts, the FIFO of the receiver with its trigger levels, overruns, and the loopback mode.
//!
//! The line is infinitely fast. So a byte is sent as soon as it is written, and the transmitter is always empty; a
//! receive FIFO below its trigger level times out at once. The other end of the line is always there: CTS, DSR and DCD
//! are high, and RI is low.
//!
//! Not modelled: the baud rate, the word length, breaks, errors of parity and framing, and the pins for DMA.

/// Bytes that the receiver's FIFO holds.
pub const FIFO: usize = 16;

/// Interrupt enable register: what interrupts.
const ON_DATA: u8 = 1;
const ON_SENT: u8 = 1 << 1;
const ON_STATUS: u8 = 1 << 2;
const ON_MODEM: u8 = 1 << 3;

/// Interrupt identification register: the causes, the most urgent first.
const BY_STATUS: u8 = 6;
const BY_DATA: u8 = 4;
const BY_TIMEOUT: u8 = 12;
const BY_SENT: u8 = 2;
const BY_MODEM: u8 = 0;
const NO_INTERRUPT: u8 = 1;
/// Interrupt identification register: the FIFOs are on.
const FIFOS: u8 = 0xC0;

/// FIFO control register.
const FIFO_ON: u8 = 1;
const CLEAR_RECEIVER: u8 = 1 << 1;
/// The trigger levels, by bits 7 and 6.
const TRIGGERS: [usize; 4] = [1, 4, 8, 14];

/// Line control register: the first two registers are the divisor.
const DIVISOR: u8 = 1 << 7;

/// Modem control register.
const OUT2: u8 = 1 << 3;
const LOOPBACK: u8 = 1 << 4;

/// Line status register.
const RECEIVED: u8 = 1;
const OVERRUN: u8 = 1 << 1;
/// The transmitter takes bytes and has sent all.
const SENT: u8 = 3 << 5;

/// Modem status register: CTS, DSR and DCD.
const CONNECTED: u8 = 0xB0;
/// Modem status register: RI.
const RING: u8 = 1 << 6;

/// What the interrupt output did since it was asked last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// It was low at some time.
    pub dipped: bool,
    /// Its level now.
    pub high: bool,
}

/// A UART. A register's number is its distance from the first port.
#[derive(Clone, Debug)]
pub struct Uart {
    divisor: [u8; 2],
    enabled: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    fifo_on: bool,
    trigger: usize,
    received: [u8; FIFO],
    first: usize,
    length: usize,
    overrun: bool,
    /// A byte has been sent, and the interrupt about it was not read yet.
    sent: bool,
    /// The low half of the modem status: what changed since it was read.
    changes: u8,
    dipped: bool,
}

impl Default for Uart {
    /// A UART after its reset. The divisor is 1.
    fn default() -> Uart {
        Uart {
            divisor: [1, 0],
            enabled: 0,
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            fifo_on: false,
            trigger: TRIGGERS[0],
            received: [0; FIFO],
            first: 0,
            length: 0,
            overrun: false,
            sent: false,
            changes: 0,
            dipped: true,
        }
    }
}

impl Uart {
    /// Reads a register, 0 to 7.
    pub fn read(&mut self, register: u16) -> u8 {
        let divisor = self.line_control & DIVISOR != 0;
        let value = match register & 7 {
            register @ 0..=1 if divisor => self.divisor[usize::from(register)],
            0 => self.take(),
            1 => self.enabled,
            2 => {
                let cause = self.cause();
                self.sent &= cause != BY_SENT;
                cause | if self.fifo_on { FIFOS } else { 0 }
            }
            3 => self.line_control,
            4 => self.modem_control,
            5 => {
                let overrun = if core::mem::take(&mut self.overrun) { OVERRUN } else { 0 };
                SENT | overrun | if self.length > 0 { RECEIVED } else { 0 }
            }
            6 => self.modem_inputs() | core::mem::take(&mut self.changes),
            _ => self.scratch,
        };
        self.note_line();
        value
    }

    /// Writes a register, 0 to 7. Returns the byte that goes out on the line.
    #[must_use = "a byte that the guest sends"]
    pub fn write(&mut self, register: u16, byte: u8) -> Option<u8> {
        let divisor = self.line_control & DIVISOR != 0;
        let mut sent = None;
        match register & 7 {
            register @ 0..=1 if divisor => self.divisor[usize::from(register)] = byte,
            0 => sent = self.send(byte),
            1 => {
                // The transmitter is empty, which interrupts as soon as it may.
                self.sent |= byte & !self.enabled & ON_SENT != 0;
                self.enabled = byte & 0x0F;
            }
            2 => self.control_fifos(byte),
            3 => self.line_control = byte,
            4 => {
                let before = self.modem_inputs();
                self.modem_control = byte & 0x1F;
                let inputs = self.modem_inputs();
                let changed = before ^ inputs;
                // RI counts only when it falls.
                self.changes |= (changed & !(RING & inputs)) >> 4;
            }
            7 => self.scratch = byte,
            // The status registers: the data sheet reserves writing for the factory's tests.
            _ => {}
        }
        self.note_line();
        sent
    }

    /// The number of bytes that [`receive`](Uart::receive) takes without an overrun.
    ///
    /// It is 0 in loopback mode, in which the line is not connected. A monitor keeps its bytes until there is room.
    pub fn room(&self) -> usize {
        if self.modem_control & LOOPBACK != 0 { 0 } else { self.capacity() - self.length }
    }

    /// A byte comes from the line. If there is no [`room`](Uart::room), a byte is lost as the data sheet says.
    pub fn receive(&mut self, byte: u8) {
        if self.modem_control & LOOPBACK == 0 {
            self.put(byte);
        }
    }

    /// What the interrupt output did since the last call.
    pub fn take_line(&mut self) -> Line {
        Line { dipped: core::mem::take(&mut self.dipped), high: self.is_interrupting() }
    }

    /// The interrupt output. A PC connects it by OUT2, which is off in loopback mode.
    fn is_interrupting(&self) -> bool {
        self.modem_control & (OUT2 | LOOPBACK) == OUT2 && self.cause() != NO_INTERRUPT
    }

    fn note_line(&mut self) {
        self.dipped |= !self.is_interrupting();
    }

    /// The most urgent interrupt.
    fn cause(&self) -> u8 {
        let causes = [
            (ON_STATUS, self.overrun, BY_STATUS),
            (ON_DATA, self.length >= self.trigger, BY_DATA),
            (ON_DATA, self.length > 0, BY_TIMEOUT),
            (ON_SENT, self.sent, BY_SENT),
            (ON_MODEM, self.changes != 0, BY_MODEM),
        ];
        let urgent = causes.into_iter().find(|(enable, holds, _)| self.enabled & enable != 0 && *holds);
        urgent.map_or(NO_INTERRUPT, |(_, _, cause)| cause)
    }

    /// The high half of the modem status. In loopback mode, the inputs are RTS, DTR, OUT1 and OUT2.
    fn modem_inputs(&self) -> u8 {
        let control = self.modem_control;
        if control & LOOPBACK == 0 {
            return CONNECTED;
        }
        (control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4 | (control & 8) << 4
    }

    fn send(&mut self, byte: u8) -> Option<u8> {
        // The transmitter is not empty until the byte has been sent.
        self.sent = false;
        self.note_line();
        self.sent = true;
        if self.modem_control & LOOPBACK == 0 {
            return Some(byte);
        }
        self.put(byte);
        None
    }

    fn capacity(&self) -> usize {
        if self.fifo_on { FIFO } else { 1 }
    }

    fn put(&mut self, byte: u8) {
        if self.length < self.capacity() {
            self.received[(self.first + self.length) % FIFO] = byte;
            self.length += 1;
            return;
        }
        self.overrun = true;
        // A full FIFO keeps its bytes; without FIFO, the new byte replaces the old one.
        if !self.fifo_on {
            self.received[self.first] = byte;
        }
    }

    /// The oldest received byte. If there is none, the place where the last one was.
    fn take(&mut self) -> u8 {
        let byte = self.received[self.first];
        if self.length > 0 {
            self.first = (self.first + 1) % FIFO;
            self.length -= 1;
        }
        byte
    }

    fn control_fifos(&mut self, byte: u8) {
        let on = byte & FIFO_ON != 0;
        if on != self.fifo_on || on && byte & CLEAR_RECEIVER != 0 {
            (self.length, self.first) = (0, 0);
        }
        self.fifo_on = on;
        self.trigger = TRIGGERS[if on { usize::from(byte >> 6) } else { 0 }];
    }
}

#[cfg(test)]
mod tests;
