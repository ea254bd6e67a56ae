//! ELF files written by hand, well-formed and malformed.
extern crate std;
use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const PT_NOTE: u32 = 4;
const HEADER: usize = 52;
const PROGRAM_HEADER: usize = 32;

/// A program header: type, virtual address, physical address, bytes in the file, bytes in memory.
type Part = (u32, u32, u32, u32, u32);

/// An ELF32 executable for i386. The segments' bytes are 1, 2, 3, … in order.
fn executable(entry: u32, parts: &[Part]) -> Vec<u8> {
    let mut file = std::vec![0x7F, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [2u16, 3].into_iter().for_each(|half| file.extend(half.to_le_bytes()));
    [1, entry, HEADER as u32, 0, 0].into_iter().for_each(|word| file.extend(word.to_le_bytes()));
    let halves = [HEADER, PROGRAM_HEADER, parts.len(), 40, 0, 0];
    halves.into_iter().for_each(|half| file.extend((half as u16).to_le_bytes()));
    let mut offset = (HEADER + PROGRAM_HEADER * parts.len()) as u32;
    for &(kind, linear, physical, in_file, in_memory) in parts {
        let words = [kind, offset, linear, physical, in_file, in_memory, 7, 4096];
        words.into_iter().for_each(|word| file.extend(word.to_le_bytes()));
        offset = offset.wrapping_add(in_file);
    }
    let bytes = parts.iter().map(|part| part.3.min(64)).sum::<u32>();
    file.extend((0..bytes).map(|k| (k + 1) as u8));
    file
}

const TEXT: Part = (PT_LOAD, 0xC100_0000, 0x100_0000, 4, 4);

#[test]
fn segments_are_at_their_physical_addresses() {
    let file = executable(
        0x100_0002,
        &[TEXT, (PT_NOTE, 0, 0, 2, 2), (PT_LOAD, 0xC180_0000, 0x180_0000, 3, 0x1000), (PT_LOAD, 0, 9, 0, 0)],
    );
    let kernel = Vmlinux::parse(&file, 0x10_0000..0x200_0000).unwrap();
    assert_eq!(kernel.entry(), 0x100_0002);
    let segments: Vec<_> = kernel.segments().collect();
    let expected = [
        Segment { address: 0x100_0000, size: 4, bytes: &[1, 2, 3, 4] },
        Segment { address: 0x180_0000, size: 0x1000, bytes: &[7, 8, 9] },
    ];
    assert_eq!(segments, expected);
}

#[test]
fn what_is_wrong_is_named() {
    let parse = |file: &[u8]| Vmlinux::parse(file, 0x10_0000..0x200_0000).map(|_| ());
    let with = |entry, part| parse(&executable(entry, &[part]));
    let good = executable(0x100_0000, &[TEXT]);
    let changed = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        parse(&file)
    };
    assert_eq!(parse(&good), Ok(()));
    assert_eq!(parse(&good[..51]), Err(Malformed::NotElf));
    assert_eq!(changed(1, b'e'), Err(Malformed::NotElf));
    assert!(changed(4, 2).is_err(), "64 bits: its headers lie elsewhere");
    assert_eq!(changed(16, 3), Err(Malformed::WrongMachine), "position-independent");
    assert_eq!(changed(18, 62), Err(Malformed::WrongMachine), "x86-64");
    assert_eq!(parse(&executable(0x100_0000, &[])), Err(Malformed::NoSegment));
    assert_eq!(changed(HEADER, 4), Err(Malformed::NoSegment));
    assert_eq!(parse(&good[..good.len() - 1]), Err(Malformed::SegmentFile));
    assert_eq!(with(0x100_0000, (PT_LOAD, 0, 0x100_0000, 4, 3)), Err(Malformed::SegmentFile));
    assert_eq!(with(0x100_0000, (PT_LOAD, 0, 0x100_0000, u32::MAX, u32::MAX)), Err(Malformed::SegmentFile));
    for address in [0, 0xF_FFFF, 0x200_0000 - 3, 0x200_0000, u32::MAX - 3, u32::MAX] {
        assert_eq!(with(address, (PT_LOAD, 0, address, 0, 4)), Err(Malformed::SegmentAddress), "{address:#x}");
    }
    for address in [0x10_0000, 0x200_0000 - 4] {
        assert_eq!(with(address + 3, (PT_LOAD, 0, address, 0, 4)), Ok(()));
    }
    assert_eq!(with(0x100_0004, TEXT), Err(Malformed::Entry));
    assert_eq!(with(0xC100_0000, TEXT), Err(Malformed::Entry), "a linear address");
}

proptest! {
    #[test]
    fn any_damage_is_refused_or_harmless(
        damage in prop::collection::vec((0usize..150, any::<u8>()), 1..6),
        cut in 0usize..200,
    ) {
        let mut file = executable(0x100_0000, &[TEXT, (PT_LOAD, 0, 0x110_0000, 20, 5000)]);
        for (at, byte) in damage {
            let length = file.len();
            file[at % length] = byte;
        }
        file.truncate(file.len() - cut.min(file.len()) / 8);
        if let Ok(kernel) = Vmlinux::parse(&file, 0x10_0000..0x200_0000) {
            let mut holds = false;
            for segment in kernel.segments() {
                prop_assert!(segment.address >= 0x10_0000 && segment.address + segment.size <= 0x200_0000);
                prop_assert!(segment.bytes.len() <= segment.size as usize);
                holds |= (segment.address..segment.address + segment.size).contains(&kernel.entry());
            }
            prop_assert!(holds);
        }
    }
}
