//! Compares the interpreter with the processor that runs the test, for every encoding that the interpreter implements,
//! with random operands.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod x86;

use fuzz_x86::context::State;
use fuzz_x86::generate::{self, Case, Random, Scratch as Memory};
use fuzz_x86::undefined::{defined_flags, has_undefined_result};
use iced_x86::{Code, CpuidFeature, EncodingKind, FlowControl, Mnemonic};
use sim::x86::{Cpu, INITIAL_MXCSR, Registers, Step, Trap, rflags};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use x86::native::{Arena, Outcome};
use x86::scratch::Scratch;

/// The number of cases for each encoding.
const CASES: usize = 40;

/// Instructions that must not run on the processor. They would leave the test, change what the test relies on, or
/// depend on the processor's model or on the kernel's settings (segments, CR4.TSD, CR4.UMIP).
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
    // The test's thread-local variables use a segment.
    Mnemonic::Lss,
    Mnemonic::Lfs,
    Mnemonic::Lgs,
    Mnemonic::Popf,
    Mnemonic::Popfq,
    Mnemonic::Ldmxcsr,
    Mnemonic::Stmxcsr,
    Mnemonic::Lar,
    Mnemonic::Lsl,
    Mnemonic::Verr,
    Mnemonic::Verw,
    Mnemonic::Rdtsc,
    Mnemonic::Rdtscp,
    Mnemonic::Sgdt,
    Mnemonic::Sidt,
    Mnemonic::Sldt,
    Mnemonic::Smsw,
    Mnemonic::Str,
];

/// Prefetches with a register operand: a hint on Intel's processors, an invalid opcode on AMD's.
const PREFETCHES: [Code; 3] =
    [Code::Reservednop_rm16_r16_0F0D, Code::Reservednop_rm32_r32_0F0D, Code::Reservednop_rm64_r64_0F0D];

/// The encodings that exist in 64-bit mode and can be compared.
fn codes() -> impl Iterator<Item = Code> {
    Code::values().filter(|&code| {
        let info = code.op_code();
        info.is_instruction()
            && info.mode64()
            && (info.encoding() == EncodingKind::Legacy || is_bit_manipulation(code))
            && code != Code::INVALID
            && !EXCLUDED.contains(&info.mnemonic())
            && !PREFETCHES.contains(&code)
            && matches!(code.flow_control(), FlowControl::Next | FlowControl::Exception)
    })
}

/// Whether the processor has the features of the encoding.
fn is_available(code: Code) -> bool {
    if is_bit_manipulation(code) {
        return is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
    }
    match code.mnemonic() {
        Mnemonic::Popcnt => is_x86_feature_detected!("popcnt"),
        Mnemonic::Lzcnt => is_x86_feature_detected!("lzcnt"),
        Mnemonic::Tzcnt => is_x86_feature_detected!("bmi1"),
        Mnemonic::Adcx | Mnemonic::Adox => is_x86_feature_detected!("adx"),
        Mnemonic::Movbe => is_x86_feature_detected!("movbe"),
        Mnemonic::Clflushopt | Mnemonic::Clwb => false,
        Mnemonic::Cmpxchg16b => is_x86_feature_detected!("cmpxchg16b"),
        _ => true,
    }
}

/// The registers of a case, as the interpreter's registers.
fn registers(state: &State, rip: u64) -> Registers {
    let mut registers = Registers { rip, ..Registers::default() };
    registers.gpr = state.gpr;
    registers.xmm = state.xmm;
    registers.rflags = state.rflags;
    registers
}

/// The interpreter's result for a case. `None` if it does not implement the instruction.
fn interpret(case: &Case, scratch: &mut Scratch) -> Option<(Registers, Outcome)> {
    let mut cpu = Cpu::new(registers(&case.state, scratch.code_address));
    let outcome = match cpu.step(scratch) {
        Ok(Step::Next) => Outcome::Done,
        Ok(Step::SystemCall) => panic!("system calls are excluded"),
        Err(Trap::DivideError) => Outcome::Signal(libc::SIGFPE),
        Err(Trap::InvalidOpcode) => Outcome::Signal(libc::SIGILL),
        Err(Trap::GeneralProtection | Trap::BadSelector(_) | Trap::Fault(_)) => Outcome::Signal(libc::SIGSEGV),
        Err(Trap::StackFault) => Outcome::Signal(libc::SIGBUS),
        Err(Trap::Unimplemented { .. }) => return None,
        Err(trap) => panic!("{trap:?}"),
    };
    assert_eq!(cpu.registers.mxcsr, INITIAL_MXCSR);
    Some((cpu.registers, outcome))
}

/// Whether an encoding is in BMI1 or BMI2, the general instructions with VEX encodings.
fn is_bit_manipulation(code: Code) -> bool {
    code.cpuid_features().iter().any(|feature| matches!(feature, CpuidFeature::BMI1 | CpuidFeature::BMI2))
}

/// Whether every 64-bit processor has the encoding.
fn is_basic(code: Code) -> bool {
    use CpuidFeature::*;
    let basic = [INTEL8086, INTEL186, INTEL286, INTEL386, INTEL486, X64, CMOV, CX8, SSE, SSE2, MULTIBYTENOP, PAUSE];
    code.cpuid_features().iter().all(|feature| basic.contains(feature))
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

/// Checks that a case leaves everything unchanged if any one of its accesses is refused.
fn check_refusals(case: &Case, scratch: &Scratch) {
    // A repeated instruction keeps its completed repetitions.
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
    let (mut unknown, mut absent) = (BTreeSet::new(), BTreeSet::new());
    let mut failures = Vec::new();
    for code in codes().filter(|&code| is_available(code)) {
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
            // An extension that the interpreter does not have, but the host may.
            if outcome == Outcome::Signal(libc::SIGILL) && !is_basic(code) {
                absent.insert(code.mnemonic());
                continue;
            }
            done += 1;
            if outcome == Outcome::Done {
                check_refusals(&case, &untouched);
            }
            // SAFETY: the excluded instructions are those that do not fall through or that change state
            // that must not change. The interpreter has just run this instruction within the scratch
            // memory.
            let (state, their_outcome) = unsafe { arena.execute(&case.bytes, &case.state) };
            if has_undefined_result(&case, Memory { at: address, bytes: &scratch.bytes }) {
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
    println!("{} mnemonics compared, not implemented: {unknown:?}, absent: {absent:?}", compared.len());
    assert!(
        !absent.contains(&Mnemonic::Andn) && !absent.contains(&Mnemonic::Adcx) && !absent.contains(&Mnemonic::Movbe)
    );
    assert!(failures.is_empty(), "{} encodings differ:\n{}", failures.len(), failures.join("\n"));
    assert!(compared.len() >= 310, "only {} mnemonics were compared", compared.len());
}
