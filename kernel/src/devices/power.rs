//! The end of a run: reports the reason to the emulator, and switches the machine off.

use super::console::DEBUG_PORT;
use super::exit::Reason;
use crate::cpu::registers;
use abi::console::{END, ESCAPE};
use core::fmt;
use x86_64::instructions::port::Port;

/// QEMU's `isa-debug-exit` device, as the command line places it.
pub(crate) const QEMU_EXIT: u16 = 0xF4;
/// Port at which Bochs ends when it reads "Shutdown".
pub(crate) const BOCHS_EXIT: u16 = 0x8900;
/// PM1a control of the PC's chipset in QEMU. The value 0x2000 means "sleep now" with sleep type 0, which
/// switches the machine off.
const POWER_CONTROL: u16 = 0x604;
const POWER_OFF: u16 = 0x2000;

/// Ends the whole machine for this reason.
pub fn leave(reason: Reason) -> ! {
    // SAFETY: on the machines that the kernel knows, writing to these ports only ends the machine.
    unsafe {
        Port::new(QEMU_EXIT).write(u32::from(reason.code()));
        let mut debug = Port::new(DEBUG_PORT);
        // This is for Bochs, whose own exit status does not show the reason.
        [ESCAPE, END, reason.code()].into_iter().for_each(|byte| debug.write(byte));
        let mut bochs = Port::new(BOCHS_EXIT);
        for &byte in b"Shutdown" {
            bochs.write(byte);
        }
        Port::new(POWER_CONTROL).write(POWER_OFF);
    }
    registers::halt()
}

/// Refuses the machine: prints the reason why the kernel cannot run on it, and ends it.
pub(crate) fn refuse(reason: impl fmt::Display) -> ! {
    crate::say!("cairn: this machine is refused: {reason}");
    leave(Reason::Refused)
}
