//! The kernel that is packed in a bzImage, unpacked: an ELF file for i386.
//!
//! Its segments are loaded to their physical addresses, and it begins at its entry point, which is physical as well,
//! with the state that [`linux`](crate::linux) describes. Nothing in it is decompressed or moved.
use core::fmt;
use core::ops::Range;
use elf::ElfBytes;
use elf::abi::{EM_386, ET_EXEC, PT_LOAD};
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;

/// Why a file is not a kernel that can be loaded. The file is at fault, or the guest has too little memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Not an ELF file, or its headers lie outside it.
    NotElf,
    /// Not an executable for i386.
    WrongMachine,
    /// No segment is to be loaded.
    NoSegment,
    /// A segment's bytes lie outside the file, or there are more of them than the segment has in memory.
    SegmentFile,
    /// A segment lies outside the guest's memory.
    SegmentAddress,
    /// The entry point is in no segment.
    Entry,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Malformed::NotElf => "not an ELF file",
            Malformed::WrongMachine => "not an executable for i386",
            Malformed::NoSegment => "no segment to load",
            Malformed::SegmentFile => "a segment whose bytes are not in the file",
            Malformed::SegmentAddress => "a segment outside the guest's memory",
            Malformed::Entry => "an entry point outside every segment",
        })
    }
}

impl core::error::Error for Malformed {}

/// A part of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// The guest-physical address of its first byte.
    pub address: u32,
    /// Bytes in memory. Those that are not in `bytes` are 0.
    pub size: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
}

/// A kernel whose segments are all in the file and in the guest's memory.
#[derive(Debug)]
pub struct Vmlinux<'a> {
    file: &'a [u8],
    elf: ElfBytes<'a, AnyEndian>,
    entry: u32,
}

impl<'a> Vmlinux<'a> {
    /// Reads a file whose segments have to be in `memory`, a range of guest-physical addresses.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(file: &'a [u8], memory: Range<u32>) -> Result<Vmlinux<'a>, Malformed> {
        let elf = ElfBytes::<AnyEndian>::minimal_parse(file).map_err(|_| Malformed::NotElf)?;
        let header = &elf.ehdr;
        let little = header.endianness == AnyEndian::Little;
        if !little || header.class != Class::ELF32 || header.e_machine != EM_386 || header.e_type != ET_EXEC {
            return Err(Malformed::WrongMachine);
        }
        let entry = u32::try_from(header.e_entry).map_err(|_| Malformed::Entry)?;
        let (mut has_segment, mut has_entry) = (false, false);
        for header in elf.segments().ok_or(Malformed::NoSegment)?.iter().filter(is_loaded) {
            let segment = segment(file, &header)?;
            let end = segment.address.checked_add(segment.size).ok_or(Malformed::SegmentAddress)?;
            if segment.address < memory.start || end > memory.end {
                return Err(Malformed::SegmentAddress);
            }
            has_segment = true;
            has_entry |= (segment.address..end).contains(&entry);
        }
        match (has_segment, has_entry) {
            (false, _) => Err(Malformed::NoSegment),
            (true, false) => Err(Malformed::Entry),
            (true, true) => Ok(Vmlinux { file, elf, entry }),
        }
    }

    /// The guest-physical address of the first instruction.
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// The segments, in the file's order. Where two overlap, the later one counts.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        let headers = self.elf.segments().into_iter().flat_map(|table| table.iter()).filter(is_loaded);
        headers.filter_map(|header| segment(self.file, &header).ok())
    }
}

fn is_loaded(header: &ProgramHeader) -> bool {
    header.p_type == PT_LOAD && header.p_memsz > 0
}

/// The segment of a program header.
fn segment<'a>(file: &'a [u8], header: &ProgramHeader) -> Result<Segment<'a>, Malformed> {
    if header.p_filesz > header.p_memsz {
        return Err(Malformed::SegmentFile);
    }
    let bytes = || {
        let start = usize::try_from(header.p_offset).ok()?;
        file.get(start..start.checked_add(usize::try_from(header.p_filesz).ok()?)?)
    };
    let word = |number| u32::try_from(number).map_err(|_| Malformed::SegmentAddress);
    let bytes = bytes().ok_or(Malformed::SegmentFile)?;
    Ok(Segment { address: word(header.p_paddr)?, size: word(header.p_memsz)?, bytes })
}

#[cfg(test)]
mod tests;
