//! Does what programs must not do. What can be refused with an error number, it tries itself; what ends a
//! program, each in a copy of its own. Meanwhile it keeps a page of memory and the values of its registers,
//! which nothing that the copies do may change.
//!
//! What a copy has to do is in what its quota leaves it with: see [`role`].
#![no_std]
#![no_main]

mod acts;
mod refusals;

use abi::{CHILDREN, Error};
use acts::ACTS;
use user::{image, memory, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("wild").unwrap();

/// Status: a refusal was not as expected, or memory changed; the console says what.
const FAILED: u32 = 1;
/// Status: an act had no consequence.
const SURVIVED: u32 = 2;

/// Quotas at the start.
mod grant {
    /// For all acts, through copies that start eight each.
    pub const ALL: u32 = 3200;
    /// For the first eight acts, on CPU 0; each further CPU has one more.
    pub const FEW: u32 = 1300;
}

/// What copies have left at their start, and what they do. The first act's range ends where the next begins.
mod role {
    /// From here on, an act, for the instance on CPU 0.
    pub const ACT: u32 = 1;
    /// From here on, eight acts for each CPU.
    pub const ACT_OF_CPU: u32 = 64;
    /// From here on, a group: the parent of eight acts.
    pub const GROUP: u32 = 500;
    /// From here on, an instance that a main thread has started.
    pub const ROOT: u32 = 1000;
}

fn main() -> Result<u32, Error> {
    let rest = sys::get_quota()?;
    match rest {
        role::ROOT.. => root(quota::quota_at_start()?),
        role::GROUP.. => {
            let first = (rest - role::GROUP) * CHILDREN;
            let count = CHILDREN.min((ACTS.len() as u32).saturating_sub(first));
            start_all((first..first + count).map(|act| role::ACT + act)).map(|()| 0)
        }
        role::ACT_OF_CPU.. => {
            let code = rest - role::ACT_OF_CPU;
            Ok(act(code / CHILDREN, code % CHILDREN))
        }
        _ => Ok(act(0, rest - role::ACT)),
    }
}

/// The instance that a main thread has started.
fn root(quota: u32) -> Result<u32, Error> {
    let cpu = if quota == grant::ALL { 0 } else { quota.wrapping_sub(grant::FEW) };
    let Some(page) = memory::take(1) else {
        return Ok(FAILED);
    };
    page.fill(cpu as u8);

    let failures = refusals::failures(cpu, page)?;
    println!("wild {cpu}: {failures} system calls wrongly answered");
    page.fill(cpu as u8);

    if quota == grant::ALL {
        start_all((0..(ACTS.len() as u32).div_ceil(CHILDREN)).map(|group| role::GROUP + group))?;
    } else {
        start_all((0..CHILDREN).map(|act| role::ACT_OF_CPU + CHILDREN * cpu + act))?;
    }
    // Each lets every copy have a turn: groups in the first, acts in the second.
    for _ in 0..3 {
        sys::yield_now()?;
    }
    let unchanged = page.iter().all(|&byte| byte == cpu as u8);
    println!("wild {cpu}: memory is {}", if unchanged { "as it was" } else { "NOT as it was" });
    Ok(if failures == 0 && unchanged { 0 } else { FAILED })
}

/// Starts copies that will have so much left.
fn start_all(mut rests: impl Iterator<Item = u32>) -> Result<(), Error> {
    rests.try_for_each(|rest| sys::spawn(SELF, quota::frames_at_start() + rest).map(drop))
}

/// Does what should end this program.
fn act(cpu: u32, number: u32) -> u32 {
    let Some(act) = ACTS.get(number as usize) else {
        return FAILED;
    };
    println!("wild {cpu}: {}", act.name);
    (act.perform)();
    println!("wild {cpu}: FAILED: {} had no consequence", act.name);
    SURVIVED
}
