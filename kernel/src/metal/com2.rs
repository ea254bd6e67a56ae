//! COM2: the line to whoever watches the machine ([`machine::checkpoint`](super::machine::checkpoint)). Nothing of the layer's
//! or a program's ever goes there.

use super::boot::refuse;
use super::timer;
use core::arch::asm;
use layer::dump::Out;
use x86_64::instructions::port::Port;

const DATA: u16 = 0x2F8;
const INTERRUPTS: u16 = DATA + 1;
const FIFO: u16 = DATA + 2;
const FORMAT: u16 = DATA + 3;
const MODEM: u16 = DATA + 4;
const STATUS: u16 = DATA + 5;
const SCRATCH: u16 = DATA + 7;

/// Line status: a byte has come; the transmitter has room for [`ROOM`] bytes.
const RECEIVED: u8 = 1;
const EMPTY: u8 = 1 << 5;
/// Line control: the divisor is being set; 8 bits, no parity, one stop bit.
const DIVISOR: u8 = 0x80;
const EIGHT_BITS: u8 = 3;
/// FIFOs on, and empty.
const FIFOS: u8 = 7;
/// Ready to send and to receive.
const READY: u8 = 3;

/// Bytes that the transmitter takes at a time.
const ROOM: usize = 16;
/// How long the transmitter may take for them, in milliseconds: whoever listens to it may have other things to do.
const PATIENCE: u32 = 60_000;

/// The line.
pub struct Line {
    waiting: [u8; ROOM],
    used: usize,
}

impl Line {
    /// A line on which nothing has been said.
    pub const fn new() -> Line {
        Line { waiting: [0; ROOM], used: 0 }
    }

    /// Sets the UART up, with the highest speed; whether there is one.
    pub fn open(&mut self) -> bool {
        let setting = [
            (INTERRUPTS, 0),
            (FORMAT, DIVISOR),
            (DATA, 1),
            (INTERRUPTS, 0),
            (FORMAT, EIGHT_BITS),
            (FIFO, FIFOS),
            (MODEM, READY),
            (SCRATCH, 0x5A),
        ];
        for (port, value) in setting {
            // SAFETY: COM2's own ports on every PC, which nothing else uses; no interrupt is asked for.
            unsafe { Port::<u8>::new(port).write(value) };
        }
        // SAFETY: as above; reading it has no effect.
        unsafe { Port::<u8>::new(SCRATCH).read() == 0x5A }
    }

    fn status(&self) -> u8 {
        // SAFETY: COM2's own port; of what reading it resets, errors, nobody asks.
        unsafe { Port::<u8>::new(STATUS).read() }
    }

    /// The byte that has come, if one has.
    pub fn received(&mut self) -> Option<u8> {
        // SAFETY: COM2's own port; a byte has come.
        (self.status() & RECEIVED != 0).then(|| unsafe { Port::<u8>::new(DATA).read() })
    }

    /// Sends what waits. Where the transmitter takes nothing for [`PATIENCE`], the machine ends: whoever watches it would take
    /// what is missing for a fault of the kernel.
    pub fn flush(&mut self) {
        let begin = timer::uptime();
        while self.status() & EMPTY == 0 {
            if timer::uptime().wrapping_sub(begin) > PATIENCE {
                refuse("its COM2, over which it is watched, takes no bytes");
            }
            core::hint::spin_loop();
        }
        // SAFETY: COM2's own port; the bytes are this line's, and the transmitter has room for so many.
        unsafe {
            asm!(
                "rep outsb",
                in("dx") DATA,
                inout("rsi") self.waiting.as_ptr() => _,
                inout("rcx") self.used => _,
                options(nostack, preserves_flags),
            );
        }
        self.used = 0;
    }
}

impl Out for Line {
    fn byte(&mut self, byte: u8) {
        self.waiting[self.used] = byte;
        self.used += 1;
        if self.used == ROOM {
            self.flush();
        }
    }
}
