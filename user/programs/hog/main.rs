//! Touches memory until its quota is used up, and prints beforehand how many pages that will be. Each page costs one
//! unit, and the page table of each 2 MiB region costs one more. After every page the kernel's count must agree with
//! the program's, and the page after the last must be refused.
//!
//! The program also attacks: meanwhile a child exhausts its own quota, and so does a child of that child if thread
//! numbers suffice. A neighbour with pages of its own takes one page in each turn, and must get every page, whatever
//! the others do.
//!
//! The argument of a copy says what it does: see [`role`].
#![no_std]
#![no_main]

use user::memory::{REGION_SIZE, take};
use user::{args, image, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("hog").unwrap();

/// The arguments of the copies, and their quotas.
mod role {
    /// Takes the pages of its own quota, one in each turn.
    pub const NEIGHBOUR: (&str, u32) = ("neighbour", 100);
    /// Takes more pages than its quota at once.
    pub const ATTACKER: (&str, u32) = ("attacker", 50);
    /// Attacks as well, and starts an attacker if it can.
    pub const PARENT: (&str, u32) = ("parent", 150);
}

/// Starts a copy.
fn start((role, quota): (&str, u32)) -> Result<u32, abi::Error> {
    args::spawn(SELF, quota, &[role])
}

/// Pages left when the counting begins, at the start of a region; the number is the same however
/// large this program is.
const REST: u32 = 600;
/// Pages of a region.
const REGION_PAGES: u32 = REGION_SIZE / abi::PAGE_SIZE;

/// Status: the kernel's account differs from this program's.
const ACCOUNTS_DIFFER: u32 = 1;
/// Status: a fresh page was not zero.
const NOT_ZERO: u32 = 2;
/// Status: the heap is smaller than the quota.
const NO_HEAP: u32 = 3;
/// Status: a page was granted beyond the quota.
const TOO_MUCH: u32 = 4;

fn main() -> Result<u32, abi::Error> {
    if let Some(role) = args().next() {
        if role == role::NEIGHBOUR.0 {
            return neighbour();
        }
        if role == role::PARENT.0 {
            // On most CPUs no thread number is left for the attacker.
            let _ = start(role::ATTACKER);
        }
        return attack();
    }
    let cpu = sys::who_am_i()?.cpu;
    println!("hog {cpu}: {} pages", quota::quota_at_start()?);
    start(role::NEIGHBOUR)?;
    start(role::PARENT)?;
    let mut skipped = 0;
    while sys::get_quota()? > REST {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        page[0] = 1;
        skipped += 1;
    }
    // Pages that are taken but not touched cost nothing.
    if take(REGION_PAGES - skipped).is_none() {
        return Ok(NO_HEAP);
    }

    let fits = pages_within(REST);
    println!("hog {cpu}: {REST} pages left, {fits} of them for data");
    for count in 1..=fits {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        // One byte of each cache line is read, which would show old contents of a page.
        if page.iter().step_by(64).any(|&byte| byte != 0) {
            return Ok(NOT_ZERO);
        }
        page.iter_mut().step_by(64).for_each(|byte| *byte = 0xA5);
        let left = sys::get_quota()?;
        if left != REST - cost(count) {
            println!("hog {cpu}: FAILED: {count} pages, {left} left, {} expected", REST - cost(count));
            return Ok(ACCOUNTS_DIFFER);
        }
        if count % 100 == 0 || count == fits {
            println!("hog {cpu}: {count} pages, {left} left");
        }
    }
    let Some(page) = take(1) else {
        return Ok(NO_HEAP);
    };
    page[0] = 1;
    println!("hog {cpu}: FAILED: {} pages", fits + 1);
    Ok(TOO_MUCH)
}

/// Takes all pages of its quota, and one page more.
fn attack() -> Result<u32, abi::Error> {
    loop {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        page[0] = 1;
    }
}

/// Takes a page in each turn, until it has its whole quota.
fn neighbour() -> Result<u32, abi::Error> {
    let mut pages = 0;
    let all = sys::get_quota()?;
    while sys::get_quota()? > 0 {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        page[0] = 1;
        pages += 1;
        if sys::get_quota()? != all - cost(pages) {
            return Ok(ACCOUNTS_DIFFER);
        }
        sys::yield_now()?;
    }
    Ok(if pages == pages_within(all) { 0 } else { ACCOUNTS_DIFFER })
}

/// The cost of `pages` pages from the start of a region on, with their page tables.
fn cost(pages: u32) -> u32 {
    pages + pages.div_ceil(REGION_PAGES)
}

/// The number of pages from the start of a region on that a quota suffices for.
fn pages_within(quota: u32) -> u32 {
    (0..=quota).rev().find(|&pages| cost(pages) <= quota).unwrap_or(0)
}
