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
//! `lzcnt`, `popcnt`, BMI1, BMI2, ADX and `movbe`. The kernel does not enable AVX, so its encodings are invalid
//! opcodes. Otherwise the processor is the one that QEMU emulates. An instruction that it does not have is also an
//! invalid opcode (`absent`). The bases of FS and GS are 0. An instruction that the processor has and this interpreter
//! does not is a [`Trap::Unimplemented`], never a wrong result. The same holds for results that depend on the
//! processor's model (`cpuid`), and for floating-point arithmetic if MXCSR unmasks exceptions or changes rounding.
//!
//! If the architecture leaves a flag undefined, the interpreter always gives the same value. A processor may give
//! different values.
//!
//! # The files
//!
//! In the order to read them: `registers`, `selectors` and `flags` hold state and arithmetic. `trap` has the results of
//! an instruction. `memory` and `operand` access its operands, and `execution` is an instruction that is being
//! executed. `decode` has the cache. Each other file from `absent` to `transfer` is one group of instructions, and
//! `dispatch` chooses the group of each mnemonic. `cpu` combines all of this.

mod absent;
mod alu;
mod bits;
mod bmi;
mod branch;
mod cpu;
mod decode;
mod dispatch;
mod execution;
mod flags;
mod memory;
mod multiply;
mod operand;
mod registers;
mod segment;
mod selectors;
mod shift;
mod sse_convert;
mod sse_float;
mod sse_integer;
mod sse_move;
mod sse_shuffle;
mod stack;
mod string;
mod transfer;
mod trap;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use cpu::Cpu;
pub use memory::{Bus, CodeStamp, Size, is_canonical};
pub use registers::{Gpr, INITIAL_MXCSR, Registers, rflags};
pub use selectors::Segments;
pub use trap::{Step, Trap};
