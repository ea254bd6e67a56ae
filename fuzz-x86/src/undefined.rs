//! Results that the architecture leaves undefined after an instruction (Intel SDM volume 2, "Flags Affected").

use crate::generate::{Case, Scratch};
use iced_x86::{Instruction, Mnemonic, OpKind, RflagsBits};
use sim::x86::rflags;

/// The status flags whose value the architecture defines after this case, and DF.
pub fn defined_flags(case: &Case) -> u64 {
    use Mnemonic::*;
    let all = rflags::STATUS | rflags::DF;
    let instruction = &case.instruction;
    let count = || match instruction.op_count() {
        2 => (1, instruction.op1_kind()),
        _ => (2, instruction.op2_kind()),
    };
    match instruction.mnemonic() {
        Shl | Sal | Shr | Sar | Rol | Ror | Rcl | Rcr | Shld | Shrd => {
            let size = operand_bits(instruction);
            let count = match count() {
                (_, OpKind::Register) => case.state.gpr[1],
                (operand, _) => instruction.immediate(operand),
            };
            let count = count & if size == 64 { 63 } else { 31 };
            let rotates = matches!(instruction.mnemonic(), Rol | Ror | Rcl | Rcr);
            let overflow = if count == 1 { 0 } else { rflags::OF };
            let carry = if count >= size && !rotates { rflags::CF } else { 0 };
            let auxiliary = if rotates { 0 } else { rflags::AF };
            if count == 0 { all } else { all & !(overflow | carry | auxiliary) }
        }
        _ => {
            let undefined = instruction.rflags_undefined();
            let flags = [
                (RflagsBits::CF, rflags::CF),
                (RflagsBits::PF, rflags::PF),
                (RflagsBits::AF, rflags::AF),
                (RflagsBits::ZF, rflags::ZF),
                (RflagsBits::SF, rflags::SF),
                (RflagsBits::OF, rflags::OF),
            ];
            let undefined = flags.iter().filter(|(bit, _)| undefined & bit != 0);
            undefined.fold(all, |defined, (_, flag)| defined & !flag)
        }
    }
}

/// Width of the first operand in bits.
fn operand_bits(instruction: &Instruction) -> u64 {
    8 * match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size() as u64,
        _ => instruction.memory_size().size() as u64,
    }
}

/// Whether the architecture leaves the result itself undefined.
pub fn has_undefined_result(case: &Case, scratch: Scratch) -> bool {
    let instruction = &case.instruction;
    let count = || match instruction.op2_kind() {
        OpKind::Register => case.state.gpr[1],
        _ => instruction.immediate(2),
    };
    match instruction.mnemonic() {
        Mnemonic::Shld | Mnemonic::Shrd => operand_bits(instruction) == 16 && count() & 31 > 16,
        // If no bit is set, the register keeps its value; but some processors clear its upper half.
        Mnemonic::Bsf | Mnemonic::Bsr => {
            operand_bits(instruction) == 32 && case.operand(1, scratch).is_some_and(|value| value as u32 == 0)
        }
        _ => false,
    }
}
