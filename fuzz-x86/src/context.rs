//! The registers before and after an instruction, in memory, and the code that loads and stores them.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use std::mem::offset_of;

/// Registers, as [`load`] and [`store`] have them in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct State {
    /// General registers by their number in instructions.
    pub gpr: [u64; 16],
    /// SSE registers.
    pub xmm: [u128; 16],
    /// Flags.
    pub rflags: u64,
}

/// Bytes of a [`State`] in memory.
pub const STATE_SIZE: usize = size_of::<State>();

const GPR: [AsmRegister64; 16] = [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
const XMM: [AsmRegisterXmm; 16] =
    [xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15];

impl State {
    /// The bytes of the state as it is in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STATE_SIZE);
        self.gpr.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.xmm.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(self.rflags.to_le_bytes());
        bytes.resize(STATE_SIZE, 0);
        bytes
    }
}

/// Address of a general register of the state at `state`.
pub fn general(state: u64, index: usize) -> u64 {
    state + (offset_of!(State, gpr) + 8 * index) as u64
}

/// Address of an SSE register of the state at `state`.
fn sse(state: u64, index: usize) -> u64 {
    state + (offset_of!(State, xmm) + 16 * index) as u64
}

/// Address of the flags of the state at `state`.
pub fn flags(state: u64) -> u64 {
    state + offset_of!(State, rflags) as u64
}

/// Code that loads all registers and the flags from `state`, an address below 2 GiB.
///
/// # Errors
/// If the code cannot be encoded.
pub fn load(code: &mut CodeAssembler, state: u64) -> Result<(), IcedError> {
    for (index, register) in XMM.into_iter().enumerate() {
        code.movups(register, xmmword_ptr(sse(state, index)))?;
    }
    load_general(code, state)
}

/// As [`load`], without the SSE registers.
///
/// # Errors
/// If the code cannot be encoded.
pub fn load_general(code: &mut CodeAssembler, state: u64) -> Result<(), IcedError> {
    code.mov(rsp, flags(state))?;
    code.popfq()?;
    for (index, register) in GPR.into_iter().enumerate() {
        code.mov(register, qword_ptr(general(state, index)))?;
    }
    Ok(())
}

/// Code that stores all registers and the flags to `state`, an address below 2 GiB, and then clears DF. The stack
/// pointer is lost.
///
/// # Errors
/// If the code cannot be encoded.
pub fn store(code: &mut CodeAssembler, state: u64) -> Result<(), IcedError> {
    for (index, register) in GPR.into_iter().enumerate() {
        code.mov(qword_ptr(general(state, index)), register)?;
    }
    code.mov(rsp, flags(state) + 8)?;
    code.pushfq()?;
    for (index, register) in XMM.into_iter().enumerate() {
        code.movups(xmmword_ptr(sse(state, index)), register)?;
    }
    code.cld()
}
