//! The interface between user programs and the kernel: system-call numbers, error numbers, the registers that carry
//! them, and the window of addresses that a program may use.
//!
//! Numbers and names are those of the reference's table of system calls (section 8.6). Calls that the reference lists
//! without a number (`putc`, `getc`) or does not have (`exit`) follow from 32 on.
//!
//! # Registers
//!
//! A program executes `syscall` with the call's number in RAX and its arguments in RBX, R10, RDX, RSI and RDI, 32 bits
//! each. Afterwards an [`Error`] number is in RAX and the results are in RBX, R10, RDX, RSI and RDI. The instruction
//! itself destroys RCX and R11, so the reference's ECX is passed in R10.
#![no_std]
#![forbid(unsafe_code)]

mod call;
mod cause;
mod error;
mod memory_functions;

pub mod arguments;
pub mod boot;
pub mod console;
pub mod latency;
pub mod page;
pub mod refused;
pub mod report;
mod thread;
pub mod watch;

pub use call::{Call, CallRow};
pub use cause::Cause;
pub use error::Error;
pub use report::Reason;
pub use thread::ThreadState;

/// Lowest user virtual address: 1 GiB (`adr_low`).
pub const ADR_LOW: u32 = 0x4000_0000;
/// First address above the user window: 3.75 GiB (`adr_high`).
pub const ADR_HIGH: u32 = 0xF000_0000;
/// Stack pointer of a program at its first instruction (`STACK_TOP`); the stack grows down from here.
pub const STACK_TOP: u32 = ADR_HIGH;
/// Bytes of a page.
pub const PAGE_SIZE: u32 = 4096;
/// Children that one program can have at a time (`max_children`), including ended ones that it has not waited for.
pub const CHILDREN: u32 = 8;
/// Thread numbers are below this (`num_proc`). Child k of thread t, counted from 0, is `8 * t + 1 + k`. A thread whose
/// eighth child would have no number cannot start any child.
pub const THREADS: u32 = 1024;

/// Channel numbers are below this. Each channel has a sleep queue. The last sleep queues, one for each CPU, belong to
/// channels that no program can name: parents wait there for their children.
pub const CHANNELS: u32 = 1016;
/// Bytes of memory that a guest can have; its addresses are below this.
pub const GUEST_MEMORY: u32 = 512 << 20;
/// Maximum number of words in a message.
pub const MESSAGE_WORDS: u32 = 1024;

/// Number of a CPU's main thread, which starts the programs that [`boot`] lists.
pub const fn main_thread(cpu: u32) -> u32 {
    cpu + 1
}

/// Number of the parent of the thread with this number; `None` for main threads, which have no parent.
pub const fn parent(thread: u32) -> Option<u32> {
    if thread > CHILDREN { Some((thread - 1) / CHILDREN) } else { None }
}

/// Number of a thread's `index`-th child, counted from 0, whether or not the child exists.
pub const fn child(thread: u32, index: u32) -> u32 {
    CHILDREN * thread + 1 + index
}
