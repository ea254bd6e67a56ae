//! Adds segments to a program's ELF file.

use object::LittleEndian;
use object::elf::{FileHeader64, PF_R, PF_W, PT_LOAD, ProgramHeader64};
use object::{U32, U64};

type File = FileHeader64<LittleEndian>;
type Header = ProgramHeader64<LittleEndian>;

/// A part of the guest's memory.
pub struct Segment {
    /// The guest-physical address of the first byte, a multiple of the page size.
    pub address: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// An empty part that begins here.
    pub fn new(address: u32) -> Segment {
        Segment { address, bytes: Vec::new() }
    }

    /// Puts bytes at this guest-physical address, which must not lie before the beginning. Bytes between are 0.
    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        let start = (address - self.address) as usize;
        let end = start + bytes.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[start..end].copy_from_slice(bytes);
    }

    /// The address after the last byte.
    pub fn end(&self) -> u32 {
        self.address + self.bytes.len() as u32
    }
}

/// The bytes of `program`, an ELF file that was read before, with further writable segments. The program has the first
/// byte of the guest's memory at the address `base`.
pub fn with_segments(program: &[u8], base: u32, segments: &[Segment]) -> Vec<u8> {
    const PAGE: usize = abi::PAGE_SIZE as usize;
    let (file, _) = object::pod::from_bytes::<File>(program).expect("a linked program");
    let old = file.e_phnum.get(LittleEndian).into();
    let at = file.e_phoff.get(LittleEndian) as usize;
    let (old, _) = object::pod::slice_from_bytes::<Header>(&program[at..], old).expect("a linked program");
    let (mut file, mut headers, mut bytes) = (*file, old.to_vec(), program.to_vec());
    for segment in segments {
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        let word = |value: u64| U64::new(LittleEndian, value);
        let (address, size) = (word((base + segment.address).into()), word(segment.bytes.len() as u64));
        headers.push(Header {
            p_type: U32::new(LittleEndian, PT_LOAD),
            p_flags: U32::new(LittleEndian, PF_R | PF_W),
            p_offset: word(bytes.len() as u64),
            p_vaddr: address,
            p_paddr: address,
            p_filesz: size,
            p_memsz: size,
            p_align: word(PAGE as u64),
        });
        bytes.extend_from_slice(&segment.bytes);
    }
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    file.e_phoff.set(LittleEndian, bytes.len() as u64);
    file.e_phnum.set(LittleEndian, headers.len() as u16);
    bytes.extend_from_slice(object::pod::bytes_of_slice(&headers));
    bytes[..size_of::<File>()].copy_from_slice(object::pod::bytes_of(&file));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::image::ParsedImage;

    #[test]
    fn the_kernel_reads_the_added_segments() {
        let programs = programs::build().expect("the programs build");
        let program = &programs[0].elf;
        let mut segment = Segment::new(0x7000);
        segment.put(0x7010, b"guest");
        assert_eq!((segment.end(), &segment.bytes[14..]), (0x7015, &b"\0\0guest"[..]));
        let elf = with_segments(program, 0x5000_0000, &[segment]);
        let [before, after] = [program, &elf].map(|elf| ParsedImage::parse(elf).expect("a program"));
        let (before, after): (Vec<_>, Vec<_>) = (before.segments().collect(), after.segments().collect());
        assert_eq!(after[..before.len()], before);
        let added = after.last().expect("it was added");
        assert_eq!((added.address, added.size, added.writable), (0x5000_7000, 0x15, true));
        assert_eq!(&elf[added.file.start + 16..][..5], b"guest");
    }
}
