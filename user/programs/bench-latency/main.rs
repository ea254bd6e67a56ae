//! Makes the kernel do long operations, and prints after each the longest wait of an interrupt.
//!
//! It runs on the image that measures these waits (see [`abi::latency`]). Its children run this program too; their
//! argument says what they do. The boot list starts further instances with the argument `sleepers`: each starts
//! children until it can have no more, and then all of them sleep on one channel.
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
/// Pages that a child touches in a row.
const PAGES: u32 = 1000;
/// Number of regions in each of which it touches one page; each region has a page table of its own.
const TABLES: u32 = 100;
/// Quota of a child that touches pages, and of a child that only sleeps.
const FULL: u32 = PAGES + 2 * TABLES + 64;
const SMALL: u32 = 32;
/// Quota of a child with 8 sleeping children, in pages.
const PARENT: u32 = (CHILDREN + 1) * SMALL;
/// Quota of the large image.
const IMAGE: u32 = 560;
/// All sleepers sleep on this channel. Any message wakes them; the message [`END`] ends them.
const BED: u32 = 10;
const WAKE_UP: u32 = 1;
const END: u32 = 2;
/// Number of repetitions of each operation.
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
        // Number of parents, and number of sleepers with 8 children that are parents.
        Some(_) => {
            let (mut quota, mut role) = (SMALL, "sleep");
            if sys::get_quota()? > CHILDREN * PARENT {
                (quota, role) = (PARENT, "parent");
            }
            for _ in 0..CHILDREN {
                // All thread numbers may be in use.
                if args::spawn(SELF, quota, &[role]).is_err() {
                    break;
                }
            }
            sleep()
        }
    }
}

/// Touches pages and page tables; returns the exit status.
fn fill() -> Result<u32, Error> {
    let Some(pages) = memory::take(PAGES) else { return Ok(NO_HEAP) };
    pages.iter_mut().step_by(PAGE_SIZE as usize).for_each(|byte| *byte = 1);
    for region in 1..=TABLES {
        let address = HEAP_HIGH - region * REGION_SIZE;
        // SAFETY: the heap has not grown so far, so nothing else uses the page.
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

/// The longest wait of an interrupt since the last call of this function, and the entry in which it happened.
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

/// Measures `work`, and prints the entry in which an interrupt waited longest.
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

/// Lets all other programs run until each sleeps.
fn settle() -> Result<(), Error> {
    (0..4 * CHILDREN).try_for_each(|_| sys::yield_now())
}

/// Kills all `children`, and waits for each.
fn kill(children: &[u32]) -> Result<(), Error> {
    children.iter().try_for_each(|&child| sys::kill(child))?;
    children.iter().try_for_each(|&child| sys::wait(child).map(drop))
}

#[inline(never)]
fn measure() -> Result<u32, Error> {
    // By then all other programs sleep.
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
