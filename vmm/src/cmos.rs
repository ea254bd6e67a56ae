//! The clock and memory of a PC: a Motorola MC146818A with 128 bytes.
//!
//! Modelled from the data sheet "MC146818A Real-Time Clock plus RAM": the time in binary or BCD, with 12 or 24 hours,
//! registers A to D, and memory in the other bytes. The century is at 0x32 in BCD, as on PCs. Port 0x70 selects a byte,
//! and port 0x71 reads and writes it.
//!
//! The time is an argument, in seconds since 1970 (UTC). It is the host's: what a guest writes to the bytes of the time
//! is ignored. While the guest holds the update (SET), the time that it reads stands still.
//!
//! Not modelled: alarm, periodic and update interrupts, the square wave, and daylight saving. Updates take no time, so
//! no update is ever in progress.

const REGISTER_A: u8 = 0x0A;
const REGISTER_B: u8 = 0x0B;
const REGISTER_C: u8 = 0x0C;
const REGISTER_D: u8 = 0x0D;
const CENTURY: u8 = 0x32;

/// Register A: an update is in progress.
const UPDATING: u8 = 1 << 7;
/// Register A after reset: a crystal of 32,768 Hz, and a rate of 1,024 Hz.
const RATES: u8 = 0x26;
/// Register B: the guest is setting the time.
const SET: u8 = 1 << 7;
/// Register B: numbers are binary.
const BINARY: u8 = 1 << 2;
/// Register B: hours are 0 to 23.
const HOURS_24: u8 = 1 << 1;
/// Register D: time and memory are valid.
const VALID: u8 = 1 << 7;
/// Hours in the 12-hour format: afternoon.
const AFTERNOON: u8 = 1 << 7;

/// The clock and its memory.
#[derive(Clone, Debug)]
pub struct Cmos {
    index: u8,
    /// All bytes but those of the time and registers C and D.
    bytes: [u8; 128],
    /// The time at which the guest began to hold the update.
    held: Option<u64>,
}

impl Default for Cmos {
    /// A clock as PC firmware leaves it: BCD and 24 hours. All memory is 0.
    fn default() -> Cmos {
        let mut bytes = [0; 128];
        bytes[usize::from(REGISTER_A)] = RATES;
        bytes[usize::from(REGISTER_B)] = HOURS_24;
        Cmos { index: REGISTER_D, bytes, held: None }
    }
}

impl Cmos {
    /// Selects a byte (port 0x70). Bit 7 masks the NMI of a PC, and does not count.
    pub fn select(&mut self, index: u8) {
        self.index = index & 0x7F;
    }

    /// Reads the selected byte (port 0x71) at a time, in seconds since 1970.
    pub fn read(&self, seconds: u64) -> u8 {
        let time = Time::at(self.held.unwrap_or(seconds));
        match self.index {
            0 => self.encode(time.second),
            2 => self.encode(time.minute),
            4 => self.encode_hour(time.hour),
            6 => self.encode(time.weekday),
            7 => self.encode(time.day),
            8 => self.encode(time.month),
            9 => self.encode((time.year % 100) as u8),
            CENTURY => bcd((time.year / 100 % 100) as u8),
            REGISTER_C => 0,
            REGISTER_D => VALID,
            index => self.bytes[usize::from(index)],
        }
    }

    /// Writes the selected byte at a time, in seconds since 1970.
    pub fn write(&mut self, byte: u8, seconds: u64) {
        match self.index {
            0 | 2 | 4 | 6..=9 | CENTURY | REGISTER_C | REGISTER_D => return,
            REGISTER_B if byte & SET == 0 => self.held = None,
            REGISTER_B => self.held = self.held.or(Some(seconds)),
            _ => {}
        }
        let read_only = if self.index == REGISTER_A { UPDATING } else { 0 };
        self.bytes[usize::from(self.index)] = byte & !read_only;
    }

    fn has(&self, bit: u8) -> bool {
        self.bytes[usize::from(REGISTER_B)] & bit != 0
    }

    fn encode(&self, number: u8) -> u8 {
        if self.has(BINARY) { number } else { bcd(number) }
    }

    fn encode_hour(&self, hour: u8) -> u8 {
        if self.has(HOURS_24) {
            return self.encode(hour);
        }
        self.encode((hour + 11) % 12 + 1) | if hour < 12 { 0 } else { AFTERNOON }
    }
}

/// Two decimal digits.
fn bcd(number: u8) -> u8 {
    number / 10 << 4 | number % 10
}

/// A time of the Gregorian calendar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Time {
    second: u8,
    minute: u8,
    hour: u8,
    /// Sunday is 1.
    weekday: u8,
    day: u8,
    month: u8,
    year: u64,
}

impl Time {
    /// The time that is this many seconds after the beginning of 1970.
    fn at(seconds: u64) -> Time {
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Days since 1 March of the year 0. A year that begins in March has its leap day at the end.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        Time {
            second: (second % 60) as u8,
            minute: (second / 60 % 60) as u8,
            hour: (second / 3_600) as u8,
            weekday: ((days + 4) % 7 + 1) as u8,
            day: (day_of_year - (153 * month + 2) / 5 + 1) as u8,
            month: ((month + 2) % 12 + 1) as u8,
            year: era * 400 + year + u64::from(month >= 10),
        }
    }
}

#[cfg(test)]
mod tests;
