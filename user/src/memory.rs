//! Memory that a program obtains by touching it, and what the kernel charges for it.

use abi::{Error, PAGE_SIZE};
use core::sync::atomic::{AtomicU32, Ordering};

/// First address of the heap: the middle of the window, far from the image and the stack.
pub const HEAP_LOW: u32 = 0x8000_0000;
/// First address above the heap. The 256 MiB above belong to the stack.
pub const HEAP_HIGH: u32 = 0xE000_0000;
/// Bytes that one page-table page covers.
pub const REGION_SIZE: u32 = 512 * PAGE_SIZE;

/// Address of the first heap page that was not handed out.
static NEXT: AtomicU32 = AtomicU32::new(HEAP_LOW);

/// Hands out the next `pages` pages of the heap, or `None` when it has no more. They are zero; each is
/// charged to the quota when it is first touched, not before, and a program that touches one without quota
/// is stopped. They cannot be given back.
pub fn take(pages: u32) -> Option<&'static mut [u8]> {
    let bytes = pages.checked_mul(PAGE_SIZE)?;
    let first = NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            next.checked_add(bytes).filter(|&end| end <= HEAP_HIGH)
        })
        .ok()?;
    let pointer = core::ptr::with_exposed_provenance_mut(first as usize);
    // SAFETY: the range lies in the window, where the kernel maps a zeroed page at the first touch; `NEXT`
    // has moved past it, so it is never handed out again, and neither image nor stack reaches the heap.
    Some(unsafe { core::slice::from_raw_parts_mut(pointer, bytes as usize) })
}

/// Pages that the kernel had charged to this program when its `main` began: those of its image and their
/// page table, and the first page of the stack with its own.
#[cfg(feature = "program")]
pub fn frames_at_start() -> u32 {
    image_frames() + 2
}

/// Pages of this program's segments, and the page tables of the regions that they lie in: the least quota
/// that it can be spawned with.
#[cfg(feature = "program")]
pub fn image_frames() -> u32 {
    let segments = segments();
    let pages: u32 = segments
        .iter()
        .map(|(start, end)| (end - start).div_ceil(PAGE_SIZE))
        .sum();
    let (low, high) = (segments[0].0, segments[2].1);
    pages + (high - 1) / REGION_SIZE - low / REGION_SIZE + 1
}

/// Start and end of the three segments: symbols of the linker script.
#[cfg(feature = "program")]
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
        // SAFETY: only the symbol's address is taken, nothing is read.
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

/// The quota that this program was spawned with, which is all that a parent can tell its child.
///
/// To be called at the beginning of `main`, before the program touches memory of its own or spawns: it adds
/// what was charged until then to what is left.
///
/// # Errors
///
/// Those of [`get_quota`](crate::sys::get_quota).
#[cfg(feature = "program")]
pub fn quota_at_start() -> Result<u32, Error> {
    Ok(crate::sys::get_quota()? + frames_at_start())
}
