//! The way to ring 3.

use super::cpu::{Cpu, run_afresh};
use super::entry::Entry;
use super::{image, tables};
use crate::context::{Slot, UserContext, is_user_rip, user_flags};
use crate::vectors;

/// A user thread, as far as the hardware is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its registers.
    pub context: *mut UserContext,
    /// Physical address of the root of its page map.
    pub root: u64,
}

/// Which instruction goes to ring 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// `iretq`: restores every register. After an exception or interrupt, and for a new program.
    Iret,
    /// `sysretq`: RCX and R11 become RIP and RFLAGS. After `syscall`, which destroyed them anyway.
    Sysret,
}

/// The program that has entered the kernel goes on as if it had not.
///
/// # Safety
/// What [`enter`]'s caller vouched for when it entered that program still holds.
pub unsafe fn go_on(cpu: &mut Cpu) -> ! {
    let thread = cpu.thread();
    // SAFETY: the caller's obligation is the very same.
    unsafe { enter(cpu, thread, Way::Iret) }
}

/// Lets `thread` run in ring 3 with the registers of its context. The kernel comes back with the image's
/// `entry` hook.
///
/// RFLAGS is cut to what a program may have ([`user_flags`]). A RIP that ring 3 cannot have is treated as
/// the general-protection exception that a jump there would be; it must not reach `iretq` or `sysretq`,
/// which would fault in ring 0.
///
/// # Safety
/// `thread.context` is valid and no other CPU's until this CPU enters another thread;
/// the upper half of the page map is the kernel's, and no page that ring 3 may reach there is the
/// kernel's own.
#[inline(always)]
pub unsafe fn enter(cpu: &mut Cpu, thread: Thread, way: Way) -> ! {
    unsafe extern "C" {
        fn leave_by_iretq(context: *const UserContext) -> !;
        fn leave_by_sysretq(context: *const UserContext) -> !;
    }
    cpu.set_context(thread.context);
    // The next process of the same number has the same root. What the processor remembered of the pages of the one before, it forgot
    // when they were unmapped. Nothing is left in segment registers either: only a program gives a number again (the main thread has
    // started its whole boot list before any program runs), and between the two it has run, with another root.
    if cpu.root() != thread.root {
        // SAFETY: the caller vouches for the map; GS is the CPU's block in all Rust code.
        unsafe {
            cpu.set_root(thread.root);
            tables::reset_user_segments();
        }
    }
    // SAFETY: the caller vouches that the context is valid and this CPU's.
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
    // SAFETY: RIP is one that ring 3 can have, the flags are the program's own; the stubs read the context
    // and leave.
    unsafe {
        match way {
            Way::Iret => leave_by_iretq(thread.context),
            Way::Sysret => leave_by_sysretq(thread.context),
        }
    }
}
