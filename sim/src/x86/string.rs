//! String instructions.

use super::execution::Execution;
use super::flags;
use super::memory::{Bus, Size};
use super::registers::Gpr::{self, Rcx, Rdi, Rsi};
use super::registers::rflags::{DF, STATUS, TF, ZF};
use super::trap::Result;
use iced_x86::{Instruction, OpKind, Register};

/// The repetitions in one step. After this many repetitions the instruction starts again, as after
/// an interrupt.
const REPETITIONS: u32 = 1024;

/// One of the string instructions. All take AL, AX, EAX or RAX for their accumulator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// `movs`: \[RDI\] := \[RSI\].
    Move,
    /// `stos`: \[RDI\] := accumulator.
    Store,
    /// `lods`: accumulator := \[RSI\].
    Load,
    /// `cmps`: compares \[RSI\] with \[RDI\].
    Compare,
    /// `scas`: compares the accumulator with \[RDI\].
    Scan,
}

impl Operation {
    /// Whether the instruction advances RSI and RDI.
    fn moves(self) -> (bool, bool) {
        match self {
            Operation::Move | Operation::Compare => (true, true),
            Operation::Store | Operation::Scan => (false, true),
            Operation::Load => (true, false),
        }
    }

    /// Whether `repe` and `repne` test ZF.
    fn compares(self) -> bool {
        matches!(self, Operation::Compare | Operation::Scan)
    }
}

/// Whether the instruction has an address-size prefix, and so uses ESI, EDI and ECX.
fn is_narrow(instruction: &Instruction) -> bool {
    let narrow = [OpKind::MemorySegESI, OpKind::MemoryESEDI];
    (0..instruction.op_count()).any(|operand| narrow.contains(&instruction.op_kind(operand)))
}

impl<B: Bus> Execution<'_, B> {
    /// Executes a string instruction with elements of this size, repeated if it has a prefix.
    pub(super) fn string(&mut self, operation: Operation, size: Size) -> Result<(), B::Fault> {
        let mask = if is_narrow(&self.instruction) { 0xFFFF_FFFF } else { u64::MAX };
        let repeats = self.instruction.has_rep_prefix() || self.instruction.has_repne_prefix();
        if !repeats {
            return self.element(operation, size, mask);
        }
        let stop_at_zero_flag = self.instruction.has_repne_prefix();
        // With the trap flag, each repetition traps. RIP stays at the instruction until the last
        // repetition.
        let most = if self.registers.flag(TF) { 1 } else { REPETITIONS };
        for _ in 0..most {
            let count = self.registers[Rcx] & mask;
            if count == 0 {
                return Ok(());
            }
            self.element(operation, size, mask)?;
            self.registers[Rcx] = (count - 1) & mask;
            let zero = self.registers.flag(ZF);
            if operation.compares() && zero == stop_at_zero_flag {
                return Ok(());
            }
        }
        if self.registers[Rcx] != 0 {
            self.next = self.instruction.ip();
        }
        Ok(())
    }

    /// Processes one element. The addresses advance only if nothing failed.
    fn element(&mut self, operation: Operation, size: Size, mask: u64) -> Result<(), B::Fault> {
        let (from, to) = (self.registers[Rsi] & mask, self.registers[Rdi] & mask);
        let accumulator = match size {
            Size::Byte => Register::AL,
            Size::Word => Register::AX,
            Size::Double => Register::EAX,
            Size::Quad => Register::RAX,
        };
        match operation {
            Operation::Move => {
                let value = self.load(from, size)?;
                self.store(to, size, value)?;
            }
            Operation::Store => {
                let value = self.register(accumulator)?;
                self.store(to, size, value)?;
            }
            Operation::Load => {
                let value = self.load(from, size)?;
                self.set_register(accumulator, value)?;
            }
            Operation::Compare | Operation::Scan => {
                // The manuals do not say which access faults first. AMD's processors and QEMU begin with the second.
                let b = self.load(to, size)?;
                let a = match operation {
                    Operation::Compare => self.load(from, size)?,
                    _ => self.register(accumulator)?,
                };
                let (_, flags) = flags::subtract(a, b, false, size);
                self.registers.set_flags(STATUS, flags);
            }
        }
        let (moves_from, moves_to) = operation.moves();
        if moves_from {
            self.advance(Rsi, size, mask);
        }
        if moves_to {
            self.advance(Rdi, size, mask);
        }
        Ok(())
    }

    /// Advances an address register by one element, in the direction of DF.
    fn advance(&mut self, register: Gpr, size: Size, mask: u64) {
        let address = self.registers[register];
        let moved = if self.registers.flag(DF) {
            address.wrapping_sub(size.bytes())
        } else {
            address.wrapping_add(size.bytes())
        };
        self.registers[register] = moved & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::REPETITIONS;
    use crate::x86::testing::{CODE, DATA, Fault, machine, steps};
    use crate::x86::{Gpr, Trap, rflags};

    #[test]
    fn a_fault_keeps_the_repetitions_before_it() {
        let (mut cpu, mut memory) = machine(|a| a.rep().stosq());
        cpu.registers[Gpr::Rax] = u64::MAX;
        cpu.registers[Gpr::Rdi] = DATA + 4096 - 16;
        cpu.registers[Gpr::Rcx] = 5;
        let end = DATA + 4096;
        assert_eq!(cpu.step(&mut memory), Err(Trap::Fault(Fault(end))));
        assert_eq!((cpu.registers[Gpr::Rcx], cpu.registers[Gpr::Rdi]), (3, end));
        assert_eq!(cpu.registers.rip, CODE);
        memory.map(end);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers[Gpr::Rcx], cpu.registers[Gpr::Rdi]), (0, end + 24));
        assert_eq!(cpu.registers.rip, CODE + 3);
    }

    #[test]
    fn a_long_repetition_takes_several_steps() {
        let (mut cpu, mut memory) = machine(|a| a.rep().stosb());
        cpu.registers[Gpr::Rdi] = DATA;
        cpu.registers[Gpr::Rcx] = u64::from(2 * REPETITIONS);
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers.rip, CODE);
        assert_eq!(cpu.registers[Gpr::Rcx], u64::from(REPETITIONS));
        steps(&mut cpu, &mut memory, 1);
        assert_eq!(cpu.registers.rip, CODE + 2);
        assert_eq!(cpu.registers[Gpr::Rcx], 0);
    }

    #[test]
    fn the_trap_flag_traps_after_each_repetition() {
        let (mut cpu, mut memory) = machine(|a| a.rep().stosb());
        cpu.registers[Gpr::Rdi] = DATA;
        cpu.registers[Gpr::Rcx] = 2;
        cpu.registers.rflags |= rflags::TF;
        for (count, rip) in [(1, CODE), (0, CODE + 2)] {
            assert_eq!(cpu.step(&mut memory), Err(Trap::Debug));
            assert_eq!((cpu.registers[Gpr::Rcx], cpu.registers.rip), (count, rip));
        }
        // If no repetitions are left, there is one trap, after the instruction.
        cpu.registers.rip = CODE;
        assert_eq!(cpu.step(&mut memory), Err(Trap::Debug));
        assert_eq!((cpu.registers[Gpr::Rcx], cpu.registers.rip), (0, CODE + 2));
        // The trap also comes after an instruction whose comparison ends the repetition.
        let (mut cpu, mut memory) = machine(|a| a.repe().cmpsb());
        memory.write(DATA, b"ab");
        cpu.registers[Gpr::Rsi] = DATA;
        cpu.registers[Gpr::Rdi] = DATA + 1;
        cpu.registers[Gpr::Rcx] = 9;
        cpu.registers.rflags |= rflags::TF;
        assert_eq!(cpu.step(&mut memory), Err(Trap::Debug));
        assert_eq!((cpu.registers[Gpr::Rcx], cpu.registers.rip), (8, CODE + 2));
    }

    #[test]
    fn a_comparison_stops_at_the_difference() {
        let (mut cpu, mut memory) = machine(|a| a.repe().cmpsb());
        memory.write(DATA, b"same!same?");
        cpu.registers[Gpr::Rsi] = DATA;
        cpu.registers[Gpr::Rdi] = DATA + 5;
        cpu.registers[Gpr::Rcx] = 100;
        steps(&mut cpu, &mut memory, 1);
        assert_eq!((cpu.registers[Gpr::Rsi], cpu.registers[Gpr::Rcx]), (DATA + 5, 95));
    }
}
