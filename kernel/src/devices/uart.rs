//! A 16550 UART of a PC: COM1, which the console and the layer share, and COM2, the line to the program that watches
//! the machine.

use core::arch::asm;
use x86_64::instructions::port::Port;

/// Registers, as offsets from the first port. While [`DIVISOR`] is set in [`FORMAT`], the first two are the
/// divisor.
const DATA: u16 = 0;
const INTERRUPTS: u16 = 1;
const FIFO: u16 = 2;
const FORMAT: u16 = 3;
const MODEM: u16 = 4;
const STATUS: u16 = 5;
const SCRATCH: u16 = 7;

/// Line status: a byte has been received.
const RECEIVED: u8 = 1;
/// Line status: the received byte has a wrong parity or stop bit, or the line was broken.
const DAMAGED: u8 = 7 << 2;
/// Line status: the transmitter has room for [`ROOM`] bytes.
const HAS_ROOM: u8 = 1 << 5;
/// Line status: the transmitter is idle.
const IDLE: u8 = 1 << 6;
/// Line control: the divisor is being set.
const DIVISOR: u8 = 0x80;
/// Line control: 8 bits, no parity, one stop bit.
const EIGHT_BITS: u8 = 3;
/// FIFO control: on, with an interrupt as soon as a byte has come. If a FIFO is already on, it keeps its
/// bytes.
const FIFO_ON: u8 = 1;
/// Modem control: ready to send and to receive, and the interrupt line is connected.
const READY: u8 = 0b1011;

/// Bytes that the transmitter takes at a time.
pub const ROOM: usize = 16;
/// Number of port accesses without a byte after which a sender counts as silent. An access takes about a microsecond, a
/// byte 87.
const SILENCE: u32 = 5_000;
/// The maximum number of bytes that are kept from before the set-up; a line that never falls silent must not stop the
/// boot.
const EARLY: u32 = 1024;
/// Number of port accesses after which a transmitter that does not become idle is given up.
const PATIENCE: u32 = 100_000;

/// Which interrupts a UART raises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Interrupts {
    /// None.
    None = 0,
    /// An interrupt as soon as a byte has come.
    Received = 1,
}

/// The settings of a UART that the layer knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// It interrupts as soon as a byte has come.
    pub interrupts: bool,
    /// The divisor is accessible, in place of the data.
    pub divisor: bool,
}

/// A UART that has been set up.
#[derive(Debug)]
pub struct Uart {
    base: u16,
}

/// Writes bytes to a port, one after the other.
///
/// # Safety
/// The device at the port may be given these bytes.
pub(super) unsafe fn write(port: u16, bytes: &[u8]) {
    // SAFETY: the bytes are readable, and the caller has the port.
    unsafe {
        asm!(
            "rep outsb",
            in("dx") port,
            inout("rsi") bytes.as_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}

impl Uart {
    /// Sets up the UART whose first port is `base`, with 115200 baud; `None` if there is none. Bytes that it has
    /// received before are passed to `early`.
    ///
    /// Switching the FIFOs on empties them. So the received bytes are taken out first, until the sender is silent.
    ///
    /// # Safety
    /// On every PC the eight ports are those of a serial line, and nothing else uses them.
    pub unsafe fn open(base: u16, interrupts: Interrupts, early: impl FnMut(u8)) -> Option<Uart> {
        let mut uart = Uart { base };
        uart.write(SCRATCH, 0x5A);
        if uart.read(SCRATCH) != 0x5A {
            return None;
        }
        uart.write(FORMAT, EIGHT_BITS);
        uart.write(INTERRUPTS, 0);
        // The firmware's output is sent at the firmware's speed.
        let _ = (0..PATIENCE).find(|_| uart.read(STATUS) & IDLE != 0);
        uart.take_early(early);
        uart.write(FIFO, FIFO_ON);
        let setting = [(FORMAT, DIVISOR), (DATA, 1), (INTERRUPTS, 0), (FORMAT, EIGHT_BITS), (MODEM, READY)];
        setting.into_iter().for_each(|(register, value)| uart.write(register, value));
        uart.write(INTERRUPTS, interrupts as u8);
        Some(uart)
    }

    /// Takes out the received bytes, until no more come.
    fn take_early(&mut self, mut early: impl FnMut(u8)) {
        let mut taken = 0;
        let mut silent = 0;
        while taken < EARLY && silent < SILENCE {
            let status = self.read(STATUS);
            if status & RECEIVED != 0 {
                let byte = self.read(DATA);
                if status & DAMAGED == 0 {
                    early(byte);
                }
                (taken, silent) = (taken + 1, 0);
            } else if taken == 0 {
                return;
            } else {
                silent += 1;
            }
        }
    }

    /// Its settings.
    pub fn setting(&self) -> Setting {
        let divisor = self.read(FORMAT) & DIVISOR != 0;
        Setting { interrupts: self.read(INTERRUPTS) & Interrupts::Received as u8 != 0, divisor }
    }

    /// The oldest received byte, if there is one.
    pub fn receive(&mut self) -> Option<u8> {
        (self.read(STATUS) & RECEIVED != 0).then(|| self.read(DATA))
    }

    /// Whether [`ROOM`] bytes can be sent.
    pub fn has_room(&self) -> bool {
        self.read(STATUS) & HAS_ROOM != 0
    }

    /// Sends at most [`ROOM`] bytes; further ones are lost, and all are lost if the transmitter has no room.
    pub fn send(&mut self, bytes: &[u8]) {
        // SAFETY: the port is this UART's.
        unsafe { write(self.base + DATA, bytes) }
    }

    fn read(&self, register: u16) -> u8 {
        // SAFETY: the caller of `open` leaves this UART's ports to it.
        unsafe { Port::new(self.base + register).read() }
    }

    fn write(&mut self, register: u16, value: u8) {
        // SAFETY: as in `read`; the device writes to no memory.
        unsafe { Port::new(self.base + register).write(value) }
    }
}
