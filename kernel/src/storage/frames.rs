//! Users' page frames, reached through the direct map: the processor's own page tables, and bytes of memory, of
//! which `bytes.rs` makes a storage.
use super::{Entries, fill_each, page_entry};
use crate::mm::direct_map::DirectMap;
use crate::mm::layout::PAGE_SIZE;
use core::ops::Range;
use domain::Domain;
use layer::core::fields::Pte;
use layer::core::geometry::{Geometry, X64};

/// The frames that may be reached. They are users' frames, so a wrong number cannot reach the kernel's own
/// memory.
#[derive(Clone, Debug)]
pub struct Window {
    map: DirectMap,
    frames: Range<u32>,
}

impl Window {
    /// These frames of the memory that `map` maps.
    ///
    /// # Safety
    /// `map` maps the frames for good, and in the kernel only windows touch this memory. A CPU loads from a frame or
    /// stores there through a window only if the frame was given to that CPU.
    pub unsafe fn new(map: DirectMap, frames: Range<u32>) -> Self {
        Window { map, frames }
    }

    /// Address of a frame.
    ///
    /// # Panics
    /// If the frame is not in the window.
    #[inline(always)]
    fn at<T>(&self, frame: u32) -> *mut T {
        assert!(self.frames.contains(&frame), "frame {frame} is no user's");
        self.map.pointer(u64::from(frame) * PAGE_SIZE)
    }

    /// Fills a frame with one byte.
    #[inline(always)]
    fn fill(&mut self, frame: u32, byte: u8) {
        // SAFETY: the whole frame is in the window, as `at` checks. According to `pperm`, this CPU may change it.
        unsafe { self.at::<u8>(frame).write_bytes(byte, PAGE_SIZE as usize) }
    }
}

/// Page tables, as the processor walks them, keyed by their page frame.
///
/// Different keys are different words of physical memory.
pub struct PageTables(Window);

impl PageTables {
    /// The page tables in these frames.
    pub fn new(window: Window) -> Self {
        PageTables(window)
    }

    /// Address of an entry.
    ///
    /// # Panics
    /// If there is no such entry.
    #[inline]
    fn entry(&self, [frame, index]: [u32; 2]) -> *mut u64 {
        assert!(index < X64::ENTRIES, "a page table has no entry {index}");
        self.0.at::<u64>(frame).wrapping_add(index as usize)
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Pte<D>> for PageTables {
    fn keys(&self) -> [Range<u32>; 2] {
        [self.0.frames.clone(), 0..X64::ENTRIES]
    }

    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Pte<D> {
        // SAFETY: `entry` returns the address of a word of a frame of the window; it is proved of the layer that the
        // frame holds a page table of this CPU. The processor itself sets only bits that decoding ignores, so two reads
        // give the same result.
        page_entry::from_page(unsafe { self.entry(key).read() })
    }

    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Pte<D>) {
        let bits = page_entry::page(value);
        // SAFETY: as in `load`. The entry is set to a frame that holds this CPU's data. Or the entry becomes absent;
        // then the layer makes the processor forget it (`Machine::unmapped`) before the frame is free. ARCHITECTURE.md
        // explains why this is enough.
        unsafe { self.entry(key).write_volatile(bits) }
    }

    #[inline(always)]
    fn search_row(&self, frame: u32, from: u32, to: u32, wanted: fn(Pte<D>) -> bool) -> Option<Option<u32>> {
        assert!(to <= X64::ENTRIES, "a page table has no entry {to}");
        let table = self.0.at::<u64>(frame);
        // SAFETY: as in `load`.
        let read = |index: u32| unsafe { table.wrapping_add(index as usize).read() };
        Some(page_entry::first_of(from..to, read, |bits| wanted(page_entry::from_page(bits))))
    }

    #[inline(always)]
    fn fill(&mut self, row: &[u32], value: Pte<D>) {
        match (row, value) {
            (&[frame], Pte::UnPresent) => self.0.fill(frame, 0),
            _ => fill_each(self, row, value),
        }
    }
}

/// Bytes of users' frames.
///
/// Different keys are different bytes of physical memory. Some of them are in the address space of a program of this
/// CPU, but that program does not run while the kernel runs.
pub struct Physical(Window);

impl Physical {
    /// The bytes of these frames.
    pub fn new(window: Window) -> Self {
        Physical(window)
    }

    /// A part of a frame.
    ///
    /// # Panics
    /// If the part reaches beyond the frame, or the frame is not in the window.
    #[inline(always)]
    pub fn bytes(&self, frame: u32, part: Range<usize>) -> &[u8] {
        assert!(part.start <= part.end && part.end <= PAGE_SIZE as usize, "{part:?} is no part of a frame");
        // SAFETY: as in `byte`. The borrow of this map keeps the CPU from changing the bytes meanwhile.
        unsafe { core::slice::from_raw_parts(self.0.at::<u8>(frame).add(part.start), part.len()) }
    }

    /// Copies bytes into a frame, from byte `offset` on.
    ///
    /// # Panics
    /// The same as for [`Physical::bytes`].
    #[inline(always)]
    pub fn write(&mut self, frame: u32, offset: usize, bytes: &[u8]) {
        assert!(
            offset <= PAGE_SIZE as usize && bytes.len() <= PAGE_SIZE as usize - offset,
            "{} bytes from {offset} on are more than a frame",
            bytes.len()
        );
        // SAFETY: the destination lies in one user's frame, as was just checked, and the source in the kernel's memory.
        // According to the caller's `pperm`, the frame is this CPU's to change.
        unsafe { self.0.at::<u8>(frame).add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    /// Address of a byte of a frame.
    ///
    /// # Panics
    /// When there is no such byte.
    #[inline(always)]
    fn address(&self, [frame, offset]: [u32; 2]) -> *mut u8 {
        assert!(u64::from(offset) < PAGE_SIZE, "a frame has no byte {offset}");
        self.0.at::<u8>(frame).wrapping_add(offset as usize)
    }

    /// The frames that may be reached.
    pub(super) fn frames(&self) -> Range<u32> {
        self.0.frames.clone()
    }

    /// The byte at `key`: a frame, and an offset in it.
    ///
    /// # Panics
    /// When there is no such byte.
    #[inline(always)]
    pub(super) fn byte(&self, key: [u32; 2]) -> u8 {
        // SAFETY: `address` returns an address in a frame of the window; `pperm` says that the frame is this CPU's data.
        unsafe { self.address(key).read() }
    }

    /// Sets the byte at `key`.
    ///
    /// # Panics
    /// As for [`Physical::byte`].
    #[inline(always)]
    pub(super) fn set_byte(&mut self, key: [u32; 2], byte: u8) {
        // SAFETY: as in `byte`.
        unsafe { self.address(key).write(byte) }
    }

    /// Fills a frame with one byte.
    ///
    /// # Panics
    /// When the frame is not in the window.
    #[inline(always)]
    pub(super) fn fill_frame(&mut self, frame: u32, byte: u8) {
        self.0.fill(frame, byte);
    }

    /// Copies the first `length` bytes of frame `from` to the beginning of `frame`.
    ///
    /// # Panics
    /// When that is more than a frame, or a frame is not in the window.
    #[inline(always)]
    pub(super) fn copy_frame(&mut self, frame: u32, length: u32, from: u32) {
        assert!(u64::from(length) <= PAGE_SIZE, "{length} bytes are more than a frame");
        // SAFETY: both frames are in the window as a whole, as `at` checks; according to `pperm`, they are this CPU's
        // data.
        unsafe { self.0.at::<u8>(frame).copy_from(self.0.at::<u8>(from), length as usize) };
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::storage::Of;
    use crate::storage::host::Host;
    use domain::Map;
    use layer::core::fields::PageTables as Tables;
    use std::boxed::Box;
    use std::vec;

    const FRAMES: Range<u32> = 7..11;

    /// A window over memory that the test owns.
    pub fn window() -> Window {
        let bytes = FRAMES.len() * PAGE_SIZE as usize;
        // Aligned as frames are.
        let memory = Box::leak(vec![0u128; bytes / 16 + 256].into_boxed_slice()).as_mut_ptr().cast::<u8>();
        let memory = memory.wrapping_add(memory.align_offset(PAGE_SIZE as usize));
        let map = DirectMap::at(memory.wrapping_sub(FRAMES.start as usize * PAGE_SIZE as usize));
        // SAFETY: the memory is as large as the frames, and leaked for this window alone.
        unsafe { Window::new(map, FRAMES) }
    }

    #[test]
    fn a_page_table_is_words_of_its_frame() {
        let mut tables = Of(PageTables::new(window()));
        let page = Pte::Valid { page: 9, perm: 7 };
        Map::<Host, Tables>::set(&mut tables, [8, 511], page);
        let at = |key| matches!(Map::<Host, Tables>::get(&tables, key), Pte::Valid { page: 9, perm: 7 });
        assert_eq!([[8, 510], [8, 511], [9, 0], [7, 511]].map(at), [false, true, false, false]);
        Map::<Host, Tables>::fill(&mut tables, &[8], Pte::UnPresent);
        assert!(matches!(Map::<Host, Tables>::get(&tables, [8, 511]), Pte::UnPresent));
    }

    #[test]
    #[should_panic(expected = "frame 11 is no user's")]
    fn a_frame_beyond_is_not_reached() {
        Physical::new(window()).byte([FRAMES.end, 0]);
    }

    #[test]
    #[should_panic(expected = "a page table has no entry 512")]
    fn a_page_table_has_no_more_entries() {
        Map::<Host, Tables>::get(&Of(PageTables::new(window())), [8, 512]);
    }
}
