//! A store to the kernel's own code.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use kernel::image::Image;

kernel::image!(Image { start: |_| store(), ..Image::DEFAULT });

fn store() -> ! {
    let code = store as fn() -> ! as *mut u8;
    // SAFETY: the page of the code is read-only, so the store does not happen.
    unsafe { code.write_volatile(0xCC) };
    panic!("no fault")
}
