//! Tests of ELF files written by hand, well-formed and malformed.
extern crate std;
use super::executable::{HEADER, PROGRAM_HEADER, PT_LOAD, Part, executable};
use super::{Malformed, Page, ParsedImage, SEGMENTS};
use abi::{ADR_HIGH, ADR_LOW, PAGE_SIZE};
use proptest::prelude::*;
use std::vec::Vec;

const PT_NOTE: u32 = 4;
const R: u32 = 4;
const RW: u32 = 6;
const RX: u32 = 5;
const RWX: u32 = 7;

const LOW: u64 = ADR_LOW as u64;
const PAGE: u64 = PAGE_SIZE as u64;

/// The result of parsing these program headers, with the entry point at the beginning of the window.
fn parse(parts: &[Part]) -> Result<ParsedImage, Malformed> {
    ParsedImage::parse(&executable(LOW, parts))
}

#[test]
fn pages_have_the_bytes_of_their_segment() {
    let image = parse(&[
        (PT_LOAD, R, LOW, PAGE + 10, PAGE + 10),
        (PT_NOTE, R, 0, 0, 0),
        (PT_LOAD, RW, LOW + 3 * PAGE + 100, 20, 2 * PAGE),
        (PT_LOAD, RW, 7, 0, 0),
    ])
    .unwrap();
    let data = HEADER + 4 * PROGRAM_HEADER;
    let page = |address: u64, writable, file, offset| Some(Page { address: address as u32, writable, file, offset });
    assert_eq!(image.entry(), ADR_LOW);
    assert_eq!(image.pages(), 5);
    assert_eq!(image.page(0), page(LOW, false, data..data + 4096, 0));
    assert_eq!(image.page(1), page(LOW + PAGE, false, data + 4096..data + 4106, 0));
    assert_eq!(image.page(2), page(LOW + 3 * PAGE, true, data + 4106..data + 4126, 100));
    assert_eq!(image.page(3), page(LOW + 4 * PAGE, true, 0..0, 0));
    assert_eq!(image.page(4), page(LOW + 5 * PAGE, true, 0..0, 0));
    assert_eq!(image.page(5), None);
    // Five pages and their page table.
    assert_eq!(image.frames(), 6);
}

#[test]
fn frames_count_each_page_table_once() {
    let region = 512 * PAGE;
    let across = parse(&[(PT_LOAD, RW, LOW, 0, 2 * region + 1)]).unwrap();
    assert_eq!(across.frames(), 1025 + 3);
    assert!(!across.has_room_for_arguments());
    let neighbours = parse(&[(PT_LOAD, R, LOW, 1, 1), (PT_LOAD, RW, LOW + region - PAGE, 0, 2 * PAGE)]).unwrap();
    assert_eq!(neighbours.frames(), 3 + 2);
    let apart = parse(&[(PT_LOAD, R, LOW, 1, 1), (PT_LOAD, RW, u64::from(ADR_HIGH) - 2 * PAGE, 0, 2 * PAGE)]).unwrap();
    assert_eq!(apart.frames(), 3 + 2);
    assert!(apart.has_room_for_arguments() && !neighbours.has_room_for_arguments());
}

/// The file as a big-endian one: its header declares the other byte order and has its numbers in it.
fn big_endian(mut file: Vec<u8>) -> Vec<u8> {
    file[5] = 2;
    for (at, size) in
        [(16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (40, 8), (48, 4), (52, 2), (54, 2), (56, 2), (58, 2)]
    {
        file[at..at + size].reverse();
    }
    file
}

#[test]
fn what_is_wrong_is_named() {
    let text = (PT_LOAD, R, LOW, 4, 4);
    let good = executable(LOW, &[text]);
    assert!(ParsedImage::parse(&good).is_ok());
    let changed = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        ParsedImage::parse(&file)
    };
    assert_eq!(ParsedImage::parse(b""), Err(Malformed::NotElf));
    assert_eq!(ParsedImage::parse(&good[..HEADER - 1]), Err(Malformed::NotElf));
    assert_eq!(changed(0, 0), Err(Malformed::NotElf));
    assert!(changed(4, 1).is_err(), "32 bits: its headers lie elsewhere");
    assert_eq!(changed(18, 3), Err(Malformed::WrongMachine), "i386");
    assert_eq!(ParsedImage::parse(&big_endian(good.clone())), Err(Malformed::WrongMachine), "the header says x86-64");
    assert_eq!(changed(16, 3), Err(Malformed::NotStatic), "position-independent");
    assert_eq!(changed(HEADER, 2), Err(Malformed::NotStatic), "PT_DYNAMIC");
    assert_eq!(changed(HEADER, 3), Err(Malformed::NotStatic), "PT_INTERP");
    assert_eq!(changed(HEADER, 4), Err(Malformed::SegmentCount), "no segment");
    assert_eq!(parse(&[]), Err(Malformed::SegmentCount));
    let many: Vec<Part> = (0..=SEGMENTS as u64).map(|k| (PT_LOAD, R, LOW + k * PAGE, 0, 1)).collect();
    assert!(parse(&many[..SEGMENTS]).is_ok());
    assert_eq!(parse(&many), Err(Malformed::SegmentCount));
    assert_eq!(parse(&[(PT_LOAD, R, LOW, 5, 4)]), Err(Malformed::SegmentFile));
    assert!(parse(&[(PT_LOAD, RX, LOW, 4, 4)]).is_ok());
    for rights in [RWX, RWX & !R] {
        assert_eq!(parse(&[text, (PT_LOAD, rights, LOW + PAGE, 4, 4)]), Err(Malformed::SegmentRights));
    }
    assert_eq!(ParsedImage::parse(&good[..good.len() - 1]), Err(Malformed::SegmentFile));
    let high = u64::from(ADR_HIGH);
    assert!(parse(&[text, (PT_LOAD, R, high - 1, 0, 1)]).is_ok());
    for address in [0, LOW - 1, high, high - 3, u64::MAX] {
        assert_eq!(parse(&[text, (PT_LOAD, R, address, 0, 4)]), Err(Malformed::SegmentAddress), "{address:#x}");
    }
    let overlap = parse(&[(PT_LOAD, RW, LOW + 5, 0, 1), (PT_LOAD, R, LOW, 4, 4)]);
    assert_eq!(overlap, Err(Malformed::SegmentOverlap), "a common page");
    assert_eq!(ParsedImage::parse(&executable(LOW + 4, &[text])), Err(Malformed::Entry));
    assert_eq!(ParsedImage::parse(&executable(LOW + (1 << 32), &[text])), Err(Malformed::Entry));
}

/// The properties of every file that parses.
fn is_sound(file: &[u8]) -> Result<(), TestCaseError> {
    let Ok(image) = ParsedImage::parse(file) else { return Ok(()) };
    let mut before = None;
    // For a large image, the first and the last pages are enough.
    let pages = image.pages();
    for index in (0..pages.min(64)).chain(pages.saturating_sub(64).max(64)..pages) {
        let page = image.page(index).expect("an index below the number of pages");
        prop_assert!(page.address % PAGE_SIZE == 0 && (ADR_LOW..ADR_HIGH).contains(&page.address));
        prop_assert!(before < Some(page.address));
        prop_assert!(page.file.end <= file.len() && page.offset + page.file.len() <= PAGE_SIZE as usize);
        before = Some(page.address);
    }
    prop_assert_eq!(image.page(pages), None);
    prop_assert!(image.frames() > pages);
    Ok(())
}

fn part() -> impl Strategy<Value = Part> {
    let near = |at: u64| (at.saturating_sub(9000))..(at + 9000);
    let address = prop_oneof![near(LOW), near(u64::from(ADR_HIGH)), any::<u64>()];
    let size = prop_oneof![0..20_000u64, any::<u64>()];
    (prop_oneof![Just(PT_LOAD), 0..8u32], 0..8u32, address, 0..64u64, size)
}

proptest! {
    #[test]
    fn any_bytes_parse_or_do_not(file in prop::collection::vec(any::<u8>(), 0..300)) {
        is_sound(&file)?;
    }

    #[test]
    fn any_segments_parse_or_do_not(entry in 0..9000u64, parts in prop::collection::vec(part(), 0..10)) {
        is_sound(&executable(LOW + entry, &parts))?;
    }

    #[test]
    fn a_damaged_file_parses_or_does_not(
        damage in prop::collection::vec((0usize..400, any::<u8>()), 1..6),
        cut in 0usize..400,
    ) {
        let mut file = executable(LOW, &[(PT_LOAD, R, LOW, 100, 5000), (PT_LOAD, RW, LOW + 2 * PAGE, 50, 9000)]);
        for (at, byte) in damage {
            let length = file.len();
            file[at % length] = byte;
        }
        file.truncate(file.len().max(cut) - file.len().min(cut));
        is_sound(&file)?;
    }
}
