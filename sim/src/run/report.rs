//! The result of a run.
use crate::check::facts::Violation;
use crate::check::replay::Difference;
use crate::machine::log::Entry;
use crate::machine::platform::ProgramEnd;
use layer::core::stuck::Stuck;
use std::fmt;

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// How the run ended.
    pub end: End,
    /// How the programs ended, in the order in which they ended.
    pub programs: Vec<ProgramEnd>,
    /// The number of lines of the boot list that were refused. The console shows the reasons.
    pub refused: u32,
    /// The work: instructions of programs, and steps of the kernel.
    pub work: u64,
    /// Facts of the invariant that were violated when it was evaluated.
    pub violations: Vec<Violation>,
    /// What each CPU was doing at the end.
    pub cpus: Vec<Activity>,
    /// All events, in order.
    pub log: Vec<Entry>,
    /// The differences between the machine and the replayed log.
    pub differences: Vec<Difference>,
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// All programs have ended.
    PowerOff,
    /// The limit of time or work was reached.
    TimeOut,
    /// All CPUs wait for locks: a bug.
    Deadlock,
    /// A precondition of a primitive was violated: a bug.
    Stuck {
        /// The CPU.
        cpu: u32,
        /// The violated precondition.
        stuck: Stuck,
    },
    /// The invariant was violated: a bug.
    Violated,
    /// The machine differs from its log: a bug.
    Diverged,
    /// The code panicked: a bug.
    Panicked {
        /// The CPU.
        cpu: u32,
        /// The message of the panic.
        message: String,
    },
}

/// What a CPU was doing at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activity {
    /// The CPU.
    pub cpu: u32,
    /// The running thread.
    pub thread: u32,
    /// The name of its program. `None` for the main thread, and if the program has ended.
    pub program: Option<String>,
    /// The program's RIP. `None` if the kernel ran.
    pub rip: Option<u64>,
}

impl fmt::Display for Activity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Activity { cpu, thread, .. } = self;
        write!(formatter, "CPU {cpu}: thread {thread}")?;
        match (&self.program, self.rip) {
            (Some(program), Some(rip)) => write!(formatter, " ({program}) at {rip:#x}"),
            (Some(program), None) => write!(formatter, " ({program}), in the kernel"),
            (None, _) if *thread == abi::main_thread(*cpu) => formatter.write_str(", the main thread"),
            (None, _) => formatter.write_str(", which has ended"),
        }
    }
}
