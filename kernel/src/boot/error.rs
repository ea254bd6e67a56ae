//! Why the kernel refuses a machine at boot.

use crate::cpu::registers::Missing;
use crate::handover::{acpi, archive, options, start_info};
use crate::irq::{apic, timer};
use crate::mm::frames;
use crate::mm::layout::MAX_CPUS;

/// Least memory for programs: 1 MiB for each CPU that the kernel may start.
pub(super) const LEAST_USER_BYTES: u64 = (MAX_CPUS as u64) << 20;

/// Why the kernel cannot run on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BootError {
    /// The processor lacks a feature.
    #[error("its processor has no {0}")]
    Processor(Missing),
    /// The boot loader's start info is not usable.
    #[error(transparent)]
    StartInfo(start_info::StartInfoError),
    /// A word of the command line is not a boot option.
    #[error(transparent)]
    Option(options::Unknown<'static>),
    /// Kernel memory is too small or too fragmented.
    #[error(transparent)]
    Memory(#[from] frames::FramesError),
    /// Memory for programs is too small; it has this many bytes.
    #[error(
        "{} KiB of memory from 1 GiB on, where programs live: at least {} KiB are needed",
        .0 >> 10,
        LEAST_USER_BYTES >> 10
    )]
    UserMemory(u64),
    /// The boot archive, which has this many bytes, does not fit into kernel memory.
    #[error("its boot archive of {} MiB does not fit into the memory below 1 GiB", .0.div_ceil(1 << 20))]
    LargeArchive(u64),
    /// The boot archive cannot be used.
    #[error("its boot archive cannot be used: {0}")]
    Archive(archive::Unusable<'static>),
    /// The firmware's tables do not describe the CPUs or the interrupt controllers.
    #[error(transparent)]
    Controllers(acpi::AcpiError),
    /// The kernel cannot drive the local APIC in the state in which the firmware left it.
    #[error(transparent)]
    Apic(apic::Unusable),
    /// The machine has no clock of known speed.
    #[error(
        "it has no clock that time slices could be measured by: no ACPI power-management timer, no HPET and no 8254 \
         interval timer runs, and CPUID does not say how fast the time-stamp counter is"
    )]
    NoClock,
    /// Time slices cannot be measured.
    #[error(transparent)]
    Timer(timer::TimerError),
}
