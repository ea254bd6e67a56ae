//! An instruction that is being executed.
use super::registers::Registers;
use iced_x86::Instruction;

/// An instruction that is being executed. Everything that can fail comes before changes of registers or memory.
pub(super) struct Execution<'a, B> {
    /// The program's registers. RIP is still the address of the instruction.
    pub(super) registers: &'a mut Registers,
    /// The program's memory.
    pub(super) bus: &'a mut B,
    /// The instruction.
    pub(super) instruction: Instruction,
    /// The next RIP: the end of the instruction, unless it jumps.
    pub(super) next: u64,
}
