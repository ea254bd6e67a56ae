//! Compares the interpreter with the processor that runs the test: every encoding that the interpreter
//! implements, with random operands.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod x86;

use iced_x86::{Code, EncodingKind, FlowControl, Instruction, Mnemonic, OpKind, RflagsBits};
use sim::x86::{Cpu, INITIAL_MXCSR, Registers, Step, Trap, rflags};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use x86::generate::{self, Case, Random};
use x86::native::{Arena, Outcome, State};
use x86::scratch::Scratch;

/// Cases of each encoding.
const CASES: usize = 40;

/// What must not run on the processor: it would leave the test, change what the test relies on, or differs
/// by model.
const EXCLUDED: &[Mnemonic] = &[
    Mnemonic::Int,
    Mnemonic::Int1,
    Mnemonic::Int3,
    Mnemonic::Syscall,
    Mnemonic::Sysenter,
    Mnemonic::Sysexit,
    Mnemonic::Sysexitq,
    Mnemonic::Sysret,
    Mnemonic::Sysretq,
    Mnemonic::Popf,
    Mnemonic::Popfq,
    Mnemonic::Ldmxcsr,
    Mnemonic::Stmxcsr,
];

/// Encodings that exist in 64-bit mode and can be compared.
fn codes() -> impl Iterator<Item = Code> {
    Code::values().filter(|&code| {
        let info = code.op_code();
        info.is_instruction()
            && info.mode64()
            && info.encoding() == EncodingKind::Legacy
            && code != Code::INVALID
            && !EXCLUDED.contains(&info.mnemonic())
            && matches!(code.flow_control(), FlowControl::Next | FlowControl::Exception)
    })
}

/// The status flags whose value the architecture defines after this case.
fn defined_flags(case: &Case) -> u64 {
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

/// Bits of the first operand.
fn operand_bits(instruction: &Instruction) -> u64 {
    8 * match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size() as u64,
        _ => instruction.memory_size().size() as u64,
    }
}

/// Whether the architecture leaves the result itself open.
fn has_undefined_result(case: &Case) -> bool {
    let instruction = &case.instruction;
    let count = || match instruction.op2_kind() {
        OpKind::Register => case.state.gpr[1],
        _ => instruction.immediate(2),
    };
    matches!(instruction.mnemonic(), Mnemonic::Shld | Mnemonic::Shrd)
        && operand_bits(instruction) == 16
        && count() & 31 > 16
}

/// Whether the processor has what the encoding needs.
fn is_available(mnemonic: Mnemonic) -> bool {
    match mnemonic {
        Mnemonic::Popcnt => is_x86_feature_detected!("popcnt"),
        Mnemonic::Lzcnt => is_x86_feature_detected!("lzcnt"),
        Mnemonic::Tzcnt => is_x86_feature_detected!("bmi1"),
        Mnemonic::Cmpxchg16b => is_x86_feature_detected!("cmpxchg16b"),
        _ => true,
    }
}

/// Registers of the interpreter as those of a case.
fn registers(state: &State, rip: u64) -> Registers {
    let mut registers = Registers { rip, ..Registers::default() };
    registers.gpr = state.gpr;
    registers.xmm = state.xmm;
    registers.rflags = state.rflags;
    registers
}

/// What the interpreter makes of a case; `None` if it does not implement it.
fn interpret(case: &Case, scratch: &mut Scratch) -> Option<(Registers, Outcome)> {
    let mut cpu = Cpu::new(registers(&case.state, scratch.code_address));
    let outcome = match cpu.step(scratch) {
        Ok(Step::Next) => Outcome::Done,
        Ok(Step::SystemCall) => panic!("system calls are excluded"),
        Err(Trap::DivideError) => Outcome::Signal(libc::SIGFPE),
        Err(Trap::InvalidOpcode) => Outcome::Signal(libc::SIGILL),
        Err(Trap::GeneralProtection | Trap::Fault(_)) => Outcome::Signal(libc::SIGSEGV),
        Err(Trap::StackFault) => Outcome::Signal(libc::SIGBUS),
        Err(Trap::Unimplemented { .. }) => return None,
        Err(trap) => panic!("{trap:?}"),
    };
    assert_eq!(cpu.registers.mxcsr, INITIAL_MXCSR);
    Some((cpu.registers, outcome))
}

/// The differences between the interpreter and the processor in one case.
fn differences(case: &Case, ours: (&Registers, Outcome, &[u8]), theirs: (&State, Outcome, &[u8])) -> Vec<String> {
    let (registers, outcome, memory) = ours;
    let (state, their_outcome, their_memory) = theirs;
    let mut found = Vec::new();
    let mut differ = |what: String, ours: u128, theirs: u128| {
        if ours != theirs {
            found.push(format!("{what}: {ours:#x}, on the processor {theirs:#x}"));
        }
    };
    if outcome != their_outcome {
        return vec![format!("{outcome:?}, on the processor {their_outcome:?}")];
    }
    for index in 0..16 {
        let (ours, theirs) = (registers.gpr[index], state.gpr[index]);
        differ(format!("general register {index}"), ours.into(), theirs.into());
        differ(format!("xmm{index}"), registers.xmm[index], state.xmm[index]);
    }
    let mask = if outcome == Outcome::Done { defined_flags(case) } else { rflags::STATUS };
    differ("flags".into(), (registers.rflags & mask).into(), (state.rflags & mask).into());
    let bytes = memory.iter().zip(their_memory).enumerate();
    for (index, (&ours, &theirs)) in bytes.filter(|(_, (ours, theirs))| ours != theirs).take(8) {
        differ(format!("byte {index:#x}"), ours.into(), theirs.into());
    }
    found
}

/// Requires that a case which is refused an access leaves everything as it was, whichever access it is.
fn check_refusals(case: &Case, scratch: &Scratch) {
    // A repeated instruction keeps what it has done.
    if case.instruction.has_rep_prefix() || case.instruction.has_repne_prefix() {
        return;
    }
    for allowed in 0.. {
        let mut scratch = Scratch { allowed, ..scratch.clone() };
        let (before, memory) = (registers(&case.state, scratch.code_address), scratch.bytes.clone());
        let mut cpu = Cpu::new(before.clone());
        match cpu.step(&mut scratch) {
            Err(Trap::Fault(_)) => {
                assert_eq!(
                    cpu.registers,
                    before,
                    "{} after {allowed} accesses",
                    case.instruction.code().op_code().instruction_string()
                );
                assert!(scratch.bytes == memory, "{:?}", case.instruction.code());
            }
            _ => break,
        }
    }
}

#[test]
fn the_interpreter_agrees_with_the_processor() {
    let mut arena = Arena::new();
    let mut random = Random::new(2026);
    let mut compared: BTreeMap<Mnemonic, usize> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    let mut failures = Vec::new();
    for code in codes().filter(|code| is_available(code.mnemonic())) {
        let mut done = 0;
        for _ in 0..4 * CASES {
            if done == CASES {
                break;
            }
            let (rip, address) = (arena.code(), arena.scratch_address());
            let Some(case) = generate::case(code, rip, address, &mut random) else {
                continue;
            };
            let uniform = random.one_in(3).then(|| random.below(2) as u8);
            arena.scratch().iter_mut().for_each(|byte| *byte = uniform.unwrap_or(random.value() as u8));
            let mut scratch = Scratch {
                address,
                bytes: arena.scratch().to_vec(),
                code_address: rip,
                code: case.bytes.clone(),
                allowed: usize::MAX,
                probed: HashSet::new(),
            };
            let untouched = scratch.clone();
            let Some((registers, outcome)) = interpret(&case, &mut scratch) else {
                unknown.insert(code.mnemonic());
                continue;
            };
            done += 1;
            if outcome == Outcome::Done {
                check_refusals(&case, &untouched);
            }
            // SAFETY: the excluded instructions are those that do not fall through or change what must not
            // change; the interpreter has just run this one within the scratch memory.
            let (state, their_outcome) = unsafe { arena.execute(&case.bytes, &case.state) };
            if has_undefined_result(&case) {
                continue;
            }
            let ours = (&registers, outcome, &scratch.bytes[..]);
            let found = differences(&case, ours, (&state, their_outcome, arena.scratch()));
            if !found.is_empty() {
                let name = code.op_code().instruction_string();
                failures.push(format!("{name} {:02x?}: {}", case.bytes, found.join("; ")));
                break;
            }
        }
        *compared.entry(code.mnemonic()).or_default() += done;
    }
    compared.retain(|_, count| *count > 0);
    println!("{} mnemonics compared, not implemented: {unknown:?}", compared.len());
    assert!(failures.is_empty(), "{} encodings differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared.len() >= 310, "only {} mnemonics were compared", compared.len());
}
