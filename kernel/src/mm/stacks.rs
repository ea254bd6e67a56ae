//! The addresses of each CPU's stacks. Below every stack is a guard page that is never mapped. So a stack overflow is a
//! page fault, and does not damage other data unnoticed.

use super::layout::{MAX_CPUS, PAGE_SIZE, STACKS};
use core::ops::Range;

/// The purpose of a stack. The interrupt stack table (IST) gives a stack of its own to each of three fatal conditions,
/// and one to all other entries into the kernel by a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stack {
    /// Kernel code. It is reset at each entry into the kernel.
    Kernel,
    /// Double fault.
    DoubleFault,
    /// Non-maskable interrupt.
    Nmi,
    /// Machine check.
    MachineCheck,
    /// All other gates. After an entry from ring 3 the stub switches to the kernel stack at once; an entry
    /// from ring 0 is fatal.
    Trap,
}

impl Stack {
    /// Every stack of a CPU, in the order of their addresses.
    pub const ALL: [Stack; 5] = [Stack::Kernel, Stack::DoubleFault, Stack::Nmi, Stack::MachineCheck, Stack::Trap];

    /// Usable bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            // Code that is not optimised copies large values at each return.
            Stack::Kernel if cfg!(unoptimised) => 512 << 10,
            Stack::Kernel => 64 << 10,
            _ => 16 << 10,
        }
    }

    /// The stack's name in messages.
    pub fn text(self) -> &'static str {
        match self {
            Stack::Kernel => "kernel stack",
            Stack::DoubleFault => "double-fault stack",
            Stack::Nmi => "NMI stack",
            Stack::MachineCheck => "machine-check stack",
            Stack::Trap => "trap stack",
        }
    }

    /// Index in the IST of the task-state segment, from 0; `None` for the kernel stack.
    pub fn ist_index(self) -> Option<usize> {
        match self {
            Stack::Kernel => None,
            Stack::DoubleFault => Some(0),
            Stack::Nmi => Some(1),
            Stack::MachineCheck => Some(2),
            Stack::Trap => Some(3),
        }
    }

    /// Usable virtual addresses of this stack of CPU `cpu`; the page below `start` is the guard page.
    pub fn range(self, cpu: usize) -> Range<u64> {
        let mut start = STACKS + cpu as u64 * CPU_STRIDE + PAGE_SIZE;
        for stack in Stack::ALL {
            if stack == self {
                break;
            }
            start += stack.bytes() + PAGE_SIZE;
        }
        start..start + self.bytes()
    }
}

/// Virtual addresses set aside for one CPU.
const CPU_STRIDE: u64 = 1 << 20;

/// The position of an address relative to the stacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a stack.
    Inside(usize, Stack),
    /// In the guard page below a stack, which means that this stack has overflowed.
    Guard(usize, Stack),
}

/// The stack or guard page that `address` belongs to, and its CPU.
pub fn place(address: u64) -> Option<Place> {
    let cpu = usize::try_from(address.checked_sub(STACKS)? / CPU_STRIDE).ok().filter(|&cpu| cpu < MAX_CPUS)?;
    Stack::ALL.into_iter().find_map(|stack| {
        let range = stack.range(cpu);
        if range.contains(&address) {
            Some(Place::Inside(cpu, stack))
        } else if (range.start - PAGE_SIZE..range.start).contains(&address) {
            Some(Place::Guard(cpu, stack))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_disjoint_and_guarded() {
        let mut end = STACKS;
        for cpu in 0..MAX_CPUS {
            for stack in Stack::ALL {
                let range = stack.range(cpu);
                assert!(range.start >= end + PAGE_SIZE, "a guard page fits below");
                assert_eq!(range.start % PAGE_SIZE, 0);
                assert_eq!(place(range.start), Some(Place::Inside(cpu, stack)));
                assert_eq!(place(range.end - 1), Some(Place::Inside(cpu, stack)));
                assert_eq!(place(range.start - 1), Some(Place::Guard(cpu, stack)));
                assert_eq!(place(range.start - PAGE_SIZE), Some(Place::Guard(cpu, stack)));
                end = range.end;
            }
            assert!(end <= STACKS + (cpu as u64 + 1) * CPU_STRIDE);
        }
        assert_eq!(place(STACKS - 1), None);
        assert_eq!(place(STACKS + MAX_CPUS as u64 * CPU_STRIDE + PAGE_SIZE), None);
    }
}
