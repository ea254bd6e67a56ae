//! Loops for ever without a system call: it must get its time slices, and all other programs theirs.
#![no_std]
#![no_main]

user::program!(main);

fn main() -> Result<(), abi::Error> {
    loop {
        core::hint::spin_loop();
    }
}
