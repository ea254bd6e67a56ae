//! Loads from guest-physical addresses where a guest has no memory: they give all ones, as on a PC's bus.
//!
//! Kernels for older processors make such loads: Linux without PAE reads its stack protector's secret at its virtual
//! address before paging is on, and later compares with it.

use crate::guest::Register;
use iced_x86::{Code, Decoder, DecoderOptions, OpKind};

/// An instruction that loads all ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// What it does.
    pub operation: Operation,
    /// The register that gets the result, all of it.
    pub to: Register,
    /// Bytes of the instruction.
    pub length: u32,
}

/// What an instruction does with what it loads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// MOV.
    Move,
    /// SUB: subtracts it from the register, and sets the flags.
    Subtract,
}

/// The flags that a subtraction sets.
const CARRY: u32 = 1;
const PARITY: u32 = 1 << 2;
const ADJUST: u32 = 1 << 4;
const ZERO: u32 = 1 << 6;
const SIGN: u32 = 1 << 7;
const OVERFLOW: u32 = 1 << 11;

impl Operation {
    /// The register and EFLAGS afterwards.
    pub fn execute(self, register: u32, flags: u32) -> (u32, u32) {
        const LOADED: u32 = u32::MAX;
        if self == Operation::Move {
            return (LOADED, flags);
        }
        let result = register.wrapping_sub(LOADED);
        let sign = |word: u32| word >> 31 == 1;
        let set = [
            (CARRY, register < LOADED),
            (PARITY, (result as u8).count_ones().is_multiple_of(2)),
            (ADJUST, register % 16 < LOADED % 16),
            (ZERO, result == 0),
            (SIGN, sign(result)),
            (OVERFLOW, sign(register) != sign(LOADED) && sign(result) != sign(register)),
        ];
        (result, set.into_iter().fold(flags, |flags, (flag, set)| if set { flags | flag } else { flags & !flag }))
    }
}

impl Load {
    /// The load that the first of these bytes encode in 32-bit code: MOV to a 32-bit register, or SUB from one.
    /// `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Load> {
        let instruction = Decoder::new(32, bytes, DecoderOptions::NONE).decode();
        let operation = match instruction.code() {
            Code::Mov_r32_rm32 | Code::Mov_EAX_moffs32 => Operation::Move,
            Code::Sub_r32_rm32 => Operation::Subtract,
            _ => return None,
        };
        if instruction.op1_kind() != OpKind::Memory {
            return None;
        }
        let general = (instruction.op0_register() as usize).checked_sub(iced_x86::Register::EAX as usize)?;
        let to = *Register::GENERAL.get(general)?;
        Some(Load { operation, to, length: instruction.len() as u32 })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn loads_are_decoded() {
        let rows: [(&[u8], Operation, Register); 4] = [
            // mov eax, fs:[0xc1e5e6e0]; mov ecx, fs:[0xc1e5e6e0]; mov edi, [ebx+4]; sub eax, fs:[0xc1e5e6e0].
            (&[0x64, 0xA1, 0xE0, 0xE6, 0xE5, 0xC1], Operation::Move, Register::Eax),
            (&[0x64, 0x8B, 0x0D, 0xE0, 0xE6, 0xE5, 0xC1], Operation::Move, Register::Ecx),
            (&[0x8B, 0x7B, 0x04], Operation::Move, Register::Edi),
            (&[0x64, 0x2B, 0x05, 0xE0, 0xE6, 0xE5, 0xC1], Operation::Subtract, Register::Eax),
        ];
        for (bytes, operation, to) in rows {
            let length = bytes.len() as u32;
            assert_eq!(Load::decode(&[bytes, &[0x90; 8]].concat()), Some(Load { operation, to, length }), "{bytes:x?}");
        }
    }

    /// The processor subtracts, too.
    #[test]
    fn flags_are_the_processors() {
        const FLAGS: u32 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;
        for register in [0, 1, 0xF, 0x10, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF] {
            let (mut result, flags): (u32, u64) = (register, 0);
            let mut after = flags;
            // SAFETY: the instructions change two registers and the flags, and balance the stack.
            unsafe {
                core::arch::asm!("sub {0:e}, -1", "pushfq", "pop {1}", inout(reg) result, inout(reg) after);
            }
            let (ours, flags) = Operation::Subtract.execute(register, 0);
            assert_eq!((ours, flags), (result, after as u32 & FLAGS), "{register:#x}");
        }
        assert_eq!(Operation::Move.execute(5, 7), (u32::MAX, 7));
    }

    #[test]
    fn everything_else_is_refused() {
        // A store, a load of a byte, an addition, a move between registers, half an instruction, and nothing.
        let others: [&[u8]; 6] =
            [&[0x89, 0x7B, 0x04], &[0x8A, 0x03], &[0x03, 0x03], &[0x8B, 0xC1], &[0x64, 0xA1, 0xE0], &[]];
        for bytes in others {
            assert_eq!(Load::decode(bytes), None, "{bytes:x?}");
        }
    }
}
