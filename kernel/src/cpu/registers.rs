//! Control and model-specific registers, as the kernel sets them on every CPU.

use super::{descriptors, machine_check};
use core::arch::asm;
use raw_cpuid::CpuId;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, Msr};
use x86_64::registers::rflags::{self, RFlags};

/// `IA32_STAR`, `IA32_LSTAR`, `IA32_CSTAR`, `IA32_FMASK`.
const STAR: u32 = 0xC000_0081;
const LSTAR: u32 = 0xC000_0082;
const CSTAR: u32 = 0xC000_0083;
const FMASK: u32 = 0xC000_0084;
/// `IA32_SYSENTER_CS`, `IA32_SYSENTER_ESP`, `IA32_SYSENTER_EIP`.
const SYSENTER: [u32; 3] = [0x174, 0x175, 0x176];
/// `IA32_TSC_AUX`, which programs read by `rdpid`.
const TSC_AUX: u32 = 0xC000_0103;
/// `IA32_GS_BASE`, `IA32_KERNEL_GS_BASE`.
const GS_BASE: u32 = 0xC000_0101;
const KERNEL_GS_BASE: u32 = 0xC000_0102;

/// Flags that `syscall` clears: all but the fixed bit 1. So interrupts stay off, string instructions go upwards, and AC
/// does not lift supervisor-mode access prevention.
const SYSCALL_CLEARS: u64 = !2 & 0x3F_FFFF;

/// DR7 without a breakpoint: only its fixed bit.
pub(crate) const DEBUG_OFF: u64 = 1 << 10;

/// Features that every processor must have before its first 64-bit instruction, as bits of EDX of CPUID leaf 1: TSC,
/// MSR, PAE, CX8, APIC, FXSR, SSE, SSE2. The boot code checks them, and long mode.
pub const NEEDED: u32 = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 24 | 1 << 25 | 1 << 26;

/// A feature that the kernel needs and the processor lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Missing {
    /// `syscall` and `sysret`.
    #[error("syscall instruction")]
    SystemCalls,
}

/// The first required feature that this processor lacks, among those that the boot code does not
/// check.
pub fn missing() -> Option<Missing> {
    let extended = CpuId::new().get_extended_processor_and_feature_identifiers();
    (!extended.is_some_and(|x| x.has_syscall_sysret())).then_some(Missing::SystemCalls)
}

/// The protections that this processor has and that [`protect`] has turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protections {
    /// Pages can be non-executable.
    pub nx: bool,
    /// Ring 0 cannot execute users' pages.
    pub smep: bool,
    /// Ring 0 cannot access users' pages through their own addresses. Nothing ever lifts this restriction: the
    /// kernel walks the page map and uses the direct map.
    pub smap: bool,
    /// Programs cannot read the addresses of the descriptor tables.
    pub umip: bool,
    /// A hardware error raises an exception. Without this, it resets the machine.
    pub machine_check: bool,
}

/// Turns on those [`Protections`] that the processor has, write protection for ring 0, and alignment checks for
/// programs that ask for them. Every other feature that the firmware may have turned on in these registers is turned
/// off. Programs cannot read the time-stamp counter (with it, their runs would differ from those on the hosted machine)
/// or performance counters, cannot set the bases of FS and GS, and have no AVX.
///
/// # Safety
/// The page map in use must stay valid: no entry may have its NX bit set unless the processor has NX,
/// and no page that ring 0 uses may be a user's.
pub unsafe fn protect() -> Protections {
    let cpuid = CpuId::new();
    let extended = cpuid.get_extended_processor_and_feature_identifiers();
    let features = cpuid.get_extended_feature_info();
    let protections = Protections {
        nx: extended.is_some_and(|x| x.has_execute_disable()),
        smep: features.as_ref().is_some_and(|x| x.has_smep()),
        smap: features.as_ref().is_some_and(|x| x.has_smap()),
        umip: features.as_ref().is_some_and(|x| x.has_umip()),
        machine_check: machine_check::is_there(),
    };
    let mut efer = EferFlags::LONG_MODE_ENABLE | EferFlags::LONG_MODE_ACTIVE | EferFlags::SYSTEM_CALL_EXTENSIONS;
    efer.set(EferFlags::NO_EXECUTE_ENABLE, protections.nx);
    let mut cr4 = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
        | Cr4Flags::OSFXSR
        | Cr4Flags::OSXMMEXCPT_ENABLE
        | Cr4Flags::TIMESTAMP_DISABLE;
    cr4.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, protections.smep);
    cr4.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, protections.machine_check);
    cr4.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, protections.umip);
    cr4.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, protections.smap);
    machine_check::enable();
    // SAFETY: each bit is set only if CPUID announces it; the caller ensures the condition on the
    // page map.
    unsafe {
        Efer::write_raw(efer.bits());
        Cr4::write_raw(cr4.bits());
        Cr0::write(Cr0::read() | Cr0Flags::WRITE_PROTECT | Cr0Flags::ALIGNMENT_MASK);
        // Removes breakpoints that a debugger of the firmware has left.
        asm!("mov dr7, {}", in(reg) DEBUG_OFF, options(nomem, nostack, preserves_flags));
    }
    protections
}

/// The APIC number that this CPU got at its reset.
pub fn apic_number() -> u32 {
    CpuId::new().get_feature_info().map_or(0, |info| info.initial_local_apic_id().into())
}

/// Lets programs on this CPU read the time-stamp counter, which [`protect`] forbids. The bench's image uses it.
pub fn allow_time_stamps() {
    // SAFETY: no code of the kernel relies on the counter being hidden from programs.
    unsafe { Cr4::write(Cr4::read() - Cr4Flags::TIMESTAMP_DISABLE) }
}

/// The time-stamp counter.
pub fn time_stamp() -> u64 {
    // SAFETY: every processor with long mode has the instruction, and ring 0 may use it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Increments of the time-stamp counter per second, if CPUID reports them (leaves 0x15 and 0x16).
pub fn time_stamp_hertz() -> Option<u64> {
    let cpuid = CpuId::new();
    let exact = cpuid.get_tsc_info().and_then(|info| info.tsc_frequency());
    // The base frequency is that of the counter, rounded to MHz.
    let base = cpuid.get_processor_frequency_info().map(|info| u64::from(info.processor_base_frequency()) * 1_000_000);
    exact.or(base).filter(|&hertz| hertz > 0)
}

/// Makes `syscall` enter the kernel at `entry`, and from compatibility mode at `compatible`. `sysenter` does not enter
/// the kernel: with a null selector it raises an exception.
///
/// # Safety
/// Both addresses must be those of stubs that save a program's registers; the GDT must have the
/// order of [`descriptors`].
pub unsafe fn set_system_call_entries(entry: u64, compatible: u64) {
    let cpuid = CpuId::new();
    let extended = cpuid.get_extended_processor_and_feature_identifiers();
    let has_aux =
        extended.is_some_and(|x| x.has_rdtscp()) || cpuid.get_extended_feature_info().is_some_and(|x| x.has_rdpid());
    // SAFETY: every processor with long mode has these registers, except the last one, which CPUID announces. The
    // caller ensures the conditions on the stubs and the GDT.
    unsafe {
        SYSENTER.into_iter().for_each(|register| Msr::new(register).write(0));
        Msr::new(CSTAR).write(compatible);
        if has_aux {
            Msr::new(TSC_AUX).write(0);
        }
        Msr::new(STAR).write(descriptors::STAR);
        Msr::new(LSTAR).write(entry);
        Msr::new(FMASK).write(SYSCALL_CLEARS);
    }
}

/// The selectors that `sysret` loads into CS and SS.
pub fn user_selectors() -> (u16, u16) {
    // SAFETY: every processor with long mode has this register, and reading it has no effect.
    let base = (unsafe { Msr::new(STAR).read() } >> 48) as u16 | 3;
    (base + 16, base + 8)
}

/// Whether this CPU takes interrupts.
pub fn admits_interrupts() -> bool {
    rflags::read().contains(RFlags::INTERRUPT_FLAG)
}

/// Makes GS point to this CPU's block, and sets the program's GS base to 0.
///
/// # Safety
/// `block` is the address of this CPU's [`Cpu`](super::block::Cpu), which is never freed.
pub unsafe fn set_gs(block: u64) {
    // SAFETY: both registers exist in long mode; only the stubs and `block::number` use GS.
    unsafe {
        Msr::new(GS_BASE).write(block);
        Msr::new(KERNEL_GS_BASE).write(0);
    }
}

/// The address that GS points to.
pub fn gs() -> u64 {
    // SAFETY: reading this register has no effect.
    unsafe { Msr::new(GS_BASE).read() }
}

/// Halts this CPU for ever: no interrupt is admitted.
pub fn halt() -> ! {
    loop {
        // SAFETY: stopping the CPU accesses no memory. The loop is needed because an NMI may wake
        // the CPU.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
