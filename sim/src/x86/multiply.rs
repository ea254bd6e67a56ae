//! Multiplication and division.

use super::execution::Execution;
use super::flags::{sign_extend, when};
use super::memory::{Bus, Size};
use super::registers::rflags::{CF, OF, STATUS};
use super::trap::{Result, Trap};
use iced_x86::Register;

/// The registers that hold the low and the high half of a product or a dividend.
fn halves(size: Size) -> (Register, Register) {
    match size {
        Size::Byte => (Register::AL, Register::AH),
        Size::Word => (Register::AX, Register::DX),
        Size::Double => (Register::EAX, Register::EDX),
        Size::Quad => (Register::RAX, Register::RDX),
    }
}

impl<B: Bus> Execution<'_, B> {
    /// `mul`. The flags besides CF and OF are undefined.
    pub(super) fn multiply(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (low, high) = halves(size);
        let product = u128::from(self.register(low)?) * u128::from(self.read(0)?);
        self.set_register(low, product as u64)?;
        self.set_register(high, (product >> size.bits()) as u64)?;
        let large = product >> size.bits() != 0;
        self.registers.set_flags(STATUS, when(large, CF | OF));
        Ok(())
    }

    /// `imul` with one, two or three operands. The flags besides CF and OF are undefined.
    pub(super) fn multiply_signed(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let count = self.instruction.op_count();
        let (a, b) = match count {
            1 => (self.register(halves(size).0)?, self.read(0)?),
            2 => (self.read(0)?, self.read(1)?),
            _ => (self.read(1)?, self.read(2)?),
        };
        let wide = |value| i128::from(sign_extend(value, size) as i64);
        let product = wide(a) * wide(b);
        if count == 1 {
            let (low, high) = halves(size);
            self.set_register(low, product as u64)?;
            self.set_register(high, (product >> size.bits()) as u64)?;
        } else {
            self.write(0, product as u64)?;
        }
        let large = wide(product as u64) != product;
        self.registers.set_flags(STATUS, when(large, CF | OF));
        Ok(())
    }

    /// `div`. The flags are undefined; here they stay.
    pub(super) fn divide(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (low, high) = halves(size);
        let divisor = u128::from(self.read(0)?);
        let dividend = u128::from(self.register(high)?) << size.bits() | u128::from(self.register(low)?);
        let quotient = dividend.checked_div(divisor).ok_or(Trap::DivideError)?;
        if quotient > size.mask().into() {
            return Err(Trap::DivideError);
        }
        self.set_register(low, quotient as u64)?;
        self.set_register(high, (dividend % divisor) as u64)
    }

    /// `idiv`. The flags are undefined; here they stay.
    pub(super) fn divide_signed(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (low, high) = halves(size);
        let divisor = i128::from(sign_extend(self.read(0)?, size) as i64);
        let top = i128::from(sign_extend(self.register(high)?, size) as i64);
        let dividend = top << size.bits() | i128::from(self.register(low)?);
        let quotient = dividend.checked_div(divisor).ok_or(Trap::DivideError)?;
        if quotient != i128::from(sign_extend(quotient as u64, size) as i64) {
            return Err(Trap::DivideError);
        }
        self.set_register(low, quotient as u64)?;
        self.set_register(high, (dividend % divisor) as u64)
    }
}
