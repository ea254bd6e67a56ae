//! A batch: many programs for one boot.

use crate::generate::Random;
use crate::program::{Program, launcher};
use abi::CHILDREN;
use iced_x86::IcedError;
use sim::machine::platform::Memory;
use sim::machine::turns::Limit;
use sim::run::config::{Checking, Config, TIME_SLICE};
use sim::run::report::End;
use std::fmt::Write;
use std::time::Instant;

/// Number of CPUs of both machines.
pub const CPUS: u32 = 8;
/// Launchers of a CPU: its main thread cannot start more.
const LAUNCHERS: usize = CHILDREN as usize;
/// Programs that a launcher starts.
const PROGRAMS: usize = CHILDREN as usize;
/// The maximum number of programs of a boot.
pub const MOST: usize = CPUS as usize * LAUNCHERS * PROGRAMS;
/// Pages of a program: for its code and data, two page tables, and the pages that its random accesses
/// touch.
const QUOTA: u32 = 24;
/// Pages of a launcher: those that it gives to its programs, and its own.
const LAUNCHER_QUOTA: u32 = QUOTA * PROGRAMS as u32 + 8;

/// Everything for one boot.
pub struct Batch {
    /// The programs.
    pub programs: Vec<Program>,
    /// Names and ELF files of the programs, for the boot archive.
    pub files: Vec<(String, Vec<u8>)>,
    /// The boot list.
    pub boot_list: String,
}

/// A run on the hosted machine.
pub struct Hosted {
    /// The text on its console.
    pub console: String,
    /// How it ended. It powers off when all programs have ended.
    pub end: End,
}

/// The name of program `index`.
pub fn name(index: usize) -> String {
    format!("p{index}")
}

impl Batch {
    /// A boot of these programs, at most [`MOST`].
    ///
    /// # Errors
    /// If their code cannot be encoded.
    pub fn new(programs: Vec<Program>) -> Result<Batch, IcedError> {
        assert!(programs.len() <= MOST, "{} programs are too many for a boot", programs.len());
        let (mut files, mut boot_list) = (Vec::new(), String::new());
        for (index, program) in programs.iter().enumerate() {
            files.push((name(index), program.elf()?));
        }
        for (number, first) in (0..programs.len()).step_by(PROGRAMS).enumerate() {
            let count = PROGRAMS.min(programs.len() - first);
            files.push((format!("launch{number}"), launcher(first, count, QUOTA)?));
            let _ = writeln!(boot_list, "{} launch{number} {LAUNCHER_QUOTA}", number % CPUS as usize);
        }
        Ok(Batch { programs, files, boot_list })
    }

    /// Random programs.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn random(count: usize, random: &mut Random) -> Result<Batch, IcedError> {
        Batch::new((0..count).map(|_| Program::random(random)).collect::<Result<_, _>>()?)
    }

    /// `int n` for every `n`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of_interrupts() -> Result<Batch, IcedError> {
        Batch::new((0..=u8::MAX).map(Program::interrupt).collect())
    }

    /// Each step of these programs as a program of its own.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of_single_steps<'a>(programs: impl Iterator<Item = &'a Program>) -> Result<Vec<Batch>, IcedError> {
        let all: Vec<Program> = programs.flat_map(Program::single_steps).collect();
        all.chunks(MOST).map(|programs| Batch::new(programs.to_vec())).collect()
    }

    /// Runs the batch on the hosted machine, at most until the instant `until`.
    ///
    /// # Errors
    /// If the machine refuses the batch: a bug of this module.
    pub fn hosted(&self, until: Option<Instant>) -> Result<Hosted, String> {
        let program =
            |(name, elf): &(String, Vec<u8>)| sim::run::config::Program { name: name.clone(), elf: elf.clone() };
        let config = Config {
            programs: self.files.iter().map(program).collect(),
            boot_list: &self.boot_list,
            cpus: CPUS,
            seed: 1,
            time_slice: TIME_SLICE,
            memory: Memory::default(),
            input: Vec::new(),
            limit: Limit { work: None, until },
            checking: Checking::Never,
            forgets_flushes: false,
        };
        let mut console = Vec::new();
        let report = sim::run(config, |bytes| console.extend_from_slice(bytes)).map_err(|error| error.to_string())?;
        Ok(Hosted { console: String::from_utf8_lossy(&console).into_owned(), end: report.end })
    }
}
