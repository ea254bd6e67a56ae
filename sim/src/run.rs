//! A run from boot to power-off. Each CPU is a thread, and only one of them runs at a time.
use crate::baton::{Baton, Limit, Stop};
use crate::board::{self, Archived, Board, Console, Memory, ProgramEnd, Start};
use crate::check::Violation;
use crate::history::{Difference, Objects, Replayed, Running, listed};
use crate::log::{Entry, Kept, merged};
use crate::machine::{Sim, shared};
use crate::runner::{Finished, Runner, Timer};
use crate::serial::Script;
use layer::core::constants::TOTAL_CPU;
use layer::core::state::Shared;
use layer::core::stuck::Stuck;
use layer::objects::queue::Fifo;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread;
use syscall::image::{Malformed, ParsedImage};

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
    /// Also on a CPU after every so many entries into the kernel.
    Every(u64),
}

/// What is run, and how.
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
    /// When the invariant is evaluated. Unless never, the log is replayed at the end as well.
    pub checking: Checking,
    /// The value of [`Board::forgets_flushes`], a planted bug.
    pub forgets_flushes: bool,
}

/// An invalid [`Config`]: the caller's fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error<'a> {
    /// The number of CPUs is not 1 to 8.
    #[error("a machine has 1 to {TOTAL_CPU} CPUs, not {0}")]
    Cpus(u32),
    /// A program cannot be loaded.
    #[error("program {name}: {malformed}")]
    Program {
        /// The name of the program.
        name: String,
        /// What is wrong with its file.
        malformed: Malformed,
    },
    /// A line of the boot list cannot be parsed.
    #[error("{0}")]
    BootList(abi::boot::Error<'a>),
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

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    /// How the run ended.
    pub end: End,
    /// How the programs ended, in the order in which they did.
    pub programs: Vec<ProgramEnd>,
    /// The number of lines of the boot list that were refused. The console has the reasons.
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

/// Runs programs until all have ended. Passes the output to `console` as it is written, as the stream that
/// [`abi::console`] describes.
///
/// The same configuration gives the same report and the same output, unless a time of day ends the run.
///
/// # Errors
/// See [`Error`]. Failures of the running machine are in the [`Report`].
pub fn run<'a>(config: Config<'a>, mut console: impl FnMut(&[u8])) -> Result<Report, Error<'a>> {
    let Config { cpus, seed, time_slice, limit, checking, .. } = config;
    let (output, outputs) = mpsc::channel();
    let to_console = output.clone();
    // The receiver lives longer than the CPUs, so that no output is lost.
    let write = move |bytes: &[u8]| drop(to_console.send(Output::Bytes(bytes.to_vec())));
    let board = Arc::new(build(config, Box::new(write))?);
    let baton = Arc::new(Baton::new(cpus, seed, limit));
    board::seat(Arc::clone(&board), None);
    let shared = shared();
    board::stand_up();
    board.write_line(&format!("cairn: {cpus} CPU{}", if cpus == 1 { "" } else { "s" }));

    let results: Vec<Finished> = thread::scope(|scope| {
        let start = |cpu| {
            let (board, baton, shared, output) = (&board, &baton, &shared, output.clone());
            scope.spawn(move || {
                board::seat(Arc::clone(board), Some(Arc::clone(baton)));
                baton.arrive(cpu);
                let finished =
                    Runner::new(shared, cpu, baton, board, Timer::new(time_slice, seed, cpu), checking).run();
                baton.leave(cpu);
                drop(output.send(Output::CpuLeft));
                finished
            })
        };
        let threads: Vec<_> = (0..cpus).map(start).collect();
        let mut running = cpus;
        while running > 0 {
            match outputs.recv() {
                Ok(Output::Bytes(bytes)) => console(&bytes),
                Ok(Output::CpuLeft) => running -= 1,
                Err(_) => break,
            }
        }
        threads.into_iter().map(|thread| thread.join().expect("a CPU catches its panics")).collect()
    });
    Ok(report(results, &baton, &board, shared, checking))
}

/// Messages from the threads of the CPUs to the thread that runs the machine.
enum Output {
    Bytes(Vec<u8>),
    CpuLeft,
}

/// Builds the hardware.
fn build<'a>(config: Config<'a>, console: Box<Console<'static>>) -> Result<Board, Error<'a>> {
    let cpus = config.cpus;
    if cpus == 0 || cpus > TOTAL_CPU {
        return Err(Error::Cpus(cpus));
    }
    let archived = |Program { name, elf }| match ParsedImage::parse(&elf) {
        Ok(image) => Ok(Archived { name, file: elf, image }),
        Err(malformed) => Err(Error::Program { name, malformed }),
    };
    let archive = config.programs.into_iter().map(archived).collect::<Result<Vec<_>, _>>()?;
    let start = |line: Result<abi::boot::Start<'a>, _>| {
        let abi::boot::Start { cpu, image: name, quota, arguments, line } = line.map_err(Error::BootList)?;
        if cpu >= cpus {
            return Err(Error::NoCpu { line, cpu });
        }
        let image = archive.iter().position(|program| program.name == name);
        let image = image.ok_or(Error::NoProgram { line, name })? as u32;
        let arguments = arguments.iter().collect::<Vec<_>>().join(" ");
        Ok(Start { cpu, image, quota, arguments })
    };
    let starts = abi::boot::parse(config.boot_list).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut board = Board::new(config.memory, archive, cpus, &starts, console);
    board.serial = Script::of_input(&config.input);
    board.forgets_flushes = config.forgets_flushes;
    Ok(board)
}

/// Joins the results of the CPUs, and replays the log.
fn report(
    results: Vec<Finished>,
    baton: &Baton,
    board: &Arc<Board>,
    shared: Shared<Sim>,
    checking: Checking,
) -> Report {
    let (mut bug, mut violations, mut cpus) = (None, Vec::new(), Vec::new());
    let (mut logs, mut queues) = (Vec::new(), Vec::new());
    for finished in results {
        bug = bug.or(finished.bug);
        violations.extend(finished.violations);
        logs.push(finished.log);
        queues.push((finished.activity.cpu, finished.activity.thread, finished.ready));
        cpus.push(finished.activity);
    }
    let (log, differences) = replayed(&logs, queues, board, shared, bug.is_none() && checking != Checking::Never);
    let end = match (bug, baton.stopped()) {
        (Some(bug), _) => bug,
        (None, _) if !violations.is_empty() => End::Violated,
        (None, _) if !differences.is_empty() => End::Diverged,
        (None, Some(Stop::PowerOff)) => End::PowerOff,
        (None, Some(Stop::Deadlock)) => End::Deadlock,
        // Some CPU reports every bug, so that the remaining reason is the limit.
        (None, Some(Stop::TimeOut | Stop::Bug) | None) => End::TimeOut,
    };
    let (programs, refused, work) = (board.ends(), board.refused(), baton.work());
    Report { end, programs, refused, work, violations, cpus, log, differences }
}

/// The log of the machine and, if wanted, the differences between the machine and the replayed log. For each CPU, the
/// arguments give its own log, its running thread and its ready queue.
fn replayed(
    own: &[Kept],
    cpus: Vec<(u32, u32, Fifo<Sim>)>,
    board: &Arc<Board>,
    shared: Shared<Sim>,
    wanted: bool,
) -> (Vec<Entry>, Vec<Difference>) {
    let at = shared.at.into_objects();
    let (pending, sleep) = (shared.pending.into_objects(), shared.sleep.into_objects());
    let (channels, threads) = (shared.channels.into_channels(), shared.links.into_threads());
    let logs = at.iter().map(|table| &table.log).chain(pending.iter().map(|queue| &queue.log));
    let log = merged(logs.chain(sleep.iter().map(|queue| &queue.log)).chain([&channels.log]).chain(own));
    if !wanted {
        return (log, Vec::new());
    }
    let running = cpus.iter().map(|(cpu, thread, ready)| {
        let ready = listed(ready, &threads);
        Running { cpu: *cpu, thread: *thread, ready }
    });
    let found = Objects {
        at: &at[0],
        pending: pending.iter().map(|queue| &queue.fifo).collect(),
        sleep: sleep.iter().map(|queue| &queue.fifo).collect(),
        channels: &channels,
        threads: &threads,
        running: running.collect(),
        nps: shared.boot.nps,
    };
    board::seat(Arc::clone(board), None);
    let mut replayed = Replayed::boot();
    board::stand_up();
    let differences = match replayed.replay(&log) {
        Ok(_) => replayed.differences(&found, &log),
        Err(difference) => vec![difference],
    };
    (log, differences)
}
