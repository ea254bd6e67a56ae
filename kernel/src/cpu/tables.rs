//! Descriptor tables: one interrupt descriptor table for all CPUs, and segments and task state for each CPU.

use super::descriptors::{self, gate};
use super::vectors;
use crate::mm::frames::{Frames, FramesError};
use crate::mm::keep::keep;
use crate::mm::stacks::Stack;
use core::arch::asm;
use core::cell::UnsafeCell;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, DescriptorFlags, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

/// Bytes at the top of an interrupt stack that hold the address of the CPU's block; see entry.s.
pub const STACK_HEADER: u64 = 16;

/// A CPU's segments and task state. The hardware reads them, so they never move.
pub struct CpuTables {
    segments: GlobalDescriptorTable,
    task: TaskStateSegment,
}

/// The gates of all 256 vectors.
#[repr(C, align(16))]
pub struct Gates([[u64; 2]; 256]);

/// Bytes of a gate's stub.
pub const GATE_BYTES: usize = 16;

/// Address of the stub of a vector's gate.
fn gate_address(vector: u8) -> u64 {
    unsafe extern "C" {
        static gates: u8;
    }
    (&raw const gates).addr() as u64 + u64::from(vector) * GATE_BYTES as u64
}

/// The gates of CPU 0 before it has stacks for them. Exceptions through them are reported on the current stack.
struct EarlyGates(UnsafeCell<Gates>);

// SAFETY: only CPU 0 uses them.
unsafe impl Sync for EarlyGates {}

static EARLY_GATES: EarlyGates = EarlyGates(UnsafeCell::new(Gates([[0; 2]; 256])));

/// Makes this CPU use the early gates, so that exceptions at boot are reported.
///
/// # Safety
/// This is CPU 0, which calls it once; its code segment is [`descriptors::KERNEL_CODE`], and the
/// base of GS is 0.
pub unsafe fn load_early_gates() {
    // SAFETY: the caller ensures that nothing else uses them yet.
    unsafe {
        EARLY_GATES.0.get().write(gates_on(|_| None));
        load_gates(&*EARLY_GATES.0.get());
    }
}

/// Makes this CPU use the gates.
///
/// # Safety
/// The stacks that the gates name exist.
unsafe fn load_gates(gates: &'static Gates) {
    let pointer = DescriptorTablePointer { limit: (size_of::<Gates>() - 1) as u16, base: VirtAddr::from_ptr(gates) };
    // SAFETY: the gates lead to the entry stubs and are never freed; the caller ensures the condition
    // on the stacks.
    unsafe { lidt(&pointer) };
}

/// Builds the gates.
pub fn build_gates() -> Gates {
    gates_on(|vector| {
        let stack = match vector {
            vectors::NMI => Stack::Nmi,
            vectors::DOUBLE_FAULT => Stack::DoubleFault,
            vectors::MACHINE_CHECK => Stack::MachineCheck,
            _ => Stack::Trap,
        };
        stack.ist_index()
    })
}

/// The gates, each with the stack that `stack` returns for its vector.
fn gates_on(stack: impl Fn(u8) -> Option<usize>) -> Gates {
    let mut gates = [[0; 2]; 256];
    for (vector, slot) in (0u8..=255).zip(&mut gates) {
        let ring = if vectors::FOR_RING_3.contains(&vector) { 3 } else { 0 };
        *slot = gate(gate_address(vector), stack(vector), ring);
    }
    Gates(gates)
}

/// Makes the tables of CPU `cpu`, whose block is at `block`, and writes the block's address to the top of the CPU's
/// interrupt stacks.
///
/// # Safety
/// The CPU's stacks are mapped and not in use.
pub unsafe fn build(frames: &mut Frames, cpu: usize, block: u64) -> Result<&'static CpuTables, FramesError> {
    let mut task = TaskStateSegment::new();
    for stack in Stack::ALL {
        let top = stack.range(cpu).end;
        let Some(index) = stack.ist_index() else {
            task.privilege_stack_table[0] = VirtAddr::new(top);
            continue;
        };
        let header = core::ptr::with_exposed_provenance_mut::<u64>((top - STACK_HEADER) as usize);
        // SAFETY: the caller ensures that the stack is mapped and not in use.
        unsafe { header.write(block) };
        task.interrupt_stack_table[index] = VirtAddr::new(top - STACK_HEADER);
    }
    let tables = keep(frames, CpuTables { segments: GlobalDescriptorTable::new(), task })?;
    // The segments have the order of `descriptors`. `sysretq` computes its selectors from the number of
    // entry 3, and does not read the entry.
    tables.segments.append(Descriptor::kernel_code_segment());
    tables.segments.append(Descriptor::kernel_data_segment());
    tables.segments.append(Descriptor::UserSegment(DescriptorFlags::empty().bits()));
    tables.segments.append(Descriptor::user_data_segment());
    tables.segments.append(Descriptor::user_code_segment());
    // SAFETY: the task state has just been moved to its final address.
    let task = tables.segments.append(unsafe { Descriptor::tss_segment_unchecked(&raw const tables.task) });
    assert_eq!(task.0, descriptors::TASK_STATE, "the segments are in the order of `descriptors`");
    assert_eq!(tables.segments.limit(), descriptors::LIMIT, "nothing lies behind them");
    Ok(tables)
}

/// Makes this CPU use the tables, and no local descriptor table. (After a reset there is one, which begins at address
/// 0.)
///
/// # Safety
/// The tables are this CPU's own, and no other CPU has loaded them.
pub unsafe fn load(tables: &'static CpuTables, gates: &'static Gates) {
    let selector = |number: u16| SegmentSelector(number);
    tables.segments.load();
    // SAFETY: the selectors are those of the segments just loaded; the gates lead to the entry stubs.
    unsafe {
        CS::set_reg(selector(descriptors::KERNEL_CODE));
        SS::set_reg(selector(descriptors::KERNEL_DATA));
        DS::set_reg(selector(descriptors::USER_DATA));
        ES::set_reg(selector(descriptors::USER_DATA));
        asm!("lldt {0:x}", in(reg) 0, options(nomem, nostack, preserves_flags));
        load_tss(SegmentSelector::new(descriptors::TASK_STATE >> 3, PrivilegeLevel::Ring0));
        load_gates(gates);
    }
}

/// Gives the next program the segment registers with which every program starts, so that no program sees values of
/// another.
///
/// # Safety
/// GS holds the CPU's block, and interrupts are off.
pub unsafe fn reset_user_segments() {
    // SAFETY: the selector is that of ring 3's flat data segment. Loading GS clears the program's base, which `swapgs`
    // has put in place of the kernel's; an NMI in between does not rely on GS.
    unsafe {
        asm!(
            "mov ds, {0:x}", "mov es, {0:x}", "mov fs, {0:x}", "swapgs", "mov gs, {0:x}", "swapgs",
            in(reg) descriptors::USER_DATA, options(nostack, preserves_flags),
        );
    }
}
