//! Machine checks: the processor, or what is around it, has found an error of its own.

use crate::machine_check::{BANKS, Bank};
use core::fmt::{self, Write};
use raw_cpuid::CpuId;
use x86_64::registers::model_specific::Msr;

/// `IA32_MCG_CAP`, `IA32_MCG_STATUS`, `IA32_MCG_CTL`.
const CAPABILITIES: u32 = 0x179;
const STATUS: u32 = 0x17A;
const CONTROL: u32 = 0x17B;
/// In the capabilities: there is a control register; the low byte is the number of banks.
const HAS_CONTROL: u64 = 1 << 8;

/// Whether this processor raises the exception, and has the banks that say why.
pub fn is_there() -> bool {
    CpuId::new().get_feature_info().is_some_and(|info| info.has_mce() && info.has_mca())
}

/// A register of the machine-check architecture.
fn read(register: u32) -> u64 {
    // SAFETY: the callers have seen that the architecture is there and has so many banks; reading has no effect.
    unsafe { Msr::new(register).read() }
}

/// How many banks there are, of those whose registers the kernel knows.
fn banks() -> u32 {
    (read(CAPABILITIES) as u8).min(BANKS as u8).into()
}

/// Lets every bank of this processor report every error. CR4 decides whether they are exceptions or end the machine.
pub fn enable() {
    if !is_there() {
        return;
    }
    // SAFETY: the registers are there; errors that they report have gates of their own.
    unsafe {
        if read(CAPABILITIES) & HAS_CONTROL != 0 {
            Msr::new(CONTROL).write(!0);
        }
        for number in 0..banks() {
            Msr::new(Bank::control(number)).write(!0);
            // What is from before the start is nobody's fault.
            Msr::new(Bank::status(number)).write(0);
        }
    }
}

/// Writes what the banks of this processor hold.
pub fn describe(out: &mut dyn Write) -> fmt::Result {
    if !is_there() {
        return writeln!(out, "  the processor does not say what it was");
    }
    writeln!(out, "  machine-check status {:#x}", read(STATUS))?;
    let mut held = (0..banks()).filter_map(|number| Bank::read(number, read)).peekable();
    if held.peek().is_none() {
        writeln!(out, "  no bank of this CPU holds an error")?;
    }
    held.try_for_each(|bank| writeln!(out, "  {bank}"))
}
