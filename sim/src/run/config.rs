//! The configuration of a run.
use crate::machine::platform::Memory;
use crate::machine::turns::Limit;
use layer::core::constants::TOTAL_CPU;
use syscall::image::Malformed;

/// A program for the boot archive.
#[derive(Clone, Debug)]
pub struct Program {
    /// The name of the program.
    pub name: String,
    /// The contents of its ELF file.
    pub elf: Vec<u8>,
}

/// The default time slice. A program that yields regularly is never interrupted within it.
pub const TIME_SLICE: u64 = 100_000;

/// When the invariant is evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checking {
    /// Never.
    Never,
    /// On every CPU, at the end of the run.
    #[default]
    AtEnd,
    /// At the end, and on each CPU each time after this many entries into the kernel.
    Every(u64),
}

/// The configuration of a run.
#[derive(Clone, Debug)]
pub struct Config<'a> {
    /// The boot archive. The index of a program is its image number.
    pub programs: Vec<Program>,
    /// The programs to start: see [`abi::boot`].
    pub boot_list: &'a str,
    /// The number of CPUs, 1 to 8.
    pub cpus: u32,
    /// Determines the schedule: which CPU is next, and how long a program's turn is.
    pub seed: u64,
    /// The mean number of instructions in a program's turn, at least 2. The timer interrupts after half to one and a
    /// half times as many.
    pub time_slice: u64,
    /// The memory of the machine.
    pub memory: Memory,
    /// The input on the console.
    pub input: Vec<u8>,
    /// The limit of the run.
    pub limit: Limit,
    /// When the invariant is evaluated. If this is not "never", the log is also replayed at the
    /// end.
    pub checking: Checking,
    /// The value of [`Platform::forgets_flushes`](crate::machine::platform::Platform::forgets_flushes), a planted bug.
    pub forgets_flushes: bool,
}

/// An invalid [`Config`]: the caller's fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError<'a> {
    /// The number of CPUs is not 1 to 8.
    #[error("a machine has 1 to {TOTAL_CPU} CPUs, not {0}")]
    Cpus(u32),
    /// A program cannot be loaded.
    #[error("program {name}: {malformed}")]
    Program {
        /// The name of the program.
        name: String,
        /// The error in its file.
        malformed: Malformed,
    },
    /// A line of the boot list cannot be parsed.
    #[error("{0}")]
    BootList(abi::boot::BootListError<'a>),
    /// A line of the boot list names a CPU that the machine does not have.
    #[error("boot list, line {line}: there is no CPU {cpu}")]
    NoCpu {
        /// The number of the line.
        line: u32,
        /// The CPU.
        cpu: u32,
    },
    /// A line of the boot list names a program that is not in the boot archive.
    #[error("boot list, line {line}: there is no program {name}")]
    NoProgram {
        /// The number of the line.
        line: u32,
        /// The name.
        name: &'a str,
    },
}
