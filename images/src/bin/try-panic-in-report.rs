//! A report that cannot be written to its end.
#![cfg_attr(not(test), no_main)]
#![cfg(feature = "image")]
#![no_std]

use core::{fmt, ptr};
use kernel::image::Image;

kernel::image!(Image { start: |_| panic!("a bad message: {}", Bad), ..Image::DEFAULT });

/// Faults when it is written.
struct Bad;

impl fmt::Display for Bad {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        // SAFETY: the lowest page is not mapped, so the load does not happen.
        let value = unsafe { ptr::null::<u64>().read_volatile() };
        write!(formatter, "{value}")
    }
}
