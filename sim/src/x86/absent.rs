//! Instructions that the processor does not have.
//!
//! Processors differ. This processor has the features in the CPUID of QEMU's `max` model, on which the boots run. A
//! program that supports several processors queries CPUID first, which only a real processor answers.

use super::execution::Execution;
use super::memory::Bus;
use iced_x86::CpuidFeature::{self, *};

/// The processor's extensions, besides those that the interpreter implements. An instruction of these extensions is not
/// implemented. An instruction of any other extension is an invalid opcode.
///
/// XSAVE is missing because the kernel does not set CR4.OSXSAVE.
const PRESENT: &[CpuidFeature] = &[
    INTEL8086,
    INTEL186,
    INTEL286,
    INTEL386,
    INTEL486,
    X64,
    CPUID,
    CMOV,
    CX8,
    TSC,
    MSR,
    PAUSE,
    MULTIBYTENOP,
    FPU,
    FPU287,
    FPU387,
    MMX,
    FXSR,
    SSE,
    SSE2,
    SSE3,
    SSSE3,
    SSE4_1,
    SSE4_2,
    SSE4A,
    AES,
    PCLMULQDQ,
    D3NOW,
    D3NOWEXT,
    PREFETCHW,
    RDRAND,
    RDTSCP,
    CLFSH,
    PCOMMIT,
    SEP,
    SYSCALL,
    CMPXCHG16B,
    POPCNT,
    LZCNT,
];

impl<B: Bus> Execution<'_, B> {
    /// Whether the instruction belongs to an extension that the processor does not have.
    pub(super) fn is_absent(&self) -> bool {
        self.instruction.cpuid_features().iter().any(|feature| !PRESENT.contains(feature))
    }
}
