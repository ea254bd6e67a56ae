//! Touches memory until its quota ends, and says before how much that will be: each page costs one unit,
//! and one more for the page table of each 2 MiB region. The kernel's accounts have to agree after every
//! page, and the page after the last has to be refused.
#![no_std]
#![no_main]

use user::memory::{REGION_SIZE, take};
use user::{println, program, quota, sys};

program!(main);

/// Quota of the instance on CPU 0; the others have one more each, which tells them their CPU.
const QUOTA: u32 = 700;
/// What is left of it when the counting begins, at the start of a region, however large this program is.
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
    let cpu = quota::quota_at_start()?.wrapping_sub(QUOTA);
    println!("hog {cpu}: {} pages", quota::quota_at_start()?);
    let mut skipped = 0;
    while sys::get_quota()? > REST {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        page[0] = 1;
        skipped += 1;
    }
    // What is taken and never touched costs nothing.
    if take(REGION_PAGES - skipped).is_none() {
        return Ok(NO_HEAP);
    }

    let fits = pages_within(REST);
    println!("hog {cpu}: {REST} pages left, {fits} of them for data");
    for count in 1..=fits {
        let Some(page) = take(1) else {
            return Ok(NO_HEAP);
        };
        // A byte of each cache line: what a page held before would show there, too.
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

/// What `pages` pages from the start of a region on cost, with their page tables.
fn cost(pages: u32) -> u32 {
    pages + pages.div_ceil(REGION_PAGES)
}

/// How many pages from the start of a region on a quota suffices for.
fn pages_within(quota: u32) -> u32 {
    (0..=quota).rev().find(|&pages| cost(pages) <= quota).unwrap_or(0)
}
