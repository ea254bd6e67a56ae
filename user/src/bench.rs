//! The common parts of the bench's programs: readings of the time-stamp counter around single operations.
//!
//! The kernel hides the counter from programs, except on the image of the bench. The machine decides what the counter
//! counts: cycles on a processor, executed instructions on an emulator with that setting.

use crate::memory::Page;
use crate::println;
use crate::sys::Registers;
use abi::{Call, Error, MESSAGE_WORDS};
use core::arch::asm;

/// How often each program of the bench repeats each measurement.
pub const SAMPLES: usize = 200;
/// Number of turns before the measurements begin: by then every program has been started.
pub const SETTLING: usize = 8;
/// Words of the messages that go there and back, in this order, [`SAMPLES`] times each.
pub const MESSAGES: [u32; 2] = [1, MESSAGE_WORDS];
/// The channel for messages to `bench-peer`, and the one for the answers.
pub const CHANNELS: [u32; 2] = [0, 1];
/// The number of children is the remainder of the quota by this number.
pub const CHILDREN: u32 = 16;

/// The counter before and after an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamps {
    /// The counter before the operation.
    pub before: u64,
    /// The counter after it.
    pub after: u64,
}

impl Stamps {
    /// The difference of the two readings.
    pub fn ticks(self) -> u64 {
        self.after - self.before
    }
}

/// Two readings of the counter. Between them the registers of a system call are loaded, `$operation` is executed, and
/// the result is kept. The instructions are always the same, so an empty operation measures their cost.
macro_rules! stamped {
    ($registers:expr, $operation:literal) => {{
        let Registers { mut rax, values: [mut rbx, mut r10, mut rdx, mut rsi, mut rdi] } = $registers;
        let [before_low, before_high, after_low, after_high]: [u64; 4];
        asm!(
            "xchg rbx, {rbx}",
            "rdtsc",
            "mov r8, rax",
            "mov r9, rdx",
            "mov rax, r12",
            "mov rdx, r13",
            $operation,
            "mov r12, rax",
            "mov r13, rdx",
            "rdtsc",
            "xchg rbx, {rbx}",
            rbx = inout(reg) rbx,
            inout("r12") rax,
            inout("r13") rdx,
            inout("r10") r10,
            inout("rsi") rsi,
            inout("rdi") rdi,
            out("r8") before_low,
            out("r9") before_high,
            out("rax") after_low,
            out("rdx") after_high,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
        let stamps = Stamps { before: before_high << 32 | before_low, after: after_high << 32 | after_low };
        (stamps, Registers { rax, values: [rbx, r10, rdx, rsi, rdi] })
    }};
}

/// The cost of the readings themselves.
pub fn nothing() -> Stamps {
    // SAFETY: the code only reads the counter and moves registers.
    unsafe { stamped!(Registers::default(), "").0 }
}

/// The ticks of `work`, plus the cost of the readings, which is that of empty work.
///
/// # Errors
///
/// Those of `work`.
pub fn ticks(work: impl FnOnce() -> Result<(), Error>) -> Result<u64, Error> {
    let before = nothing();
    work()?;
    Ok(nothing().before - before.before)
}

/// Makes a system call between two readings.
///
/// # Safety
///
/// As for [`syscall`](crate::sys::syscall).
pub unsafe fn call(registers: Registers) -> (Stamps, Registers) {
    // SAFETY: as in `syscall`, which uses the same registers; the caller answers for the memory that the kernel writes
    // to.
    unsafe { stamped!(registers, "syscall") }
}

/// The registers that send `words` words of `page` on a channel.
pub fn sending(channel: u32, page: &Page, words: u32) -> Registers {
    let values = [channel.into(), core::ptr::from_ref(page).expose_provenance() as u64, words.into(), 0, 0];
    Registers { rax: Call::Send as u64, values }
}

/// The registers that wait for a message of at most `words` words and receive it into `page`.
pub fn receiving(channel: u32, page: &mut Page, words: u32) -> Registers {
    let values = [channel.into(), core::ptr::from_mut(page).expose_provenance() as u64, words.into(), 1, 0];
    Registers { rax: Call::Recv as u64, values }
}

/// Stores to a byte of memory between two readings.
pub fn store(byte: &mut u8) -> Stamps {
    let registers = Registers { values: [0, 0, 0, 0, core::ptr::from_mut(byte).expose_provenance() as u64], rax: 0 };
    // SAFETY: RDI holds the address of a byte that the caller may write to.
    unsafe { stamped!(registers, "mov byte ptr [rdi], 1").0 }
}

/// Prints the values of a measurement under its name: one line for each run of equal values, with the
/// length of the run.
pub fn print(name: &str, values: impl Iterator<Item = u64>) {
    let mut values = values.peekable();
    while let Some(value) = values.next() {
        let mut times = 1;
        while values.next_if_eq(&value).is_some() {
            times += 1;
        }
        println!("bench: {name} {value} {times}");
    }
}
