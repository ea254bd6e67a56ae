//! The tests' numbers are those of the data sheet's tables, not the model's constants.
extern crate std;
use super::*;
use proptest::prelude::*;

/// Wednesday, 1 January 2025, 23:59:08 UTC, by `date`.
const EVENING: u64 = 1_735_775_948;

fn read(cmos: &mut Cmos, index: u8, seconds: u64) -> u8 {
    cmos.select(index);
    cmos.read(seconds)
}

fn write(cmos: &mut Cmos, index: u8, byte: u8, seconds: u64) {
    cmos.select(index);
    cmos.write(byte, seconds);
}

#[test]
fn the_time_has_four_formats() {
    let formats = [
        (0x02, [0x08, 0x59, 0x23, 0x04, 0x01, 0x01, 0x25]),
        (0x00, [0x08, 0x59, 0x91, 0x04, 0x01, 0x01, 0x25]),
        (0x06, [8, 59, 23, 4, 1, 1, 25]),
        (0x04, [8, 59, 0x8B, 4, 1, 1, 25]),
    ];
    let mut cmos = Cmos::default();
    for (format, bytes) in formats {
        write(&mut cmos, 0x0B, format, 0);
        assert_eq!([0, 2, 4, 6, 7, 8, 9].map(|index| read(&mut cmos, index, EVENING)), bytes);
        assert_eq!(read(&mut cmos, 0x32, EVENING), 0x20);
    }
}

#[test]
fn twelve_hours_begin_with_twelve() {
    let mut cmos = Cmos::default();
    let mut hours = |format, hours: [u64; 4]| {
        write(&mut cmos, 0x0B, format, 0);
        hours.map(|hour| read(&mut cmos, 4, hour * 3600))
    };
    assert_eq!(hours(0x00, [0, 11, 12, 13]), [0x12, 0x11, 0x92, 0x81]);
    assert_eq!(hours(0x04, [0, 11, 12, 13]), [12, 11, 0x8C, 0x81]);
}

#[test]
fn registers_have_their_read_only_bits() {
    let mut cmos = Cmos::default();
    assert_eq!([0x0A, 0x0B, 0x0C, 0x0D].map(|index| read(&mut cmos, index, 0)), [0x26, 0x02, 0x00, 0x80]);
    (0x0A..0x0E).for_each(|index| write(&mut cmos, index, 0xFF, 0));
    assert_eq!([0x0A, 0x0B, 0x0C, 0x0D].map(|index| read(&mut cmos, index, 0)), [0x7F, 0xFF, 0x00, 0x80]);
}

#[test]
fn other_bytes_are_memory() {
    let mut cmos = Cmos::default();
    let memory = |index: &u8| ![0, 2, 4, 6, 7, 8, 9, 0x0A, 0x0B, 0x0C, 0x0D, 0x32].contains(index);
    for index in (0..128).filter(memory) {
        assert_eq!(read(&mut cmos, index, 0), 0);
        write(&mut cmos, index | 0x80, index ^ 0x5A, 0);
    }
    for index in (0..128).filter(memory) {
        assert_eq!(read(&mut cmos, index, 0), index ^ 0x5A);
    }
}

#[test]
fn a_held_time_stands_still() {
    let mut cmos = Cmos::default();
    write(&mut cmos, 0x0B, 0x82, EVENING);
    write(&mut cmos, 0x0B, 0x82, EVENING + 5);
    write(&mut cmos, 0, 0x33, EVENING);
    assert_eq!(read(&mut cmos, 0, EVENING + 10), 0x08, "the guest does not set the time");
    write(&mut cmos, 0x0B, 0x02, EVENING + 10);
    assert_eq!(read(&mut cmos, 0, EVENING + 10), 0x18);
}

/// Goes day by day through the years 1970 to 2400, by the rule of leap years.
#[test]
fn every_day_is_the_calendars() {
    let mut days = 0;
    for year in 1970..=2400 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            for day in 1..=length {
                // 1 January 1970 was a Thursday.
                let weekday = ((days + 4) % 7) as u8 + 1;
                let expected = Time { second: 7, minute: 6, hour: 5, weekday, day, month, year };
                assert_eq!(Time::at(days * 86_400 + 5 * 3_600 + 6 * 60 + 7), expected);
                days += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn any_time_can_be_read(seconds in any::<u64>(), format in any::<u8>(), index in any::<u8>()) {
        let mut cmos = Cmos::default();
        write(&mut cmos, 0x0B, format & 0x7F, seconds);
        read(&mut cmos, index, seconds);
    }
}
