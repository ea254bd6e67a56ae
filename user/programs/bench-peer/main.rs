//! Yields to `bench`, which is after it in the queue of ready threads, and prints the counter before the yield.
//! Then it sends every message of `bench` back.
#![no_std]
#![no_main]

use abi::Call;
use user::bench::{CHANNELS, MESSAGES, SAMPLES, call, print, receiving, sending};
use user::sys::{Registers, syscall};
use user::{memory, program};

program!(main);

/// Status: there is no heap.
const NO_HEAP: u32 = 1;

fn main() -> u32 {
    let mut befores = [0; SAMPLES];
    for before in &mut befores {
        // SAFETY: the call writes to no memory.
        let (stamps, _) = unsafe { call(Registers { rax: Call::Yield as u64, ..Registers::default() }) };
        *before = stamps.before;
    }
    print("yield_from", befores.into_iter());

    let Some(page) = memory::page() else { return NO_HEAP };
    let [there, back] = CHANNELS;
    for words in MESSAGES {
        for _ in 0..SAMPLES {
            // SAFETY: the first call writes to the page, which nothing else refers to.
            unsafe {
                syscall(receiving(there, page, words));
                syscall(sending(back, page, words));
            }
        }
    }
    0
}
