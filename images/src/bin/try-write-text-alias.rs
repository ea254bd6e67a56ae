//! A store to the kernel's own code through the direct map of physical memory.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::image::Image;
use kernel::mm::direct_map::direct;
use kernel::mm::layout::IMAGE_BASE;

kernel::image!(Image { start: |_| store(), ..Image::DEFAULT });

fn store() -> ! {
    let code = store as fn() -> ! as usize as u64;
    // SAFETY: the direct map of the code is read-only, so the store does not happen.
    unsafe { direct::<u8>(code - IMAGE_BASE).write_volatile(0xCC) };
    panic!("no fault")
}
