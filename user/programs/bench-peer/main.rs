//! Yields to `bench`, which stands behind it in the queue of ready threads, and says when it did.
#![no_std]
#![no_main]

use abi::Call;
use user::bench::{SAMPLES, call, print};
use user::program;
use user::sys::Registers;

program!(main);

fn main() {
    let mut befores = [0; SAMPLES];
    for before in &mut befores {
        // SAFETY: the call writes to no memory.
        let (stamps, _) = unsafe { call(Registers { rax: Call::Yield as u64, ..Registers::default() }) };
        *before = stamps.before;
    }
    print("yield_from", befores.into_iter());
}
