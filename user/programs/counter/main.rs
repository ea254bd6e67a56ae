//! Counts its turns. `yield` puts the caller after every other ready thread, so two instances on a CPU count side by
//! side. (They do not strictly alternate: a time slice may end in between.) The argument tells an instance which of the
//! two it is.
#![no_std]
#![no_main]

use user::{args, println, program, sys};

program!(main);

/// Turns that each instance takes.
const TURNS: u32 = 5;

fn main() -> Result<(), abi::Error> {
    let (cpu, instance) = (sys::who_am_i()?.cpu, args().next().unwrap_or("0"));
    for turn in 1..=TURNS {
        println!("counter {cpu}.{instance}: turn {turn}");
        sys::yield_now()?;
    }
    Ok(())
}
