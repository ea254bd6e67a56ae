//! The largest image of the bench: all but a few pages of the 2 MiB that a program's image may take. It ends at once.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::sync::atomic::AtomicU8;
use user::program;

program!(main);

/// Number of pages that are part of the image and are loaded.
const PAGES: usize = 490;
static MUCH: [AtomicU8; PAGES * abi::PAGE_SIZE as usize] =
    [const { AtomicU8::new(0) }; PAGES * abi::PAGE_SIZE as usize];

fn main() {
    black_box(&MUCH);
}
