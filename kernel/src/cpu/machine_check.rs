//! Machine checks: the processor, or the hardware around it, has found a hardware error.

use super::machine_check_bank::{BANKS, Bank};
use core::fmt::{self, Write};
use raw_cpuid::CpuId;
use x86_64::registers::model_specific::Msr;

/// `IA32_MCG_CAP`, `IA32_MCG_STATUS`, `IA32_MCG_CTL`.
const CAPABILITIES: u32 = 0x179;
const STATUS: u32 = 0x17A;
const CONTROL: u32 = 0x17B;
/// A bit of the capabilities: there is a control register. The low byte is the number of banks.
const HAS_CONTROL: u64 = 1 << 8;

/// Whether this processor raises machine checks, and has the banks that describe them.
pub fn is_there() -> bool {
    CpuId::new().get_feature_info().is_some_and(|info| info.has_mce() && info.has_mca())
}

/// A register of the machine-check architecture.
fn read(register: u32) -> u64 {
    // SAFETY: the callers have checked that the architecture exists and has this many banks; reading has no
    // effect.
    unsafe { Msr::new(register).read() }
}

/// Number of banks, up to those whose registers the kernel knows.
fn banks() -> u32 {
    (read(CAPABILITIES) as u8).min(BANKS as u8).into()
}

/// Lets every bank of this processor report every error. CR4 decides whether errors raise exceptions or reset the
/// machine.
pub fn enable() {
    if !is_there() {
        return;
    }
    // SAFETY: the registers exist; the errors that they report have gates of their own.
    unsafe {
        if read(CAPABILITIES) & HAS_CONTROL != 0 {
            Msr::new(CONTROL).write(!0);
        }
        for number in 0..banks() {
            Msr::new(Bank::control(number)).write(!0);
            // Errors from before the start are dropped.
            Msr::new(Bank::status(number)).write(0);
        }
    }
}

/// Writes the errors in the banks of this processor.
pub fn describe(out: &mut dyn Write) -> fmt::Result {
    if !is_there() {
        return writeln!(out, "  the processor does not report the cause");
    }
    writeln!(out, "  machine-check status {:#x}", read(STATUS))?;
    let mut held = (0..banks()).filter_map(|number| Bank::read(number, read)).peekable();
    if held.peek().is_none() {
        writeln!(out, "  no bank of this CPU holds an error")?;
    }
    held.try_for_each(|bank| writeln!(out, "  {bank}"))
}
