//! Segment selectors and interrupt gates.
//!
//! `syscall` and `sysret` compute selectors from the two bases of the STAR register, and so fix the order of the
//! segments. The selectors of a program are the layer's.

use layer::core::constants;
use layer::core::geometry::{Geometry, X64};

/// Ring 0 code.
pub const KERNEL_CODE: u16 = 0x08;
/// Ring 0 data; `syscall` loads SS with it ([`KERNEL_CODE`] + 8).
pub const KERNEL_DATA: u16 = 0x10;
/// The base of `sysret`'s selectors. The descriptor here is null: a segment of 32-bit code would let programs into
/// compatibility mode.
pub const USER_BASE: u16 = 0x18 | 3;
/// Ring 3 data ([`USER_BASE`] + 8).
pub const USER_DATA: u16 = constants::USER_DATA as u16;
/// Ring 3 code ([`USER_BASE`] + 16).
pub const USER_CODE: u16 = X64::USER_CODE as u16;
/// The task-state segment, which takes two entries of the table.
pub const TASK_STATE: u16 = 0x30;

/// Limit of the descriptor table: its last byte.
pub const LIMIT: u16 = TASK_STATE + 15;

/// The STAR register: selector bases of `sysret` (bits 48 to 63) and `syscall` (32 to 47).
pub const STAR: u64 = (USER_BASE as u64) << 48 | (KERNEL_CODE as u64) << 32;

/// An interrupt gate (Intel SDM volume 3, figure 6-8) to `handler` in ring 0 code, with interrupts off. The handler
/// runs on stack `ist_index` (from 0) of the interrupt stack table; with `None` the processor chooses the stack as
/// without that table. `int` instructions may use the gate in rings 0 to `ring`.
pub const fn gate(handler: u64, ist_index: Option<usize>, ring: u8) -> [u64; 2] {
    const PRESENT_INTERRUPT_GATE: u64 = 0x8E;
    let attributes = PRESENT_INTERRUPT_GATE | (ring as u64) << 5;
    let stack = match ist_index {
        Some(index) => index as u64 + 1,
        None => 0,
    };
    let low =
        handler & 0xffff | (KERNEL_CODE as u64) << 16 | stack << 32 | attributes << 40 | (handler >> 16 & 0xffff) << 48;
    [low, handler >> 32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_has_its_fields_where_the_manual_has_them() {
        let [low, high] = gate(0xffff_ffff_8123_4567, Some(3), 3);
        assert_eq!(low, 0x8123_EE04_0008_4567);
        assert_eq!(high, 0xffff_ffff);
        assert_eq!(gate(0, Some(0), 0)[0], 0x0000_8E01_0008_0000);
        assert_eq!(gate(0, None, 0)[0], 0x0000_8E00_0008_0000);
    }

    #[test]
    fn syscall_and_sysret_find_the_segments() {
        assert_eq!((STAR >> 32) as u16 + 8, KERNEL_DATA);
        assert_eq!((STAR >> 48) as u16 + 8, USER_DATA);
        assert_eq!((STAR >> 48) as u16 + 16, USER_CODE);
    }
}
