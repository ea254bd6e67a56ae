//! Jumps, calls and conditions.

use super::dispatch::Execution;
use super::memory::{Bus, Size, is_canonical};
use super::registers::Gpr::{Rcx, Rsp};
use super::registers::rflags::{CF, OF, PF, SF, ZF};
use super::{Result, Trap};
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

    /// Where a jump or call with 64-bit operand size goes.
    fn target(&mut self) -> Result<u64, B::Fault> {
        let target = match self.instruction.op0_kind() {
            OpKind::NearBranch64 => self.instruction.near_branch64(),
            OpKind::Register | OpKind::Memory if self.size(0)? == Size::Quad => self.read(0)?,
            _ => return self.unimplemented(),
        };
        if is_canonical(target, 1) {
            Ok(target)
        } else {
            Err(Trap::GeneralProtection)
        }
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
            Loop_rel8_64_RCX | Loope_rel8_64_RCX | Loopne_rel8_64_RCX | Jrcxz_rel8_64 => {
                Ok(u64::MAX)
            }
            Loop_rel8_64_ECX | Loope_rel8_64_ECX | Loopne_rel8_64_ECX | Jecxz_rel8_64 => {
                Ok(0xFFFF_FFFF)
            }
            _ => self.unimplemented(),
        }
    }

    /// `loop`, `loope`, `loopne`: counts down and jumps unless at zero or the condition fails.
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
