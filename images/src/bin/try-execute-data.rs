//! A jump into the kernel's data.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::hint::black_box;
use core::mem::transmute;
use kernel::image::Image;

kernel::image!(Image { start: |_| jump(), ..Image::DEFAULT });

fn jump() -> ! {
    // `ret`, on the stack.
    let code = black_box([0xC3u8; 16]);
    // SAFETY: data is not executable, so none of the code runs.
    let run: extern "C" fn() = unsafe { transmute(code.as_ptr()) };
    run();
    panic!("no fault")
}
