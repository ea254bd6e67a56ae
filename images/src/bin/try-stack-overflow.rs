//! Endless recursion: the guard page below the kernel stack stops it.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::hint::black_box;
use kernel::image::Image;

kernel::image!(Image { start: |_| panic!("came back with {}", deeper(1)), ..Image::DEFAULT });

#[expect(unconditional_recursion, reason = "this is the point")]
fn deeper(depth: u64) -> u64 {
    let here = black_box([depth; 16]);
    deeper(depth + 1) + here[3]
}
