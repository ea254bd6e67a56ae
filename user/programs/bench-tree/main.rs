//! Starts as many children as its quota says, and measures the starts. The children are idle programs. If the quota
//! is large enough, they are instances of this program, with idle children of their own.
#![no_std]
#![no_main]

use abi::{Call, Error};
use user::bench::{CHILDREN, call, print};
use user::sys::Registers;
use user::{image, program, quota};

program!(main);

const TREE: u32 = image::bench_number("bench-tree").unwrap();
const IDLE: u32 = image::bench_number("bench-idle").unwrap();
/// Pages of an idle child.
const IDLE_QUOTA: u32 = 8;
/// Pages of a child that runs this program and has eight idle children.
const TREE_QUOTA: u32 = 7 * CHILDREN + abi::CHILDREN;
/// From this quota on, the children run this program.
const LARGE: u32 = (abi::CHILDREN + 1) * TREE_QUOTA;

fn main() -> Result<(), Error> {
    let mine = quota::quota_at_start()?;
    let (image, quota) = if mine >= LARGE { (TREE, TREE_QUOTA) } else { (IDLE, IDLE_QUOTA) };
    let mut ticks = [0; abi::CHILDREN as usize];
    let mut started = 0;
    for ticks in ticks.iter_mut().take((mine % CHILDREN) as usize) {
        let values = [image.into(), quota.into(), 0, 0, 0];
        // SAFETY: the call writes to no memory of this program.
        let (stamps, answer) = unsafe { call(Registers { rax: Call::Spawn as u64, values }) };
        // All thread numbers are in use.
        if answer.rax != Error::Succ as u64 {
            break;
        }
        *ticks = stamps.ticks();
        started += 1;
    }
    if image == IDLE {
        print("spawn", ticks.into_iter().take(started));
    }
    Ok(())
}
