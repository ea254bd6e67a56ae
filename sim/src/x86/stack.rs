//! The stack.

use super::execution::Execution;
use super::memory::{self, Bus, Size, is_canonical};
use super::registers::Gpr::{Rbp, Rsp};
use super::registers::rflags::{ONE, POPPED, RF};
use super::trap::{Result, Trap};
use iced_x86::{Code, OpKind, Register};

impl<B: Bus> Execution<'_, B> {
    /// Stores below RSP without changing it, because the store can fail.
    fn store_at(&mut self, address: u64, size: Size, value: u64) -> Result<(), B::Fault> {
        if !is_canonical(address, size.bytes()) {
            return Err(Trap::StackFault);
        }
        self.check_alignment(address, size.bytes())?;
        memory::store(self.bus, address, size.bytes(), value.into())
    }

    /// Loads from the stack.
    pub(super) fn load_at(&mut self, address: u64, size: Size) -> Result<u64, B::Fault> {
        if !is_canonical(address, size.bytes()) {
            return Err(Trap::StackFault);
        }
        self.check_alignment(address, size.bytes())?;
        memory::load(self.bus, address, size.bytes()).map(|value| value as u64)
    }

    /// Pushes a value.
    pub(super) fn push_value(&mut self, value: u64, size: Size) -> Result<(), B::Fault> {
        let top = self.registers[Rsp].wrapping_sub(size.bytes());
        self.store_at(top, size, value)?;
        self.registers[Rsp] = top;
        Ok(())
    }

    /// The value on top of the stack, and RSP after removing it.
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
        // If the address uses RSP, it uses RSP after the increment. A popped RSP is the loaded
        // value.
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

    /// `enter` without nesting: a stack frame with space for local variables.
    pub(super) fn enter(&mut self) -> Result<(), B::Fault> {
        let nesting = self.instruction.immediate(1);
        if self.instruction.code() != Code::Enterq_imm16_imm8 || nesting != 0 {
            return self.unimplemented();
        }
        let room = self.read(0)?;
        let frame = self.registers[Rsp].wrapping_sub(8);
        // The processor also checks that the new top of the stack is writable.
        let top = frame.wrapping_sub(room);
        if !is_canonical(top, 8) {
            return Err(Trap::StackFault);
        }
        memory::probe(self.bus, top, 8)?;
        self.store_at(frame, Size::Quad, self.registers[Rbp])?;
        self.registers[Rbp] = frame;
        self.registers[Rsp] = top;
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

    /// Whether the operand of `push` or `pop` is no segment register.
    pub(super) fn has_plain_operand(&self) -> bool {
        self.instruction.op0_kind() != OpKind::Register
            || self.instruction.op0_register().is_gpr()
            || self.instruction.op0_register() == Register::None
    }
}

#[cfg(test)]
mod tests {
    use crate::x86::testing::{DATA, Fault, STACK, machine, refuses, steps};
    use crate::x86::{Gpr, Step, Trap, rflags};
    use iced_x86::code_asm::*;

    #[test]
    fn popped_flags_do_not_reach_the_interrupt_flag_or_the_privilege() {
        let (mut cpu, mut memory) = machine(|a| {
            a.push(-1)?;
            a.popfq()?;
            a.nop()?;
            a.pushfq()
        });
        steps(&mut cpu, &mut memory, 2);
        let all = rflags::POPPED | rflags::IF | rflags::ONE;
        assert_eq!(cpu.registers.rflags, all);
        cpu.registers.rflags &= !rflags::TF;
        steps(&mut cpu, &mut memory, 2);
        assert_eq!(memory.quad(STACK - 8), all & !rflags::TF);
        let (mut cpu, mut memory) = machine(|a| {
            a.push(0)?;
            a.popfq()
        });
        steps(&mut cpu, &mut memory, 2);
        assert_eq!(cpu.registers.rflags, rflags::IF | rflags::ONE);
    }

    #[test]
    fn the_trap_flag_traps_after_each_instruction_but_a_system_call() {
        let (mut cpu, mut memory) = machine(|a| {
            a.inc(eax)?;
            a.syscall()
        });
        cpu.registers.rflags |= rflags::TF;
        assert_eq!(cpu.step(&mut memory), Err(Trap::Debug));
        assert_eq!(cpu.registers[Gpr::Rax], 1);
        assert_eq!(cpu.step(&mut memory), Ok(Step::SystemCall));
    }

    #[test]
    fn a_pop_to_where_nothing_is_leaves_the_stack() {
        let (mut cpu, mut memory) = machine(|a| a.pop(qword_ptr(rsp + 8)));
        cpu.registers[Gpr::Rsp] = STACK - 8;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(STACK + 8)));
    }

    #[test]
    fn a_frame_is_entered_and_left() {
        let (mut cpu, mut memory) = machine(|a| {
            a.enter(32, 0)?;
            a.leave()
        });
        cpu.registers[Gpr::Rbp] = 7;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers[Gpr::Rbp], STACK - 8);
        assert_eq!(cpu.registers[Gpr::Rsp], STACK - 40);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers[Gpr::Rbp], cpu.registers[Gpr::Rsp]), (7, STACK));
    }

    #[test]
    fn a_stack_that_is_not_canonical_is_its_own_exception() {
        let (mut cpu, mut memory) = machine(|a| a.push(rax));
        cpu.registers[Gpr::Rsp] = 1 << 63;
        refuses(&mut cpu, &mut memory, Trap::StackFault);
        let (mut cpu, mut memory) = machine(|a| a.mov(rax, qword_ptr(rbp)));
        cpu.registers[Gpr::Rbp] = 1 << 63;
        refuses(&mut cpu, &mut memory, Trap::StackFault);
    }

    #[test]
    fn a_push_that_crosses_into_nothing_changes_nothing() {
        let (mut cpu, mut memory) = machine(|a| a.push(rax));
        cpu.registers[Gpr::Rax] = u64::MAX;
        // Its upper half lies on the page at DATA.
        cpu.registers[Gpr::Rsp] = DATA + 4;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(DATA - 4)));
    }
}
