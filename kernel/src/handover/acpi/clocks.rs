//! The clocks of known speed: the power-management timer of the fixed ACPI description table (FADT, ACPI 6.5, sections
//! 5.2.9 and 4.8.3.3), and the high-precision event timer (IA-PC HPET specification 1.0a, section 3.2.4).

use super::find;
use crate::handover::record::Record;
use core::ops::Range;

/// The clocks that the tables name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clocks {
    /// The power-management timer.
    pub pm_timer: Option<PmTimer>,
    /// Physical address of the high-precision event timer's registers.
    pub hpet: Option<u64>,
}

/// The power-management timer: a counter at a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimer {
    /// The port.
    pub port: u16,
    /// Width of the counter: 24 or 32 bits.
    pub bits: u32,
}

/// Offsets in the FADT.
const PM_TIMER: usize = 76;
const PM_TIMER_BYTES: usize = 91;
const FLAGS: usize = 112;
const PM_TIMER_EXTENDED: usize = 208;
/// Flags of the FADT: the timer has 32 bits instead of 24; the hardware has no such timer.
const TIMER_HAS_32_BITS: u32 = 1 << 8;
const REDUCED: u32 = 1 << 20;
/// Offset of the registers' address in the HPET's table, and bytes of these registers.
const HPET_REGISTERS: usize = 40;
const HPET_BYTES: u64 = 1 << 10;

/// A generic address structure: the codes of its address spaces, and the offset of its address.
const MEMORY: u8 = 0;
const PORTS: u8 = 1;
const GENERIC_ADDRESS: usize = 4;

/// Which clocks the tables name; `root` and `read` are as for `find`. Whether they run is not checked here.
pub fn clocks<'a>(root: Option<u64>, read: impl Fn(Range<u64>) -> Option<&'a [u8]>) -> Clocks {
    Clocks {
        pm_timer: find(b"FACP", root, &read, pm_timer).ok(),
        hpet: find(b"HPET", root, &read, |table| generic(table, HPET_REGISTERS, MEMORY))
            .ok()
            .filter(|at| at.is_multiple_of(HPET_BYTES) && *at <= (1 << 32) - HPET_BYTES),
    }
}

/// The address in the generic address structure at `at`, if it is in this address space and not 0.
fn generic(table: Record, at: usize, space: u8) -> Option<u64> {
    table.u8(at).filter(|&is| is == space)?;
    table.u64(at + GENERIC_ADDRESS).filter(|&address| address != 0)
}

fn pm_timer(fadt: Record) -> Option<PmTimer> {
    // Revision 1 has these fields, except the flag for a missing timer.
    let flags = fadt.u32(FLAGS).filter(|flags| flags & REDUCED == 0)?;
    let older = || fadt.u32(PM_TIMER).filter(|_| fadt.u8(PM_TIMER_BYTES) == Some(4)).map(u64::from);
    let port = generic(fadt, PM_TIMER_EXTENDED, PORTS).or_else(older).filter(|&port| port != 0)?;
    let port = u16::try_from(port).ok().filter(|port| *port <= u16::MAX - 3)?;
    Some(PmTimer { port, bits: if flags & TIMER_HAS_32_BITS != 0 { 32 } else { 24 } })
}

#[cfg(test)]
mod tests {
    use super::super::sample::*;
    use super::*;
    use crate::handover::record::fuzz::read_from;

    #[test]
    fn both_clocks_are_found() {
        let memory = machine(2, &[cpu(0, true)]);
        let clocks = clocks(None, read_from(0, &memory));
        assert_eq!(clocks.pm_timer, Some(PmTimer { port: 0x608, bits: 24 }));
        assert_eq!(clocks.hpet, Some(0xFED0_0000));
    }

    #[test]
    fn a_clock_that_cannot_be_read_is_none() {
        let with = |change: &dyn Fn(&mut [u8])| {
            let mut fadt = fadt();
            change(&mut fadt);
            pm_timer(Record(&fadt))
        };
        assert_eq!(with(&|fadt| fadt[PM_TIMER + 2] = 1), None, "no port has that number");
        assert_eq!(with(&|fadt| put(fadt, PM_TIMER, &0xFFFEu32.to_le_bytes())), None, "it ends behind the last port");
        assert_eq!(with(&|fadt| put(fadt, PM_TIMER, &[0; 4])), None);
        assert_eq!(with(&|fadt| fadt[PM_TIMER_BYTES] = 0), None);
        assert_eq!(with(&|fadt| fadt[FLAGS + 2] = 0x10), None, "hardware-reduced ACPI has none");
        assert_eq!(with(&|fadt| fadt[FLAGS + 1] = 1), Some(PmTimer { port: 0x608, bits: 32 }));
        let newer = |space| {
            with(&|fadt| {
                put(fadt, PM_TIMER_EXTENDED, &[space, 32, 0, 3]);
                put(fadt, PM_TIMER_EXTENDED + 4, &0xB008u64.to_le_bytes());
            })
        };
        assert_eq!(newer(PORTS), Some(PmTimer { port: 0xB008, bits: 24 }));
        assert_eq!(newer(MEMORY), Some(PmTimer { port: 0x608, bits: 24 }));
    }
}
