//! An interpreter for x86-64 programs in user mode, over any memory.
//!
//! [`Cpu::step`] executes one instruction. Every fetch, load and store goes to a [`Bus`], in naturally aligned pieces
//! of 1, 2, 4 or 8 bytes. Decoded instructions are cached, and at each use the bus is asked whether the bytes are still
//! the same ([`Bus::code_stamp`]). Everything that ends in the kernel is a [`Step`] or a [`Trap`], and is exact. After
//! a trap the registers and the memory are as before the instruction, unless the trap's documentation says otherwise.
//! So the instruction can be executed again.
//!
//! # What it implements
//!
//! It implements the general instructions and SSE up to SSE2, which is all that code for the baseline x86-64 uses, and
//! `lzcnt`, `popcnt`, BMI1, BMI2, ADX and `movbe`. The kernel does not enable AVX, so that its encodings are invalid
//! opcodes. Otherwise the processor is the one that QEMU emulates: an instruction that it does not have is an invalid
//! opcode as well (`absent`). The bases of FS and GS are 0. An instruction that the processor has and this interpreter
//! does not is a [`Trap::Unimplemented`], never a wrong result. The same holds for results that depend on the
//! processor's model (`cpuid`), and for floating-point arithmetic if MXCSR unmasks exceptions or changes rounding.
//!
//! Where the architecture leaves a flag undefined, the interpreter always gives the same value. A processor need not.
//!
//! # The files
//!
//! `registers` and `flags` hold state and arithmetic. `memory` and `operand` access the operands of an instruction.
//! `decode` has the cache. `dispatch` has the group of each mnemonic. Each other file is one group.

mod absent;
mod alu;
mod bits;
mod bmi;
mod branch;
mod decode;
mod dispatch;
mod flags;
mod memory;
mod multiply;
mod operand;
mod registers;
mod segment;
mod shift;
mod sse_convert;
mod sse_float;
mod sse_integer;
mod sse_move;
mod sse_shuffle;
mod stack;
mod string;
mod transfer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use memory::{Bus, CodeStamp, Size, is_canonical};
pub use registers::{Gpr, INITIAL_MXCSR, Registers, rflags};
pub use segment::Segments;

use decode::Cache;
use dispatch::Execution;
use iced_x86::Mnemonic;

/// A processor in user mode, running in one address space. A machine has one for each thread. The kernel reads and
/// writes a thread's saved context in [`registers`](Self::registers).
///
/// A clone has the same registers and an empty cache of decoded instructions.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// The registers that programs see.
    pub registers: Registers,
    cache: Cache,
    /// Whether `sysret` has set the trap flag. Then the trap comes before the next instruction.
    traps_at_once: bool,
}

/// The result of an instruction that did not trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// RIP is the next instruction to execute. It may be the same one: a long repeated string instruction takes several
    /// steps, as if it had been interrupted.
    Next,
    /// The program executed `syscall`. RIP is the next instruction and was copied to RCX, and RFLAGS to R11.
    SystemCall,
}

/// Why an instruction did not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap<F> {
    /// The memory refused an access. A repeated string instruction keeps its earlier repetitions, and RCX, RSI and RDI
    /// count them.
    Fault(F),
    /// A division by zero, or a quotient too large.
    DivideError,
    /// The trap flag was set when the instruction began, or it was `int1`. The instruction has completed, and RIP is
    /// the next one. Or `sysret` has set the flag, and RIP is its target.
    Debug,
    /// `int3`. RIP is the next instruction.
    Breakpoint,
    /// There is no such instruction.
    InvalidOpcode,
    /// A privileged instruction, a non-canonical address, a misaligned SSE operand.
    GeneralProtection,
    /// The selector of a segment that is not a program's: general protection. The error code is the selector without
    /// its low two bits.
    BadSelector(u16),
    /// `int n` to a gate that programs may not use: general protection. The error code names the gate.
    ClosedGate(u8),
    /// A non-canonical address used with RSP or RBP.
    StackFault,
    /// A misaligned access while AC is set.
    AlignmentCheck,
    /// The interpreter does not implement this instruction, or not with the current MXCSR.
    Unimplemented {
        /// The mnemonic of the instruction.
        mnemonic: Mnemonic,
        /// The address of the instruction.
        rip: u64,
    },
}

impl<F> Trap<F> {
    /// Why the kernel stops a program at this trap. `None` for a fault, which the owner of the memory explains.
    pub fn reason(&self) -> Option<abi::Reason> {
        Some(match self {
            Trap::Fault(_) => return None,
            Trap::DivideError => abi::Reason::DivideError,
            Trap::Debug => abi::Reason::Debug,
            Trap::Breakpoint => abi::Reason::Breakpoint,
            Trap::InvalidOpcode => abi::Reason::InvalidOpcode,
            Trap::GeneralProtection | Trap::BadSelector(_) | Trap::ClosedGate(_) => abi::Reason::GeneralProtection,
            Trap::StackFault => abi::Reason::StackFault,
            Trap::AlignmentCheck => abi::Reason::AlignmentCheck,
            Trap::Unimplemented { .. } => abi::Reason::Unimplemented,
        })
    }

    /// The error code of the trap.
    pub fn error_code(&self) -> u64 {
        match self {
            Trap::BadSelector(selector) => (*selector).into(),
            // The index of the gate, and the bit for the interrupt descriptor table.
            Trap::ClosedGate(vector) => u64::from(*vector) << 3 | 2,
            _ => 0,
        }
    }
}

/// The result of a part of an instruction, unless it traps.
type Result<T, F> = core::result::Result<T, Trap<F>>;

impl Cpu {
    /// A processor with these registers.
    pub fn new(registers: Registers) -> Self {
        Cpu { registers, ..Cpu::default() }
    }

    /// The kernel returns to the program by `sysret`. If the trap flag is set, it traps at once. After `iret`, one
    /// instruction would be executed first.
    pub fn return_by_sysret(&mut self) {
        self.traps_at_once = self.registers.flag(rflags::TF);
    }

    /// Resets the segments, because another program has run on this program's CPU.
    pub fn reset_segments(&mut self) {
        self.registers.segments = Segments::default();
    }

    /// Executes the instruction at RIP.
    ///
    /// # Errors
    ///
    /// See [`Trap`].
    pub fn step<B: Bus>(&mut self, bus: &mut B) -> Result<Step, B::Fault> {
        if core::mem::take(&mut self.traps_at_once) {
            return Err(Trap::Debug);
        }
        let instruction = self.cache.decode(self.registers.rip, bus)?;
        let tracing = self.registers.rflags & rflags::TF != 0;
        let mut execution = Execution { registers: &mut self.registers, bus, next: instruction.next_ip(), instruction };
        let step = execution.run()?;
        let traps = tracing && step == Step::Next && !execution.loads_stack_segment();
        self.registers.rip = execution.next;
        if traps { Err(Trap::Debug) } else { Ok(step) }
    }
}
