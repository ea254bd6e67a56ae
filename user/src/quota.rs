//! The kernel's charges to this program, computed from its own layout.

use crate::memory::REGION_SIZE;
use abi::{Error, PAGE_SIZE};

/// Pages that the kernel has charged to this program when its `main` begins, if it has no arguments: those of its image
/// with their page table, and the first page of the stack with its page table.
pub fn frames_at_start() -> u32 {
    image_frames() + 2
}

/// Pages of this program's segments, and the page tables of their regions. The program cannot be started with a smaller
/// quota.
pub fn image_frames() -> u32 {
    let segments = segments();
    let pages: u32 = segments.iter().map(|(start, end)| (end - start).div_ceil(PAGE_SIZE)).sum();
    let (low, high) = (segments[0].0, segments[2].1);
    pages + (high - 1) / REGION_SIZE - low / REGION_SIZE + 1
}

/// Start and end of the three segments, from symbols of the linker script.
fn segments() -> [(u32, u32); 3] {
    unsafe extern "C" {
        static image_text_start: u8;
        static image_text_end: u8;
        static image_rodata_start: u8;
        static image_rodata_end: u8;
        static image_data_start: u8;
        static image_data_end: u8;
    }
    macro_rules! address {
        // SAFETY: only the symbol's address is taken; nothing is read.
        ($symbol:ident) => {
            (&raw const $symbol).addr() as u32
        };
    }
    [
        (address!(image_text_start), address!(image_text_end)),
        (address!(image_rodata_start), address!(image_rodata_end)),
        (address!(image_data_start), address!(image_data_end)),
    ]
}

/// The quota that this program was spawned with.
///
/// # Errors
///
/// The errors of [`who_am_i`](crate::sys::who_am_i).
pub fn quota_at_start() -> Result<u32, Error> {
    let me = crate::sys::who_am_i()?.thread;
    Ok(crate::sys::thread_info(me)?.quota)
}
