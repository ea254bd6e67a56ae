//! A program: steps, each with registers of its own to begin with, and code that makes their results visible.
//!
//! The kernel shows the registers of a program that it stops. A step that is stopped ends its program, so the kernel
//! shows the registers after it. If a step is not stopped, the registers after it are stored. After the last step, R15
//! gets a digest of all stored registers and of the memory that the steps worked on. The other registers and the flags
//! are those after the last step. Then the program executes `ud2`.

use crate::context::{self, STATE_SIZE, State};
use crate::generate::SCRATCH_SIZE;
use crate::instruction::SYSCALL;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim::x86::{Gpr, rflags};

/// The maximum number of steps of a program: their results fit on one page.
pub const STEPS: usize = 8;
/// Address of the code: a slot for each step, and one more for the end.
const TEXT: u64 = abi::ADR_LOW as u64;
/// Bytes of a slot.
const SLOT: u64 = 768;
/// Address of the memory that steps work on.
pub const SCRATCH: u64 = TEXT + 0x1_0000;
/// Address of the registers that steps begin with.
const STATES: u64 = SCRATCH + abi::PAGE_SIZE as u64;
/// Address of the registers that steps end with.
const RESULTS: u64 = STATES + abi::PAGE_SIZE as u64;
/// Address of the digest while registers are loaded.
const DIGEST: u64 = RESULTS + abi::PAGE_SIZE as u64 - 8;

/// One or a few instructions. Execution continues after them, unless they are stopped.
#[derive(Clone, Debug)]
pub struct ProgramStep {
    /// The instructions.
    pub bytes: Vec<u8>,
    /// The registers before the instructions.
    pub state: State,
    /// The flags among [`rflags::STATUS`] that are defined after the instructions.
    pub defined: u64,
}

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its steps.
    pub steps: Vec<ProgramStep>,
    /// The memory that the steps work on, at the beginning.
    pub scratch: Vec<u8>,
}

/// Address of the registers that step `index` begins with.
fn state(index: usize) -> u64 {
    STATES + (index * STATE_SIZE) as u64
}

/// Address of the registers that step `index` ends with.
fn result(index: usize) -> u64 {
    RESULTS + (index * STATE_SIZE) as u64
}

/// Address of the slot of step `index`.
fn slot(index: usize) -> u64 {
    TEXT + index as u64 * SLOT
}

/// The code that loads the registers of step `index`.
fn before(index: usize) -> Result<Vec<u8>, IcedError> {
    let mut code = CodeAssembler::new(64)?;
    context::load(&mut code, state(index))?;
    code.assemble(slot(index))
}

/// Address of the instructions of step `index`.
///
/// # Errors
/// If the code that loads the registers cannot be encoded.
pub fn place(index: usize) -> Result<u64, IcedError> {
    Ok(slot(index) + before(index)?.len() as u64)
}

impl Program {
    /// The address of the program's `ud2`: the program ends there if no step is stopped before.
    ///
    /// # Errors
    /// If its code cannot be encoded.
    pub fn end(&self) -> Result<u64, IcedError> {
        Ok(slot(self.steps.len()) + self.epilogue()?.len() as u64 - 2)
    }

    /// The code of step `index`.
    fn step(&self, index: usize) -> Result<Vec<u8>, IcedError> {
        let step = &self.steps[index];
        let mut code = before(index)?;
        code.extend(&step.bytes);
        let mut after = CodeAssembler::new(64)?;
        context::store(&mut after, result(index))?;
        let other = rflags::IF | rflags::ONE | rflags::NT | rflags::AC | rflags::ID | rflags::DF;
        after.and(qword_ptr(context::flags(result(index))), (step.defined | other) as i32)?;
        if step.bytes.ends_with(&SYSCALL) {
            // The convention of system calls leaves these registers undefined.
            for register in [Gpr::Rcx, Gpr::R11] {
                after.mov(qword_ptr(context::general(result(index), register as usize)), 0)?;
            }
        }
        after.jmp(slot(index + 1))?;
        code.extend(after.assemble(slot(index) + code.len() as u64)?);
        assert!(code.len() as u64 <= SLOT, "a step of {} bytes is too long", step.bytes.len());
        code.resize(SLOT as usize, 0x90);
        Ok(code)
    }

    /// The code after the last step.
    fn epilogue(&self) -> Result<Vec<u8>, IcedError> {
        let mut code = CodeAssembler::new(64)?;
        code.xor(r15d, r15d)?;
        let parts = [(RESULTS, self.steps.len() * STATE_SIZE), (SCRATCH, SCRATCH_SIZE)];
        for (address, bytes) in parts {
            let mut next = code.create_label();
            code.mov(esi, address as i32)?;
            code.mov(ecx, (bytes / 8) as i32)?;
            code.set_label(&mut next)?;
            code.rol(r15, 7)?;
            code.add(r15, qword_ptr(rsi))?;
            code.add(rsi, 8)?;
            code.dec(ecx)?;
            code.jnz(next)?;
        }
        code.mov(qword_ptr(DIGEST), r15)?;
        context::load_general(&mut code, result(self.steps.len() - 1))?;
        code.mov(r15, qword_ptr(DIGEST))?;
        code.ud2()?;
        code.assemble(slot(self.steps.len()))
    }

    /// The program as an ELF file.
    ///
    /// # Errors
    /// If its code cannot be encoded.
    pub fn elf(&self) -> Result<Vec<u8>, IcedError> {
        let mut text = Vec::new();
        for index in 0..self.steps.len() {
            text.extend(self.step(index)?);
        }
        text.extend(self.epilogue()?);
        let mut data = self.scratch.clone();
        data.resize((STATES - SCRATCH) as usize, 0);
        self.steps.iter().for_each(|step| data.extend(step.state.to_bytes()));
        let bytes = RESULTS + u64::from(abi::PAGE_SIZE) - SCRATCH;
        Ok(elf(TEXT, &[(TEXT, 5, &text, text.len() as u64), (SCRATCH, 6, &data, bytes)]))
    }
}

/// A program that starts `count` others, the images from number `first` on, each with `quota` pages. Its exit status is
/// the first error, or 0.
///
/// # Errors
/// If its code cannot be encoded.
pub fn launcher(first: usize, count: usize, quota: u32) -> Result<Vec<u8>, IcedError> {
    let mut code = CodeAssembler::new(64)?;
    let mut end = code.create_label();
    for image in first..first + count {
        code.mov(eax, abi::Call::Spawn as u32)?;
        code.mov(ebx, image as u32)?;
        code.mov(r10d, quota)?;
        // No arguments.
        code.xor(edx, edx)?;
        code.syscall()?;
        code.test(eax, eax)?;
        code.jnz(end)?;
    }
    code.set_label(&mut end)?;
    code.mov(ebx, eax)?;
    code.mov(eax, abi::Call::Exit as u32)?;
    code.syscall()?;
    let text = code.assemble(TEXT)?;
    Ok(elf(TEXT, &[(TEXT, 5, &text, text.len() as u64)]))
}

/// An ELF file with these segments: address, flags, bytes in the file, size in memory.
fn elf(entry: u64, segments: &[(u64, u32, &[u8], u64)]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const PROGRAM_HEADER: u64 = 56;
    let mut file = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // ET_EXEC, EM_X86_64, EV_CURRENT; no section headers.
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend(entry.to_le_bytes());
    file.extend(HEADER.to_le_bytes());
    file.extend([0; 8 + 4]);
    let sizes = [HEADER, PROGRAM_HEADER, segments.len() as u64, 64, 0, 0];
    sizes.iter().for_each(|&size| file.extend((size as u16).to_le_bytes()));
    let mut offset = HEADER + PROGRAM_HEADER * segments.len() as u64;
    for &(address, flags, bytes, size) in segments {
        // PT_LOAD.
        file.extend(1u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [offset, address, address, bytes.len() as u64, size, 1] {
            file.extend(word.to_le_bytes());
        }
        offset += bytes.len() as u64;
    }
    segments.iter().for_each(|(_, _, bytes, _)| file.extend(*bytes));
    file
}
