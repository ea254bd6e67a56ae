//! The causes of an entry into the kernel, and the registers on the stack.

use core::mem::offset_of;

/// Why a program entered the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// The program executed `syscall`.
    SystemCall,
    /// A device interrupted the program.
    Interrupt {
        /// The vector, from 32 to 255.
        vector: u8,
    },
    /// The program accessed an address in a way that its page map forbids.
    PageFault {
        /// The address.
        address: u64,
        /// The error code; see [`page_fault`](super::vectors::page_fault).
        error: u64,
    },
    /// Any other exception.
    Exception {
        /// The vector, below 32.
        vector: u8,
        /// The error code; 0 for an exception that has none.
        error: u64,
    },
}

/// The registers that the fatal stub leaves on its stack.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct TrapFrame {
    /// RDI, RSI, RBP, RBX, RDX, RCX, RAX, R8 to R15.
    pub general: [u64; 15],
    /// The vector; only its low byte counts.
    vector: u64,
    /// The error code; 0 for an exception that has none.
    pub error: u64,
    /// RIP at the exception.
    pub rip: u64,
    /// Code segment: its low two bits are the ring.
    pub cs: u64,
    /// Flags.
    pub rflags: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Stack segment.
    pub ss: u64,
}

impl TrapFrame {
    /// Offset of the code segment for a gate's stub: bytes above the vector, which the stub has
    /// pushed last.
    pub(crate) const PUSHED_CS: usize = offset_of!(TrapFrame, cs) - offset_of!(TrapFrame, vector);
    /// The same for RIP.
    pub(crate) const PUSHED_RIP: usize = offset_of!(TrapFrame, rip) - offset_of!(TrapFrame, vector);

    /// Names of [`TrapFrame::general`].
    pub const GENERAL: [&str; 15] =
        ["rdi", "rsi", "rbp", "rbx", "rdx", "rcx", "rax", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// The vector.
    pub fn vector(&self) -> u8 {
        self.vector as u8
    }

    /// The frame pointer.
    pub fn rbp(&self) -> u64 {
        self.general[2]
    }

    /// Whether the exception happened in ring 3.
    pub fn from_ring_3(&self) -> bool {
        self.cs & 3 == 3
    }
}
