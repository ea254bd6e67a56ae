//! Where each CPU's stacks lie. Below every stack is a guard page that is never mapped, so that running
//! over its end is a page fault and not silent damage.

use crate::layout::{MAX_CPUS, PAGE_SIZE, STACKS};
use core::ops::Range;

/// What a stack is for. The interrupt stack table (IST) gives three fatal conditions and everything else
/// that enters the kernel by a gate a stack of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stack {
    /// Kernel code: reset at each entry into the kernel.
    Kernel,
    /// Double fault.
    DoubleFault,
    /// Non-maskable interrupt.
    Nmi,
    /// Machine check.
    MachineCheck,
    /// All other gates: left for the kernel stack at once when they come from ring 3, fatal from ring 0.
    Trap,
}

impl Stack {
    /// Every stack of a CPU, from the lowest address up.
    pub const ALL: [Stack; 5] = [Stack::Kernel, Stack::DoubleFault, Stack::Nmi, Stack::MachineCheck, Stack::Trap];

    /// Usable bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Stack::Kernel => 64 << 10,
            _ => 16 << 10,
        }
    }

    /// The stack in words.
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

/// What an address is to the stacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a stack.
    Inside(usize, Stack),
    /// In the guard page below a stack: that stack has overflowed.
    Guard(usize, Stack),
}

/// Which CPU's stack `address` belongs to.
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
