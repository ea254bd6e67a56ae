//! Users' frames, through the direct map: the processor's own page tables, and bytes of memory.
use super::Place;
use crate::home::{Entries, fill_each, page_entry};
use crate::layout::PAGE_SIZE;
use crate::metal::paging::{self, direct};
use core::ops::Range;
use domain::{Domain, Geometry, X64};
use layer::fields::{Byte, Pte};

/// Frames that may be reached: users' ones, so that no wrong number reaches the kernel's own memory.
#[derive(Clone)]
struct Window(Range<u32>);

impl Window {
    /// The physical address of a frame.
    fn address(&self, frame: u32) -> u64 {
        assert!(self.0.contains(&frame), "frame {frame} is no user's");
        u64::from(frame) * PAGE_SIZE
    }

    /// Fills a frame with one byte.
    fn fill(&mut self, frame: u32, byte: u8) {
        // SAFETY: the frame is a user's, so it is in the direct map; that it is this CPU's to change, `pperm` says.
        unsafe { direct::<u8>(self.address(frame)).write_bytes(byte, PAGE_SIZE as usize) }
    }
}

/// Page tables, as the processor walks them, keyed by the frame that they are in.
///
/// Different keys are different words of physical memory.
pub struct PageTables(Window);

impl PageTables {
    pub(super) fn new(place: Place) -> Self {
        PageTables(Window(place.board.user_frames()))
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Pte<D>> for PageTables {
    fn keys(&self) -> [Range<u32>; 2] {
        [self.0.0.clone(), 0..X64::ENTRIES]
    }

    fn load(&self, [frame, index]: [u32; 2]) -> Pte<D> {
        // SAFETY: the frame is a user's, in the direct map, and holds a page table: that is proved of the layer.
        let bits = unsafe { paging::page_table_entry(self.0.address(frame), index.into()) };
        page_entry::from_page(bits.unwrap_or_else(|| panic!("a page table has no entry {index}")))
    }

    fn store(&mut self, [frame, index]: [u32; 2], value: Pte<D>) {
        let bits = page_entry::page(value);
        // SAFETY: as in `load`; the entry gets a frame that is this CPU's data, and a present entry is never changed,
        // so that no translation becomes invalid: both are proved of the layer.
        let stored = unsafe { paging::set_page_table_entry(self.0.address(frame), index.into(), bits) };
        stored.unwrap_or_else(|| panic!("a page table has no entry {index}"));
    }

    fn fill(&mut self, row: &[u32], value: Pte<D>) {
        match (row, value) {
            (&[frame], Pte::UnPresent) => self.0.fill(frame, 0),
            _ => fill_each(self, row, value),
        }
    }
}

/// Bytes of users' frames.
///
/// Different keys are different bytes of physical memory. A program of this CPU has some of them in its address space,
/// but does not run while the kernel does.
pub struct Physical(Window);

impl Physical {
    pub(super) fn new(place: Place) -> Self {
        Physical(Window(place.board.user_frames()))
    }

    /// A part of a frame.
    ///
    /// # Panics
    /// When it reaches beyond the frame, or the frame is no user's.
    pub fn bytes(&self, frame: u32, part: Range<usize>) -> &[u8] {
        assert!(part.start <= part.end && part.end <= PAGE_SIZE as usize, "{part:?} is no part of a frame");
        // SAFETY: as in `load`; the borrow of this map keeps the CPU from changing the bytes meanwhile.
        unsafe { core::slice::from_raw_parts(direct::<u8>(self.0.address(frame)).add(part.start), part.len()) }
    }

    /// Copies bytes into a frame, from byte `offset` on.
    ///
    /// # Panics
    /// As for [`Physical::bytes`].
    pub fn write(&mut self, frame: u32, offset: usize, bytes: &[u8]) {
        assert!(
            offset <= PAGE_SIZE as usize && bytes.len() <= PAGE_SIZE as usize - offset,
            "{} bytes from {offset} on are more than a frame",
            bytes.len()
        );
        // SAFETY: the place lies in one user's frame, as was just checked, and the source in the kernel's memory; that
        // the frame is this CPU's to change, the caller's `pperm` says.
        unsafe { direct::<u8>(self.0.address(frame)).add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    fn byte(&self, [frame, offset]: [u32; 2]) -> *mut u8 {
        assert!(u64::from(offset) < PAGE_SIZE, "a frame has no byte {offset}");
        // SAFETY: the offset stays in the frame.
        unsafe { direct::<u8>(self.0.address(frame)).add(offset as usize) }
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Physical {
    fn keys(&self) -> [Range<u32>; 2] {
        [self.0.0.clone(), 0..PAGE_SIZE as u32]
    }

    fn load(&self, key: [u32; 2]) -> Byte<D> {
        // SAFETY: `byte` gives an address in the direct map; that the frame is this CPU's data, `pperm` says.
        Byte { value: unsafe { self.byte(key).read() }.into() }
    }

    fn store(&mut self, key: [u32; 2], value: Byte<D>) {
        // SAFETY: as in `load`.
        unsafe { self.byte(key).write(value.value as u8) }
    }

    fn fill(&mut self, row: &[u32], value: Byte<D>) {
        match row {
            &[frame] => self.0.fill(frame, value.value as u8),
            _ => fill_each(self, row, value),
        }
    }
}
