//! Addition, subtraction, logic and comparison.

use super::execution::Execution;
use super::flags;
use super::memory::{Bus, Size};
use super::registers::rflags::{CF, STATUS};
use super::trap::Result;

/// An operation on two operands and the carry. It returns the result and the status flags.
type Operation = fn(u64, u64, bool, Size) -> (u64, u64);

/// `add`.
pub(super) fn add(a: u64, b: u64, _carry: bool, size: Size) -> (u64, u64) {
    flags::add(a, b, false, size)
}

/// `sub` and `cmp`.
pub(super) fn subtract(a: u64, b: u64, _carry: bool, size: Size) -> (u64, u64) {
    flags::subtract(a, b, false, size)
}

/// `and` and `test`. AF is undefined.
pub(super) fn and(a: u64, b: u64, _carry: bool, size: Size) -> (u64, u64) {
    (a & b, flags::of_result(a & b, size))
}

/// `or`. AF is undefined.
pub(super) fn or(a: u64, b: u64, _carry: bool, size: Size) -> (u64, u64) {
    (a | b, flags::of_result(a | b, size))
}

/// `xor`. AF is undefined.
pub(super) fn xor(a: u64, b: u64, _carry: bool, size: Size) -> (u64, u64) {
    (a ^ b, flags::of_result(a ^ b, size))
}

impl<B: Bus> Execution<'_, B> {
    /// `op a, b`: replaces `a` by the result.
    pub(super) fn binary(&mut self, operation: Operation) -> Result<(), B::Fault> {
        let (result, flags) = self.evaluate(operation)?;
        self.write(0, result)?;
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }

    /// `cmp` and `test`: the flags only.
    pub(super) fn compare(&mut self, operation: Operation) -> Result<(), B::Fault> {
        let (_, flags) = self.evaluate(operation)?;
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }

    fn evaluate(&mut self, operation: Operation) -> Result<(u64, u64), B::Fault> {
        let size = self.size(0)?;
        let (a, b) = (self.read(0)?, self.read(1)?);
        Ok(operation(a, b, self.registers.flag(CF), size))
    }

    /// `inc` and `dec`: all flags but CF.
    pub(super) fn step_by_one(&mut self, operation: Operation) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let a = self.read(0)?;
        let (result, flags) = operation(a, 1, false, size);
        self.write(0, result)?;
        self.registers.set_flags(STATUS & !CF, flags);
        Ok(())
    }

    /// `neg`.
    pub(super) fn negate(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let a = self.read(0)?;
        let (result, flags) = flags::subtract(0, a, false, size);
        self.write(0, result)?;
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }

    /// `not`: no flags.
    pub(super) fn complement(&mut self) -> Result<(), B::Fault> {
        let a = self.read(0)?;
        self.write(0, !a)
    }

    /// `xadd a, b`: the sum to `a`, the old `a` to `b`.
    pub(super) fn exchange_add(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (a, b) = (self.read(0)?, self.read(1)?);
        let (sum, flags) = flags::add(a, b, false, size);
        if self.instruction.op0_register() == iced_x86::Register::None {
            self.write(0, sum)?;
            self.write(1, a)?;
        } else {
            // The sum is written last, because it must stay if both operands are the same register.
            self.write(1, a)?;
            self.write(0, sum)?;
        }
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }
}
