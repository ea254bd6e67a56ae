//! Memory that a program obtains by touching it.

use abi::{MESSAGE_WORDS, PAGE_SIZE};
use core::sync::atomic::{AtomicU32, Ordering};

/// First address of the heap: the middle of the window, far from the image and the stack.
pub const HEAP_LOW: u32 = 0x8000_0000;
/// First address above the heap. The 256 MiB above belong to the stack.
pub const HEAP_HIGH: u32 = 0xE000_0000;
/// First address of the heap's upper part, 256 MiB for [`alloc`](https://doc.rust-lang.org/alloc/). The pages of
/// [`take`] lie below.
const BYTES_LOW: u32 = 0xD000_0000;
/// Bytes that one page table covers.
pub const REGION_SIZE: u32 = 512 * PAGE_SIZE;

/// A page for a message, which the kernel copies from and to.
#[derive(Clone, Debug)]
#[repr(C, align(4096))]
pub struct Page(pub [u32; MESSAGE_WORDS as usize]);

const _: () = assert!(size_of::<Page>() == PAGE_SIZE as usize);

impl Page {
    /// A page of zeros.
    pub const ZERO: Page = Page([0; MESSAGE_WORDS as usize]);
}

/// Address of the next heap page to be handed out.
static NEXT: AtomicU32 = AtomicU32::new(HEAP_LOW);

/// Hands out the next page of the heap for a message, as [`take`] does.
pub fn page() -> Option<&'static mut Page> {
    let bytes: *mut u8 = take(1)?.as_mut_ptr();
    // SAFETY: it is a page, at its own address, that nothing else uses; any bytes are valid words.
    Some(unsafe { &mut *bytes.cast() })
}

/// Hands out the next `pages` pages of the heap, or `None` when it has no more. They are zero. Each page is charged to
/// the quota when it is first touched, not before; a program that touches one without quota is stopped. Pages cannot be
/// given back.
pub fn take(pages: u32) -> Option<&'static mut [u8]> {
    let bytes = pages.checked_mul(PAGE_SIZE)?;
    let first = NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            next.checked_add(bytes).filter(|&end| end <= BYTES_LOW)
        })
        .ok()?;
    let pointer = core::ptr::with_exposed_provenance_mut(first as usize);
    // SAFETY: the range lies in the window, where the kernel maps a zeroed page at the first touch. `NEXT` has moved
    // past the range, so it is never handed out again. Neither image nor stack nor the upper part of the heap reaches
    // it.
    Some(unsafe { core::slice::from_raw_parts_mut(pointer, bytes as usize) })
}

/// Hands out the upper part of the heap, once. Its pages are charged as those of [`take`] are.
#[cfg(feature = "program")]
pub(crate) fn heap() -> Option<&'static mut [u8]> {
    static TAKEN: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    let pointer = core::ptr::with_exposed_provenance_mut(BYTES_LOW as usize);
    // SAFETY: as in `take`; `TAKEN` ensures that it is handed out once.
    Some(unsafe { core::slice::from_raw_parts_mut(pointer, (HEAP_HIGH - BYTES_LOW) as usize) })
}
