//! ELF files of programs: the contents of a boot archive's file, checked.
//!
//! A file that parses can be loaded: its segments lie in the user window, none shares a page with another, and its
//! entry point is in one of them.
use abi::arguments::ARGUMENTS;
use abi::{ADR_HIGH, ADR_LOW, PAGE_SIZE};
use core::fmt;
use core::ops::Range;
use elf::ElfBytes;
use elf::abi::{ELFOSABI_NONE, EM_X86_64, ET_EXEC, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_TLS};
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;
use layer::core::geometry::{Geometry, X64};

/// Maximum number of loadable segments of an image.
pub const SEGMENTS: usize = 8;

/// Pages that one page table covers.
const ENTRIES: u32 = X64::ENTRIES;

/// The reasons for which a file is not a program. All are faults of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Not an ELF file, or its headers lie outside it.
    NotElf,
    /// Not a 64-bit, little-endian x86-64 file.
    WrongMachine,
    /// Not a static executable with fixed addresses.
    NotStatic,
    /// More than [`SEGMENTS`] segments, or none.
    SegmentCount,
    /// A segment's bytes lie outside the file, or there are more of them than the segment has in memory.
    SegmentFile,
    /// A segment reaches out of the user window.
    SegmentAddress,
    /// A segment is both writable and executable, which no page can be.
    SegmentRights,
    /// Two segments share a page.
    SegmentOverlap,
    /// The entry point is in no segment.
    Entry,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Malformed::NotElf => "not an ELF file",
            Malformed::WrongMachine => "not an ELF file for x86-64",
            Malformed::NotStatic => "not a static executable",
            Malformed::SegmentCount => "no segment, or too many segments to load",
            Malformed::SegmentFile => "a segment whose bytes are not in the file",
            Malformed::SegmentAddress => "a segment outside the user window",
            Malformed::SegmentRights => "a segment that is both writable and executable",
            Malformed::SegmentOverlap => "two segments on one page",
            Malformed::Entry => "an entry point outside every segment",
        })
    }
}

impl core::error::Error for Malformed {}

/// A part of a program's initial address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Address of its first byte.
    pub address: u32,
    /// Bytes in memory; not 0, and `address + size` is in the window.
    pub size: u32,
    /// Position of its initial bytes in the file; at most `size`. All further bytes are 0.
    pub file: FileRange,
    /// Whether the program may write to it; otherwise it may execute it.
    pub writable: bool,
}

/// A range of bytes of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// Offset of the first byte.
    pub start: usize,
    /// Number of bytes.
    pub length: u32,
}

/// A page of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its address, a multiple of the page size.
    pub address: u32,
    /// Whether the program may write to it.
    pub writable: bool,
    /// The page's bytes in the file.
    pub file: Range<usize>,
    /// The offset of these bytes in the page; all other bytes are 0.
    pub offset: usize,
}

/// The checked contents of a program's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParsedImage {
    entry: u32,
    segments: [Option<Segment>; SEGMENTS],
}

impl ParsedImage {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(file: &[u8]) -> Result<Self, Malformed> {
        let elf = ElfBytes::<AnyEndian>::minimal_parse(file).map_err(|_| Malformed::NotElf)?;
        let header = &elf.ehdr;
        if header.class != Class::ELF64
            || header.endianness != AnyEndian::Little
            || header.e_machine != EM_X86_64
            || header.osabi != ELFOSABI_NONE
        {
            return Err(Malformed::WrongMachine);
        }
        if header.e_type != ET_EXEC {
            return Err(Malformed::NotStatic);
        }
        let mut segments = [None; SEGMENTS];
        let mut count = 0;
        for header in elf.segments().ok_or(Malformed::SegmentCount)? {
            match header.p_type {
                PT_LOAD if header.p_memsz > 0 => {
                    *segments.get_mut(count).ok_or(Malformed::SegmentCount)? = Some(segment(&header, file.len())?);
                    count += 1;
                }
                PT_INTERP | PT_DYNAMIC | PT_TLS => return Err(Malformed::NotStatic),
                _ => {}
            }
        }
        if count == 0 {
            return Err(Malformed::SegmentCount);
        }
        segments.sort_unstable_by_key(|segment| segment.map_or(u32::MAX, |segment| segment.address));
        let neighbours = segments.iter().flatten().zip(segments.iter().flatten().skip(1));
        if neighbours.into_iter().any(|(low, high)| low.pages().end > high.pages().start) {
            return Err(Malformed::SegmentOverlap);
        }
        let entry = u32::try_from(header.e_entry).map_err(|_| Malformed::Entry)?;
        if !segments.iter().flatten().any(|segment| segment.bytes().contains(&entry)) {
            return Err(Malformed::Entry);
        }
        Ok(ParsedImage { entry, segments })
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// The segments, by address.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().flatten()
    }

    /// The number of pages of all segments.
    fn pages(&self) -> u32 {
        self.segments().map(|segment| segment.pages().len() as u32).sum()
    }

    /// Page `index`, counted over the pages of all segments in the order of addresses.
    pub fn page(&self, index: u32) -> Option<Page> {
        let mut rest = index;
        for segment in self.segments() {
            let pages = segment.pages();
            if rest < pages.len() as u32 {
                return Some(segment.page(pages.start + rest));
            }
            rest -= pages.len() as u32;
        }
        None
    }

    /// Whether no page of the image is at the address of a program's arguments.
    pub fn has_room_for_arguments(&self) -> bool {
        self.segments().all(|segment| !segment.pages().contains(&(ARGUMENTS / PAGE_SIZE)))
    }

    /// Frames that loading needs: one for each page, and one for each page table, of which there is
    /// one per 2 MiB.
    pub fn frames(&self) -> u32 {
        let (mut frames, mut next_region) = (self.pages(), 0);
        for pages in self.segments().map(Segment::pages) {
            let regions = pages.start / ENTRIES..pages.end.div_ceil(ENTRIES);
            frames += (regions.start.max(next_region)..regions.end).len() as u32;
            next_region = regions.end;
        }
        frames
    }
}

/// Checks one segment of a file of `length` bytes.
fn segment(header: &ProgramHeader, length: usize) -> Result<Segment, Malformed> {
    let window = u64::from(ADR_LOW)..=u64::from(ADR_HIGH);
    let end = header.p_vaddr.checked_add(header.p_memsz).ok_or(Malformed::SegmentAddress)?;
    if !window.contains(&header.p_vaddr) || !window.contains(&end) {
        return Err(Malformed::SegmentAddress);
    }
    if header.p_flags & (PF_W | PF_X) == PF_W | PF_X {
        return Err(Malformed::SegmentRights);
    }
    let file_end = header.p_offset.checked_add(header.p_filesz).ok_or(Malformed::SegmentFile)?;
    if header.p_filesz > header.p_memsz || file_end > length as u64 {
        return Err(Malformed::SegmentFile);
    }
    Ok(Segment {
        address: header.p_vaddr as u32,
        size: header.p_memsz as u32,
        file: FileRange { start: header.p_offset as usize, length: header.p_filesz as u32 },
        writable: header.p_flags & PF_W != 0,
    })
}

impl Segment {
    /// Its addresses.
    pub fn bytes(&self) -> Range<u32> {
        self.address..self.address + self.size
    }

    /// Its pages, by number: address divided by page size.
    pub fn pages(&self) -> Range<u32> {
        let bytes = self.bytes();
        bytes.start / PAGE_SIZE..bytes.end.div_ceil(PAGE_SIZE)
    }

    /// The segment's page with this number.
    fn page(&self, number: u32) -> Page {
        let address = number * PAGE_SIZE;
        // The file's part of the segment, cut to the page. It is empty if the file's part ends before the page begins.
        let start = address.max(self.address);
        let end = (address + PAGE_SIZE).min(self.address + self.file.length).max(start);
        let in_file = |va: u32| self.file.start + (va - self.address) as usize;
        let file = if start == end { 0..0 } else { in_file(start)..in_file(end) };
        Page { address, writable: self.writable, file, offset: (start - address) as usize }
    }
}

#[cfg(test)]
mod executable;
#[cfg(test)]
mod tests;
