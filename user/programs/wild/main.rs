//! Does what programs must not do. It tries by itself the acts that are refused with an error number. Each act that
//! ends a program runs in a copy of its own. Meanwhile it keeps a page of memory and the values of its registers, and
//! nothing that the copies do may change these.
//!
//! A copy has the arguments `act` and the act's number, or `group` and the group's number; a group is the parent of
//! eight acts. An instance with the argument `all` starts the groups, and an instance without arguments the first eight
//! acts.
#![no_std]
#![no_main]

mod acts;
mod refusals;

extern crate alloc;

use abi::{CHILDREN, Error};
use acts::ACTS;
use alloc::string::ToString;
use core::ops::Range;
use user::{args, image, memory, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("wild").unwrap();

/// Status: a refusal was not as expected, or memory changed; the console shows which.
const FAILED: u32 = 1;
/// Status: an act had no consequence.
const SURVIVED: u32 = 2;

/// Pages that an act has left at its start. A group keeps the same number beside those that it gives to
/// its acts.
const REST: u32 = 16;

/// Pages of an act: its own, its arguments, and those that it has left.
fn quota_of_act() -> u32 {
    quota::frames_at_start() + 1 + REST
}

fn main() -> Result<u32, Error> {
    let mut args = args();
    let (role, number) = (args.next(), args.next().and_then(|number| number.parse().ok()));
    match (role, number) {
        (Some("act"), Some(number)) => Ok(act(sys::who_am_i()?.cpu, number)),
        (Some("group"), Some(group)) => start_group(group).map(|()| 0),
        (Some("all"), None) => root(true),
        _ => root(false),
    }
}

/// Starts eight acts, or as many as are left.
fn start_group(group: u32) -> Result<(), Error> {
    let first = group * CHILDREN;
    let count = CHILDREN.min((ACTS.len() as u32).saturating_sub(first));
    start_all("act", first..first + count, quota_of_act())
}

/// The instance that a main thread has started.
fn root(all: bool) -> Result<u32, Error> {
    let cpu = sys::who_am_i()?.cpu;
    let Some(page) = memory::take(1) else {
        return Ok(FAILED);
    };
    page.fill(cpu as u8);

    let failures = refusals::failures(cpu, page)?;
    println!("wild {cpu}: {failures} system calls wrongly answered");
    page.fill(cpu as u8);

    if all {
        let quota = (CHILDREN + 1) * quota_of_act();
        start_all("group", 0..(ACTS.len() as u32).div_ceil(CHILDREN), quota)?;
    } else {
        start_group(0)?;
    }
    // Each yield gives every copy a turn: in the first turn the groups run, in the second the acts.
    for _ in 0..3 {
        sys::yield_now()?;
    }
    let unchanged = page.iter().all(|&byte| byte == cpu as u8);
    println!("wild {cpu}: memory is {}", if unchanged { "as it was" } else { "NOT as it was" });
    Ok(if failures == 0 && unchanged { 0 } else { FAILED })
}

/// Starts copies with this role and these numbers.
fn start_all(role: &str, mut numbers: Range<u32>, quota: u32) -> Result<(), Error> {
    numbers.try_for_each(|number| args::spawn(SELF, quota, &[role, &number.to_string()]).map(drop))
}

/// Performs the act that should end this program.
fn act(cpu: u32, number: u32) -> u32 {
    let Some(act) = ACTS.get(number as usize) else {
        return FAILED;
    };
    println!("wild {cpu}: {}", act.name);
    (act.perform)();
    println!("wild {cpu}: FAILED: {} had no consequence", act.name);
    SURVIVED
}
