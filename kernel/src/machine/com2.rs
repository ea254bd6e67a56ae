//! COM2: the line to the program that watches the machine ([`checkpoint`](super::checkpoint)). No
//! output of the layer or of a program ever goes there.

use crate::devices::power::refuse;
use crate::devices::uart::{Interrupts, ROOM, Uart};
use crate::irq::timer;
use layer::core::dump::Out;

/// The first port of COM2.
const COM2: u16 = 0x2F8;
/// How long the transmitter may take for [`ROOM`] bytes, in milliseconds. The watching program may be busy.
const PATIENCE: u32 = 60_000;

/// The line, with the bytes that wait to be sent.
pub struct Line {
    uart: Option<Uart>,
    waiting: [u8; ROOM],
    used: usize,
}

impl Line {
    /// A line that is not open yet.
    pub const fn new() -> Line {
        Line { uart: None, waiting: [0; ROOM], used: 0 }
    }

    /// Sets the UART up; returns whether there is one. Earlier input is dropped: the watching program sends no
    /// request before the machine is ready.
    pub fn open(&mut self) -> bool {
        // SAFETY: these are COM2's ports, and only this line uses them.
        self.uart = unsafe { Uart::open(COM2, Interrupts::None, |_| ()) };
        self.uart.is_some()
    }

    /// The next byte that was received, if there is one.
    pub fn received(&mut self) -> Option<u8> {
        self.uart.as_mut()?.receive()
    }

    /// Sends the bytes that wait. If the transmitter takes nothing for [`PATIENCE`], the machine ends. Otherwise
    /// the watching program would take missing bytes for a bug of the kernel.
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
