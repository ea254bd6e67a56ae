//! Starts copies of itself until every limit refuses: the quota, the eight children that a parent can have,
//! the thread numbers. Each refusal has to be the right error and to cost nothing.
//!
//! What a copy has to do is in what its quota leaves it with: see [`role`].
#![no_std]
#![no_main]

use abi::{CHILDREN, Error, THREADS};
use user::{image, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("tree").unwrap();
/// Quota of the instance on CPU 0; the others have one more each, which tells them their CPU.
const QUOTA: u32 = 400;

/// Status of a leaf, so that its end differs from a mere success.
const LEAF_STATUS: u32 = 7;
/// Status: something was not as expected; the console says what.
const FAILED: u32 = 1;

/// What the copies have left at their start, and what they do.
mod role {
    /// Ends at once.
    pub const LEAF: u32 = 3;
    /// Has quota, but a number so high that its children would have none.
    pub const NUMBERLESS: u32 = 100;

    /// Gives all it has to one leaf.
    pub fn poor() -> u32 {
        user::quota::frames_at_start() + LEAF
    }
}

fn main() -> Result<u32, Error> {
    let outcome = match sys::get_quota()? {
        role::LEAF => return Ok(LEAF_STATUS),
        role::NUMBERLESS => numberless(),
        rest if rest == role::poor() => poor(),
        _ => root(quota::quota_at_start()?.wrapping_sub(QUOTA)),
    };
    Ok(match outcome {
        Ok(()) => 0,
        Err(failure) => {
            println!("tree: FAILED: {failure:?}");
            FAILED
        }
    })
}

/// What was not as expected.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
enum Failure {
    /// A call gave this instead of the result expected.
    Unexpected { what: &'static str, got: Result<u32, Error> },
    /// The account differs.
    Quota { expected: u32, left: u32 },
    /// A child has this number instead of the one after its sibling's.
    Number { expected: u32, got: u32 },
}

/// Requires that a call gave just this result.
fn expect(what: &'static str, got: Result<u32, Error>, expected: Result<u32, Error>) -> Result<(), Failure> {
    if got == expected { Ok(()) } else { Err(Failure::Unexpected { what, got }) }
}

/// Requires that so much is left.
fn expect_quota(expected: u32) -> Result<(), Failure> {
    let left = left()?;
    if left == expected { Ok(()) } else { Err(Failure::Quota { expected, left }) }
}

/// What is left.
fn left() -> Result<u32, Failure> {
    sys::get_quota().map_err(|error| Failure::Unexpected { what: "get_quota", got: Err(error) })
}

/// Starts a copy that will have `left` pages at its start.
fn start(left: u32) -> Result<u32, Failure> {
    let child = sys::spawn(SELF, quota::frames_at_start() + left);
    child.map_err(|error| Failure::Unexpected { what: "a copy that fits", got: Err(error) })
}

/// The instance that a main thread has started.
fn root(cpu: u32) -> Result<(), Failure> {
    let mut quota = left()?;
    let image = quota::image_frames();

    let absent = image::NAMES.len() as u32;
    expect("an image that is not there", sys::spawn(absent, image), Err(Error::InvalId))?;
    expect("no image at all", sys::spawn(u32::MAX, image), Err(Error::InvalId))?;
    expect("more than is left", sys::spawn(SELF, quota + 1), Err(Error::Mem))?;
    expect("more than there can be", sys::spawn(SELF, u32::MAX), Err(Error::Mem))?;
    expect("less than the image takes", sys::spawn(SELF, image - 1), Err(Error::Mem))?;
    expect("nothing", sys::spawn(SELF, 0), Err(Error::Mem))?;
    expect_quota(quota)?;
    println!("tree {cpu}: refusals cost nothing");

    // These two are there, but have no page or no page table for a stack.
    let mut newest = None;
    for rest in [0, 1] {
        let got = sys::spawn(SELF, image + rest);
        let child = got.map_err(|_| Failure::Unexpected { what: "as much as the image takes", got })?;
        quota -= image + rest;
        follow(&mut newest, child)?;
    }
    for index in 2..CHILDREN {
        // The parent knows its number from its children's, and so which of them can have children.
        let next = newest.map_or(0, |child| child + 1);
        let rest = match index {
            2 if CHILDREN * (next + 1) < THREADS => role::poor(),
            2 => role::NUMBERLESS,
            _ => role::LEAF,
        };
        let child = start(rest)?;
        quota -= quota::frames_at_start() + rest;
        follow(&mut newest, child)?;
        expect_quota(quota)?;
    }
    println!("tree {cpu}: {CHILDREN} children");
    expect("one child more", sys::spawn(SELF, image), Err(Error::Mem))?;
    expect_quota(quota)?;
    println!("tree {cpu}: and no more");
    Ok(())
}

/// Requires that a child has the number after its sibling's, the first one the first of eight.
fn follow(newest: &mut Option<u32>, child: u32) -> Result<(), Failure> {
    let expected = match *newest {
        Some(sibling) => sibling + 1,
        None => child - child % CHILDREN + 1,
    };
    *newest = Some(child);
    if child == expected { Ok(()) } else { Err(Failure::Number { expected, got: child }) }
}

/// A copy whose children would have no numbers.
fn numberless() -> Result<(), Failure> {
    let image = quota::image_frames();
    expect("a child without a number", sys::spawn(SELF, image), Err(Error::Mem))?;
    expect_quota(role::NUMBERLESS)
}

/// A copy that gives all it has to one child.
fn poor() -> Result<(), Failure> {
    let all = left()?;
    expect("one page too many", sys::spawn(SELF, all + 1), Err(Error::Mem))?;
    start(role::LEAF)?;
    expect_quota(0)?;
    expect("a child without a page", sys::spawn(SELF, quota::image_frames()), Err(Error::Mem))
}
