//! The console: port 0xE9 where an emulator has it, since a byte costs it next to nothing; otherwise COM1. One lock
//! around both, held for a whole message, so that messages of different CPUs never mix.

use crate::input::Input;
use crate::lock::{Guard, Lock};
use crate::metal::attention::{self, Why};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};
use uart_16550::spec::registers::{FifoTriggerLevel, IER};
use uart_16550::{BaudRate, Config, Uart16550, backend::PioBackend};
use x86_64::instructions::port::{Port, PortReadOnly};

/// COM1.
pub(super) const COM1: u16 = 0x3F8;
/// The emulators' debug port: it reads as its own number where it exists.
pub const DEBUG_PORT: u16 = 0xE9;
/// 115200 baud, an interrupt as soon as a byte has come.
const CONFIG: Config = Config {
    baud_rate: BaudRate::Baud115200,
    interrupts: IER::DATA_READY,
    fifo_trigger_level: Some(FifoTriggerLevel::One),
    ..Config::DEFAULT
};
/// How often a full transmitter is asked again before a byte is given up; a byte at 115200 baud takes
/// 87 microseconds, a port access about one.
const TRANSMIT_TRIES: u32 = 100_000;

/// Most bytes that are taken out of COM1 at a time: more than any UART holds. A broken one may claim for ever that it has some.
const MOST_RECEIVED: u32 = 4096;

/// The CPU whose device COM1 is: its interrupts go there.
pub const OWNER: u32 = 0;

/// The devices behind the console.
pub struct Console {
    serial: Option<Uart16550<PioBackend>>,
    /// What COM1 has received.
    input: Input,
    debug_port: bool,
    /// How often COM1's transmitter is tried with the next byte.
    tries: u32,
    /// Whether the last byte ended a line.
    at_line_start: bool,
}

static CONSOLE: Lock<Console> = Lock::new(Console {
    serial: None,
    input: Input::new(),
    debug_port: false,
    tries: TRANSMIT_TRIES,
    at_line_start: true,
});
/// Whether COM1 is there.
static HAS_SERIAL: AtomicBool = AtomicBool::new(false);

/// Finds and sets up the devices. Before this, output goes nowhere.
///
/// # Safety
/// Called once, by CPU 0; nothing else uses COM1.
pub unsafe fn init() {
    let mut console = CONSOLE.lock();
    // SAFETY: reading this port has no effect on a PC, whether an emulator's device is there or not.
    console.debug_port = unsafe { PortReadOnly::<u8>::new(DEBUG_PORT).read() } == DEBUG_PORT as u8;
    // SAFETY: the caller leaves the ports of COM1 to the console.
    console.serial =
        unsafe { Uart16550::new_port(COM1) }.ok().and_then(|mut serial| serial.init(CONFIG).ok().map(|()| serial));
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
                    self.tries = send(serial, b'\r', self.tries);
                }
                self.tries = send(serial, byte, self.tries);
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

/// Sends a byte, unless the transmitter takes none within so many tries; how many it gets for the next. One that has taken none is
/// not waited for again until it has taken one, so that a line that is stuck does not hold up the kernel.
fn send(serial: &mut Uart16550<PioBackend>, byte: u8, tries: u32) -> u32 {
    let sent = (0..tries).any(|_| serial.try_send_byte(byte).is_ok());
    if sent { TRANSMIT_TRIES } else { 1 }
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
    for _ in 0..MOST_RECEIVED {
        let Ok(byte) = serial.try_receive_byte() else { break };
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
