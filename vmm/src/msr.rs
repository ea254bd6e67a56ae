//! What RDMSR and WRMSR do in a 32-bit guest: a table of the registers that kernels touch on a machine of which CPUID
//! shows what [`cpuid`](crate::cpuid) lets through.
//!
//! No write has an effect. What is not in the table is refused: the guest gets #GP with error code 0, as for a register
//! that the processor does not have. Names and numbers are those of the Intel SDM, volume 4.

/// The guest gets #GP with error code 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// What a register gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// Always this value.
    Value(u64),
    /// The guest's time-stamp counter.
    TimeStamp,
    /// What the kernel says of the machine's register: 0, because it concerns only the host.
    Machine,
}

/// What becomes of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// Nothing, and the guest continues.
    Ignored,
    /// #GP.
    Refused,
}

/// A register that a guest can reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The register's number.
    pub number: u32,
    /// The SDM's name of it.
    pub name: &'static str,
    /// What reading gives.
    pub read: Read,
    /// What writing does.
    pub write: Write,
}

const fn row(number: u32, name: &'static str, read: Read, write: Write) -> Row {
    Row { number, name, read, write }
}

/// The registers that a guest can reach, by number.
pub const TABLE: &[Row] = &[
    row(0x10, "IA32_TIME_STAMP_COUNTER", Read::TimeStamp, Write::Refused),
    // Platform 0: which microcode fits.
    row(0x17, "IA32_PLATFORM_ID", Read::Machine, Write::Refused),
    // Locked, and VMX is off.
    row(0x3A, "IA32_FEATURE_CONTROL", Read::Value(1), Write::Refused),
    // A kernel writes 0, executes CPUID and reads the revision in the upper half. This one is newer than any update.
    row(0x8B, "IA32_BIOS_SIGN_ID", Read::Value(0xFFFF_FFFF << 32), Write::Ignored),
    // No faults on CPUID, no ratios.
    row(0xCE, "MSR_PLATFORM_INFO", Read::Machine, Write::Refused),
    row(0x140, "MSR_MISC_FEATURES_ENABLES", Read::Machine, Write::Ignored),
    // No banks: machine checks are the host's.
    row(0x179, "IA32_MCG_CAP", Read::Machine, Write::Refused),
    // Fast string operations.
    row(0x1A0, "IA32_MISC_ENABLE", Read::Value(1), Write::Ignored),
];

fn find(number: u32) -> Result<&'static Row, Refused> {
    TABLE.iter().find(|row| row.number == number).ok_or(Refused)
}

/// What RDMSR gives.
///
/// # Errors
/// The guest gets #GP.
pub fn read(number: u32) -> Result<Read, Refused> {
    find(number).map(|row| row.read)
}

/// WRMSR, whatever the value.
///
/// # Errors
/// The guest gets #GP.
pub fn write(number: u32) -> Result<(), Refused> {
    match find(number)?.write {
        Write::Ignored => Ok(()),
        Write::Refused => Err(Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_registers_have_their_values() {
        assert_eq!([0x10, 0x17, 0x1A0].map(read), [Read::TimeStamp, Read::Machine, Read::Value(1)].map(Ok));
        assert_eq!((write(0x8B), read(0x8B)), (Ok(()), Ok(Read::Value(0xFFFF_FFFF_0000_0000))));
        assert_eq!(write(0x10), Err(Refused));
    }

    #[test]
    fn everything_else_is_refused() {
        // APIC base, SYSENTER, PAT, MTRR, EFER, STAR, FS base, VMX, and numbers that nothing has.
        let others = [0x1B, 0x174, 0x277, 0xFE, 0x2FF, 0xC000_0080, 0xC000_0081, 0xC000_0100, 0x480, 0x1234_5678, !0];
        for number in others {
            assert_eq!((read(number), write(number)), (Err(Refused), Err(Refused)), "{number:#x}");
        }
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(TABLE.is_sorted_by(|low, high| low.number < high.number));
    }
}
