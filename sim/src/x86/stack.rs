//! The stack.

use super::dispatch::Execution;
use super::memory::{self, Bus, Size, is_canonical};
use super::registers::Gpr::{Rbp, Rsp};
use super::registers::rflags::{ONE, POPPED, RF};
use super::{Result, Trap};
use iced_x86::{Code, OpKind, Register};

impl<B: Bus> Execution<'_, B> {
    /// Stores below RSP, without moving it: the last thing that can fail comes first.
    fn store_at(&mut self, address: u64, size: Size, value: u64) -> Result<(), B::Fault> {
        if !is_canonical(address, size.bytes()) {
            return Err(Trap::StackFault);
        }
        self.cache.stored(address, size.bytes());
        memory::store(self.bus, address, size.bytes(), value.into())
    }

    /// Loads from the stack.
    fn load_at(&mut self, address: u64, size: Size) -> Result<u64, B::Fault> {
        if !is_canonical(address, size.bytes()) {
            return Err(Trap::StackFault);
        }
        memory::load(self.bus, address, size.bytes()).map(|value| value as u64)
    }

    /// Pushes a value.
    pub(super) fn push_value(&mut self, value: u64, size: Size) -> Result<(), B::Fault> {
        let top = self.registers[Rsp].wrapping_sub(size.bytes());
        self.store_at(top, size, value)?;
        self.registers[Rsp] = top;
        Ok(())
    }

    /// The value on top of the stack, and RSP without it.
    pub(super) fn peek(&mut self, size: Size) -> Result<(u64, u64), B::Fault> {
        let top = self.registers[Rsp];
        Ok((self.load_at(top, size)?, top.wrapping_add(size.bytes())))
    }

    /// `push`.
    pub(super) fn push(&mut self) -> Result<(), B::Fault> {
        let size = match self.instruction.code() {
            Code::Push_imm16 | Code::Pushw_imm8 => Size::Word,
            Code::Pushq_imm32 | Code::Pushq_imm8 => Size::Quad,
            _ => self.size(0)?,
        };
        let value = self.read(0)?;
        self.push_value(value, size)
    }

    /// `pop`.
    pub(super) fn pop(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (value, top) = self.peek(size)?;
        // An address that uses RSP uses it after the increment; a popped RSP is the value.
        let before = core::mem::replace(&mut self.registers[Rsp], top);
        let result = self.write(0, value);
        if result.is_err() {
            self.registers[Rsp] = before;
        }
        result
    }

    /// `pushfq` and `pushfw`.
    pub(super) fn push_flags(&mut self, size: Size) -> Result<(), B::Fault> {
        self.push_value(self.registers.rflags & !RF | ONE, size)
    }

    /// `popfq` and `popfw`.
    pub(super) fn pop_flags(&mut self, size: Size) -> Result<(), B::Fault> {
        let (value, top) = self.peek(size)?;
        self.registers[Rsp] = top;
        self.registers.set_flags(POPPED & size.mask(), value);
        Ok(())
    }

    /// `enter` without nesting: a frame and room for locals.
    pub(super) fn enter(&mut self) -> Result<(), B::Fault> {
        let nesting = self.instruction.immediate(1);
        if self.instruction.code() != Code::Enterq_imm16_imm8 || nesting != 0 {
            return self.unimplemented();
        }
        let room = self.read(0)?;
        let frame = self.registers[Rsp].wrapping_sub(8);
        self.store_at(frame, Size::Quad, self.registers[Rbp])?;
        self.registers[Rbp] = frame;
        self.registers[Rsp] = frame.wrapping_sub(room);
        Ok(())
    }

    /// `leave`.
    pub(super) fn leave(&mut self) -> Result<(), B::Fault> {
        if self.instruction.code() != Code::Leaveq {
            return self.unimplemented();
        }
        let frame = self.registers[Rbp];
        let value = self.load_at(frame, Size::Quad)?;
        self.registers[Rsp] = frame.wrapping_add(8);
        self.registers[Rbp] = value;
        Ok(())
    }

    /// Whether `push` or `pop` has an operand that the interpreter knows: no segment register.
    pub(super) fn has_plain_operand(&self) -> bool {
        self.instruction.op0_kind() != OpKind::Register
            || self.instruction.op0_register().is_gpr()
            || self.instruction.op0_register() == Register::None
    }
}
