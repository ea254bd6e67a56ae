//! Random steps.

use crate::context::State;
use crate::generate::{self, Case, Random, SCRATCH_SIZE, Scratch};
use crate::instruction::{NOP, SYSCALL};
use crate::known;
use crate::program::{Program, ProgramStep, SCRATCH, STEPS, place};
use crate::space::Space;
use crate::undefined::{defined_flags, has_undefined_result};
use iced_x86::{Code, Decoder, DecoderOptions, EncodingKind, IcedError, Mnemonic};
use sim::x86::{Cpu, Gpr, Registers, Trap, rflags};
use std::sync::LazyLock;

/// All encodings of 64-bit mode, except those that only other vendors have and those that would leave the step.
static CODES: LazyLock<Vec<Code>> = LazyLock::new(|| {
    let excluded = [Mnemonic::Syscall, Mnemonic::Ldmxcsr, Mnemonic::Stmxcsr];
    let kinds = [EncodingKind::Legacy, EncodingKind::VEX];
    Code::values()
        .filter(|code| {
            let info = code.op_code();
            info.is_instruction()
                && info.mode64()
                && kinds.contains(&info.encoding())
                && !excluded.contains(&info.mnemonic())
        })
        .collect()
});

/// `int3`.
const INT3: u8 = 0xCC;

/// The maximum number of bytes of an instruction.
const LONGEST: usize = 15;

/// The result of trying a step.
enum Tried {
    /// Execution continues with the next step.
    Done,
    /// The step ends its program, or enters the kernel.
    Ends,
    /// The step ends its program by an access to memory that is not mapped.
    Faults,
    /// The step cannot be compared.
    Unfit,
}

impl Program {
    /// Makes each step a program of its own. Steps that do nothing replace the earlier ones, so the step keeps its
    /// address. The memory is as the earlier steps leave it.
    pub fn single_steps(&self) -> Vec<Program> {
        let mut scratch = self.scratch.clone();
        let single = |(index, step): (usize, &ProgramStep)| {
            let nothing = ProgramStep { bytes: vec![NOP], state: step.state, defined: rflags::STATUS };
            let mut steps = vec![nothing; index];
            steps.push(step.clone());
            let program = Program { steps, scratch: scratch.clone() };
            // Every step but the last continues with the next, since another step follows it.
            if let Ok(at) = place(index) {
                execute(&step.bytes, &step.state, at, &mut scratch);
            }
            program
        };
        self.steps.iter().enumerate().map(single).collect()
    }

    /// A program that executes `int vector`.
    pub fn interrupt(vector: u8) -> Program {
        const INT: u8 = 0xCD;
        let state = State { rflags: rflags::IF | rflags::ONE, ..State::default() };
        let step = ProgramStep { bytes: vec![INT, vector], state, defined: rflags::STATUS };
        Program { steps: vec![step], scratch: vec![0; SCRATCH_SIZE] }
    }

    /// A random program.
    ///
    /// # Errors
    /// If its code cannot be encoded.
    pub fn random(random: &mut Random) -> Result<Program, IcedError> {
        loop {
            let uniform = random.one_in(3).then(|| random.below(2) as u8);
            let scratch: Vec<u8> = (0..SCRATCH_SIZE).map(|_| uniform.unwrap_or(random.number() as u8)).collect();
            let (mut steps, mut memory) = (Vec::new(), scratch.clone());
            let places = (0..STEPS).map(place).collect::<Result<Vec<_>, _>>()?;
            for _ in 0..8 * STEPS {
                let index = steps.len();
                if index == STEPS {
                    break;
                }
                let at = places[index];
                let Some(case) = random_case(at, random) else { continue };
                let before = memory.clone();
                let tried = attempt(&case, at, &mut memory);
                let defined = case.1.as_ref().map_or(rflags::STATUS, |case| defined_flags(case) & rflags::STATUS);
                let step = ProgramStep { bytes: case.0, state: case.2, defined };
                match tried {
                    Tried::Done => steps.push(step),
                    // Placed after other steps, the program would not show their registers.
                    Tried::Ends | Tried::Faults if index == 0 => return Ok(Program { steps: vec![step], scratch }),
                    Tried::Ends | Tried::Faults | Tried::Unfit => memory = before,
                }
            }
            if !steps.is_empty() {
                return Ok(Program { steps, scratch });
            }
        }
    }
}

/// Instructions as bytes, the one among them whose undefined flags matter, and the registers before
/// them.
type Candidate = (Vec<u8>, Option<Case>, State);

fn random_case(at: u64, random: &mut Random) -> Option<Candidate> {
    match random.below(16) {
        0 => Some(system_call(random)),
        1 => traced(at, random),
        2..5 => Some(random_bytes(at, random)),
        _ => {
            let case = generated(at, random)?;
            Some((case.bytes.clone(), Some(case.clone()), case.state))
        }
    }
}

/// A random instruction of a random encoding.
fn generated(at: u64, random: &mut Random) -> Option<Case> {
    let code = CODES[random.below(CODES.len() as u64) as usize];
    generate::case(code, at, SCRATCH, random)
}

/// Random registers; some point to the scratch memory.
fn registers(random: &mut Random) -> State {
    let mut state = State::default();
    let near = |random: &mut Random| SCRATCH + SCRATCH_SIZE as u64 / 2 + random.below(64);
    for register in &mut state.gpr {
        *register = if random.one_in(2) { near(random) } else { random.value() };
    }
    state.gpr[Gpr::Rsp as usize] = near(random) & !7;
    state.xmm.iter_mut().for_each(|register| *register = u128::from(random.value()) << 64 | u128::from(random.value()));
    state.rflags = random.number() & (rflags::STATUS | rflags::DF) | rflags::IF | rflags::ONE;
    state
}

/// `push flags`, `popfq`. The pushed flags stay in memory below the stack pointer.
fn set_flags(flags: u64) -> Vec<u8> {
    let mut bytes = vec![0x68];
    bytes.extend((flags as u32).to_le_bytes());
    bytes.push(0x9D);
    bytes
}

/// Sets random flags, all that a program can set and some that it cannot, and makes a system call that does little.
fn system_call(random: &mut Random) -> Candidate {
    let harmless = [abi::Call::GetQuota as u32, abi::Call::Yield as u32, abi::Call::ThreadInfo as u32];
    let number = match random.below(4) {
        0 => 37 + random.below(1000) as u32,
        1 => random.number() as u32 | 1 << 31,
        _ => harmless[random.below(3) as usize],
    };
    let mut bytes = vec![0xB8];
    bytes.extend(number.to_le_bytes());
    bytes.extend(set_flags(random.number() & 0x3F_FFFF & !(1 << 31)));
    bytes.extend(SYSCALL);
    let mut state = registers(random);
    // No thread has this number: the call's answer must not depend on the other programs.
    state.gpr[Gpr::Rbx as usize] = u64::MAX;
    (bytes, None, state)
}

/// A random instruction under the trap flag.
fn traced(at: u64, random: &mut Random) -> Option<Candidate> {
    let flags = random.number() & rflags::STATUS | rflags::TF | rflags::IF | rflags::ONE;
    let mut bytes = set_flags(flags);
    let mut case = generated(at + bytes.len() as u64, random)?;
    case.state.gpr[Gpr::Rsp as usize] &= !7;
    bytes.extend(&case.bytes);
    let state = case.state;
    Some((bytes, Some(case), state))
}

/// An instruction that begins with random bytes, or random bytes that are no instruction.
fn random_bytes(at: u64, random: &mut Random) -> Candidate {
    const PREFIXES: [u8; 12] = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, 0x48];
    let mut bytes = Vec::new();
    while random.one_in(3) && bytes.len() < 4 {
        bytes.push(PREFIXES[random.below(12) as usize]);
    }
    if random.one_in(3) {
        bytes.push(0x40 | random.below(16) as u8);
    }
    if random.one_in(2) {
        bytes.push(0x0F);
    }
    while bytes.len() < LONGEST {
        bytes.push(random.number() as u8);
    }
    let state = registers(random);
    let instruction = Decoder::with_ip(64, &bytes, at, DecoderOptions::FORCE_RESERVED_NOP).decode();
    bytes.truncate(instruction.len());
    if instruction.is_invalid() {
        // A processor that implements the instruction stops directly after it.
        bytes.resize(LONGEST, INT3);
        return (bytes, None, state);
    }
    (bytes.clone(), Some(Case { instruction, bytes, state }), state)
}

/// Tries a candidate in `memory`.
fn attempt(candidate: &Candidate, at: u64, memory: &mut [u8]) -> Tried {
    let (bytes, case, state) = candidate;
    if bytes.ends_with(&SYSCALL) && case.is_none() {
        return Tried::Ends;
    }
    let scratch = Scratch { at: SCRATCH, bytes: memory };
    let differs = |case: &Case| {
        has_undefined_result(case, scratch)
            || known::bytes_differ(&case.bytes).is_some()
            || known::differs(&case.instruction, &case.bytes).is_some()
            || known::values_differ(case, scratch).is_some()
    };
    if case.as_ref().map_or_else(|| known::bytes_differ(bytes).is_some(), differs) {
        return Tried::Unfit;
    }
    match execute(bytes, state, at, memory) {
        Tried::Faults if known::fault_differs(bytes).is_some() => Tried::Unfit,
        tried => tried,
    }
}

/// Executes the bytes of a step on the hosted machine's interpreter.
fn execute(bytes: &[u8], state: &State, at: u64, memory: &mut [u8]) -> Tried {
    let mut cpu =
        Cpu::new(Registers { rip: at, gpr: state.gpr, xmm: state.xmm, rflags: state.rflags, ..Registers::default() });
    let end = at + bytes.len() as u64;
    // Fills the space after an instruction that is longer than the given bytes.
    let code = [bytes, &[NOP; LONGEST]].concat();
    let mut space = Space { scratch: memory, at, code: &code };
    for _ in 0..64 {
        match cpu.step(&mut space) {
            Ok(sim::x86::Step::Next) if cpu.registers.rip == end => return Tried::Done,
            Ok(sim::x86::Step::Next) if at <= cpu.registers.rip && cpu.registers.rip < end => {}
            // Execution went elsewhere, or random bytes are a system call.
            Ok(_) => return Tried::Unfit,
            Err(Trap::AlignmentCheck) => return Tried::Unfit,
            Err(Trap::Fault(_) | Trap::GeneralProtection | Trap::StackFault) => return Tried::Faults,
            Err(_) => return Tried::Ends,
        }
    }
    Tried::Unfit
}
