//! An interpreter for x86-64 programs in user mode, over any memory.
//!
//! [`Cpu::step`] executes one instruction. Every fetch, load and store goes to a [`Bus`], in naturally
//! aligned pieces of 1, 2, 4 or 8 bytes. Decoded instructions are kept, and the bus is asked at each use whether
//! the bytes are still the same ([`Bus::code_stamp`]). What a program can do that ends in the kernel is a [`Step`] or a
//! [`Trap`], and exact: after a trap the registers and the memory are those before the instruction, except
//! where its documentation says otherwise, so the instruction can be executed again.
//!
//! # What it knows
//!
//! The general instructions and SSE up to SSE2, which is all that code for the baseline x86-64 uses, and
//! `lzcnt`, `popcnt`, BMI1, BMI2, ADX and `movbe`. The kernel does not enable AVX: its encodings are invalid opcodes. The
//! processor is otherwise the one that QEMU emulates: an instruction that it does not have is an invalid opcode, too
//! (`absent`). The bases of
//! FS and GS are 0. An instruction that processors have and this interpreter does not is a
//! [`Trap::Unimplemented`], never a wrong result; so is everything whose result would depend on the
//! processor's model (`cpuid`), and floating-point arithmetic under an MXCSR that
//! unmasks exceptions or changes rounding.
//!
//! Where the architecture leaves a flag undefined, the interpreter always gives the same value, which a
//! processor need not give.
//!
//! # The files
//!
//! `registers` and `flags` hold state and arithmetic; `memory` and `operand` the way to an instruction's
//! operands; `decode` the cache; `dispatch` says which group each mnemonic belongs to; the rest is one file
//! a group.

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

/// A processor in user mode, running in one address space: a machine has one for each thread. What the
/// kernel keeps of a thread's context it reads from and writes to [`registers`](Self::registers).
///
/// A clone has the same registers and an empty cache of decoded instructions.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// What programs see of it.
    pub registers: Registers,
    cache: Cache,
    /// Whether `sysret` has set the trap flag: the trap comes before anything is executed.
    traps_at_once: bool,
}

/// What came of an instruction that did not trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// RIP is at the next instruction to execute. That may be the same one: a long repeated string
    /// instruction takes several steps, as if it had been interrupted.
    Next,
    /// The program executed `syscall`: RIP is behind it and has been copied to RCX, RFLAGS to R11.
    SystemCall,
}

/// Why an instruction did not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap<F> {
    /// The memory refused an access. Of a repeated string instruction, the repetitions before are done, and
    /// RCX, RSI and RDI count them.
    Fault(F),
    /// A division by zero, or a quotient too large.
    DivideError,
    /// The trap flag was set when the instruction began, or it was `int1`. RIP is behind the instruction,
    /// which has completed. Or `sysret` has set the flag, and RIP is where it went.
    Debug,
    /// `int3`; RIP is behind it.
    Breakpoint,
    /// There is no such instruction.
    InvalidOpcode,
    /// A privileged instruction, a non-canonical address, a misaligned SSE operand.
    GeneralProtection,
    /// A segment that is none of a program's: general protection whose error code is the selector without its low two bits.
    BadSelector(u16),
    /// `int n` to a gate that is not for programs: general protection whose error code names the gate.
    ClosedGate(u8),
    /// A non-canonical address used with RSP or RBP.
    StackFault,
    /// A misaligned access while the program has set AC.
    AlignmentCheck,
    /// The interpreter does not know this instruction, or not under the present MXCSR.
    Unimplemented {
        /// Its mnemonic.
        mnemonic: Mnemonic,
        /// Its address.
        rip: u64,
    },
}

impl<F> Trap<F> {
    /// Why the kernel stops a program for this trap; `None` for a fault, which the owner of the memory
    /// explains.
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

    /// The error code that comes with it.
    pub fn error_code(&self) -> u64 {
        match self {
            Trap::BadSelector(selector) => (*selector).into(),
            // The gate's index in a table, and that the table is the interrupt descriptor table.
            Trap::ClosedGate(vector) => u64::from(*vector) << 3 | 2,
            _ => 0,
        }
    }
}

/// What a part of an instruction gives, unless the instruction traps.
type Result<T, F> = core::result::Result<T, Trap<F>>;

impl Cpu {
    /// A processor with these registers.
    pub fn new(registers: Registers) -> Self {
        Cpu { registers, ..Cpu::default() }
    }

    /// The kernel goes back to the program by `sysret`. With the trap flag that traps at once, unlike `iret`, behind which one
    /// instruction is executed.
    pub fn return_by_sysret(&mut self) {
        self.traps_at_once = self.registers.flag(rflags::TF);
    }

    /// Another program has run on this program's CPU.
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
