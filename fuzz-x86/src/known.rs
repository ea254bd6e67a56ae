//! What emulators are known to do otherwise than the processors' manuals say, or than another vendor's processors do: such
//! instructions are not compared. docs/fuzz-x86.md has the list in words.

use crate::outcome::Outcome;
use crate::program::Program;
use abi::Reason;
use abi::report::End;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};

/// Prefixes: of operands and segments, `lock`, repetition, REX.
const PREFIXES: [u8; 11] = [0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65];

/// Why bytes are not executed, if they are not, whether they are an instruction or not.
pub fn stops_the_emulator(bytes: &[u8]) -> Option<&'static str> {
    let opcode = bytes.iter().find(|byte| !PREFIXES.contains(byte) && !(0x40..0x50).contains(*byte));
    (opcode == Some(&0xF1)).then_some("`int1`: QEMU 7.2 stops the whole machine for a debugger that is not there")
}

/// Why an instruction is not compared, if it is not.
pub fn differs(instruction: &Instruction) -> Option<&'static str> {
    match instruction.mnemonic() {
        Mnemonic::Blsi | Mnemonic::Blsr | Mnemonic::Blsmsk => return Some("QEMU 7.2 gives a wrong CF"),
        Mnemonic::Reservednop if instruction.op0_kind() == OpKind::Register => {
            return Some("QEMU 7.2 takes some hints with a register for invalid opcodes");
        }
        Mnemonic::Rdrand | Mnemonic::Rdseed => return Some("random numbers are no two times the same"),
        _ => {}
    }
    let aliases =
        [Code::Test_rm8_imm8_F6r1, Code::Test_rm16_imm16_F7r1, Code::Test_rm32_imm32_F7r1, Code::Test_rm64_imm32_F7r1];
    if aliases.contains(&instruction.code()) {
        return Some(
            "QEMU 7.2 takes the second encoding of `test` with a constant (F6 /1, F7 /1) for an invalid opcode",
        );
    }
    let kinds = (0..instruction.op_count()).map(|operand| instruction.op_kind(operand));
    for kind in kinds {
        if matches!(kind, OpKind::NearBranch16) {
            return Some(
                "a near branch with an operand-size prefix: Intel's processors ignore the prefix, AMD's do not",
            );
        }
    }
    None
}

/// Why two ends of a program differ, if the emulator or the architecture is known to be the reason.
pub fn explains(program: &Program, hosted: &Outcome, booted: &Outcome) -> Option<&'static str> {
    let (End::Stopped { reason: ours, rip, .. }, End::Stopped { reason: theirs, rip: target, .. }) =
        (hosted.end, booted.end)
    else {
        return None;
    };
    match (ours, theirs) {
        (Reason::GeneralProtection, Reason::GeneralProtection) if !is_canonical(target) && is_canonical(rip) => {
            Some("QEMU 7.2 goes to an address that is not canonical, and has the exception there")
        }
        (Reason::StackFault, Reason::GeneralProtection) if rip == target => {
            Some("QEMU 7.2 gives #GP for an address in the stack segment that is not canonical")
        }
        (Reason::InvalidOpcode, _) if program.steps.iter().any(|step| is_locked(&step.bytes)) => {
            Some("QEMU 7.2 does not refuse `lock` before every instruction that cannot be locked")
        }
        _ => None,
    }
}

fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// Whether there is a `lock` prefix: before the first instruction, which may be none that can be decoded, or before a later one.
fn is_locked(bytes: &[u8]) -> bool {
    let prefixes = bytes.iter().take_while(|byte| PREFIXES.contains(byte) || (0x40..0x50).contains(*byte));
    let mut prefixes = prefixes.copied();
    prefixes.any(|byte| byte == 0xF0)
        || Decoder::new(64, bytes, DecoderOptions::NONE).into_iter().any(|instruction| instruction.has_lock_prefix())
}
