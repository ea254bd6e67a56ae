//! Yields until the other programs have finished their measurements. It is the smallest possible program with code,
//! constants and data: three pages.
#![no_std]
#![no_main]

use abi::Call;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use user::bench::{SAMPLES, SETTLING};
use user::program;
use user::sys::{Registers, syscall};

program!(main);

/// Number of turns after which the other programs have finished, with a margin.
static TURNS: usize = 2 * SETTLING + SAMPLES;
/// Number of its turns so far. The first turn is not counted.
static TURN: AtomicUsize = AtomicUsize::new(1);

fn main() {
    while TURN.fetch_add(1, Ordering::Relaxed) < *black_box(&TURNS) {
        // SAFETY: the call writes to no memory. It is made without the library's functions, because these contain code
        // that panics.
        unsafe { syscall(Registers { rax: Call::Yield as u64, ..Registers::default() }) };
    }
}
