//! SSE: moving values, and MXCSR.

use super::execution::Execution;
use super::memory::{Bus, Size};
use super::registers::Gpr::Rdi;
use super::trap::Result;
use iced_x86::{Mnemonic, OpKind};

/// The bits of MXCSR that exist.
const MXCSR_MASK: u64 = 0xFFFF;
/// The lower half of an SSE register.
const LOW: u128 = u64::MAX as u128;

/// `old` with its low `bits` replaced by those of `new`.
pub(super) fn replace_low(old: u128, new: u128, bits: u32) -> u128 {
    let mask = u128::MAX >> (128 - bits);
    old & !mask | new & mask
}

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction if its mnemonic belongs to this group.
    pub(super) fn sse_move(&mut self, mnemonic: Mnemonic) -> Option<Result<(), B::Fault>> {
        use Mnemonic::*;
        Some(match mnemonic {
            Movaps | Movapd | Movdqa | Movntps | Movntpd | Movntdq => self.move_whole(true),
            Movups | Movupd | Movdqu => self.move_whole(false),
            Movss => self.move_scalar(32),
            Movsd => self.move_scalar(64),
            Movd | Movq => self.move_word(),
            Movlps | Movlpd | Movhlps => self.move_low(),
            Movhps | Movhpd | Movlhps => self.move_high(),
            Pmovmskb => self.sign_mask(8),
            Movmskps => self.sign_mask(32),
            Movmskpd => self.sign_mask(64),
            Maskmovdqu => self.store_masked(),
            Ldmxcsr => self.load_mxcsr(),
            Stmxcsr => self.store_mxcsr(),
            _ => return None,
        })
    }

    /// Whether an operand is memory.
    fn is_memory(&self, operand: u32) -> bool {
        self.instruction.op_kind(operand) == OpKind::Memory
    }

    /// Moves 16 bytes. `aligned` means that memory must be aligned.
    fn move_whole(&mut self, aligned: bool) -> Result<(), B::Fault> {
        let in_memory = self.is_memory(0) || self.is_memory(1);
        let address = if in_memory { self.address()? } else { 0 };
        if in_memory && aligned {
            self.check_aligned(address)?;
        }
        if self.is_memory(0) {
            let value = self.registers.xmm[self.xmm(1)?];
            return self.store_wide(address, value);
        }
        let to = self.xmm(0)?;
        self.registers.xmm[to] = if in_memory { self.load_wide(address)? } else { self.registers.xmm[self.xmm(1)?] };
        Ok(())
    }

    /// `movss` and `movsd`: the rest of the register becomes zero in a load, and stays in a move between registers.
    fn move_scalar(&mut self, bits: u32) -> Result<(), B::Fault> {
        if self.is_memory(0) {
            let value = self.registers.xmm[self.xmm(1)?];
            return self.write(0, value as u64);
        }
        let to = self.xmm(0)?;
        let value = self.read_xmm(1)?;
        let old = self.registers.xmm[to];
        self.registers.xmm[to] = if self.is_memory(1) { value } else { replace_low(old, value, bits) };
        Ok(())
    }

    /// `movd` and `movq`: a move between an SSE register, which is zero-extended, and anything else.
    fn move_word(&mut self) -> Result<(), B::Fault> {
        if let Ok(to) = self.xmm(0) {
            let from = self.xmm(1);
            self.registers.xmm[to] = match from {
                Ok(from) => self.registers.xmm[from] & LOW,
                Err(_) => self.read(1)?.into(),
            };
            return Ok(());
        }
        let value = self.registers.xmm[self.xmm(1)?];
        self.write(0, value as u64)
    }

    /// `movlps`, `movlpd`. Between registers it is `movhlps`, from the source's upper half.
    fn move_low(&mut self) -> Result<(), B::Fault> {
        if self.is_memory(0) {
            let value = self.registers.xmm[self.xmm(1)?];
            return self.write(0, value as u64);
        }
        let to = self.xmm(0)?;
        let value = if self.is_memory(1) { self.read(1)?.into() } else { self.registers.xmm[self.xmm(1)?] >> 64 };
        self.registers.xmm[to] = replace_low(self.registers.xmm[to], value, 64);
        Ok(())
    }

    /// `movhps`, `movhpd`. Between registers it is `movlhps`, from the source's lower half.
    fn move_high(&mut self) -> Result<(), B::Fault> {
        if self.is_memory(0) {
            let value = self.registers.xmm[self.xmm(1)?];
            return self.write(0, (value >> 64) as u64);
        }
        let to = self.xmm(0)?;
        let value = self.read_xmm(1)?;
        self.registers.xmm[to] = self.registers.xmm[to] & LOW | value << 64;
        Ok(())
    }

    /// `pmovmskb`, `movmskps`, `movmskpd`: the sign of each lane.
    fn sign_mask(&mut self, lane_bits: u32) -> Result<(), B::Fault> {
        let value = self.registers.xmm[self.xmm(1)?];
        let lanes = 128 / lane_bits;
        let sign = |lane: u32| (value >> (lane * lane_bits + lane_bits - 1) & 1) as u64;
        let mask = (0..lanes).map(|lane| sign(lane) << lane).sum();
        self.write(0, mask)
    }

    /// `maskmovdqu`: stores, at the address in RDI, the bytes whose mask byte has its sign bit set.
    fn store_masked(&mut self) -> Result<(), B::Fault> {
        if self.instruction.op0_kind() != OpKind::MemorySegRDI {
            return self.unimplemented();
        }
        let (value, mask) = (self.registers.xmm[self.xmm(1)?], self.registers.xmm[self.xmm(2)?]);
        let address = self.registers[Rdi];
        let mut merged = self.load_wide(address)?.to_le_bytes();
        let (value, mask) = (value.to_le_bytes(), mask.to_le_bytes());
        for (byte, (&new, &select)) in merged.iter_mut().zip(value.iter().zip(&mask)) {
            if select & 0x80 != 0 {
                *byte = new;
            }
        }
        self.store_wide(address, u128::from_le_bytes(merged))
    }

    /// `ldmxcsr`.
    fn load_mxcsr(&mut self) -> Result<(), B::Fault> {
        let value = self.read(0)?;
        if value & !MXCSR_MASK != 0 {
            return Err(super::trap::Trap::GeneralProtection);
        }
        self.registers.mxcsr = value as u32;
        self.registers.mxcsr_flags_unknown = false;
        Ok(())
    }

    /// `stmxcsr`, as long as the exception flags are known.
    fn store_mxcsr(&mut self) -> Result<(), B::Fault> {
        if self.registers.mxcsr_flags_unknown {
            return self.unimplemented();
        }
        let address = self.address()?;
        self.store(address, Size::Double, self.registers.mxcsr.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::x86::testing::{DATA, machine, refuses, steps};
    use crate::x86::{Gpr, INITIAL_MXCSR, Trap};
    use iced_x86::Mnemonic;
    use iced_x86::code_asm::*;

    #[test]
    fn mxcsr_is_what_was_loaded() {
        let (mut cpu, mut memory) = machine(|a| {
            a.stmxcsr(dword_ptr(rax))?;
            a.ldmxcsr(dword_ptr(rax + 8))?;
            a.stmxcsr(dword_ptr(rax))
        });
        cpu.registers[Gpr::Rax] = DATA;
        memory.write(DATA + 8, &0x9FBF_u32.to_le_bytes());
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(memory.quad(DATA), u64::from(INITIAL_MXCSR));
        steps(&mut cpu, &mut memory, 2);
        assert_eq!(memory.quad(DATA), 0x9FBF);
    }

    #[test]
    fn bits_of_mxcsr_that_do_not_exist_are_refused() {
        let (mut cpu, mut memory) = machine(|a| a.ldmxcsr(dword_ptr(rax)));
        cpu.registers[Gpr::Rax] = DATA;
        memory.write(DATA, &[0, 0, 1, 0]);
        refuses(&mut cpu, &mut memory, Trap::GeneralProtection);
    }

    #[test]
    fn arithmetic_makes_the_exception_flags_unknown() {
        let (mut cpu, mut memory) = machine(|a| {
            a.addsd(xmm0, xmm1)?;
            a.stmxcsr(dword_ptr(rax))
        });
        cpu.registers[Gpr::Rax] = DATA;
        steps(&mut cpu, &mut memory, 1);
        let rip = cpu.registers.rip;
        refuses(&mut cpu, &mut memory, Trap::Unimplemented { mnemonic: Mnemonic::Stmxcsr, rip });
    }

    #[test]
    fn other_roundings_are_refused() {
        for mxcsr in [INITIAL_MXCSR | 1 << 13, INITIAL_MXCSR & !(1 << 7), INITIAL_MXCSR | 1 << 15] {
            let (mut cpu, mut memory) = machine(|a| a.addsd(xmm0, xmm1));
            cpu.registers.mxcsr = mxcsr;
            let rip = cpu.registers.rip;
            refuses(&mut cpu, &mut memory, Trap::Unimplemented { mnemonic: Mnemonic::Addsd, rip });
        }
    }
}
