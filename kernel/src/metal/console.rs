//! The console: port 0xE9 where an emulator has it, since a byte costs it next to nothing; otherwise COM1. One lock
//! around both, held for a whole message, so that messages of different CPUs never mix.

use crate::input::Input;
use crate::lock::{Guard, Lock};
use crate::metal::attention::{self, Why};
use crate::metal::uart::{Interrupts, Uart};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};
use x86_64::instructions::port::{Port, PortReadOnly};

/// COM1.
pub(super) const COM1: u16 = 0x3F8;
/// The emulators' debug port: it reads as its own number where it exists.
pub const DEBUG_PORT: u16 = 0xE9;
/// How often a full transmitter is asked again before a byte is given up; a byte at 115200 baud takes
/// 87 microseconds, a port access about one.
const TRANSMIT_TRIES: u32 = 100_000;

/// The CPU whose device COM1 is: its interrupts go there.
pub const OWNER: u32 = 0;

/// The devices behind the console.
pub struct Console {
    serial: Option<Uart>,
    /// What COM1 has received.
    input: Input,
    debug_port: bool,
    /// Whether the last byte ended a line.
    at_line_start: bool,
}

static CONSOLE: Lock<Console> =
    Lock::new(Console { serial: None, input: Input::new(), debug_port: false, at_line_start: true });
/// Whether COM1 is there.
static HAS_SERIAL: AtomicBool = AtomicBool::new(false);

/// Finds and sets up the devices. Before this, output goes nowhere; what was typed before is kept.
///
/// # Safety
/// Called once, by CPU 0; nothing else uses COM1.
pub unsafe fn init() {
    let console = &mut *CONSOLE.lock();
    // SAFETY: reading this port has no effect on a PC, whether an emulator's device is there or not.
    console.debug_port = unsafe { PortReadOnly::<u8>::new(DEBUG_PORT).read() } == DEBUG_PORT as u8;
    // SAFETY: the caller leaves the ports of COM1 to the console.
    console.serial = unsafe { Uart::open(COM1, Interrupts::Received, |byte| console.input.push(byte)) };
    HAS_SERIAL.store(console.serial.is_some(), Ordering::Relaxed);
}

impl Console {
    /// Writes bytes as they are; a line feed gets its carriage return on the serial line.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.debug_port {
                // SAFETY: `init` has seen the emulator's device at this port; it takes any byte.
                unsafe { Port::new(DEBUG_PORT).write(byte) };
            } else if let Some(serial) = &mut self.serial {
                if byte == b'\n' {
                    send(serial, b'\r');
                }
                send(serial, byte);
            }
            self.at_line_start = byte == b'\n';
        }
    }

    /// Begins a new line unless one has just begun.
    pub fn fresh_line(&mut self) {
        if !self.at_line_start {
            self.write_bytes(b"\n");
        }
    }
}

fn send(serial: &mut Uart, byte: u8) {
    if (0..TRANSMIT_TRIES).any(|_| serial.has_room()) {
        serial.send(&[byte]);
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes());
        Ok(())
    }
}

/// The console, once nobody else has it.
pub fn lock() -> Guard<'static, Console> {
    CONSOLE.lock()
}

/// Whether COM1 is there and CPU `cpu` is the one whose device it is.
pub fn has_serial(cpu: u32) -> bool {
    cpu == OWNER && HAS_SERIAL.load(Ordering::Relaxed)
}

/// Takes what COM1 has received out of it, so that its next interrupt can come.
pub fn receive() {
    let console = &mut *lock();
    let Some(serial) = &mut console.serial else { return };
    while let Some(byte) = serial.receive() {
        console.input.push(byte);
    }
    attention::set(Why::Input, !console.input.is_empty());
}

/// Takes the oldest characters that were received, as many as `into` has room for and there are; how many.
pub fn take_input(into: &mut [u8]) -> usize {
    let console = &mut *lock();
    let count = console.input.take(into);
    attention::set(Why::Input, !console.input.is_empty());
    count
}

/// How many characters were received that nobody took in time.
pub fn lost_input() -> u32 {
    lock().input.lost()
}

/// The console, whoever has it; for the last report.
///
/// # Safety
/// As for [`Lock::seize`]: all other CPUs have stopped, and this one never goes back.
pub unsafe fn seize() -> Guard<'static, Console> {
    // SAFETY: the caller's obligation is the very same.
    unsafe { CONSOLE.seize() }
}

/// Writes one message, whole.
pub fn print(message: fmt::Arguments) {
    // Writing to the console cannot fail.
    let _ = lock().write_fmt(message);
}

/// Writes one line to the console.
#[macro_export]
macro_rules! say {
    ($($message:tt)*) => {
        $crate::metal::console::print(format_args!("{}\n", format_args!($($message)*)))
    };
}
