//! Reads the banks of the machine-check architecture (Intel SDM volume 3, section 16.3; AMD APM volume 2, chapter 9).

use core::fmt;

/// First register of bank 0; each bank has [`Bank::REGISTERS`] consecutive registers.
pub const FIRST_BANK: u32 = 0x400;
/// Number of banks whose registers are consecutive: those after bank 31 are elsewhere.
pub const BANKS: u32 = 32;

/// Bits of `MCi_STATUS`.
const VALID: u64 = 1 << 63;
const OVERFLOW: u64 = 1 << 62;
const UNCORRECTED: u64 = 1 << 61;
const HAS_MISC: u64 = 1 << 59;
const HAS_ADDRESS: u64 = 1 << 58;
const CONTEXT_CORRUPT: u64 = 1 << 57;

/// An error that a bank holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bank {
    /// The bank's number.
    pub number: u32,
    /// `MCi_STATUS`.
    pub status: u64,
    /// `MCi_ADDR`, if the status says that it is valid.
    pub address: Option<u64>,
    /// `MCi_MISC`, if the status says that it is valid.
    pub misc: Option<u64>,
}

impl Bank {
    /// Registers of a bank: control, status, address, miscellaneous.
    pub const REGISTERS: u32 = 4;

    /// Number of a bank's control register.
    pub const fn control(number: u32) -> u32 {
        FIRST_BANK + number * Bank::REGISTERS
    }

    /// Number of a bank's status register.
    pub const fn status(number: u32) -> u32 {
        Bank::control(number) + 1
    }

    /// The error in bank `number`, if there is one; `register` reads a register by its number.
    pub fn read(number: u32, register: impl Fn(u32) -> u64) -> Option<Bank> {
        let status = register(Bank::status(number));
        let when = |bit, place| (status & bit != 0).then(|| register(Bank::status(number) + place));
        (status & VALID != 0).then(|| Bank { number, status, address: when(HAS_ADDRESS, 1), misc: when(HAS_MISC, 2) })
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bank { number, status, address, misc } = *self;
        write!(formatter, "bank {number}: status {status:#x} (")?;
        formatter.write_str(if status & UNCORRECTED != 0 { "not corrected" } else { "corrected" })?;
        for (bit, text) in [(CONTEXT_CORRUPT, ", processor context corrupt"), (OVERFLOW, ", others were lost")] {
            if status & bit != 0 {
                formatter.write_str(text)?;
            }
        }
        write!(formatter, "), error code {:#x}", status & 0xffff)?;
        address.map_or(Ok(()), |address| write!(formatter, ", address {address:#x}"))?;
        misc.map_or(Ok(()), |misc| write!(formatter, ", more {misc:#x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_bank_says_what_its_status_admits() {
        let registers = |status: u64| move |register| [0, status, 0xABC000, 7][register as usize - 0x404];
        assert_eq!(Bank::read(1, registers(UNCORRECTED)), None);
        let text = |status| Bank::read(1, registers(status)).expect("it is valid").to_string();
        assert_eq!(
            text(0xBE00_0000_0000_0135),
            "bank 1: status 0xbe00000000000135 (not corrected, processor context corrupt), error code 0x135, \
             address 0xabc000, more 0x7"
        );
        assert_eq!(
            text(VALID | OVERFLOW | 0xF_0001),
            "bank 1: status 0xc0000000000f0001 (corrected, others were lost), error code 0x1"
        );
    }
}
