//! What a person is told of an exit that ended a guest.
use crate::exit::Exit;
use core::fmt;

/// The exit and the guest's state. Its text has several lines, without a line feed at the end.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The exit-reason field.
    pub reason: u32,
    /// The exit qualification.
    pub qualification: u64,
    /// The guest-physical address, if the exit has one.
    pub guest_physical: Option<u64>,
    /// The names and values of registers, in the order in which they are printed.
    pub registers: &'a [(&'a str, u64)],
    /// The bytes at the instruction pointer, as far as they could be read.
    pub instruction: &'a [u8],
}

/// Registers in a line.
const COLUMNS: usize = 4;

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { reason, qualification, .. } = *self;
        writeln!(formatter, "guest stopped by {}", Exit::decode(reason, qualification))?;
        write!(formatter, "  reason {reason:#x}, qualification {qualification:#x}")?;
        if let Some(address) = self.guest_physical {
            write!(formatter, ", guest-physical address {address:#x}")?;
        }
        for row in self.registers.chunks(COLUMNS) {
            formatter.write_str("\n ")?;
            row.iter().try_for_each(|(name, value)| write!(formatter, " {name:>6} {value:08x}"))?;
        }
        formatter.write_str("\n  instruction")?;
        if self.instruction.is_empty() {
            return formatter.write_str(" not readable");
        }
        self.instruction.iter().try_for_each(|byte| write!(formatter, " {byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_report_has_reason_registers_and_instruction() {
        let registers =
            [("EAX", 0x8000_0011), ("EBX", 0), ("ECX", 7), ("EDX", 0xFFFF_FFFF), ("EIP", 0x10_0000), ("EFLAGS", 2)];
        let mut report = Report {
            reason: 48,
            qualification: 0x182,
            guest_physical: Some(0x1_0000_0000),
            registers: &registers,
            instruction: &[0x0F, 0x22, 0xC0],
        };
        assert_eq!(
            report.to_string(),
            "guest stopped by exit 48 (EPT violation): write where the tables admit nothing, at a translated address\n\
             \x20 reason 0x30, qualification 0x182, guest-physical address 0x100000000\n\
             \x20    EAX 80000011    EBX 00000000    ECX 00000007    EDX ffffffff\n\
             \x20    EIP 00100000 EFLAGS 00000002\n\
             \x20 instruction 0f 22 c0"
        );
        report = Report { reason: 2, qualification: 0, guest_physical: None, registers: &[], instruction: &[] };
        assert_eq!(
            report.to_string(),
            "guest stopped by exit 2 (triple fault)\n  reason 0x2, qualification 0x0\n  instruction not readable"
        );
    }
}
