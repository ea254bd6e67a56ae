//! Starts thousands of children, one after the other and eight at a time, and gets everything back.
//!
//! Some children fill pages and end, some wait for a message that never comes, some never end, some have children themselves:
//! those are killed, with all that descend from them.
#![no_std]
#![no_main]

use abi::{CHILDREN, Cause, Error, PAGE_SIZE, Reason};
use user::channel::Channel;
use user::{image, memory, println, program, quota, sys};

program!(main);

const SELF: u32 = image::number("reuse").unwrap();
const ROUNDS: u32 = 300;
/// Pages that a child fills.
const PAGES: u32 = 64;
/// The channel on which nobody sends, but for the CPU's number.
const CHANNEL: u32 = 100;

/// What a child does. It knows by its quota, which is [`QUOTA`] and this.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Role {
    /// It fills pages and ends.
    Fills,
    /// It waits for a message.
    Receives,
    /// It runs for ever.
    Spins,
    /// It is stopped by a fault.
    Faults,
    /// It has children, which wait for messages, and waits for them.
    Waits,
    /// It has such children, and ends.
    Leaves,
}

use Role::{Faults, Fills, Leaves, Receives, Spins, Waits};

const ROLES: [Role; 6] = [Fills, Receives, Spins, Faults, Waits, Leaves];
/// Quota of a child; a power of two, so that its role is what is beyond. Its CPU is the next digit.
const QUOTA: u32 = 256;
/// Quota of a child that has children.
const LARGE: u32 = 2048;

fn quota_of(role: Role, cpu: u32) -> u32 {
    let base = if matches!(role, Waits | Leaves) { LARGE } else { QUOTA };
    base + 8 * role as u32 + cpu
}

fn main() -> Result<u32, Error> {
    let quota = quota::quota_at_start()?;
    if quota >= 4 * LARGE {
        return parent(quota % 8);
    }
    let cpu = quota % 8;
    match ROLES[(quota % QUOTA / 8) as usize] {
        Fills => fill(),
        Receives => Channel::open(CHANNEL + cpu)?.receive().map(|_| 1),
        Spins => loop {
            // Some machines interrupt it before it gives way.
            (0..100_000).for_each(|_| core::hint::spin_loop());
            sys::yield_now()?;
        },
        Faults => {
            // SAFETY: none: the address is outside of every program's memory, and so the program ends here.
            unsafe { (8 as *const u32).read_volatile() };
            Ok(1)
        }
        role @ (Waits | Leaves) => {
            for _ in 0..3 {
                sys::spawn(SELF, quota_of(Receives, cpu))?;
            }
            if role == Waits { sys::wait_any().map(|_| 1) } else { Ok(9) }
        }
    }
}

/// Fills pages, which have to be zero.
fn fill() -> Result<u32, Error> {
    let Some(pages) = memory::take(PAGES) else { return Ok(1) };
    if pages.iter().step_by(64).any(|&byte| byte != 0) {
        println!("reuse: FAILED: a fresh page is not zero");
        return Ok(2);
    }
    pages.iter_mut().step_by(PAGE_SIZE as usize / 4).for_each(|byte| *byte = 77);
    Ok(7)
}

fn parent(cpu: u32) -> Result<u32, Error> {
    let before = sys::get_quota()?;
    for round in 0..ROUNDS {
        // Every 16th time eight at a time, in an order of its own.
        let many = if round % 16 == 15 { CHILDREN } else { 1 };
        let role = |k: u32| match ROLES[((round / 16 * 5 + round + 7 * k) % ROLES.len() as u32) as usize] {
            // There is not enough quota for eight that have children, and on other CPUs these would have no numbers.
            Waits | Leaves if many > 1 || cpu > 0 => Fills,
            role => role,
        };
        let mut children = [0; CHILDREN as usize];
        for (k, child) in (0..many).zip(&mut children) {
            *child = sys::spawn(SELF, quota_of(role(k), cpu))?;
            // It sleeps by then, or it is about to, or it has ended.
            (0..round % 5).try_for_each(|_| sys::yield_now())?;
        }
        for (k, &child) in (0..many).zip(&children) {
            let role = role(k);
            if !matches!(role, Fills | Faults) {
                sys::kill(child)?;
            }
            let ended = if round % 3 == 0 && many == 1 { sys::wait_any()? } else { sys::wait(child)? };
            let is_right = match role {
                Fills => (ended.cause, ended.status) == (Cause::Exited, 7),
                Faults => (ended.cause, ended.status) == (Cause::Stopped(Reason::BadAddress), 8),
                // It may have ended before it was killed.
                Leaves => ended.cause == Cause::Killed || (ended.cause, ended.status) == (Cause::Exited, 9),
                Receives | Spins | Waits => ended.cause == Cause::Killed,
            };
            let is_over = sys::try_wait(child) == Err(Error::InvalId) && sys::kill(child) == Err(Error::InvalId);
            if ended.child != child || !is_right || !is_over {
                println!("reuse on CPU {cpu}: FAILED: in round {round} {child} ended with {ended:?}");
                return Ok(3);
            }
        }
        let left = sys::get_quota()?;
        if left != before {
            println!("reuse on CPU {cpu}: FAILED: {left} pages are left of {before} after round {round}");
            return Ok(3);
        }
    }
    if sys::wait_any() != Err(Error::InvalId) {
        println!("reuse on CPU {cpu}: FAILED: there is a child left");
        return Ok(3);
    }
    println!("reuse on CPU {cpu}: {ROUNDS} rounds, {} pages missing", before - sys::get_quota()?);
    Ok(0)
}
