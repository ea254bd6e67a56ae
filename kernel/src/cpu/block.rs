//! The block: the data that each CPU keeps for itself. GS points to it in ring 0.

use super::context::UserContext;
use super::registers;
use crate::mm::stacks::Stack;
use core::arch::asm;
use core::mem::offset_of;
use core::ptr;

/// A CPU's own block. The stubs of entry.s use some of its fields, at the offsets of [`offsets`].
#[repr(C)]
pub struct Cpu {
    this: *const Cpu,
    scratch: u64,
    context: *mut UserContext,
    stack_top: u64,
    root: u64,
    number: usize,
    apic: u32,
    /// The image's own data for this CPU; see [`Cpu::set_state`].
    state: *mut (),
    /// The function that [`run_afresh`] continues with.
    next: fn(&mut Cpu) -> !,
}

/// Offsets of the fields that entry.s uses.
pub mod offsets {
    use super::{Cpu, offset_of};

    /// The block's own address.
    pub const THIS: usize = offset_of!(Cpu, this);
    /// A scratch word for the stubs.
    pub const SCRATCH: usize = offset_of!(Cpu, scratch);
    /// The context of the thread in ring 3.
    pub const CONTEXT: usize = offset_of!(Cpu, context);
    /// The top of the kernel stack.
    pub const STACK_TOP: usize = offset_of!(Cpu, stack_top);
}

/// The hardware's view of a user thread.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its registers.
    pub context: *mut UserContext,
    /// Physical address of the root of its page map.
    pub root: u64,
}

impl Cpu {
    /// The block of CPU `number`, whose APIC number is `apic` and whose page map has its root at `root`.
    pub(crate) fn new(number: usize, apic: u32, root: u64) -> Cpu {
        let stack_top = Stack::Kernel.range(number).end;
        Cpu {
            this: ptr::null(),
            scratch: 0,
            context: ptr::null_mut(),
            stack_top,
            root,
            number,
            apic,
            state: ptr::null_mut(),
            next: nothing,
        }
    }

    /// Stores the block's own address in it, and returns the address. The block must not move afterwards.
    pub(crate) fn fix(&mut self) -> u64 {
        self.this = self;
        self.this.addr() as u64
    }

    /// Number of the CPU, from 0. CPU 0 is the one that the machine started with.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Number of the CPU's APIC.
    pub fn apic(&self) -> u32 {
        self.apic
    }

    /// Physical address of the root of the page map that the CPU uses.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// The context of the thread that was last in ring 3, which the entry stubs have filled. `None` before the first
    /// such thread.
    pub fn context(&mut self) -> Option<&mut UserContext> {
        // SAFETY: the caller of `user::enter` ensures that the context stays valid and belongs to this CPU. The stubs
        // write it only while no kernel code runs.
        unsafe { self.context.as_mut() }
    }

    /// The thread that was last in ring 3.
    pub(crate) fn thread(&self) -> Thread {
        Thread { context: self.context, root: self.root }
    }

    /// Stores the image's own data for this CPU.
    pub fn set_state<T>(&mut self, state: &'static mut T) {
        self.state = ptr::from_mut(state).cast();
    }

    /// The image's own data for this CPU.
    ///
    /// # Safety
    /// The last call of [`Cpu::set_state`] had the same `T`.
    #[inline(always)]
    pub unsafe fn state<T: 'static>(&mut self) -> &mut T {
        // SAFETY: the block has the only reference to the data, and is borrowed for as long as the returned reference
        // lives.
        unsafe { &mut *self.state.cast() }
    }

    #[inline(always)]
    pub(crate) fn set_context(&mut self, context: *mut UserContext) {
        self.context = context;
    }

    /// Makes the CPU use the page map with its root at physical address `root`.
    ///
    /// # Safety
    /// The map's upper half is the kernel's.
    pub(crate) unsafe fn set_root(&mut self, root: u64) {
        self.root = root;
        // SAFETY: all memory that the kernel accesses lies in the upper half.
        unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
    }
}

/// Number of the CPU that runs this function; 0 before the CPU has its block.
pub fn number() -> usize {
    let block = ptr::with_exposed_provenance::<Cpu>(registers::gs() as usize);
    if block.is_null() {
        return 0;
    }
    // SAFETY: in ring 0, GS is 0 before the CPU has its block, and the block's address afterwards. The number never
    // changes.
    unsafe { (&raw const (*block).number).read() }
}

/// Empties the CPU's kernel stack and continues with `next` on it. This ends one piece of kernel work and begins
/// another.
pub fn run_afresh(cpu: &mut Cpu, next: fn(&mut Cpu) -> !) -> ! {
    extern "C" fn run(cpu: *mut Cpu) -> ! {
        // SAFETY: the caller's `&mut Cpu` no longer exists, since the stack that held it was
        // emptied.
        let cpu = unsafe { &mut *cpu };
        (cpu.next)(cpu)
    }
    cpu.next = next;
    // SAFETY: nothing on the stack is used again: `run` never returns, and nothing in the abandoned stack frames must
    // be dropped.
    unsafe {
        asm!(
            "mov rsp, {top}", "xor ebp, ebp", "call {run}", "ud2",
            top = in(reg) cpu.stack_top, run = sym run, in("rdi") cpu, options(noreturn),
        )
    }
}

/// The value of [`Cpu::next`] before the first [`run_afresh`].
fn nothing(_: &mut Cpu) -> ! {
    registers::halt()
}
