//! Shifts and rotations.

use super::execution::Execution;
use super::flags::{of_result, sign_extend, when};
use super::memory::{Bus, Size};
use super::registers::rflags::{AF, CF, OF, PF, SF, ZF};
use super::trap::Result;

/// The result of a shift, the flags that it changes, and their values.
pub(super) struct Shifted {
    result: u64,
    changed: u64,
    flags: u64,
}

/// A shift of a value of some size by a count that is not zero, given CF.
type Operation = fn(u64, u32, bool, Size) -> Shifted;

/// The flags that a shift sets from its result, besides CF and OF. AF is undefined.
const RESULT: u64 = SF | ZF | PF;

/// `shl`.
pub(super) fn left(value: u64, count: u32, _carry: bool, size: Size) -> Shifted {
    let wide = u128::from(value) << count;
    let result = wide as u64 & size.mask();
    let carry = wide >> size.bits() & 1 != 0;
    let overflow = carry != (result & size.sign() != 0);
    let flags = when(carry, CF) | when(overflow, OF) | of_result(result, size);
    Shifted { result, changed: CF | OF | RESULT | AF, flags }
}

/// `shr`.
pub(super) fn right(value: u64, count: u32, _carry: bool, size: Size) -> Shifted {
    let result = value.checked_shr(count).unwrap_or(0);
    let carry = value.checked_shr(count - 1).unwrap_or(0) & 1 != 0;
    // Defined for a count of one only: the sign of the operand.
    let overflow = (result << 1 ^ result) & size.sign() != 0;
    let flags = when(carry, CF) | when(overflow, OF) | of_result(result, size);
    Shifted { result, changed: CF | OF | RESULT | AF, flags }
}

/// `sar`.
pub(super) fn arithmetic_right(value: u64, count: u32, _carry: bool, size: Size) -> Shifted {
    let value = sign_extend(value, size) as i64;
    let result = (value >> count.min(63)) as u64 & size.mask();
    let carry = value >> (count - 1).min(63) & 1 != 0;
    let flags = when(carry, CF) | of_result(result, size);
    Shifted { result, changed: CF | OF | RESULT | AF, flags }
}

/// `rol`.
pub(super) fn rotate_left(value: u64, count: u32, _carry: bool, size: Size) -> Shifted {
    let count = count % size.bits();
    let result = (value << count | value.checked_shr(size.bits() - count).unwrap_or(0)) & size.mask();
    let carry = result & 1 != 0;
    let overflow = carry != (result & size.sign() != 0);
    Shifted { result, changed: CF | OF, flags: when(carry, CF) | when(overflow, OF) }
}

/// `ror`.
pub(super) fn rotate_right(value: u64, count: u32, _carry: bool, size: Size) -> Shifted {
    let count = count % size.bits();
    let result = (value >> count | value.checked_shl(size.bits() - count).unwrap_or(0)) & size.mask();
    let carry = result & size.sign() != 0;
    let overflow = carry != (result & size.sign() >> 1 != 0);
    Shifted { result, changed: CF | OF, flags: when(carry, CF) | when(overflow, OF) }
}

/// `rcl`: a rotation that includes CF as one more bit.
pub(super) fn rotate_left_carry(value: u64, count: u32, carry: bool, size: Size) -> Shifted {
    let bits = size.bits() + 1;
    let count = count % bits;
    let whole = u128::from(carry) << size.bits() | u128::from(value);
    let rotated = whole << count | whole >> (bits - count);
    let result = rotated as u64 & size.mask();
    let carry = rotated >> size.bits() & 1 != 0;
    let overflow = carry != (result & size.sign() != 0);
    Shifted { result, changed: CF | OF, flags: when(carry, CF) | when(overflow, OF) }
}

/// `rcr`.
pub(super) fn rotate_right_carry(value: u64, count: u32, carry: bool, size: Size) -> Shifted {
    let bits = size.bits() + 1;
    let count = count % bits;
    let whole = u128::from(carry) << size.bits() | u128::from(value);
    let rotated = whole >> count | whole << (bits - count);
    let result = rotated as u64 & size.mask();
    let carry = rotated >> size.bits() & 1 != 0;
    let overflow = (result << 1 ^ result) & size.sign() != 0;
    Shifted { result, changed: CF | OF, flags: when(carry, CF) | when(overflow, OF) }
}

/// The bits of a count that the processor uses.
fn count_mask(size: Size) -> u32 {
    if size == Size::Quad { 63 } else { 31 }
}

impl<B: Bus> Execution<'_, B> {
    /// `op a, count`.
    pub(super) fn shift(&mut self, operation: Operation) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let value = self.read(0)?;
        let count = self.read(1)? as u32 & count_mask(size);
        if count == 0 {
            // The operand is written even then: a 32-bit register loses its upper half.
            return self.write(0, value);
        }
        let Shifted { result, changed, flags } = operation(value, count, self.registers.flag(CF), size);
        self.write(0, result)?;
        self.registers.set_flags(changed, flags);
        Ok(())
    }

    /// `shld a, b, count`: shifts `a` left and fills it from the top of `b`.
    pub(super) fn shift_left_double(&mut self) -> Result<(), B::Fault> {
        self.shift_double(|a, b, count, size| {
            let whole = u128::from(a) << size.bits() | u128::from(b);
            // For a 16-bit operand, a count of more than 16 has an undefined result. Here the operands rotate.
            let whole = if size == Size::Word { whole << 16 | u128::from(a) } else { whole };
            let width = if size == Size::Word { 48 } else { 2 * size.bits() };
            let result = (whole << count >> (width - size.bits())) as u64 & size.mask();
            let carry = whole >> (width - count) & 1 != 0;
            (result, carry)
        })
    }

    /// `shrd a, b, count`: shifts `a` right and fills it from the bottom of `b`.
    pub(super) fn shift_right_double(&mut self) -> Result<(), B::Fault> {
        self.shift_double(|a, b, count, size| {
            let whole = u128::from(b) << size.bits() | u128::from(a);
            let whole = if size == Size::Word { u128::from(a) << 32 | whole } else { whole };
            let result = (whole >> count) as u64 & size.mask();
            let carry = whole >> (count - 1) & 1 != 0;
            (result, carry)
        })
    }

    fn shift_double(&mut self, operation: impl Fn(u64, u64, u32, Size) -> (u64, bool)) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (a, b) = (self.read(0)?, self.read(1)?);
        let count = self.read(2)? as u32 & count_mask(size);
        if count == 0 {
            return self.write(0, a);
        }
        let (result, carry) = operation(a, b, count, size);
        self.write(0, result)?;
        let overflow = (a ^ result) & size.sign() != 0;
        let flags = when(carry, CF) | when(overflow, OF) | of_result(result, size);
        self.registers.set_flags(CF | OF | RESULT | AF, flags);
        Ok(())
    }
}
