//! Random instructions of a given encoding, with registers and memory for them.

use crate::context::State;
use iced_x86::{Code, Decoder, DecoderOptions, Encoder, Instruction, Mnemonic, OpCodeOperandKind, OpKind, Register};
use sim::x86::{Gpr, rflags};

/// Bytes of the memory that instructions work on.
pub const SCRATCH_SIZE: usize = 1024;

/// A random number generator that gives the same sequence in every run.
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number (SplitMix64).
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True with probability 1/`n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number that is likely to be at a limit of some size.
    pub fn value(&mut self) -> u64 {
        let shift = self.below(64);
        match self.below(6) {
            0 => self.below(3),
            1 => u64::MAX - self.below(3),
            2 => (1 << shift) - self.below(2),
            3 => self.number() >> shift,
            _ => self.number(),
        }
    }

    /// Lanes that are likely to be interesting as floating-point numbers.
    fn lanes(&mut self) -> u128 {
        const SINGLES: [u32; 14] = [
            0,
            0x8000_0000,
            0x3F80_0000,
            0xBF80_0000,
            0x7F80_0000,
            0xFF80_0000,
            0x7FC0_1234,
            0xFFA0_0001,
            0x0000_0001,
            0x4F00_0000,
            0xCF00_0000,
            0x3F00_0000,
            // 2^63 and its negative.
            0x5F00_0000,
            0xDF00_0000,
        ];
        let mut value = 0;
        match self.below(3) {
            0 => {
                for lane in 0..4 {
                    let single = SINGLES[self.below(SINGLES.len() as u64) as usize];
                    let single = if self.one_in(3) { self.number() as u32 } else { single };
                    value |= u128::from(single) << (32 * lane);
                }
            }
            1 => {
                for lane in 0..2 {
                    let single = f32::from_bits(SINGLES[self.below(SINGLES.len() as u64) as usize]);
                    let double = match self.below(4) {
                        0 => self.number(),
                        1 => (self.value() as i64 as f64 / 2.0).to_bits(),
                        _ => f64::from(single).to_bits(),
                    };
                    value |= u128::from(double) << (64 * lane);
                }
            }
            _ => value = u128::from(self.value()) << 64 | u128::from(self.value()),
        }
        value
    }
}

/// An instruction, with the registers that it runs with.
#[derive(Clone, Debug)]
pub struct Case {
    /// The instruction, as generated.
    pub instruction: Instruction,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The registers before it.
    pub state: State,
}

/// The memory that an instruction works on, in its state before the instruction.
#[derive(Clone, Copy)]
pub struct Scratch<'a> {
    /// Its address.
    pub at: u64,
    /// Its contents.
    pub bytes: &'a [u8],
}

impl Scratch<'_> {
    /// Up to 16 bytes at an address, if the address lies in this memory.
    pub fn load(self, address: u64) -> Option<u128> {
        let bytes = self.bytes.get(usize::try_from(address.wrapping_sub(self.at)).ok()?..)?;
        Some(bytes.iter().take(16).rev().fold(0, |value, &byte| value << 8 | u128::from(byte)))
    }
}

impl Case {
    /// The value of an operand before the instruction: a register, or up to 16 bytes of memory.
    pub fn operand(&self, operand: u32, scratch: Scratch) -> Option<u128> {
        let instruction = &self.instruction;
        let general = |register: Register| self.state.gpr[register.full_register().number()];
        if instruction.op_kind(operand) == OpKind::Register {
            let register = instruction.op_register(operand);
            return Some(if register.is_xmm() { self.state.xmm[register.number()] } else { general(register).into() });
        }
        let value = |register: Register, _, _| Some(if register.is_segment_register() { 0 } else { general(register) });
        let address = instruction.virtual_address(operand, 0, value)?;
        scratch.load(address)
    }
}

/// A random instruction of this encoding at `rip`. Its memory operands lie in the middle of the memory at `scratch`.
/// `None` if the encoding has operands that this module does not generate.
pub fn case(code: Code, rip: u64, scratch: u64, random: &mut Random) -> Option<Case> {
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    let info = code.op_code();
    let mut memory = false;
    for operand in 0..info.op_count() {
        let kind = info.op_kind(operand);
        if let Some(register) = register(kind, random) {
            instruction.set_op_kind(operand, OpKind::Register);
            instruction.set_op_register(operand, register);
        } else if let Some(kind) = implicit(kind) {
            instruction.set_op_kind(operand, kind);
        } else if kind == OpCodeOperandKind::seg_rBX_al {
            instruction.set_op_kind(operand, OpKind::Memory);
            instruction.set_memory_base(Register::RBX);
            instruction.set_memory_index(Register::AL);
        } else if is_memory(kind) {
            instruction.set_op_kind(operand, OpKind::Memory);
            memory = true;
        } else {
            immediate(&mut instruction, operand, kind, random)?;
        }
    }
    if info.can_use_rep_prefix() && is_string(code) && random.one_in(2) {
        instruction.set_has_rep_prefix(true);
    } else if info.can_use_repne_prefix() && is_string(code) && random.one_in(2) {
        instruction.set_has_repne_prefix(true);
    }
    if info.can_use_lock_prefix() && memory && random.one_in(4) {
        instruction.set_has_lock_prefix(instruction.op0_kind() == OpKind::Memory);
    }

    let mut state = State::default();
    state.gpr.iter_mut().for_each(|register| *register = random.value());
    state.xmm.iter_mut().for_each(|register| *register = random.lanes());
    let flags = rflags::STATUS | rflags::DF;
    state.rflags = random.number() & flags | rflags::IF | rflags::ONE;
    implicit_registers(&mut state, code, scratch, random);
    if memory {
        let target = scratch + SCRATCH_SIZE as u64 / 2 + random.below(64);
        let target = if random.one_in(2) { target & !15 } else { target };
        let offset = kind_is_offset(code);
        place_memory(&mut instruction, &mut state, target, offset, random)?;
    }
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, rip).ok()?;
    let bytes = encoder.take_buffer();
    // Some encodings are two instructions, such as x87's with a `wait` before them.
    let decoded = Decoder::with_ip(64, &bytes, rip, DecoderOptions::NONE).decode();
    (decoded.len() == bytes.len()).then_some(Case { instruction, bytes, state })
}

/// Whether the only memory operand is an absolute 64-bit address.
fn kind_is_offset(code: Code) -> bool {
    code.op_code().op_kinds().contains(&OpCodeOperandKind::mem_offs)
}

/// Whether an encoding is one of the string instructions.
fn is_string(code: Code) -> bool {
    let kinds = code.op_code().op_kinds();
    kinds.contains(&OpCodeOperandKind::es_rDI) || kinds.contains(&OpCodeOperandKind::seg_rSI)
}

/// A random register for an operand that is or can be a register. Never RSP.
fn register(kind: OpCodeOperandKind, random: &mut Random) -> Option<Register> {
    use OpCodeOperandKind::*;
    let (first, count) = match kind {
        r8_reg | r8_opcode | r8_or_mem => (Register::AL, 20),
        r16_reg | r16_rm | r16_opcode | r16_or_mem => (Register::AX, 16),
        r32_reg | r32_rm | r32_opcode | r32_vvvv | r32_or_mem => (Register::EAX, 16),
        r64_reg | r64_rm | r64_opcode | r64_vvvv | r64_or_mem => (Register::RAX, 16),
        xmm_reg | xmm_rm | xmm_or_mem => (Register::XMM0, 16),
        al => return Some(Register::AL),
        cl => return Some(Register::CL),
        ax => return Some(Register::AX),
        dx => return Some(Register::DX),
        eax => return Some(Register::EAX),
        rax => return Some(Register::RAX),
        cr_reg => return Some(Register::CR3),
        dr_reg => return Some(Register::DR7),
        _ => return Option::None,
    };
    if is_memory(kind) && random.one_in(2) {
        return Option::None;
    }
    let register = first + random.below(count) as u32;
    let is_rsp = [Register::SPL, Register::SP, Register::ESP, Register::RSP].contains(&register);
    Some(if is_rsp { first } else { register })
}

fn is_memory(kind: OpCodeOperandKind) -> bool {
    use OpCodeOperandKind::*;
    matches!(kind, mem | mem_offs | r8_or_mem | r16_or_mem | r32_or_mem | r64_or_mem | xmm_or_mem)
}

/// The operands of string instructions.
fn implicit(kind: OpCodeOperandKind) -> Option<OpKind> {
    Some(match kind {
        OpCodeOperandKind::seg_rSI => OpKind::MemorySegRSI,
        OpCodeOperandKind::es_rDI => OpKind::MemoryESRDI,
        OpCodeOperandKind::seg_rDI => OpKind::MemorySegRDI,
        _ => return None,
    })
}

/// Gives an immediate operand a random value.
fn immediate(instruction: &mut Instruction, operand: u32, kind: OpCodeOperandKind, random: &mut Random) -> Option<()> {
    use OpCodeOperandKind::*;
    let value = random.value();
    let (kind, value) = match kind {
        imm8_const_1 => (OpKind::Immediate8, 1),
        imm8 if instruction.mnemonic() == Mnemonic::Enter => (OpKind::Immediate8_2nd, 0),
        imm8 => (OpKind::Immediate8, i64::from(value as u8)),
        imm8sex16 => (OpKind::Immediate8to16, i64::from(value as i8)),
        imm8sex32 => (OpKind::Immediate8to32, i64::from(value as i8)),
        imm8sex64 => (OpKind::Immediate8to64, i64::from(value as i8)),
        // The stack must have the room that the instruction takes.
        imm16 if instruction.mnemonic() == Mnemonic::Enter => (OpKind::Immediate16, (value % 256) as i64),
        imm16 => (OpKind::Immediate16, i64::from(value as u16)),
        imm32 => (OpKind::Immediate32, i64::from(value as u32)),
        imm32sex64 => (OpKind::Immediate32to64, i64::from(value as i32)),
        imm64 => (OpKind::Immediate64, value as i64),
        _ => return Option::None,
    };
    instruction.set_op_kind(operand, kind);
    instruction.set_immediate_i64(operand, value);
    Some(())
}

/// Points the registers that an instruction uses implicitly to the scratch memory.
fn implicit_registers(state: &mut State, code: Code, scratch: u64, random: &mut Random) {
    let middle = scratch + SCRATCH_SIZE as u64 / 2;
    let mut set = |register: Gpr, value| state.gpr[register as usize] = value;
    set(Gpr::Rsp, middle + random.below(64));
    match code.mnemonic() {
        Mnemonic::Leave | Mnemonic::Enter => set(Gpr::Rbp, middle + random.below(64)),
        Mnemonic::Xlatb => set(Gpr::Rbx, middle),
        Mnemonic::Maskmovdqu => set(Gpr::Rdi, middle + random.below(64)),
        Mnemonic::Cmpxchg | Mnemonic::Cmpxchg8b | Mnemonic::Cmpxchg16b => {
            // The scratch memory is uniform enough that these are equal to it now and then.
            let value = 0x0101_0101_0101_0101 * random.below(2);
            for register in [Gpr::Rax, Gpr::Rcx, Gpr::Rdx, Gpr::Rbx] {
                set(register, value);
            }
        }
        _ if is_string(code) => {
            set(Gpr::Rsi, middle + random.below(64));
            set(Gpr::Rdi, middle + random.below(64));
            set(Gpr::Rcx, random.below(20));
        }
        _ => {}
    }
}

/// Gives the instruction a memory operand at `target`, and sets registers so that the address is right.
fn place_memory(
    instruction: &mut Instruction,
    state: &mut State,
    target: u64,
    is_offset: bool,
    random: &mut Random,
) -> Option<()> {
    let narrow = random.one_in(6);
    let general = |random: &mut Random| loop {
        let number = random.below(16) as u32;
        // RSP remains the stack pointer.
        if number != 4 {
            break number;
        }
    };
    let first = if narrow { Register::EAX } else { Register::RAX };
    let mask = if narrow { 0xFFFF_FFFF } else { u64::MAX };
    let displacement = i64::from(match random.below(3) {
        0 => 0,
        1 => random.number() as i8 as i32,
        _ => random.number() as i32 >> 1,
    });
    if is_offset {
        instruction.set_memory_displ_size(8);
        instruction.set_memory_displacement64(target);
        return Some(());
    }
    // A bit offset in a register may reach far from the operand.
    if let (Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc, OpKind::Register) =
        (instruction.mnemonic(), instruction.op1_kind())
    {
        let register = instruction.op1_register();
        let high = random.number() << (8 * register.size() - 1) << 1;
        let high = if register.size() == 8 { 0 } else { high };
        let low = (random.below(2000) as i64 - 1000) as u64;
        let bits = 8 * register.size() as u32;
        let low = if bits == 64 { low } else { low & ((1 << bits) - 1) };
        state.gpr[register.number()] = high | low;
    }
    match random.below(6) {
        0 => {
            instruction.set_memory_displ_size(if narrow { 4 } else { 8 });
            instruction.set_memory_base(if narrow { Register::EIP } else { Register::RIP });
            instruction.set_memory_displacement64(target);
        }
        1 => {
            instruction.set_memory_displ_size(if narrow { 4 } else { 8 });
            instruction.set_memory_displacement64(target);
        }
        2 => {
            let (base, index) = (general(random), general(random));
            if base == index || taken(instruction, base) || taken(instruction, index) {
                return None;
            }
            let scale = 1 << random.below(4);
            instruction.set_memory_base(first + base);
            instruction.set_memory_index(first + index);
            instruction.set_memory_index_scale(scale);
            instruction.set_memory_displ_size(4);
            instruction.set_memory_displacement64(displacement as u64 & mask);
            let other = state.gpr[index as usize].wrapping_mul(u64::from(scale));
            let value = target.wrapping_sub(other).wrapping_sub(displacement as u64);
            // If the address has only 32 bits, the bits above them may be anything.
            let junk = if narrow { random.number() << 32 } else { 0 };
            state.gpr[base as usize] = value & mask | junk;
        }
        _ => {
            let base = general(random);
            if taken(instruction, base) {
                return None;
            }
            instruction.set_memory_base(first + base);
            instruction.set_memory_displ_size(4);
            instruction.set_memory_displacement64(displacement as u64 & mask);
            let junk = if narrow { random.number() << 32 } else { 0 };
            state.gpr[base as usize] = target.wrapping_sub(displacement as u64) & mask | junk;
        }
    }
    Some(())
}

/// Whether a register already has a value that must stay.
fn taken(instruction: &Instruction, number: u32) -> bool {
    let bits = [Mnemonic::Bt, Mnemonic::Bts, Mnemonic::Btr, Mnemonic::Btc];
    let mnemonic = instruction.mnemonic();
    bits.contains(&mnemonic)
        && instruction.op1_kind() == OpKind::Register
        && instruction.op1_register().number() == number as usize
}
