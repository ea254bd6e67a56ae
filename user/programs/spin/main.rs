//! Loops for ever, without a system call: it has its slices, and all others have theirs.
#![no_std]
#![no_main]

user::program!(main);

fn main() -> Result<(), abi::Error> {
    loop {
        core::hint::spin_loop();
    }
}
