//! The results of an instruction.
use iced_x86::Mnemonic;

/// The result of an instruction that did not trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// RIP is the next instruction to execute. It may be the same instruction again: a long repeated string instruction
    /// takes several steps, as if it had been interrupted.
    Next,
    /// The program executed `syscall`. RIP is the next instruction and was copied to RCX, and RFLAGS to R11.
    SystemCall,
}

/// Why an instruction did not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap<F> {
    /// The memory refused an access. A repeated string instruction keeps its earlier repetitions, and RCX, RSI and RDI
    /// count them.
    Fault(F),
    /// A division by zero, or a quotient too large.
    DivideError,
    /// The trap flag was set when the instruction began, or it was `int1`. The instruction has completed, and RIP is
    /// the next one. It also occurs directly after `sysret` has set the flag; then RIP is the target of `sysret`.
    Debug,
    /// `int3`. RIP is the address of the next instruction.
    Breakpoint,
    /// There is no such instruction.
    InvalidOpcode,
    /// A privileged instruction, a non-canonical address, a misaligned SSE operand.
    GeneralProtection,
    /// The selector of a segment that is not a program's: general protection. The error code is the selector without
    /// its low two bits.
    BadSelector(u16),
    /// `int n` to a gate that programs may not use: general protection. The error code names the gate.
    ClosedGate(u8),
    /// A non-canonical address used with RSP or RBP.
    StackFault,
    /// A misaligned access while AC is set.
    AlignmentCheck,
    /// The interpreter does not implement this instruction, or not with the current MXCSR.
    Unimplemented {
        /// The mnemonic of the instruction.
        mnemonic: Mnemonic,
        /// The address of the instruction.
        rip: u64,
    },
}

impl<F> Trap<F> {
    /// Why the kernel stops a program at this trap. `None` for a fault, which the owner of the memory explains.
    pub fn reason(&self) -> Option<abi::Reason> {
        Some(match self {
            Trap::Fault(_) => return None,
            Trap::DivideError => abi::Reason::DivideError,
            Trap::Debug => abi::Reason::Debug,
            Trap::Breakpoint => abi::Reason::Breakpoint,
            Trap::InvalidOpcode => abi::Reason::InvalidOpcode,
            Trap::GeneralProtection | Trap::BadSelector(_) | Trap::ClosedGate(_) => abi::Reason::GeneralProtection,
            Trap::StackFault => abi::Reason::StackFault,
            Trap::AlignmentCheck => abi::Reason::AlignmentCheck,
            Trap::Unimplemented { .. } => abi::Reason::Unimplemented,
        })
    }

    /// The error code of the trap.
    pub fn error_code(&self) -> u64 {
        match self {
            Trap::BadSelector(selector) => (*selector).into(),
            // The index of the gate, and the bit for the interrupt descriptor table.
            Trap::ClosedGate(vector) => u64::from(*vector) << 3 | 2,
            _ => 0,
        }
    }
}

/// The result of a part of an instruction, unless it traps.
pub(super) type Result<T, F> = core::result::Result<T, Trap<F>>;
