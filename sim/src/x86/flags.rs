//! Arithmetic on operands of a size, and the flags that it sets.
//!
//! Operands may have any bits above their size. Results have none.

use super::memory::Size;
use super::registers::rflags::{AF, CF, OF, PF, SF, ZF};

/// SF, ZF and PF of a result.
pub(super) fn of_result(result: u64, size: Size) -> u64 {
    let zero = if result & size.mask() == 0 { ZF } else { 0 };
    let sign = if result & size.sign() != 0 { SF } else { 0 };
    let parity = if (result as u8).count_ones().is_multiple_of(2) { PF } else { 0 };
    zero | sign | parity
}

/// `flag` if `condition` holds.
pub(super) fn when(condition: bool, flag: u64) -> u64 {
    if condition { flag } else { 0 }
}

/// `a + b + carry` and all status flags.
pub(super) fn add(a: u64, b: u64, carry: bool, size: Size) -> (u64, u64) {
    let (a, b) = (a & size.mask(), b & size.mask());
    let wide = u128::from(a) + u128::from(b) + u128::from(carry);
    let result = wide as u64 & size.mask();
    let flags = when(wide > u128::from(size.mask()), CF)
        | when((a ^ result) & (b ^ result) & size.sign() != 0, OF)
        | (a ^ b ^ result) & AF
        | of_result(result, size);
    (result, flags)
}

/// `a - b - borrow` and all status flags.
pub(super) fn subtract(a: u64, b: u64, borrow: bool, size: Size) -> (u64, u64) {
    let (a, b) = (a & size.mask(), b & size.mask());
    let result = a.wrapping_sub(b).wrapping_sub(u64::from(borrow)) & size.mask();
    let flags = when(u128::from(a) < u128::from(b) + u128::from(borrow), CF)
        | when((a ^ b) & (a ^ result) & size.sign() != 0, OF)
        | (a ^ b ^ result) & AF
        | of_result(result, size);
    (result, flags)
}

/// The value with its sign in bit 63.
pub(super) fn sign_extend(value: u64, size: Size) -> u64 {
    let unused = 64 - size.bits();
    ((value << unused) as i64 >> unused) as u64
}
