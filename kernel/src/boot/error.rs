//! Why the kernel refuses a machine at boot.

use crate::cpu::registers::Missing;
use crate::handover::{acpi, archive, options, start_info};
use crate::irq::{apic, timer};
use crate::mm::frames;
use crate::mm::layout::MAX_CPUS;
use core::fmt;

/// Least memory for programs: 1 MiB for each CPU that the kernel may start.
pub(super) const LEAST_USER_BYTES: u64 = (MAX_CPUS as u64) << 20;

/// Why the kernel cannot run on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The processor lacks a feature.
    Processor(Missing),
    /// The boot loader's start info is not usable.
    StartInfo(start_info::Error),
    /// A word of the command line is not a boot option.
    Option(options::Unknown<'static>),
    /// Kernel memory is too small or too fragmented.
    Memory(frames::Error),
    /// Memory for programs is too small; it has this many bytes.
    UserMemory(u64),
    /// The boot archive, which has this many bytes, does not fit into kernel memory.
    LargeArchive(u64),
    /// The boot archive cannot be used.
    Archive(archive::Unusable<'static>),
    /// The firmware's tables do not describe the CPUs or the interrupt controllers.
    Controllers(acpi::Error),
    /// The kernel cannot drive the local APIC in the state in which the firmware left it.
    Apic(apic::Unusable),
    /// The machine has no clock of known speed.
    NoClock,
    /// Time slices cannot be measured.
    Timer(timer::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Processor(missing) => write!(formatter, "its processor has no {missing}"),
            Error::StartInfo(error) => write!(formatter, "{error}"),
            Error::Option(options::Unknown(word)) => write!(formatter, "there is no boot option {word}"),
            Error::Memory(error) => write!(formatter, "{error}"),
            Error::UserMemory(bytes) => write!(
                formatter,
                "{} KiB of memory from 1 GiB on, where programs live: at least {} KiB are needed",
                bytes >> 10,
                LEAST_USER_BYTES >> 10
            ),
            Error::LargeArchive(bytes) => {
                write!(formatter, "its boot archive of {} MiB does not fit into the memory below 1 GiB", bytes.div_ceil(1 << 20))
            }
            Error::Archive(unusable) => write!(formatter, "its boot archive cannot be used: {unusable}"),
            Error::Controllers(error) => write!(formatter, "{error}"),
            Error::Apic(error) => write!(formatter, "{error}"),
            Error::NoClock => formatter.write_str(
                "it has no clock that time slices could be measured by: no ACPI power-management timer, no HPET and no 8254 \
                 interval timer runs, and CPUID does not say how fast the time-stamp counter is",
            ),
            Error::Timer(error) => write!(formatter, "{error}"),
        }
    }
}

impl From<frames::Error> for Error {
    fn from(error: frames::Error) -> Self {
        Error::Memory(error)
    }
}
