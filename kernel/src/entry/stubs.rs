//! The ways into the kernel, from the point where the stubs of entry.s end.
//!
//! * From ring 3, by `syscall` or any gate: the stub saves every register into the thread's context, and the image's
//!   `system_call` or `entry` hook runs on the empty kernel stack. If `system_call` returns, the same program continues
//!   at once.
//! * From ring 3 in compatibility mode, by `syscall`, if a program should ever be in that mode: the stub turns the
//!   call into an invalid-opcode exception.
//! * From ring 0, by an interrupt, in two places only: where an idle CPU halts ([`wait_for_interrupt`]), and where a
//!   CPU admits waiting interrupts between two pieces of kernel work ([`take_interrupts`]).
//! * Through the gates of NMI, double fault and machine check, from anywhere; and through all other gates from ring
//!   0. The latter must not happen: [`report`] writes the last report.
//!
//! In ring 3 GS is the program's, in ring 0 it is the CPU's block; the stubs swap it on an entry from ring 3. NMI,
//! machine check and double fault can interrupt the few instructions before the swap. Their stubs find the block above
//! their own stack instead, and never return, so they need not know which GS was in place.

use crate::cpu::block::{self, Cpu, offsets};
use crate::cpu::context::{FPU, MXCSR_DEFAULT, Slot};
use crate::cpu::tables::GATE_BYTES;
use crate::cpu::trap::{Entry, TrapFrame};
use crate::cpu::{descriptors, registers, tables, vectors};
use crate::image::CAIRN_IMAGE;
use crate::image::{Image, image};
use crate::irq::interrupt;
use crate::mm::stacks::{self, Place};
use crate::report;
use core::arch::global_asm;
use core::mem::offset_of;
use x86_64::registers::control::Cr2;

// The header of an interrupt stack lies directly above the frame.
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16) && tables::STACK_HEADER == 16);

global_asm!(
    include_str!("entry.s"),
    gate_bytes = const GATE_BYTES,
    with_error_code = const vectors::WITH_ERROR_CODE,
    pushed_cs = const TrapFrame::PUSHED_CS,
    pushed_rip = const TrapFrame::PUSHED_RIP,
    this = const offsets::THIS,
    scratch = const offsets::SCRATCH,
    context = const offsets::CONTEXT,
    slot_edi = const Slot::Edi.offset(),
    slot_esi = const Slot::Esi.offset(),
    slot_ebp = const Slot::Ebp.offset(),
    slot_ebx = const Slot::Ebx.offset(),
    slot_edx = const Slot::Edx.offset(),
    slot_ecx = const Slot::Ecx.offset(),
    slot_eax = const Slot::Eax.offset(),
    slot_es = const Slot::Es.offset(),
    slot_ds = const Slot::Ds.offset(),
    slot_trapno = const Slot::Trapno.offset(),
    slot_err = const Slot::Err.offset(),
    slot_eip = const Slot::Eip.offset(),
    slot_cs = const Slot::Cs.offset(),
    slot_eflags = const Slot::Eflags.offset(),
    slot_esp = const Slot::Esp.offset(),
    slot_ss = const Slot::Ss.offset(),
    slot_r8 = const Slot::R8.offset(),
    slot_r9 = const Slot::R9.offset(),
    slot_r10 = const Slot::R10.offset(),
    slot_r11 = const Slot::R11.offset(),
    slot_r12 = const Slot::R12.offset(),
    slot_r13 = const Slot::R13.offset(),
    slot_r14 = const Slot::R14.offset(),
    slot_r15 = const Slot::R15.offset(),
    fpu = const FPU,
    stack_top = const offsets::STACK_TOP,
    user_code = const descriptors::USER_CODE,
    invalid_opcode = const vectors::INVALID_OPCODE,
    user_data = const descriptors::USER_DATA,
    frame_bytes = const size_of::<TrapFrame>(),
    mxcsr = const MXCSR_DEFAULT,
    from_gate = sym from_gate,
    image = sym CAIRN_IMAGE,
    system_call = const offset_of!(Image, system_call),
    in_halt = sym in_halt,
    fatal = sym fatal,
);

/// Address of the stub that `syscall` jumps to.
pub fn syscall_address() -> u64 {
    unsafe extern "C" {
        fn syscall_entry();
    }
    syscall_entry as *const () as u64
}

/// Address of the stub that `syscall` jumps to in compatibility mode.
pub fn compatible_address() -> u64 {
    unsafe extern "C" {
        fn compatible_entry();
    }
    compatible_entry as *const () as u64
}

/// Continues after an entry from ring 3 through a gate.
extern "C" fn from_gate(cpu: *mut Cpu) -> ! {
    // SAFETY: the stub passes the CPU's own block; every other reference to it ended when the program went to ring 3.
    let cpu = unsafe { &mut *cpu };
    // SAFETY: the stub has just saved the program's registers there.
    let context = unsafe { &*cpu.thread().context };
    let (vector, error) = (context.get(Slot::Trapno) as u8, context.get(Slot::Err));
    let why = match vector {
        vectors::PAGE_FAULT => Entry::PageFault { address: Cr2::read_raw(), error },
        vectors::FIRST_INTERRUPT.. => Entry::Interrupt { vector },
        _ => Entry::Exception { vector, error },
    };
    (image().entry)(cpu, why)
}

/// Halts this CPU until [`interrupt::accept`] has handled an interrupt. An interrupt that came earlier counts too: the
/// processor has held it back.
pub fn wait_for_interrupt() {
    unsafe extern "C" {
        #[link_name = "wait_for_interrupt"]
        fn stub();
    }
    // SAFETY: the stub returns with interrupts off, as they were. Meanwhile `in_halt` runs on a stack of its own, and
    // the registers that a caller saves are saved, since this is a call.
    unsafe { stub() }
    (image().let_in)();
}

/// Admits waiting interrupts; [`interrupt::accept`] handles each of them.
pub fn take_interrupts() {
    unsafe extern "C" {
        #[link_name = "take_interrupts"]
        fn stub();
    }
    // SAFETY: as in `wait_for_interrupt`.
    unsafe { stub() }
    (image().let_in)();
}

/// Handles an interrupt that has ended a halt or was admitted.
extern "C" fn in_halt(vector: u8) {
    interrupt::accept(vector);
}

/// Ends the machine with a report. `frame` holds the registers; `block` is the address of the CPU's own block if the
/// frame is on a stack of the interrupt stack table.
extern "C" fn fatal(frame: &'static TrapFrame, block: u64) -> ! {
    let place = stacks::place(core::ptr::from_ref(frame).addr() as u64);
    // If the frame is on any other stack, the CPU still has the early gates, and GS is right.
    if let Some(Place::Inside(_, stack)) = place
        && stack.ist_index().is_some()
    {
        // SAFETY: the block's address comes from above the interrupt stack, where `tables::build` put it.
        unsafe { registers::set_gs(block) };
    }
    report::fatal(block::number(), frame)
}
