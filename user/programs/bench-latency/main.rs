//! Does what makes the kernel work long, and says after each how long an interrupt had to wait at most.
//!
//! It runs on the image that measures that (see [`abi::latency`]). The others that run this program are its children, whose
//! argument says what they do, and those that the boot list starts with the argument `sleepers`: each starts children until it can
//! have no more, then all sleep on one channel.
#![no_std]
#![no_main]

extern crate alloc;

use abi::latency::{CALL, EXCEPTION, INTERRUPT, LONGEST, PAGE_FAULT};
use abi::{CHILDREN, Call, Error, PAGE_SIZE};
use alloc::format;
use alloc::string::String;
use user::channel::Channel;
use user::memory::{HEAP_HIGH, REGION_SIZE};
use user::sys::{Registers, syscall};
use user::{args, bench, image, memory, println, program, sys};

program!(main);

const SELF: u32 = image::bench_number("bench-latency").unwrap();
const LARGE: u32 = image::bench_number("bench-large").unwrap();
/// Pages that a child touches one beside the other.
const PAGES: u32 = 1000;
/// Pages that it touches in as many regions, each of which has a page table of its own.
const TABLES: u32 = 100;
/// Quota of such a child, and of one that only sleeps.
const FULL: u32 = PAGES + 2 * TABLES + 64;
const SMALL: u32 = 32;
/// Quota of one whose children sleep, and of one that has 8 of these.
const PARENT: u32 = (CHILDREN + 1) * SMALL;
/// Quota of the large image.
const IMAGE: u32 = 560;
/// On this channel all sleep that do. They wake up for any message, and end for one.
const BED: u32 = 10;
const WAKE_UP: u32 = 1;
const END: u32 = 2;
/// How often each thing is done.
const TIMES: usize = 3;

/// Status: there is no heap.
const NO_HEAP: u32 = 1;

fn main() -> Result<u32, Error> {
    match args().next() {
        None => measure(),
        Some("exit") => fill(),
        Some("fault") => {
            fill()?;
            // SAFETY: none: the address is outside of every program's memory, and so the program ends here.
            unsafe { (8 as *const u32).read_volatile() };
            Ok(1)
        }
        Some("fill-and-sleep") => {
            fill()?;
            sleep()
        }
        Some("sleep") => sleep(),
        // Parents, and those who may have 8 of these.
        Some(_) => {
            let (mut quota, mut role) = (SMALL, "sleep");
            if sys::get_quota()? > CHILDREN * PARENT {
                (quota, role) = (PARENT, "parent");
            }
            for _ in 0..CHILDREN {
                // The numbers of threads may be used up.
                if args::spawn(SELF, quota, &[role]).is_err() {
                    break;
                }
            }
            sleep()
        }
    }
}

/// Touches pages and page tables; gives the status.
fn fill() -> Result<u32, Error> {
    let Some(pages) = memory::take(PAGES) else { return Ok(NO_HEAP) };
    pages.iter_mut().step_by(PAGE_SIZE as usize).for_each(|byte| *byte = 1);
    for region in 1..=TABLES {
        let address = HEAP_HIGH - region * REGION_SIZE;
        // SAFETY: the heap has not come so far, and so the page is nobody's.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(address as usize).write_volatile(1) };
    }
    Ok(0)
}

/// Sleeps until the message [`END`] comes, passes it on and ends.
fn sleep() -> Result<u32, Error> {
    let mut bed = Channel::open(BED)?;
    while bed.receive()? != [END] {}
    bed.send(&[END])?;
    Ok(0)
}

/// The longest time that an interrupt has waited since this was called last, and during what.
fn longest() -> (u64, String) {
    let registers = Registers { rax: LONGEST.into(), ..Registers::default() };
    // SAFETY: the call writes to no memory.
    let [ticks, kind, which, times, _] = unsafe { syscall(registers) }.values;
    let entry = match kind as u32 {
        CALL => match Call::ALL.iter().find(|&&call| u64::from(call as u32) == which) {
            Some(call) => format!("system call {call:?}"),
            None => format!("system call {which}"),
        },
        PAGE_FAULT => String::from("page fault"),
        EXCEPTION => format!("exception {which}"),
        INTERRUPT => format!("interrupt {which}"),
        _ => String::from("something else"),
    };
    (ticks, format!("{entry}, after {times} looks at interrupts"))
}

/// Measures `work`, and says during what an interrupt waited longest.
fn during(name: &str, mut work: impl FnMut() -> Result<(), Error>) -> Result<(), Error> {
    let mut all = [0; TIMES];
    for longest_one in &mut all {
        longest();
        work()?;
        let (ticks, what) = longest();
        println!("longest: {name} {ticks} {what}");
        *longest_one = ticks;
    }
    bench::print(name, all.into_iter());
    Ok(())
}

/// Lets all others run until each has come to where it sleeps.
fn settle() -> Result<(), Error> {
    (0..4 * CHILDREN).try_for_each(|_| sys::yield_now())
}

/// Kills all `children` and waits for each.
fn kill(children: &[u32]) -> Result<(), Error> {
    children.iter().try_for_each(|&child| sys::kill(child))?;
    children.iter().try_for_each(|&child| sys::wait(child).map(drop))
}

#[inline(never)]
fn measure() -> Result<u32, Error> {
    // By then all others sleep.
    (0..8).try_for_each(|_| settle())?;
    during("latency_puts", || sys::puts(&[b'.'; PAGE_SIZE as usize]).map(drop))?;
    during("latency_spawn", || sys::wait(args::spawn(LARGE, IMAGE, &["large"])?).map(drop))?;
    during("latency_exit", || sys::wait(args::spawn(SELF, FULL, &["exit"])?).map(drop))?;
    during("latency_fault", || sys::wait(args::spawn(SELF, FULL, &["fault"])?).map(drop))?;
    during("latency_kill", || {
        let child = args::spawn(SELF, FULL, &["fill-and-sleep"])?;
        settle()?;
        kill(&[child])
    })?;
    during("latency_kill_72", || {
        let mut children = [0; CHILDREN as usize];
        for child in &mut children {
            *child = args::spawn(SELF, PARENT, &["parent"])?;
        }
        settle()?;
        kill(&children)
    })?;
    let mut bed = Channel::open(BED)?;
    during("latency_wake", || {
        bed.send(&[WAKE_UP])?;
        settle()
    })?;
    bed.send(&[END])?;
    Ok(0)
}
