//! Moving values between registers and memory.

use super::execution::Execution;
use super::flags::{self, sign_extend, when};
use super::memory::{Bus, Size};
use super::registers::Gpr::{Rax, Rbx, Rcx, Rdx};
use super::registers::rflags::{AF, CF, ONE, PF, SF, STATUS, ZF};
use super::trap::Result;
use iced_x86::{OpKind, Register};

/// The flags that `lahf` and `sahf` move.
const IN_AH: u64 = SF | ZF | AF | PF | CF;

impl<B: Bus> Execution<'_, B> {
    /// `mov` and `movzx`.
    pub(super) fn copy(&mut self) -> Result<(), B::Fault> {
        let value = self.read(1)?;
        self.write(0, value)
    }

    /// `movsx` and `movsxd`.
    pub(super) fn copy_signed(&mut self) -> Result<(), B::Fault> {
        let size = self.size(1)?;
        let value = self.read(1)?;
        self.write(0, sign_extend(value, size))
    }

    /// `cbw`, `cwde`, `cdqe`: sign-extends the lower half of a part of RAX into all of it.
    pub(super) fn widen(&mut self, from: Register, to: Register, size: Size) -> Result<(), B::Fault> {
        let value = self.register(from)?;
        self.set_register(to, sign_extend(value, size))
    }

    /// `cwd`, `cdq`, `cqo`: fills a part of RDX with the sign of the same part of RAX.
    pub(super) fn spread_sign(&mut self, from: Register, to: Register, size: Size) -> Result<(), B::Fault> {
        let value = sign_extend(self.register(from)?, size) as i64;
        self.set_register(to, (value >> 63) as u64)
    }

    /// `lea`.
    pub(super) fn load_address(&mut self) -> Result<(), B::Fault> {
        let address = self.address()?;
        self.write(0, address)
    }

    /// `cmovcc`. In every case memory is read, and the upper half of a 32-bit register cleared.
    pub(super) fn copy_if(&mut self, condition: bool) -> Result<(), B::Fault> {
        let (old, new) = (self.read(0)?, self.read(1)?);
        self.write(0, if condition { new } else { old })
    }

    /// `setcc`.
    pub(super) fn set_if(&mut self, condition: bool) -> Result<(), B::Fault> {
        self.write(0, condition.into())
    }

    /// `xchg`. Only a memory operand can fail, and it is always the first.
    pub(super) fn exchange(&mut self) -> Result<(), B::Fault> {
        let (a, b) = (self.read(0)?, self.read(1)?);
        self.write(0, b)?;
        self.write(1, a)
    }

    /// `cmpxchg a, b`: if RAX equals `a`, writes `b` to it. Otherwise writes `a` to RAX.
    pub(super) fn compare_exchange(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let accumulator = match size {
            Size::Byte => Register::AL,
            Size::Word => Register::AX,
            Size::Double => Register::EAX,
            Size::Quad => Register::RAX,
        };
        let expected = self.register(accumulator)?;
        let (a, b) = (self.read(0)?, self.read(1)?);
        let (_, flags) = flags::subtract(expected, a, false, size);
        let equal = expected == a;
        // The destination is written in both cases, and must be writable. A register that keeps its value also keeps
        // its upper half.
        if equal || self.instruction.op0_kind() == OpKind::Memory {
            self.write(0, if equal { b } else { a })?;
        }
        if !equal {
            self.set_register(accumulator, a)?;
        }
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }

    /// `cmpxchg8b`: the same with EDX:EAX and ECX:EBX. Only ZF changes.
    pub(super) fn compare_exchange_8(&mut self) -> Result<(), B::Fault> {
        let pair = |high: u64, low: u64| high << 32 | low & 0xFFFF_FFFF;
        let address = self.address()?;
        let value = self.load(address, Size::Quad)?;
        let equal = value == pair(self.registers[Rdx], self.registers[Rax]);
        let new = if equal { pair(self.registers[Rcx], self.registers[Rbx]) } else { value };
        self.store(address, Size::Quad, new)?;
        if !equal {
            self.registers[Rax] = value & 0xFFFF_FFFF;
            self.registers[Rdx] = value >> 32;
        }
        self.registers.set_flags(ZF, when(equal, ZF));
        Ok(())
    }

    /// `cmpxchg16b`: the same with RDX:RAX and RCX:RBX. The operand must be aligned.
    pub(super) fn compare_exchange_16(&mut self) -> Result<(), B::Fault> {
        let pair = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        let address = self.address()?;
        self.check_aligned(address)?;
        let value = self.load_wide(address)?;
        let equal = value == pair(self.registers[Rdx], self.registers[Rax]);
        let new = if equal { pair(self.registers[Rcx], self.registers[Rbx]) } else { value };
        self.store_wide(address, new)?;
        if !equal {
            self.registers[Rax] = value as u64;
            self.registers[Rdx] = (value >> 64) as u64;
        }
        self.registers.set_flags(ZF, when(equal, ZF));
        Ok(())
    }

    /// `xlatb`: the byte at RBX plus AL.
    pub(super) fn translate(&mut self) -> Result<(), B::Fault> {
        let narrow = self.instruction.memory_base() == Register::EBX;
        let address = self.registers[Rbx].wrapping_add(self.registers[Rax] & 0xFF);
        let address = if narrow { address & 0xFFFF_FFFF } else { address };
        let value = self.load(address, Size::Byte)?;
        self.set_register(Register::AL, value)
    }

    /// `lahf`.
    pub(super) fn flags_to_ah(&mut self) -> Result<(), B::Fault> {
        self.set_register(Register::AH, self.registers.rflags & IN_AH | ONE)
    }

    /// `sahf`.
    pub(super) fn ah_to_flags(&mut self) -> Result<(), B::Fault> {
        let flags = self.register(Register::AH)?;
        self.registers.set_flags(IN_AH, flags);
        Ok(())
    }
}
