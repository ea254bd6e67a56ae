//! The kernel's own page map, the direct map of physical memory, and the building blocks of users' maps.

use super::direct_map::direct;
use super::frames::{Frames, FramesError};
use super::layout::{DIRECT_MAP, DIRECT_MAP_SIZE, IMAGE_BASE, PAGE_SIZE, REGION_SIZE};
use super::memory_map::MemoryMap;
use super::stacks::Stack;
use super::user_space::{DIRECTORY_GIBS, Spaces, entry, table_entry};
use core::ops::Range;
use x86_64::structures::paging::mapper::MapToError;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

/// Entries of a root table that belong to the kernel: the upper half. They are filled once, before any other root is
/// made, and every user's root has a copy.
const KERNEL_ENTRIES: Range<usize> = 256..512;

/// Physical address ranges of the image's parts.
#[derive(Clone, Debug)]
pub struct ImageParts {
    /// Code.
    pub text: Range<u64>,
    /// Constants.
    pub rodata: Range<u64>,
    /// Data: everything that changes.
    pub data: Range<u64>,
}

/// The physical ranges of the image's parts, as the linker placed them.
pub fn image_parts() -> ImageParts {
    unsafe extern "C" {
        static text_start: u8;
        static rodata_start: u8;
        static data_start: u8;
        static image_end: u8;
    }
    let physical = |symbol: *const u8| symbol.addr() as u64 - IMAGE_BASE;
    let [text, rodata, data, end] =
        [&raw const text_start, &raw const rodata_start, &raw const data_start, &raw const image_end].map(physical);
    ImageParts { text: text..rodata, rodata: rodata..data, data: data..end }
}

/// The source of page tables for the mapper: kernel memory.
struct Tables<'a>(&'a mut Frames);

// SAFETY: `Frames` hands out each frame once.
unsafe impl FrameAllocator<Size4KiB> for Tables<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = self.0.allocate(1, PAGE_SIZE).ok()?;
        Some(PhysFrame::containing_address(PhysAddr::new(frame)))
    }
}

/// The map under construction.
struct Builder<'a> {
    map: OffsetPageTable<'a>,
    tables: Tables<'a>,
}

impl Builder<'_> {
    /// Maps the virtual addresses `range` to physical addresses from `physical` on.
    fn map<S: PageSize>(&mut self, range: Range<u64>, physical: u64, flags: PageTableFlags) -> Result<(), FramesError>
    where
        for<'a> OffsetPageTable<'a>: Mapper<S>,
    {
        for offset in (0..range.end - range.start).step_by(S::SIZE as usize) {
            let page = Page::<S>::containing_address(VirtAddr::new(range.start + offset));
            let frame = PhysFrame::containing_address(PhysAddr::new(physical + offset));
            // SAFETY: the map is not in use yet; `build` passes the rights that each range needs.
            match unsafe { self.map.map_to(page, frame, flags, &mut self.tables) } {
                // The map is not in use, so no translation of it is cached.
                Ok(flush) => flush.ignore(),
                Err(MapToError::FrameAllocationFailed) => return Err(FramesError::OutOfMemory),
                Err(_) => panic!("the kernel's own ranges overlap at {page:?}"),
            }
        }
        Ok(())
    }
}

/// Builds the kernel's map: direct map, image, and the stacks of `cpus` CPUs. No page is both writable and
/// executable, and the image's code and constants are read-only in the direct map too. Returns the
/// physical address of the root. `nx` states whether the processor can forbid fetches.
///
/// # Safety
/// The direct map of the boot code is in use, and `frames` holds free memory only.
pub unsafe fn build(frames: &mut Frames, memory: &MemoryMap, nx: bool, cpus: usize) -> Result<u64, FramesError> {
    let root = frames.allocate(1, PAGE_SIZE)?;
    // SAFETY: the frame was free, and lies below 1 GiB, which the boot code's direct map covers.
    let root_table = unsafe {
        let table = direct::<PageTable>(root);
        table.write(PageTable::new());
        &mut *table
    };
    // SAFETY: physical address 0 is at `DIRECT_MAP`, now and in the new map.
    let map = unsafe { OffsetPageTable::new(root_table, VirtAddr::new(DIRECT_MAP)) };
    let mut builder = Builder { map, tables: Tables(frames) };

    let read = PageTableFlags::PRESENT;
    let never_run = if nx { PageTableFlags::NO_EXECUTE } else { PageTableFlags::empty() };
    let constant = read | never_run;
    let data = read | PageTableFlags::WRITABLE | never_run;
    let device = data | PageTableFlags::NO_CACHE | PageTableFlags::WRITE_THROUGH;

    let parts = image_parts();
    for (range, flags) in [(parts.text.clone(), read), (parts.rodata.clone(), constant), (parts.data.clone(), data)] {
        builder.map::<Size4KiB>(IMAGE_BASE + range.start..IMAGE_BASE + range.end, range.start, flags)?;
    }

    let protected = parts.text.start..parts.rodata.end;
    for start in (0..DIRECT_MAP_SIZE).step_by(REGION_SIZE as usize) {
        let region = start..start + REGION_SIZE;
        if region.end <= protected.start || protected.end <= region.start {
            let flags = if memory.is_memory(region.clone()) { data } else { device };
            builder.map::<Size2MiB>(DIRECT_MAP + region.start..DIRECT_MAP + region.end, start, flags)?;
        } else {
            for page in region.step_by(PAGE_SIZE as usize) {
                let flags = if protected.contains(&page) { constant } else { data };
                builder.map::<Size4KiB>(DIRECT_MAP + page..DIRECT_MAP + page + PAGE_SIZE, page, flags)?;
            }
        }
    }

    for cpu in 0..cpus {
        for stack in Stack::ALL {
            let memory = builder.tables.0.allocate(stack.bytes() / PAGE_SIZE, PAGE_SIZE)?;
            builder.map::<Size4KiB>(stack.range(cpu), memory, data)?;
        }
    }
    Ok(root)
}

/// Makes `count` empty users' spaces. Their upper half is copied from the map at `kernel_root`.
pub fn user_spaces(frames: &mut Frames, kernel_root: u64, count: u64) -> Result<Spaces, FramesError> {
    let bytes = Spaces::frames(count) * PAGE_SIZE;
    let base = frames.allocate(Spaces::frames(count), PAGE_SIZE)?;
    // SAFETY: the frames were free and are in the direct map.
    unsafe { direct::<u8>(base).write_bytes(0, bytes as usize) };
    let spaces = Spaces::at(base, count);
    for index in 0..count {
        let (Some(root), Some(pointers)) = (spaces.root(index), spaces.pointer_table(index)) else {
            continue;
        };
        // SAFETY: the tables lie in the frames allocated above; the kernel's root is a live table.
        unsafe {
            direct::<u64>(root).write(pointers | entry::TABLE);
            for gib in DIRECTORY_GIBS {
                if let Some(directory) = spaces.directory(index, gib) {
                    direct::<u64>(pointers).add(gib as usize).write(directory | entry::TABLE);
                }
            }
            let half = KERNEL_ENTRIES.start;
            direct::<u64>(root)
                .add(half)
                .copy_from_nonoverlapping(direct::<u64>(kernel_root).add(half), KERNEL_ENTRIES.len());
        }
    }
    Ok(spaces)
}

/// Sets the page-directory entry of space `index` for `region`; `None` if there is no such entry.
///
/// # Safety
/// `value` is 0, or a frame that holds a page table, with [`entry::TABLE`]. An entry that was present in a map that a
/// CPU uses does not change.
#[inline(always)]
pub unsafe fn set_directory_entry(spaces: &Spaces, index: u64, region: u64, value: u64) -> Option<()> {
    let at = spaces.directory_entry(index, region)?;
    // SAFETY: `at` lies in the frames of the spaces; the caller ensures the condition on the value.
    unsafe { direct::<u64>(at).write_volatile(value) };
    Some(())
}

/// Sets entry `index` of the page table in the frame at physical address `table`.
///
/// # Safety
/// `table` is a frame of memory that holds a page table; `value` is 0, or the result of `storage::page_entry::page` for
/// a user's frame; and nothing relies on a translation by the old value.
#[inline(always)]
pub unsafe fn set_page_table_entry(table: u64, index: u64, value: u64) -> Option<()> {
    let at = table_entry(table, index)?;
    // SAFETY: the caller ensures the conditions on the table and the value.
    unsafe { direct::<u64>(at).write_volatile(value) };
    Some(())
}
