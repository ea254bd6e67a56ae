//! Takes the trap stack away, so that the next fault becomes a double fault.

use kernel::cpu::block::Cpu;
use kernel::mm::stacks::Stack;
use x86_64::instructions::tables::sgdt;
use x86_64::structures::tss::TaskStateSegment;

/// The next entry by a gate without a stack of its own will find the guard page.
///
/// # Safety
/// The image must end with that entry.
pub unsafe fn lose_trap_stack(cpu: &Cpu) {
    let guard = Stack::Trap.range(cpu.number()).start;
    // SAFETY: the task state is this CPU's own. The address put into it is that of a guard page, so the next trap
    // cannot push its frame.
    unsafe {
        (*task_state()).interrupt_stack_table[Stack::Trap.ist_index().unwrap_or(0)] = x86_64::VirtAddr::new(guard);
    }
}

/// The task state in the GDT.
fn task_state() -> *mut TaskStateSegment {
    let segments = sgdt().base.as_ptr::<u64>();
    let index = usize::from(kernel::cpu::descriptors::TASK_STATE >> 3);
    // SAFETY: every CPU that has booted has the two entries of the task-state segment.
    let (low, high) = unsafe { (segments.add(index).read(), segments.add(index + 1).read()) };
    let base = low >> 16 & 0xff_ffff | low >> 56 << 24 | high << 32;
    core::ptr::with_exposed_provenance_mut(base as usize)
}
