//! Starts copies of itself until each limit refuses one: the quota, the eight children that a parent can have, the
//! thread numbers. Each refusal must return the right error, and cost nothing.
//!
//! The argument of a copy says what it does: see [`role`].
#![no_std]
#![no_main]

use abi::{CHILDREN, Error, THREADS};
use user::{args, image, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("tree").unwrap();

/// Exit status of a leaf, so that its end differs from a mere success.
const LEAF_STATUS: u32 = 7;
/// Status: something was not as expected; the console says what.
const FAILED: u32 = 1;

/// The arguments of the copies, and the pages that each copy has left at its start.
mod role {
    /// A copy that ends at once.
    pub const LEAF: (&str, u32) = ("leaf", 3);
    /// A copy that has quota, but a thread number so high that its children would have no numbers.
    pub const NUMBERLESS: (&str, u32) = ("numberless", 100);

    /// A copy that gives all its pages to one leaf.
    pub fn poor() -> (&'static str, u32) {
        ("poor", user::quota::frames_at_start() + 16)
    }
}

fn main() -> Result<u32, Error> {
    let outcome = match args().next() {
        Some("leaf") => expect_quota(role::LEAF.1).map(|()| LEAF_STATUS),
        Some("numberless") => numberless().map(|()| 0),
        Some("poor") => poor().map(|()| 0),
        Some("last leaf") => Ok(LEAF_STATUS),
        _ => root(sys::who_am_i()?.cpu).map(|()| 0),
    };
    Ok(outcome.unwrap_or_else(|failure| {
        println!("tree: FAILED: {failure:?}");
        FAILED
    }))
}

/// An error that a worker has found.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
enum Failure {
    /// A call returned this instead of the expected result.
    Unexpected { what: &'static str, got: Result<u32, Error> },
    /// The quota is not the expected one.
    Quota { expected: u32, left: u32 },
    /// A child does not have the number after its sibling's.
    Number { expected: u32, got: u32 },
}

/// Checks that a call returned this result.
fn expect(what: &'static str, got: Result<u32, Error>, expected: Result<u32, Error>) -> Result<(), Failure> {
    if got == expected { Ok(()) } else { Err(Failure::Unexpected { what, got }) }
}

/// Checks that this many pages are left.
fn expect_quota(expected: u32) -> Result<(), Failure> {
    let left = left()?;
    if left == expected { Ok(()) } else { Err(Failure::Quota { expected, left }) }
}

/// The pages that are left.
fn left() -> Result<u32, Failure> {
    sys::get_quota().map_err(|error| Failure::Unexpected { what: "get_quota", got: Err(error) })
}

/// The quota of a copy that has `left` pages left at its start; one more page holds its arguments.
fn quota_with(left: u32) -> u32 {
    quota::frames_at_start() + 1 + left
}

/// Starts a copy that has this many pages left at its start.
fn start((role, left): (&str, u32)) -> Result<u32, Failure> {
    let child = args::spawn(SELF, quota_with(left), &[role]);
    child.map_err(|error| Failure::Unexpected { what: "a copy that fits", got: Err(error) })
}

/// Tries to start a copy with arguments and without quota. This takes the pages of the stack that later arguments need.
fn warm_up() -> Result<(), Failure> {
    expect("arguments and nothing", args::spawn(SELF, 0, &["leaf"]), Err(Error::Mem))
}

/// The instance that a main thread has started.
fn root(cpu: u32) -> Result<(), Failure> {
    warm_up()?;
    let mut quota = left()?;
    let image = quota::image_frames();

    let absent = image::NAMES.len() as u32;
    expect("an image that is not there", sys::spawn(absent, image), Err(Error::InvalId))?;
    expect("no image at all", sys::spawn(u32::MAX, image), Err(Error::InvalId))?;
    expect("more than is left", sys::spawn(SELF, quota + 1), Err(Error::Mem))?;
    expect("more than there can be", sys::spawn(SELF, u32::MAX), Err(Error::Mem))?;
    expect("less than the image takes", sys::spawn(SELF, image - 1), Err(Error::Mem))?;
    expect("nothing", sys::spawn(SELF, 0), Err(Error::Mem))?;
    // Arguments take a page, and the kernel assumes that they need a page table.
    expect("no page for the arguments", args::spawn(SELF, image + 1, &["leaf"]), Err(Error::Mem))?;
    expect_quota(quota)?;
    println!("tree {cpu}: refusals cost nothing");

    // These two children are started, but have no page or no page table for a stack.
    let mut newest = None;
    for rest in [0, 1] {
        let got = sys::spawn(SELF, image + rest);
        let child = got.map_err(|_| Failure::Unexpected { what: "as much as the image takes", got })?;
        quota -= image + rest;
        follow(&mut newest, child)?;
    }
    for index in 2..CHILDREN {
        // The parent knows its own number from its children's numbers, and therefore which of them can
        // have children.
        let next = newest.map_or(0, |child| child + 1);
        let rest = match index {
            2 if CHILDREN * (next + 1) < THREADS => role::poor(),
            2 => role::NUMBERLESS,
            _ => role::LEAF,
        };
        let child = start(rest)?;
        quota -= quota_with(rest.1);
        follow(&mut newest, child)?;
        expect_quota(quota)?;
    }
    println!("tree {cpu}: {CHILDREN} children");
    expect("one child more", sys::spawn(SELF, image), Err(Error::Mem))?;
    expect_quota(quota)?;
    println!("tree {cpu}: and no more");
    Ok(())
}

/// Checks that a child has the number after its sibling's; the first child has the first of eight numbers.
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
    expect_quota(role::NUMBERLESS.1)
}

/// A copy that gives all its pages to one child.
fn poor() -> Result<(), Failure> {
    warm_up()?;
    let all = left()?;
    expect("one page too many", sys::spawn(SELF, all + 1), Err(Error::Mem))?;
    let child = args::spawn(SELF, all, &["last leaf"]);
    child.map_err(|error| Failure::Unexpected { what: "a copy that gets everything", got: Err(error) })?;
    expect_quota(0)?;
    expect("a child without a page", sys::spawn(SELF, quota::image_frames()), Err(Error::Mem))
}
