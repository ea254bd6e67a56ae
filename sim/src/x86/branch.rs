//! Jumps, calls and conditions.

use super::execution::Execution;
use super::memory::{Bus, Size, is_canonical};
use super::registers::Gpr::{Rcx, Rsp};
use super::registers::rflags::{CF, OF, PF, SF, ZF};
use super::trap::{Result, Trap};
use iced_x86::{Code, ConditionCode, OpKind};

impl<B: Bus> Execution<'_, B> {
    /// Whether the condition of the instruction's mnemonic holds.
    pub(super) fn condition(&self) -> bool {
        let flag = |flag| self.registers.flag(flag);
        let less = flag(SF) != flag(OF);
        match self.instruction.condition_code() {
            ConditionCode::o => flag(OF),
            ConditionCode::no => !flag(OF),
            ConditionCode::b => flag(CF),
            ConditionCode::ae => !flag(CF),
            ConditionCode::e => flag(ZF),
            ConditionCode::ne => !flag(ZF),
            ConditionCode::be => flag(CF) || flag(ZF),
            ConditionCode::a => !flag(CF) && !flag(ZF),
            ConditionCode::s => flag(SF),
            ConditionCode::ns => !flag(SF),
            ConditionCode::p => flag(PF),
            ConditionCode::np => !flag(PF),
            ConditionCode::l => less,
            ConditionCode::ge => !less,
            ConditionCode::le => less || flag(ZF),
            ConditionCode::g => !less && !flag(ZF),
            ConditionCode::None => true,
        }
    }

    /// The target of a jump or call with 64-bit operand size.
    fn target(&mut self) -> Result<u64, B::Fault> {
        let target = match self.instruction.op0_kind() {
            OpKind::NearBranch64 => self.instruction.near_branch64(),
            OpKind::Register | OpKind::Memory if self.size(0)? == Size::Quad => self.read(0)?,
            _ => return self.unimplemented(),
        };
        if is_canonical(target, 1) { Ok(target) } else { Err(Trap::GeneralProtection) }
    }

    /// `jmp` and `jcc`.
    pub(super) fn jump_if(&mut self, condition: bool) -> Result<(), B::Fault> {
        if condition {
            self.next = self.target()?;
        }
        Ok(())
    }

    /// `call`.
    pub(super) fn call(&mut self) -> Result<(), B::Fault> {
        let target = self.target()?;
        self.push_value(self.next, Size::Quad)?;
        self.next = target;
        Ok(())
    }

    /// `ret`, and `ret n`, which drops `n` more bytes.
    pub(super) fn return_near(&mut self) -> Result<(), B::Fault> {
        let more = match self.instruction.code() {
            Code::Retnq => 0,
            Code::Retnq_imm16 => self.read(0)?,
            _ => return self.unimplemented(),
        };
        let (target, top) = self.peek(Size::Quad)?;
        if !is_canonical(target, 1) {
            return Err(Trap::GeneralProtection);
        }
        self.registers[Rsp] = top.wrapping_add(more);
        self.next = target;
        Ok(())
    }

    /// The counter of `loop` and `jrcxz`: RCX, or ECX under an address-size prefix.
    fn counter_mask(&self) -> Result<u64, B::Fault> {
        use Code::*;
        match self.instruction.code() {
            Loop_rel8_64_RCX | Loope_rel8_64_RCX | Loopne_rel8_64_RCX | Jrcxz_rel8_64 => Ok(u64::MAX),
            Loop_rel8_64_ECX | Loope_rel8_64_ECX | Loopne_rel8_64_ECX | Jecxz_rel8_64 => Ok(0xFFFF_FFFF),
            _ => self.unimplemented(),
        }
    }

    /// `loop`, `loope`, `loopne`: decrements the counter, and jumps unless it is zero or the condition fails.
    pub(super) fn count_down(&mut self, condition: bool) -> Result<(), B::Fault> {
        let mask = self.counter_mask()?;
        let count = self.registers[Rcx].wrapping_sub(1) & mask;
        self.jump_if(count != 0 && condition)?;
        self.registers[Rcx] = count;
        Ok(())
    }

    /// `jrcxz` and `jecxz`.
    pub(super) fn jump_if_zero_count(&mut self) -> Result<(), B::Fault> {
        let mask = self.counter_mask()?;
        self.jump_if(self.registers[Rcx] & mask == 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::x86::testing::{CODE, DATA, Fault, STACK, machine, refuses, steps};
    use crate::x86::{Gpr, Trap};
    use iced_x86::code_asm::*;

    #[test]
    fn a_call_comes_back() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut function = a.create_label();
            a.call(function)?;
            a.nop()?;
            a.set_label(&mut function)?;
            a.ret_1(16)
        });
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (CODE + 6, STACK - 8));
        assert_eq!(memory.quad(STACK - 8), CODE + 5);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers.rip, cpu.registers[Gpr::Rsp]), (CODE + 5, STACK + 16));
    }

    #[test]
    fn a_call_without_a_stack_goes_nowhere() {
        let (mut cpu, mut memory) = machine(|a| a.call(CODE));
        cpu.registers[Gpr::Rsp] = DATA;
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(DATA - 8)));
    }

    #[test]
    fn conditional_jumps_are_taken_or_not() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut end = a.create_label();
            a.cmp(eax, 1)?;
            a.jb(end)?;
            a.ud2()?;
            a.set_label(&mut end)?;
            a.ja(end)?;
            a.nop()
        });
        steps(&mut cpu, &mut memory, 4);
    }

    #[test]
    fn a_loop_counts_down() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut start = a.create_label();
            a.set_label(&mut start)?;
            a.inc(eax)?;
            a.loop_(start)
        });
        cpu.registers[Gpr::Rcx] = 3;
        steps(&mut cpu, &mut memory, 6);
        assert_eq!((cpu.registers[Gpr::Rax], cpu.registers[Gpr::Rcx]), (3, 0));
        assert_eq!(cpu.registers.rip, CODE + 4);
    }

    #[test]
    fn a_zero_count_jumps() {
        let (mut cpu, mut memory) = machine(|a| {
            let mut end = a.create_label();
            a.jrcxz(end)?;
            a.ud2()?;
            a.set_label(&mut end)?;
            a.nop()
        });
        steps(&mut cpu, &mut memory, 2);
    }

    #[test]
    fn jumps_leave_the_canonical_addresses_alone() {
        let (mut cpu, mut memory) = machine(|a| a.jmp(rax));
        cpu.registers[Gpr::Rax] = 1 << 47;
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
        cpu.registers[Gpr::Rax] = 0;
        steps(&mut cpu, &mut memory, 1);
        refuses(&mut cpu, &mut memory, Trap::Fault(Fault(0)));
    }
}
