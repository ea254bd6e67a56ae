//! Measures how processes end. Its children run the same program. Their argument says what they do: touch pages, sleep,
//! or have children themselves.
#![no_std]
#![no_main]

use abi::{CHILDREN, Error, PAGE_SIZE};
use user::bench::{SAMPLES, print, ticks};
use user::channel::Channel;
use user::{args, image, memory, program, sys};

program!(main);

const SELF: u32 = image::bench_number("bench-life").unwrap();
/// Pages that a child touches.
const PAGES: u32 = 100;
/// Quota of a child that touches pages, and of a child that has children.
const QUOTA: u32 = 128;
const LARGE: u32 = 512;
/// Quota of a child that only sleeps.
const SMALL: u32 = 32;
/// No program sends on this channel.
const NEVER: u32 = 10;

/// Status: there is no heap.
const NO_HEAP: u32 = 1;

fn main() -> Result<u32, Error> {
    match args().next() {
        None => measure(),
        Some("touch") => Ok(touch()),
        Some("touch-and-sleep") => {
            touch();
            sleep()
        }
        Some("have-children") => {
            (0..CHILDREN).try_for_each(|_| args::spawn(SELF, SMALL, &["sleep"]).map(drop))?;
            sleep()
        }
        Some(_) => sleep(),
    }
}

/// Stores to each page; returns the exit status.
fn touch() -> u32 {
    let Some(pages) = memory::take(PAGES) else { return NO_HEAP };
    pages.iter_mut().step_by(PAGE_SIZE as usize).for_each(|byte| *byte = 1);
    0
}

fn sleep() -> Result<u32, Error> {
    Channel::open(NEVER)?.receive().map(|_| 0)
}

/// Starts a child that does `what`, kills it once it sleeps, and returns the number of instructions until it and all
/// its children have ended.
fn kill(quota: u32, what: &str) -> Result<u64, Error> {
    let child = args::spawn(SELF, quota, &[what])?;
    for _ in 0..4 * CHILDREN {
        sys::yield_now()?;
    }
    ticks(|| {
        sys::kill(child)?;
        sys::wait(child).map(drop)
    })
}

#[inline(never)]
fn measure() -> Result<u32, Error> {
    print("overhead", core::iter::repeat_n(ticks(|| Ok(()))?, SAMPLES));
    // The first start takes pages of the stack for the arguments.
    kill(SMALL, "sleep")?;
    let mut samples = [0; SAMPLES];
    for sample in &mut samples {
        *sample = ticks(|| sys::wait(args::spawn(SELF, QUOTA, &["touch"])?).map(drop))?;
    }
    print("spawn_to_wait_100", samples.into_iter());
    for (name, quota, what) in
        [("kill_1", SMALL, "sleep"), ("kill_100", QUOTA, "touch-and-sleep"), ("kill_9", LARGE, "have-children")]
    {
        for sample in &mut samples {
            *sample = kill(quota, what)?;
        }
        print(name, samples.into_iter());
    }
    Ok(0)
}
