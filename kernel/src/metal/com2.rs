//! COM2: the line to whoever watches the machine ([`machine::checkpoint`](super::machine::checkpoint)). Nothing of the layer's
//! or a program's ever goes there.

use super::boot::refuse;
use super::timer;
use super::uart::{Interrupts, ROOM, Uart};
use layer::dump::Out;

/// Its first port.
const COM2: u16 = 0x2F8;
/// How long the transmitter may take for [`ROOM`] bytes, in milliseconds: whoever listens to it may have other things to do.
const PATIENCE: u32 = 60_000;

/// The line.
pub struct Line {
    uart: Option<Uart>,
    waiting: [u8; ROOM],
    used: usize,
}

impl Line {
    /// A line on which nothing has been said.
    pub const fn new() -> Line {
        Line { uart: None, waiting: [0; ROOM], used: 0 }
    }

    /// Sets the UART up; whether there is one. What was sent before is no question: nobody asks before the machine is ready.
    pub fn open(&mut self) -> bool {
        // SAFETY: COM2's ports, which nothing but this line uses.
        self.uart = unsafe { Uart::open(COM2, Interrupts::None, |_| ()) };
        self.uart.is_some()
    }

    /// The byte that has come, if one has.
    pub fn received(&mut self) -> Option<u8> {
        self.uart.as_mut()?.receive()
    }

    /// Sends what waits. Where the transmitter takes nothing for [`PATIENCE`], the machine ends: whoever watches it would take
    /// what is missing for a fault of the kernel.
    pub fn flush(&mut self) {
        let waiting = &self.waiting[..core::mem::take(&mut self.used)];
        let Some(uart) = &mut self.uart else { return };
        let begin = timer::uptime();
        while !uart.has_room() {
            if timer::uptime().wrapping_sub(begin) > PATIENCE {
                refuse("its COM2, over which it is watched, takes no bytes");
            }
            core::hint::spin_loop();
        }
        uart.send(waiting);
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
