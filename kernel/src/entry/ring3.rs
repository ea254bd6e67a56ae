//! The way to ring 3.

use crate::cpu::block::Thread;
use crate::cpu::block::{Cpu, run_afresh};
use crate::cpu::context::{Slot, UserContext, is_user_rip, user_flags};
use crate::cpu::trap::Entry;
use crate::cpu::{tables, vectors};
use crate::image::image;

/// The instruction that goes to ring 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// `iretq`: restores every register. Used for a return from an exception or interrupt, and for a new
    /// program.
    Iret,
    /// `sysretq`: RIP and RFLAGS come from RCX and R11. Used for a return from `syscall`, which destroys RCX and R11
    /// anyway.
    Sysret,
}

/// Lets the program that has entered the kernel continue with unchanged registers.
///
/// # Safety
/// The obligations of [`enter`]'s caller, when it entered that program, still hold.
pub unsafe fn go_on(cpu: &mut Cpu) -> ! {
    let thread = cpu.thread();
    // SAFETY: the caller has the same obligation.
    unsafe { enter(cpu, thread, Way::Iret) }
}

/// Lets `thread` run in ring 3 with the registers of its context. The next entry into the kernel calls the image's
/// hooks.
///
/// RFLAGS is restricted to the flags that a program may have ([`user_flags`]). If RIP is outside the user half, the
/// effect is that of a jump there: a general-protection exception. Such a RIP must not reach `iretq` or `sysretq`,
/// which would fault in ring 0.
///
/// # Safety
/// `thread.context` is valid and belongs to no other CPU until this CPU enters another thread; the upper half of the
/// page map is the kernel's, and ring 3 has access to no page of the kernel's own.
#[inline(always)]
pub unsafe fn enter(cpu: &mut Cpu, thread: Thread, way: Way) -> ! {
    unsafe extern "C" {
        fn leave_by_iretq(context: *const UserContext) -> !;
        fn leave_by_sysretq(context: *const UserContext) -> !;
    }
    cpu.set_context(thread.context);
    // The next process of the same number has the same root, so no root is loaded. The processor forgot the previous
    // process's pages when they were unmapped. The segment registers must not have old values either. Only a program
    // can start a process with a used number, because the main thread starts its whole boot list before any program
    // runs. So that program has run between the two processes, with another root.
    if cpu.root() != thread.root {
        // SAFETY: the caller ensures the condition on the map; in all Rust code, GS is the CPU's
        // block.
        unsafe {
            cpu.set_root(thread.root);
            tables::reset_user_segments();
        }
    }
    // SAFETY: the caller ensures that the context is valid and this CPU's.
    let context = unsafe { &mut *thread.context };
    context.set(Slot::Eflags, user_flags(context.get(Slot::Eflags)));
    if !is_user_rip(context.get(Slot::Eip)) {
        context.set(Slot::Trapno, u64::from(vectors::GENERAL_PROTECTION));
        context.set(Slot::Err, 0);
        run_afresh(cpu, |cpu| {
            let why = Entry::Exception { vector: vectors::GENERAL_PROTECTION, error: 0 };
            (image().entry)(cpu, why)
        });
    }
    // SAFETY: RIP is a user address, and the flags are the program's own. The stubs read the context and go to ring 3.
    unsafe {
        match way {
            Way::Iret => leave_by_iretq(thread.context),
            Way::Sysret => leave_by_sysretq(thread.context),
        }
    }
}
