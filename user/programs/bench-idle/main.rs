//! Yields until the others have measured what they measure. It is as small as a program with code, constants and data can
//! be: three pages.
#![no_std]
#![no_main]

use abi::Call;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use user::bench::{SAMPLES, SETTLING};
use user::program;
use user::sys::{Registers, syscall};

program!(main);

/// Turns of the others, and a few more.
static TURNS: usize = 2 * SETTLING + SAMPLES;
/// Turns that it has had, of which the first is not counted.
static TURN: AtomicUsize = AtomicUsize::new(1);

fn main() {
    while TURN.fetch_add(1, Ordering::Relaxed) < *black_box(&TURNS) {
        // SAFETY: the call writes to no memory. It is made without the library's functions, which know how to panic.
        unsafe { syscall(Registers { rax: Call::Yield as u64, ..Registers::default() }) };
    }
}
