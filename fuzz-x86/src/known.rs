//! Known deviations of emulators from the processors' manuals, and differences between the processors of two vendors.
//! Such instructions are not compared. docs/fuzz-x86.md lists them in words.

use crate::generate::{Case, Scratch};
use crate::program::Program;
use abi::Reason;
use abi::report::End;
use iced_x86::{Code, Decoder, DecoderOptions, EncodingKind, Instruction, Mnemonic, OpKind};
use sim::x86::{Gpr, is_canonical};

/// The flag of virtual-8086 mode.
const VM: u64 = 1 << 17;

/// Prefixes: of operands and segments, `lock`, repetition.
const PREFIXES: [u8; 11] = [0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65];

/// Bytes that may be an instruction.
struct Encoding<'a> {
    /// Its prefixes, including REX.
    prefixes: &'a [u8],
    /// Its opcode, and the rest.
    rest: &'a [u8],
}

impl Encoding<'_> {
    fn of(bytes: &[u8]) -> Encoding<'_> {
        let is_prefix = |byte: &u8| PREFIXES.contains(byte) || is_rex(byte);
        let (prefixes, rest) = bytes.split_at(bytes.iter().take_while(|byte| is_prefix(byte)).count());
        Encoding { prefixes, rest }
    }

    fn has(&self, prefix: u8) -> bool {
        self.prefixes.contains(&prefix)
    }
}

fn is_rex(byte: &u8) -> bool {
    (0x40..0x50).contains(byte)
}

/// The middle bits of a ModRM byte.
fn middle(modrm: u8) -> u8 {
    modrm >> 3 & 7
}

/// The reason for which these bytes are not executed, if there is one. The bytes need not be an
/// instruction.
pub fn bytes_differ(bytes: &[u8]) -> Option<&'static str> {
    let encoding = Encoding::of(bytes);
    if encoding.prefixes.iter().any(is_rex) && encoding.prefixes.last().is_some_and(|last| !is_rex(last)) {
        return Some("QEMU 7.2 uses a REX prefix that is not the last prefix");
    }
    if encoding.has(0xF0) && is_invalid(bytes) {
        return Some("QEMU 7.2 ignores `lock` before some instructions that cannot be locked, including branches");
    }
    match *encoding.rest {
        [0xF1, ..] => Some("`int1`: QEMU 7.2 stops the whole machine, as for a debugger"),
        [0xC6 | 0xC7 | 0x8F, modrm, ..] if middle(modrm) != 0 => {
            Some("QEMU 7.2 ignores the middle bits of ModRM in the groups of C6, C7, and 8F")
        }
        [0x0F, 0xAE, 0xE8..=0xFF, ..] if [0x66, 0xF2, 0xF3].into_iter().any(|prefix| encoding.has(prefix)) => {
            Some("QEMU 7.2 ignores a prefix before the opcode of a fence, and executes the fence")
        }
        [0x0F, 0xAE, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 ignores prefixes that make `stmxcsr` and its neighbours invalid")
        }
        [0x0F, 0x0F, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 loads the operand before it raises #UD for an invalid instruction of 3DNow!")
        }
        [0x0F, 0x78 | 0xE7, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 accepts both registers and memory for instructions that exist for only one of them")
        }
        [0x0F, 0xBA, ..] | [0xFE | 0xFF, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 loads the operand before it raises #UD in the groups of 0F BA, FE, and FF")
        }
        [0x0F, 0x77 | 0xC3, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 ignores prefixes that make `emms` and `movnti` invalid")
        }
        [0x0F, 0x20..=0x23, ..] if is_invalid(bytes) => {
            Some("QEMU 7.2 checks the privilege before it checks whether the control or debug register exists")
        }
        _ => None,
    }
}

fn is_invalid(bytes: &[u8]) -> bool {
    Decoder::new(64, bytes, DecoderOptions::NONE).decode().is_invalid()
}

/// The reason for which an instruction with these bytes is not compared, if there is one.
pub fn differs(instruction: &Instruction, bytes: &[u8]) -> Option<&'static str> {
    match instruction.mnemonic() {
        Mnemonic::Blsi | Mnemonic::Blsr | Mnemonic::Blsmsk => return Some("QEMU 7.2 returns a wrong CF"),
        Mnemonic::Reservednop if instruction.op0_kind() == OpKind::Register => {
            return Some("QEMU 7.2 raises #UD for some hints with a register");
        }
        Mnemonic::Adcx | Mnemonic::Adox if instruction.op0_register().size() == 4 => {
            return Some("QEMU 7.2 computes the carry and other flags from the upper halves of the registers");
        }
        Mnemonic::Xsetbv => return Some("QEMU 7.2 checks the privilege before CR4.OSXSAVE"),
        Mnemonic::Shld | Mnemonic::Shrd
            if instruction.op2_kind() == OpKind::Immediate8 && instruction.is_ip_rel_memory_operand() =>
        {
            return Some(
                "QEMU 7.2 does not count the byte of the shift count when it computes an address relative to \
             RIP",
            );
        }
        Mnemonic::Rdrand | Mnemonic::Rdseed => return Some("two random numbers are never the same"),
        _ => {}
    }
    let aliases =
        [Code::Test_rm8_imm8_F6r1, Code::Test_rm16_imm16_F7r1, Code::Test_rm32_imm32_F7r1, Code::Test_rm64_imm32_F7r1];
    if aliases.contains(&instruction.code()) {
        return Some("QEMU 7.2 raises #UD for the second encoding of `test` with a constant (F6 /1, F7 /1)");
    }
    if matches!(instruction.code(), Code::Lss_r64_m1664 | Code::Lfs_r64_m1664 | Code::Lgs_r64_m1664) {
        return Some("a far pointer of 10 bytes: Intel's processors load it, AMD's load one of 6 bytes");
    }
    if is_near_branch(instruction) && Encoding::of(bytes).has(0x66) {
        return Some("a near branch with an operand-size prefix: Intel's processors ignore the prefix, AMD's do not");
    }
    None
}

fn is_near_branch(instruction: &Instruction) -> bool {
    instruction.is_jcc_short_or_near()
        || instruction.is_jmp_short_or_near()
        || instruction.is_jmp_near_indirect()
        || instruction.is_call_near()
        || instruction.is_call_near_indirect()
        || instruction.is_jcx_short()
        || instruction.is_loop()
        || instruction.is_loopcc()
        || instruction.mnemonic() == Mnemonic::Ret
}

/// The reason for which an instruction with these operands is not compared, if there is one.
pub fn values_differ(case: &Case, scratch: Scratch) -> Option<&'static str> {
    let instruction = &case.instruction;
    let bits = match instruction.mnemonic() {
        Mnemonic::Addps | Mnemonic::Subps | Mnemonic::Mulps | Mnemonic::Divps => 32,
        Mnemonic::Addss | Mnemonic::Subss | Mnemonic::Mulss | Mnemonic::Divss => 32,
        Mnemonic::Addpd | Mnemonic::Subpd | Mnemonic::Mulpd | Mnemonic::Divpd => 64,
        Mnemonic::Addsd | Mnemonic::Subsd | Mnemonic::Mulsd | Mnemonic::Divsd => 64,
        Mnemonic::Iretd => {
            let flags = scratch.load(case.state.gpr[Gpr::Rsp as usize].wrapping_add(8))? as u64;
            return (flags & VM != 0).then_some("QEMU 7.2 goes to virtual-8086 mode, which 64-bit mode does not have");
        }
        _ => return None,
    };
    let is_nan = |lane: u128| match bits {
        32 => f32::from_bits(lane as u32).is_nan(),
        _ => f64::from_bits(lane as u64).is_nan(),
    };
    let (first, second) = (case.operand(0, scratch)?, case.operand(1, scratch)?);
    let mut lanes = (0..128).step_by(bits).map(|shift| (first >> shift, second >> shift));
    lanes
        .any(|(first, second)| is_nan(first) && is_nan(second))
        .then_some("QEMU 7.2 returns the NaN with the larger significand, as x87 does")
}

/// Why two ends of a program differ, if the reason is a known one of the emulator or the architecture.
pub fn explains(program: &Program, hosted: End, booted: End) -> Option<&'static str> {
    let (End::Stopped { reason: ours, rip, .. }, End::Stopped { reason: theirs, rip: target, .. }) = (hosted, booted)
    else {
        return None;
    };
    match (ours, theirs) {
        (Reason::GeneralProtection, Reason::GeneralProtection | Reason::Debug)
            if !is_canonical(target, 1) && is_canonical(rip, 1) =>
        {
            Some("QEMU 7.2 jumps to a non-canonical address, and raises the exception at the target")
        }
        (Reason::StackFault, Reason::GeneralProtection) if rip == target => {
            Some("QEMU 7.2 raises #GP for a non-canonical address in the stack segment")
        }
        (Reason::GeneralProtection, _) if program.steps.iter().any(|step| has_wide_memory(&step.bytes)) => {
            Some("QEMU 7.2 does not check the alignment of every SSE operand in memory")
        }
        (Reason::GeneralProtection, _) if program.steps.iter().any(|step| loads_mxcsr(&step.bytes)) => {
            Some("QEMU 7.2 does not refuse reserved bits of MXCSR")
        }
        _ => None,
    }
}

/// The reason for which an instruction that faults in memory is not compared, if there is one.
pub fn fault_differs(bytes: &[u8]) -> Option<&'static str> {
    let mut instructions = Decoder::new(64, bytes, DecoderOptions::NONE).into_iter();
    let is_locked = |it: Instruction| it.has_lock_prefix() || it.mnemonic() == Mnemonic::Xchg;
    instructions.any(is_locked).then_some("QEMU 7.2 loses the flags when a locked access faults")
}

/// The last instruction.
fn last(bytes: &[u8]) -> Option<Instruction> {
    Decoder::new(64, bytes, DecoderOptions::NONE).into_iter().last()
}

/// Whether the last instruction is one of SSE with 16 bytes in memory.
fn has_wide_memory(bytes: &[u8]) -> bool {
    last(bytes).is_some_and(|it| it.code().encoding() == EncodingKind::Legacy && it.memory_size().size() == 16)
}

/// Whether the last instruction loads MXCSR.
fn loads_mxcsr(bytes: &[u8]) -> bool {
    last(bytes).is_some_and(|it| it.mnemonic() == Mnemonic::Ldmxcsr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_known_and_their_neighbours() {
        let known: [&[u8]; 13] = [
            // A REX prefix followed by another prefix; `int1`; C7 /4, C6 /7, 8F /2.
            &[0x48, 0x2E, 0xB5, 0x93],
            &[0x66, 0xF1],
            &[0x36, 0xC7, 0x26],
            &[0xC6, 0xF8],
            &[0x8F, 0x14, 0x24],
            // `umonitor rcx`, `incsspq rbp`; `lock jb`.
            &[0xF3, 0x0F, 0xAE, 0xF1],
            &[0xF3, 0x48, 0x0F, 0xAE, 0xED],
            &[0xF0, 0x72, 0xB3],
            // Bytes that are no bit test, no instruction of FF, no control register, and no `emms`.
            &[0x0F, 0xBA, 0x55, 0x00, 0x00],
            &[0xFF, 0x3D, 0, 0, 0, 0],
            &[0x0F, 0x22, 0xCA],
            &[0xF2, 0x0F, 0x77],
            // Bytes that are no `stmxcsr`.
            &[0xF3, 0x45, 0x0F, 0xAE, 0x9B, 0, 0, 0, 0],
        ];
        let compared: [&[u8]; 9] = [
            &[0x0F, 0xAE, 0x5C, 0x24, 0x08],
            &[0x2E, 0x48, 0xB5, 0x93],
            &[0xCC],
            &[0xC7, 0x06, 0, 0, 0, 0],
            &[0x8F, 0x04, 0x24],
            &[0x0F, 0xAE, 0xF1],
            &[0xF0, 0x01, 0x07],
            &[0x0F, 0xBA, 0x25, 0, 0, 0, 0, 1],
            &[0x0F, 0x22, 0xD8],
        ];
        known.iter().for_each(|bytes| assert!(bytes_differ(bytes).is_some(), "{bytes:02x?}"));
        compared.iter().for_each(|bytes| assert_eq!(bytes_differ(bytes), None, "{bytes:02x?}"));
    }
}
