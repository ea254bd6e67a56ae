//! Which of the processor's model-specific registers a monitor may read (primitive 25); it finds 0 in all others.

use super::virtualisation::Virtualisation;
use core::ops::RangeInclusive;
use raw_cpuid::CpuId;
use x86_64::registers::model_specific::Msr;

/// What a processor must have to have a register.
enum Has {
    /// 64-bit mode.
    LongMode,
    /// A page attribute table.
    Pat,
    /// VT-x or SVM.
    Virtualisation(Virtualisation),
}

/// The registers that a monitor may read: they say what the processor can do, and are the same for everybody. All others
/// belong to the host: its addresses, its time, its devices.
const READABLE: [(RangeInclusive<u32>, Has); 4] = [
    (0xC000_0080..=0xC000_0080, Has::LongMode), // EFER
    (0x277..=0x277, Has::Pat),
    (0x480..=0x490, Has::Virtualisation(Virtualisation::VtX)), // VT-x's capabilities
    (0xC001_0114..=0xC001_0114, Has::Virtualisation(Virtualisation::Svm)), // VM_CR
];

/// The value of model-specific register `register`, as a monitor may know it.
pub fn read(register: u32) -> u64 {
    let Some((_, has)) = READABLE.iter().find(|(range, _)| range.contains(&register)) else { return 0 };
    let is_there = match has {
        Has::LongMode => true,
        Has::Pat => CpuId::new().get_feature_info().is_some_and(|info| info.has_pat()),
        Has::Virtualisation(kind) => super::detection::find() == Ok(*kind),
    };
    if !is_there {
        return 0;
    }
    // SAFETY: the processor has the register, and reading it has no effect.
    unsafe { Msr::new(register).read() }
}
