//! The console. It is port 0xE9 if an emulator has this port, since a byte there costs almost nothing; otherwise it is
//! COM1. One lock guards both. It is held for a whole message, so messages of different CPUs never mix.
//! [`abi::console`] describes the format of the output.

use super::input::Input;
use super::uart::{self, Interrupts, Setting, Uart};
use crate::sync::lock::{Guard, Lock};
use crate::sync::pending::{self, Work};
use abi::console::{Encoder, Speaker};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};
use x86_64::instructions::port::PortReadOnly;

/// The first port of COM1.
pub(crate) const COM1: u16 = 0x3F8;
/// The emulators' debug port. If the port exists, reading it returns its own number.
pub const DEBUG_PORT: u16 = 0xE9;
/// How often a full transmitter is polled before a byte is given up. At 115200 baud a byte takes 87 microseconds,
/// and a port access about one.
const TRANSMIT_TRIES: u32 = 100_000;

/// The maximum number of bytes that are taken out of COM1 at a time: more than any UART holds. A broken UART may report
/// for ever that it has bytes.
const MOST_RECEIVED: u32 = 4096;

/// The CPU that COM1 belongs to: COM1's interrupts go there.
pub const OWNER: u32 = 0;

/// The console, with the input that COM1 has received.
pub struct Console {
    encoder: Encoder,
    output: Output,
    input: Input,
}

/// The devices that show the console.
struct Output {
    serial: Option<Uart>,
    debug_port: bool,
    /// How often COM1's transmitter is polled for the next byte.
    tries: u32,
}

static CONSOLE: Lock<Console> = Lock::new(Console {
    encoder: Encoder::new(),
    output: Output { serial: None, debug_port: false, tries: TRANSMIT_TRIES },
    input: Input::new(),
});
/// Whether there is a COM1.
static HAS_SERIAL: AtomicBool = AtomicBool::new(false);

/// Finds and sets up the devices. Output before this call is lost; input before it is kept.
///
/// # Safety
/// CPU 0 calls this once; nothing else uses COM1.
pub unsafe fn init() {
    let Console { output, input, .. } = &mut *CONSOLE.lock();
    // SAFETY: reading this port has no effect on a PC, whether an emulator's device is there or not.
    output.debug_port = unsafe { PortReadOnly::<u8>::new(DEBUG_PORT).read() } == DEBUG_PORT as u8;
    // SAFETY: the caller leaves the ports of COM1 to the console.
    output.serial = unsafe { Uart::open(COM1, Interrupts::Received, |byte| input.push(byte)) };
    HAS_SERIAL.store(output.serial.is_some(), Ordering::Relaxed);
}

impl Console {
    /// Writes the output of a program.
    pub fn print(&mut self, bytes: &[u8]) {
        self.say(Speaker::Program, bytes);
    }

    /// Begins a new line, even if the last writer was stopped in the middle of one.
    pub fn restart(&mut self) {
        self.encoder.restart(|bytes| self.output.write(bytes));
    }

    fn say(&mut self, speaker: Speaker, bytes: &[u8]) {
        self.encoder.write(speaker, bytes, |bytes| self.output.write(bytes));
    }
}

impl Output {
    /// Writes bytes. On the serial line a carriage return precedes each line feed.
    fn write(&mut self, bytes: &[u8]) {
        if self.debug_port {
            // SAFETY: `init` has found the emulator's device at this port; the device accepts any
            // byte.
            unsafe { uart::write(DEBUG_PORT, bytes) };
        } else if let Some(serial) = &mut self.serial {
            for &byte in bytes {
                if byte == b'\n' {
                    self.tries = send(serial, b'\r', self.tries);
                }
                self.tries = send(serial, byte, self.tries);
            }
        }
    }
}

/// Sends a byte, and drops it if the transmitter takes none within `tries` polls. Returns the number of polls for the
/// next byte. If the transmitter has taken no byte, it gets a single poll until it takes one again, so a stuck line
/// does not hold up the kernel.
fn send(serial: &mut Uart, byte: u8, tries: u32) -> u32 {
    if !(0..tries).any(|_| serial.has_room()) {
        return 1;
    }
    serial.send(&[byte]);
    TRANSMIT_TRIES
}

/// Writes the kernel's own messages.
impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.say(Speaker::Kernel, text.as_bytes());
        Ok(())
    }
}

/// Waits for the console's lock.
pub fn lock() -> Guard<'static, Console> {
    CONSOLE.lock()
}

/// Whether there is a COM1 that belongs to CPU `cpu`.
pub fn has_serial(cpu: u32) -> bool {
    cpu == OWNER && HAS_SERIAL.load(Ordering::Relaxed)
}

/// The settings of COM1, if there is one.
pub fn serial_setting() -> Option<Setting> {
    lock().output.serial.as_ref().map(Uart::setting)
}

/// Takes the received bytes out of COM1, so that its next interrupt can come.
pub fn receive() {
    let console = &mut *lock();
    let Some(serial) = &mut console.output.serial else { return };
    for _ in 0..MOST_RECEIVED {
        let Some(byte) = serial.receive() else { break };
        console.input.push(byte);
    }
    pending::set(Work::Input, !console.input.is_empty());
}

/// Moves the oldest received characters to `into`, as many as are there and fit; returns how many.
pub fn take_input(into: &mut [u8]) -> usize {
    let console = &mut *lock();
    let count = console.input.take(into);
    pending::set(Work::Input, !console.input.is_empty());
    count
}

/// Number of received characters that were lost because no code took them in time.
pub fn lost_input() -> u32 {
    lock().input.lost()
}

/// Takes the console for the last report, even if a CPU holds it.
///
/// # Safety
/// The same as for [`Lock::seize`]: all other CPUs have stopped, and this one never returns to code that holds the
/// console.
pub unsafe fn seize() -> Guard<'static, Console> {
    // SAFETY: the caller has the same obligation.
    unsafe { CONSOLE.seize() }
}

/// Writes one message as a whole.
pub fn print(message: fmt::Arguments) {
    // Writing to the console cannot fail.
    let _ = lock().write_fmt(message);
}

/// Writes one line to the console.
#[macro_export]
macro_rules! say {
    ($($message:tt)*) => {
        $crate::devices::console::print(format_args!("{}\n", format_args!($($message)*)))
    };
}
