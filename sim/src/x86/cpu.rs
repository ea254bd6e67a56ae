//! The processor: its registers, and the cache of decoded instructions.
use super::decode::Cache;
use super::execution::Execution;
use super::memory::Bus;
use super::registers::{Registers, rflags};
use super::selectors::Segments;
use super::trap::{Result, Step, Trap};

/// A processor in user mode, running in one address space. A machine has one for each thread. The kernel reads and
/// writes a thread's saved context in [`registers`](Self::registers).
///
/// A clone has the same registers and an empty cache of decoded instructions.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// The registers that programs see.
    pub registers: Registers,
    cache: Cache,
    /// Whether `sysret` has set the trap flag. If so, the trap comes before the next instruction.
    traps_at_once: bool,
}

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
