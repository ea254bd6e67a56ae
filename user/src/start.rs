//! Start-up, the end of `main`, and panics.

use crate::{println, sys};
use core::panic::PanicInfo;

/// Exit status of a program that panicked.
pub const PANICKED: u32 = 101;
/// Exit status of a program whose `main` returned an error.
pub const FAILED: u32 = 1;

core::arch::global_asm!(
    ".pushsection .text.start, \"ax\"",
    ".globl _start",
    "_start:",
    // The outermost frame: a debugger stops unwinding here.
    "xor ebp, ebp",
    // The stack pointer is a multiple of 16, as the calling convention wants it at a call.
    "call program_main",
    "ud2",
    ".popsection",
    // The prebuilt `core` refers to these two names for unwinding. A program that aborts never
    // reaches them.
    ".globl rust_eh_personality",
    ".globl _Unwind_Resume",
    "rust_eh_personality:",
    "_Unwind_Resume:",
    "ud2",
);

abi::memory_functions!("");

/// The types that a `main` may return.
pub trait Outcome {
    /// The exit status for this value.
    fn status(self) -> u32;
}

impl Outcome for () {
    fn status(self) -> u32 {
        0
    }
}

impl Outcome for u32 {
    fn status(self) -> u32 {
        self
    }
}

impl<T: Outcome, E: core::fmt::Debug> Outcome for Result<T, E> {
    fn status(self) -> u32 {
        match self {
            Ok(value) => value.status(),
            Err(error) => {
                println!("main failed: {error:?}");
                FAILED
            }
        }
    }
}

/// Runs `main` and ends the program with its status. [`program!`](crate::program) expands to this.
pub fn run<T: Outcome>(main: fn() -> T) -> ! {
    sys::exit(main().status())
}

/// Makes a function the program's `main`. It takes nothing and returns an [`Outcome`](crate::start::Outcome):
/// nothing, an exit status, or a `Result` whose error ends the program with status 1.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        /// The function that the start-up code calls.
        // SAFETY: the start-up code declares this name and calls it as `extern "C" fn() -> !`; a second
        // definition in one program is a link error.
        #[unsafe(no_mangle)]
        extern "C" fn program_main() -> ! {
            $crate::start::run($main)
        }
    };
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    println!("{info}");
    sys::exit(PANICKED)
}
