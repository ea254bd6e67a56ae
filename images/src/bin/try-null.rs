//! A load through a null pointer.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::ptr;
use kernel::image::Image;

kernel::image!(Image { start: |_| load(), ..Image::DEFAULT });

#[inline(never)]
fn load() -> ! {
    // SAFETY: the lowest page is not mapped, so the load does not happen.
    let value = unsafe { ptr::null::<u64>().read_volatile() };
    panic!("no fault: {value}")
}
