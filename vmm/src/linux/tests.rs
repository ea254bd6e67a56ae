//! The offsets are those of the kernel's document, written as numbers.
extern crate std;
use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// A bzImage with boot protocol 2.15, one sector of set-up code, and four bytes of code.
fn kernel() -> Vec<u8> {
    let mut file = vec![0u8; 0x400];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1F1, &[1]);
    put(0x1FE, &[0x55, 0xAA, 0xEB, 0x6A]);
    put(0x202, b"HdrS");
    put(0x206, &[0x0F, 0x02]);
    put(0x210, &[0, 1]);
    put(0x214, &0x10_0000u32.to_le_bytes());
    put(0x22C, &0x37FF_FFFFu32.to_le_bytes());
    put(0x238, &2047u32.to_le_bytes());
    put(0x264, &[0xAB; 16]);
    file.extend([0xFC, 0xFA, 1, 2]);
    file
}

const MEMORY: u32 = 40 << 20;

fn boot(memory: &[Memory]) -> Boot<'_> {
    Boot { memory, command_line: 0x2_0000..0x2_0010, ramdisk: Some(0x200_0000..0x200_1234) }
}

#[test]
fn the_header_is_read() {
    let file = kernel();
    let header = Header::parse(&file).unwrap();
    assert_eq!(header.code(), [0xFC, 0xFA, 1, 2]);
    let numbers = (header.code_start(), header.command_line_limit(), header.ramdisk_last());
    assert_eq!(numbers, (0x10_0000, 2047, 0x37FF_FFFF));
}

#[test]
fn the_zero_page_says_what_the_machine_has() {
    let file = kernel();
    let header = Header::parse(&file).unwrap();
    let mut page = [0xEE; ZERO_PAGE];
    boot(&pc_memory(MEMORY)).zero_page(&header, &mut page).unwrap();
    let word = |offset: usize| u32::from_le_bytes(page[offset..offset + 4].try_into().unwrap());
    let wide = |offset: usize| u64::from_le_bytes(page[offset..offset + 8].try_into().unwrap());
    assert_eq!((page[0x210], page[0x211]), (0xFF, 1), "type_of_loader, loadflags");
    assert_eq!(&page[0x202..0x208], b"HdrS\x0F\x02");
    assert_eq!((word(0x218), word(0x21C), word(0x228)), (0x200_0000, 0x1234, 0x2_0000), "RAM disk, command line");
    assert_eq!(page[0x1E8], 3);
    let entries: Vec<_> = (0..3).map(|k| 0x2D0 + 20 * k).map(|at| (wide(at), wide(at + 8), word(at + 16))).collect();
    assert_eq!(entries, [(0, 0x9_FC00, 1), (0x9_FC00, 0x6_0400, 2), (0x10_0000, 39 << 20, 1)]);
    // The header ends at 0x202 + 0x6A; all else is 0.
    assert_eq!(page[0x264..0x26C], [0xAB; 8]);
    let zero = [0..0x1E8, 0x1E9..0x1F1, 0x26C..0x2D0, 0x2D0 + 60..ZERO_PAGE];
    assert!(zero.into_iter().all(|range| page[range].iter().all(|byte| *byte == 0)));
}

#[test]
fn a_guest_may_have_no_ram_disk() {
    let file = kernel();
    let mut page = [0xEE; ZERO_PAGE];
    let memory = pc_memory(MEMORY);
    let boot = Boot { ramdisk: None, ..boot(&memory) };
    boot.zero_page(&Header::parse(&file).unwrap(), &mut page).unwrap();
    assert_eq!(page[0x218..0x220], [0; 8]);
}

#[test]
fn bad_kernels_are_named() {
    let changed = |at: usize, byte: u8| {
        let mut file = kernel();
        file[at] = byte;
        Header::parse(&file).err()
    };
    assert_eq!(Header::parse(b"").err(), Some(Malformed::NotLinux));
    assert_eq!(changed(0x1FE, 0), Some(Malformed::NotLinux));
    assert_eq!(changed(0x205, b's'), Some(Malformed::NotLinux));
    assert_eq!((changed(0x206, 6), changed(0x206, 5)), (None, Some(Malformed::TooOld(0x205))));
    assert_eq!(changed(0x211, 0), Some(Malformed::NotHigh));
    assert_eq!(changed(0x201, 0x3A), None);
    assert_eq!(changed(0x201, 0x39), Some(Malformed::CutOff), "the command line's size is not in the header");
    assert_eq!(changed(0x201, 0x8E), None);
    assert_eq!(changed(0x201, 0x8F), Some(Malformed::CutOff), "the header is longer than its place");
    assert_eq!(changed(0x1F1, 0), Some(Malformed::CutOff), "four sectors");
    assert_eq!(Header::parse(&kernel()[..0x400]).err(), Some(Malformed::CutOff), "no code");
    let text = "a kernel with boot protocol 2.05, which is older than 2.06";
    assert_eq!(Malformed::TooOld(0x205).to_string(), text);
}

#[test]
fn bad_machines_are_refused() {
    let file = kernel();
    let header = Header::parse(&file).unwrap();
    let memory = pc_memory(MEMORY);
    let start = |boot: Boot<'_>| {
        let mut page = [0xEE; ZERO_PAGE];
        let result = boot.zero_page(&header, &mut page);
        assert!(result.is_ok() || page == [0xEE; ZERO_PAGE]);
        result
    };
    let line = |command_line| start(Boot { command_line, ..boot(&memory) });
    let disk = |ramdisk| start(Boot { ramdisk: Some(ramdisk), ..boot(&memory) });
    assert_eq!(line(0x2_0000..0x2_0000 + 2047), Ok(()));
    assert_eq!(line(0x2_0000..0x2_0000 + 2048), Err(Refused::CommandLineTooLong(2047)));
    assert_eq!(line(0..5), Ok(()));
    assert_eq!(line(0x9_F800..0x9_FBFF), Ok(()));
    assert_eq!(line(0x9_F800..0x9_FC00), Err(Refused::CommandLineOutside), "no room for the 0");
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    let reversed = 0x2_0010..0x2_0000;
    assert_eq!(line(reversed.clone()), Err(Refused::CommandLineOutside));
    assert_eq!(disk(reversed), Err(Refused::RamdiskOutside));
    assert_eq!((disk(0x10_0000..MEMORY), disk(0x200_0000..0x200_0000)), (Ok(()), Ok(())));
    assert_eq!(disk(0x200_0000..MEMORY + 1), Err(Refused::RamdiskOutside));
    assert_eq!(disk(0x9_0000..0x11_0000), Err(Refused::RamdiskOutside), "across reserved memory");
    let large = pc_memory(1 << 30);
    let high = |end| start(Boot { ramdisk: Some(0x3000_0000..end), ..boot(&large) });
    assert_eq!(high(0x3800_0000), Ok(()));
    assert_eq!(high(0x3800_0001), Err(Refused::RamdiskTooHigh(0x37FF_FFFF)));
    let ranges = [memory[0]; 129];
    assert_eq!(start(Boot { ramdisk: None, ..boot(&ranges[..128]) }), Ok(()));
    assert_eq!(start(boot(&ranges)), Err(Refused::TooManyRanges));
}

proptest! {
    #[test]
    fn any_damage_is_refused_or_harmless(
        damage in prop::collection::vec((0x1F0usize..0x270, any::<u8>()), 1..6),
        cut in 0usize..0x410,
    ) {
        let mut file = kernel();
        for (at, byte) in damage {
            file[at] = byte;
        }
        file.truncate(cut.max(0x200));
        if let Ok(header) = Header::parse(&file) {
            let mut page = [0; ZERO_PAGE];
            let _ = boot(&pc_memory(MEMORY)).zero_page(&header, &mut page);
        }
    }
}
