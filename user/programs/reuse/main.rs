//! Starts thousands of children, one after the other and eight at a time: some fill pages and end, some wait for a message that
//! never comes, or never end, and are killed. Everything comes back.
#![no_std]
#![no_main]

use abi::{Error, PAGE_SIZE};
use user::channel::Channel;
use user::{image, memory, println, program, quota, sys};

program!(main);

const SELF: u32 = image::number("reuse").unwrap();
/// Quota of a child that ends, of one that sleeps, and of one that spins.
const CHILD: u32 = 200;
/// Pages that it fills.
const PAGES: u32 = 64;
const ROUNDS: u32 = 2000;

fn main() -> Result<u32, Error> {
    let quota = quota::quota_at_start()?;
    if quota < 2 * CHILD {
        let Some(pages) = memory::take(PAGES) else { return Ok(1) };
        if pages.iter().step_by(64).any(|&byte| byte != 0) {
            println!("reuse: FAILED: a fresh page is not zero");
            return Ok(2);
        }
        pages.iter_mut().step_by(PAGE_SIZE as usize / 4).for_each(|byte| *byte = 77);
        return match quota - CHILD {
            0 => Ok(7),
            1 => loop {
                core::hint::spin_loop();
            },
            channel => {
                Channel::open(channel)?.receive()?;
                Ok(8)
            }
        };
    }
    let cpu = quota % 8;
    let before = sys::get_quota()?;
    for round in 0..ROUNDS {
        let many = if round % 16 == 15 { 8 } else { 1 };
        let mut children = [0; 8];
        for (k, child) in children[..many].iter_mut().enumerate() {
            let role = if round % 16 == 15 {
                [0, 10 + cpu, 0, 10 + cpu, 10 + cpu, 0, 10 + cpu, 0][k]
            } else {
                [0, 10 + cpu][round as usize % 2]
            };
            *child = sys::spawn(SELF, CHILD + role)?;
            if role != 0 {
                // It sleeps by then, or it is about to.
                (0..round % 5).try_for_each(|_| sys::yield_now())?;
            }
        }
        for (k, &child) in children[..many].iter().enumerate() {
            let role = if round % 16 == 15 { [0, 10, 0, 10, 10, 0, 10, 0][k] } else { [0, 10][round as usize % 2] };
            if role != 0 {
                sys::kill(child)?;
            }
            let status = loop {
                match sys::wait(child) {
                    Err(Error::Ipc) => sys::yield_now()?,
                    status => break status?,
                }
            };
            let expected = if role == 0 { 7 } else { u32::MAX };
            if status != expected || sys::wait(child) != Err(Error::InvalId) || sys::kill(child) != Err(Error::InvalId)
            {
                println!("reuse: FAILED: {child} ended with {status}");
                return Ok(3);
            }
        }
        let left = sys::get_quota()?;
        if left != before {
            println!("reuse: FAILED: {left} pages are left of {before} after round {round}");
            return Ok(3);
        }
    }
    println!("reuse: {ROUNDS} rounds, {before} pages as before");
    Ok(0)
}
