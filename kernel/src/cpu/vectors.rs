//! The processor's exceptions: their names, and which of them push an error code (Intel SDM volume 3, table 6-1). It
//! also defines the use of the vectors after them.

use layer::core::constants::{COM1_LINE, FIRST_LINE_VECTOR};

/// First vector that is not an exception of the processor.
pub const FIRST_INTERRUPT: u8 = 32;
/// Non-maskable interrupt.
pub const NMI: u8 = 2;
/// Invalid opcode.
pub const INVALID_OPCODE: u8 = 6;
/// Double fault.
pub const DOUBLE_FAULT: u8 = 8;
/// General protection.
pub const GENERAL_PROTECTION: u8 = 13;
/// Page fault.
pub const PAGE_FAULT: u8 = 14;
/// Machine check.
pub const MACHINE_CHECK: u8 = 18;
/// Breakpoint.
pub const BREAKPOINT: u8 = 3;

/// Vector of line 0 of the I/O APIC. Line `n` has this vector plus `n`.
pub const FIRST_LINE: u8 = FIRST_LINE_VECTOR as u8;
/// The line of COM1.
pub const COM1: u8 = FIRST_LINE + COM1_LINE as u8;
/// The local APIC's timer.
pub const TIMER: u8 = 0xE0;
/// Another CPU has put work before this CPU, which halts.
pub const WAKE: u8 = 0xE1;
/// The local APIC has found an error in a message.
pub const ERROR: u8 = 0xFE;
/// The local APIC has nothing to deliver after all (a spurious interrupt).
pub const SPURIOUS: u8 = 0xFF;

/// Vectors that `int` may raise in ring 3. Any other raises a general-protection exception: programs enter the kernel
/// by `syscall`.
pub const FOR_RING_3: [u8; 1] = [BREAKPOINT];

/// Names of vectors 0 to 31.
const NAMES: [&str; FIRST_INTERRUPT as usize] = [
    "divide error",
    "debug exception",
    "non-maskable interrupt",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid task-state segment",
    "segment not present",
    "stack-segment fault",
    "general protection",
    "page fault",
    "reserved exception 15",
    "x87 floating-point error",
    "alignment check",
    "machine check",
    "SIMD floating-point exception",
    "virtualization exception",
    "control-protection exception",
    "reserved exception 22",
    "reserved exception 23",
    "reserved exception 24",
    "reserved exception 25",
    "reserved exception 26",
    "reserved exception 27",
    "hypervisor injection exception",
    "VMM communication exception",
    "security exception",
    "reserved exception 31",
];

/// Bit `v` is set if exception `v` pushes an error code: 8, 10 to 14, 17, 21, 29, 30.
pub const WITH_ERROR_CODE: u32 = 1 << 8 | 0b1_1111 << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// Name of a vector.
pub fn name(vector: u8) -> &'static str {
    NAMES.get(usize::from(vector)).copied().unwrap_or("interrupt")
}

/// The bits of a page fault's error code.
pub mod page_fault {
    /// Set: the page is present, but its rights forbid the access. Clear: no page is present.
    pub const PRESENT: u64 = 1;
    /// Set: a store. Clear: a load or a fetch.
    pub const WRITE: u64 = 2;
    /// Set: the access came from ring 3.
    pub const USER: u64 = 4;
    /// Set: an entry has a reserved bit set.
    pub const RESERVED: u64 = 8;
    /// Set: an instruction fetch.
    pub const FETCH: u64 = 16;

    /// A description of the attempted access.
    pub fn access(error: u64) -> &'static str {
        match (error & FETCH != 0, error & WRITE != 0) {
            (true, _) => "fetch from",
            (false, true) => "store to",
            (false, false) => "load from",
        }
    }

    /// A description of why the access failed.
    pub fn reason(error: u64) -> &'static str {
        match (error & RESERVED != 0, error & PRESENT != 0) {
            (true, _) => "a reserved bit is set in its entry",
            (false, true) => "its page forbids it",
            (false, false) => "no page is there",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_and_names() {
        let with: std::vec::Vec<u8> = (0..32).filter(|v| WITH_ERROR_CODE >> v & 1 == 1).collect();
        assert_eq!(with, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
        assert_eq!(name(DOUBLE_FAULT), "double fault");
        assert_eq!(name(PAGE_FAULT), "page fault");
        assert_eq!(name(MACHINE_CHECK), "machine check");
        assert_eq!(name(200), "interrupt");
    }
}
