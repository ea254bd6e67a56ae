//! Counts its turns: `yield` puts the caller behind every other ready thread, so that two instances on a CPU go on side by
//! side. (Not in strict alternation: a slice may end in between.)
#![no_std]
#![no_main]

use user::{println, program, quota, sys};

program!(main);

/// Quota of the first instance on CPU 0. The second has one more, and those of each further CPU two more,
/// which tells each of them who it is.
const QUOTA: u32 = 48;
/// Turns that each takes.
const TURNS: u32 = 5;

fn main() -> Result<(), abi::Error> {
    let who = quota::quota_at_start()?.wrapping_sub(QUOTA);
    let (cpu, instance) = (who / 2, who % 2);
    for turn in 1..=TURNS {
        println!("counter {cpu}.{instance}: turn {turn}");
        sys::yield_now()?;
    }
    Ok(())
}
