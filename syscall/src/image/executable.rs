//! ELF files written by hand, for the tests of this crate.
extern crate std;
use std::vec;
use std::vec::Vec;

/// A segment to load.
pub const PT_LOAD: u32 = 1;
/// Bytes of an ELF header.
pub const HEADER: usize = 64;
/// Bytes of a program header.
pub const PROGRAM_HEADER: usize = 56;

/// A program header: type, flags, address, bytes in the file, bytes in memory.
pub type Part = (u32, u32, u64, u64, u64);

/// An executable with these program headers. The segments' bytes are 1, 2, 3, … in order, one segment after the other.
pub fn executable(entry: u64, parts: &[Part]) -> Vec<u8> {
    let mut file = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for half in [2u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    for wide in [entry, HEADER as u64, 0] {
        file.extend(wide.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [HEADER as u16, PROGRAM_HEADER as u16, parts.len() as u16, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = (HEADER + PROGRAM_HEADER * parts.len()) as u64;
    for &(kind, flags, address, in_file, in_memory) in parts {
        file.extend(kind.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for wide in [offset, address, address, in_file, in_memory, 1] {
            file.extend(wide.to_le_bytes());
        }
        offset += in_file;
    }
    let bytes = parts.iter().map(|part| part.3).sum::<u64>();
    file.extend((0..bytes).map(|k| (k + 1) as u8));
    file
}
