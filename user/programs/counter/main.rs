//! Counts its turns: `yield` puts the caller behind every other ready thread, so that two instances on a CPU go on side by
//! side. (Not in strict alternation: a slice may end in between.) Which
//! of the two an instance is, its argument says.
#![no_std]
#![no_main]

use user::{args, println, program, sys};

program!(main);

/// Turns that each takes.
const TURNS: u32 = 5;

fn main() -> Result<(), abi::Error> {
    let (cpu, instance) = (sys::who_am_i()?.cpu, args().next().unwrap_or("0"));
    for turn in 1..=TURNS {
        println!("counter {cpu}.{instance}: turn {turn}");
        sys::yield_now()?;
    }
    Ok(())
}
