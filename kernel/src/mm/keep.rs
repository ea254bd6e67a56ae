//! Permanent kernel memory: values that boot makes and that are never freed.

use super::direct_map::direct;
use super::frames::{Frames, FramesError};
use super::layout::PAGE_SIZE;
use core::mem::MaybeUninit;
use core::slice;

/// Moves a value into kernel memory, where it stays for good.
pub fn keep<T>(frames: &mut Frames, value: T) -> Result<&'static mut T, FramesError> {
    let bytes = size_of::<T>() as u64;
    let at = frames.allocate(bytes.div_ceil(PAGE_SIZE), align_of::<T>() as u64)?;
    // SAFETY: the frames were free, are in the direct map, are large enough and aligned, and are never given back.
    unsafe {
        direct::<T>(at).write(value);
        Ok(&mut *direct::<T>(at))
    }
}

/// Allocates room for `count` values in kernel memory, for good.
pub fn room<T>(frames: &mut Frames, count: usize) -> Result<&'static mut [MaybeUninit<T>], FramesError> {
    let bytes = (size_of::<T>() as u64).checked_mul(count as u64).ok_or(FramesError::OutOfMemory)?;
    let at = frames.allocate(bytes.div_ceil(PAGE_SIZE), align_of::<T>() as u64)?;
    // SAFETY: the frames were free, are in the direct map, are large enough and aligned, and are never given back.
    Ok(unsafe { slice::from_raw_parts_mut(direct(at), count) })
}

/// Fills each element of `room` with the value that `make` returns for its index.
pub fn furnish<T>(room: &'static mut [MaybeUninit<T>], mut make: impl FnMut(usize) -> T) -> &'static mut [T] {
    let count = room.len();
    for (index, place) in room.iter_mut().enumerate() {
        place.write(make(index));
    }
    // SAFETY: each element was written just now.
    unsafe { slice::from_raw_parts_mut(room.as_mut_ptr().cast(), count) }
}
