//! The information that a multiboot2 boot loader, such as GRUB, hands over (Multiboot2 specification 2.0, section 3.6).
//! All of it is untrusted input: no code here indexes or overflows.

use super::record::Record;
use super::start_info::{MOST_ENTRIES, StartInfo, StartInfoError, command_line, kind, known};
use crate::mm::memory_map::{MemoryMap, Region};
use core::ops::Range;

/// The value of `eax` when a multiboot2 boot loader starts an image.
pub const MAGIC: u32 = 0x36d7_6289;

/// Bytes before the tags: the size of the information, and a reserved word.
const HEAD_BYTES: u64 = 8;
/// Bytes before a tag's contents: type and size.
const TAG_HEAD_BYTES: usize = 8;
/// Alignment of a tag.
const TAG_ALIGN: usize = 8;
/// The maximum number of bytes of the information: far more than any loader writes.
const MOST_BYTES: u32 = 16 << 20;

/// Types of tags.
const END: u32 = 0;
const COMMAND_LINE: u32 = 1;
const MODULE: u32 = 3;
const MEMORY_MAP: u32 = 6;
const OLD_RSDP: u32 = 14;
const NEW_RSDP: u32 = 15;

/// Bytes of a memory map's tag before its entries, and the least bytes of an entry; later versions may append to an
/// entry.
const MAP_HEAD_BYTES: usize = 16;
const ENTRY_BYTES: usize = 24;

/// A tag: its type, its bytes, and its offset in the information.
struct Tag<'a> {
    kind: u32,
    bytes: Record<'a>,
    at: usize,
}

/// The tag at offset `at` of these bytes.
fn tag(bytes: &[u8], at: usize) -> Option<Tag<'_>> {
    let rest = bytes.get(at..)?;
    let size = Record(rest).u32(4)? as usize;
    let bytes = Record(rest.get(..size).filter(|_| size >= TAG_HEAD_BYTES)?);
    Some(Tag { kind: bytes.u32(0)?, bytes, at })
}

/// Reads the information at physical address `address`; `read` returns the bytes of a physical range. Of several tags
/// of the same type, the first counts.
pub fn parse<'a>(address: u64, read: impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Result<StartInfo<'a>, StartInfoError> {
    let bytes =
        |length: u64| address.checked_add(length).and_then(|end| read(address..end)).ok_or(StartInfoError::Unreadable);
    let size = known(Record(bytes(HEAD_BYTES)?).u32(0))?;
    let all = bytes(Some(size).filter(|&size| size <= MOST_BYTES).ok_or(StartInfoError::Unreadable)?.into())?;

    let (mut map, mut archive, mut line, mut old_rsdp, mut new_rsdp) = (None, None, None, None, None);
    let mut at = HEAD_BYTES as usize;
    loop {
        let tag = known(tag(all, at))?;
        let contents = || address + (tag.at + TAG_HEAD_BYTES) as u64;
        match tag.kind {
            END => break,
            COMMAND_LINE if line.is_none() => {
                line = Some(command_line(known(tag.bytes.0.get(TAG_HEAD_BYTES..))?)?);
            }
            MODULE if archive.is_none() => {
                let (start, end) = (known(tag.bytes.u32(8))?, known(tag.bytes.u32(12))?);
                archive = Some(u64::from(start)..u64::from(end)).filter(|range| range.start <= range.end);
                known(archive.as_ref())?;
            }
            MEMORY_MAP if map.is_none() => map = Some(memory_map(tag.bytes)?),
            OLD_RSDP if old_rsdp.is_none() => old_rsdp = Some(contents()),
            NEW_RSDP if new_rsdp.is_none() => new_rsdp = Some(contents()),
            _ => {}
        }
        // No tag is longer than the information as a whole, which is small enough that nothing
        // overflows.
        at += tag.bytes.0.len().next_multiple_of(TAG_ALIGN);
    }
    let map = map.ok_or(StartInfoError::NoMemoryMap)?;
    Ok(StartInfo { map, archive, rsdp: new_rsdp.or(old_rsdp), command_line: line.unwrap_or("") })
}

/// The memory map in this tag. Its entries may be longer than the part that is read here.
fn memory_map(tag: Record) -> Result<MemoryMap, StartInfoError> {
    let entry_bytes = known(tag.u32(8))? as usize;
    let entries = known(tag.0.get(MAP_HEAD_BYTES..))?;
    if entry_bytes < ENTRY_BYTES || entries.len() % entry_bytes != 0 {
        return Err(StartInfoError::Unreadable);
    }
    if entries.len() / entry_bytes > MOST_ENTRIES as usize {
        return Err(StartInfoError::TooManyRegions);
    }
    let mut map = MemoryMap::default();
    for entry in entries.chunks_exact(entry_bytes).map(Record) {
        let kind = kind(known(entry.u32(16))?);
        map.push(Region::sized(known(entry.u64(0))?, known(entry.u64(8))?, kind))?;
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::record::fuzz::{damaged, read_from};
    use crate::handover::start_info::cases;
    use multiboot2::{
        Builder, CommandLineTag, MaybeDynSized, MemoryArea, MemoryMapTag, ModuleTag, RsdpV1Tag, RsdpV2Tag,
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Address of the information.
    const AT: u64 = 0x9_0000;

    fn parse_bytes(bytes: &[u8]) -> Result<StartInfo<'_>, StartInfoError> {
        parse(AT, read_from(AT, bytes))
    }

    fn built(builder: Builder) -> Vec<u8> {
        (*builder.build()).as_bytes().to_vec()
    }

    fn sample() -> Vec<u8> {
        let areas = [
            MemoryArea::new(0, 0x9f000, 1u32),
            MemoryArea::new(0x10_0000, u64::MAX, 2u32),
            MemoryArea::new(0x8_0000, 0x1000, 3u32),
        ];
        built(
            Builder::new()
                .cmdline(CommandLineTag::new("lock=mcs"))
                .mmap(MemoryMapTag::new(&areas))
                .add_module(ModuleTag::new(0x20_0000, 0x20_1000, "boot.tar"))
                .add_module(ModuleTag::new(0x30_0000, 0x30_1000, "another"))
                .rsdpv1(RsdpV1Tag::new(*b"CAIRN ", 0, 0xf_0000)),
        )
    }

    #[test]
    fn what_grub_says_is_read() {
        let bytes = sample();
        let info = parse_bytes(&bytes).expect("nothing is wrong with it");
        assert_eq!(info.archive, Some(0x20_0000..0x20_1000));
        assert!(info.map.ram().eq([0..0x8_0000, 0x8_1000..0x9_f000]));
        assert_eq!(info.command_line, "lock=mcs");
        let root = info.rsdp.map(|rsdp| &bytes[(rsdp - AT) as usize..][..8]);
        assert_eq!(root, Some(&b"RSD PTR "[..]));
    }

    #[test]
    fn the_newer_root_pointer_is_preferred() {
        let areas = [MemoryArea::new(0, 0x9f000, 1u32)];
        let bytes = built(
            Builder::new()
                .mmap(MemoryMapTag::new(&areas))
                .rsdpv1(RsdpV1Tag::new(*b"CAIRN ", 0, 0xf_0000))
                .rsdpv2(RsdpV2Tag::new(*b"CAIRN ", 2, 0xf_0000, 36, 0xf_1000)),
        );
        let info = parse_bytes(&bytes).expect("nothing is wrong with it");
        let root = info.rsdp.map(|rsdp| bytes[(rsdp - AT) as usize + 15]);
        assert_eq!((root, info.archive), (Some(2), None));
    }

    /// Information with a memory map whose entries have `entry_bytes` bytes; `cut` bytes are cut off the
    /// end of the map.
    fn with_entries(entry_bytes: u32, cut: usize) -> Vec<u8> {
        let mut entries = Vec::new();
        for (start, bytes) in [(0x1000u64, 0x1000u64), (0x10_0000, 0x8000)] {
            let mut entry = [start.to_le_bytes(), bytes.to_le_bytes(), 1u64.to_le_bytes()].concat();
            entry.resize(entry_bytes as usize, 0xEE);
            entries.extend(entry);
        }
        entries.truncate(entries.len() - cut);
        let size = (MAP_HEAD_BYTES + entries.len()) as u32;
        let mut all = [[0; 8].to_vec(), [6, size, entry_bytes, 0].map(u32::to_le_bytes).concat(), entries].concat();
        all.resize(all.len().next_multiple_of(TAG_ALIGN), 0xEE);
        all.extend([0u32, 8].map(u32::to_le_bytes).concat());
        let size = (all.len() as u32).to_le_bytes();
        all[..4].copy_from_slice(&size);
        all
    }

    #[test]
    fn entries_may_be_longer_than_what_is_known_of_them_but_not_cut() {
        for entry_bytes in [24, 25, 28, 31, 32, 40] {
            let bytes = with_entries(entry_bytes, 0);
            let info = parse_bytes(&bytes).expect("nothing is wrong with it");
            assert!(info.map.ram().eq([0x1000..0x2000, 0x10_0000..0x10_8000]), "{entry_bytes}");
            assert_eq!(parse_bytes(&with_entries(entry_bytes, 1)).expect_err("cut"), StartInfoError::Unreadable);
        }
        for entry_bytes in [0, 1, 23] {
            let mut bytes = with_entries(24, 0);
            bytes[16] = entry_bytes;
            assert_eq!(parse_bytes(&bytes).expect_err("too short"), StartInfoError::Unreadable);
        }
    }

    #[test]
    fn a_loader_without_a_memory_map_is_refused() {
        assert_eq!(parse_bytes(&built(Builder::new())).expect_err("no map"), StartInfoError::NoMemoryMap);
    }

    #[test]
    fn a_long_command_line_is_read_or_refused_but_never_cut() {
        let areas = [MemoryArea::new(0, 0x9f000, 1u32)];
        let with = |line: &str| {
            let line = CommandLineTag::new(line);
            let bytes = built(Builder::new().cmdline(line).mmap(MemoryMapTag::new(&areas)));
            parse_bytes(&bytes).map(|info| info.command_line.len())
        };
        cases::long_command_lines_are_read_or_refused(with);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn damaged_information_is_read_or_refused(bytes in damaged(sample())) {
            cases::is_read_or_refused(parse_bytes(&bytes));
        }
    }
}
