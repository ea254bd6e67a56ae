//! The program table: the programs, the boot list, the running programs, and the counts that decide when the machine
//! is switched off.
use super::{Metal, Platform, checkpoint};
use crate::handover::archive::{Archive, BOOT_LIST};
use crate::handover::programs::{Problem, Program, Start, programs, starts};
use crate::mm::layout::MAX_CPUS;
use crate::say;
use crate::sync::once::Once;
use abi::boot::Words;
use abi::refused::Refused;
use abi::report::End;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use layer::core::constants::NUM_PROC;
use layer::core::state::Cpu;
use syscall::trace::Report;

/// The program table of this machine.
pub struct ProgramTable {
    programs: &'static [Program<'static>],
    starts: &'static [Start<'static>],
    /// The next line of `starts` for each CPU; past the end once the CPU has found no further line.
    begun: [AtomicUsize; MAX_CPUS],
    /// For each CPU: the number of its programs that have not ended, plus one as long as lines of the boot list may be
    /// left for it.
    busy: [AtomicU32; MAX_CPUS],
    /// Number of CPUs that still have work.
    busy_cpus: AtomicU32,
    /// The image number of each thread that runs a program; [`NO_PROGRAM`] for all other threads.
    images: &'static [AtomicU32],
    /// The thread that each CPU runs.
    running: [AtomicU32; MAX_CPUS],
}

/// The image number that stands for no image.
const NO_PROGRAM: u32 = u32::MAX;

static TABLE: Once<ProgramTable> = Once::new();

/// Whether each CPU has finished: it had no program left and nothing to run.
static IDLE: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// The program table.
///
/// # Panics
/// Before [`open`]: a bug.
#[inline(always)]
pub fn program_table() -> &'static ProgramTable {
    opened().expect("the program table is opened before programs run")
}

/// The program table, if it has been opened.
#[inline(always)]
pub fn opened() -> Option<&'static ProgramTable> {
    TABLE.get()
}

/// Reads the boot archive for a machine with `cpus` CPUs.
///
/// # Errors
/// When a program or a line of the boot list cannot be run.
pub fn open(platform: &'static Platform, archive: Option<Archive<'static>>, cpus: u32) -> Result<(), Problem<'static>> {
    let count = archive.iter().flat_map(programs).count();
    let mut files = archive.iter().flat_map(programs);
    // Checks each program before the first is stored.
    archive.iter().flat_map(programs).try_for_each(|program| program.map(drop))?;
    let next = |_| files.next().and_then(Result::ok).expect("as many as were counted");
    let kept = &*platform.keep_each(count, "programs", next);

    let list = archive.as_ref().and_then(|archive| archive.find_text(BOOT_LIST)).unwrap_or_default();
    let lines = || starts(list, kept, cpus);
    lines().try_for_each(|line| line.map(drop))?;
    let mut parsed = lines().filter_map(Result::ok);
    let next = |_| parsed.next().expect("as many as were counted");
    let starts = &*platform.keep_each(lines().count(), "the boot list", next);

    let table = ProgramTable {
        programs: kept,
        starts,
        begun: [const { AtomicUsize::new(0) }; MAX_CPUS],
        busy: [const { AtomicU32::new(1) }; MAX_CPUS],
        busy_cpus: AtomicU32::new(cpus),
        images: platform.keep_each(NUM_PROC as usize, "image numbers", |_| AtomicU32::new(NO_PROGRAM)),
        running: [const { AtomicU32::new(0) }; MAX_CPUS],
    };
    let mut table = Some(table);
    let table = platform.keep_each(1, "the program table", |_| table.take().expect("there is one"));
    assert!(TABLE.set(&table[0]), "a machine has one program table");
    Ok(())
}

impl ProgramTable {
    /// A program of the archive, by its image number.
    pub fn program(&self, image: u32) -> Option<&'static Program<'static>> {
        self.programs.get(image as usize)
    }

    /// The name of an image; `?` if there is no such image.
    fn name(&self, image: u32) -> &'static str {
        self.program(image).map_or("?", |program| program.name)
    }

    /// The next line of the boot list for CPU `cpu`. Only that CPU calls this, whenever its main thread runs.
    #[inline(always)]
    pub fn next_start(&self, cpu: u32) -> Option<Start<'static>> {
        if self.begun[cpu as usize].load(Ordering::Relaxed) > self.starts.len() {
            return None;
        }
        self.look_for_start(cpu)
    }

    /// Like [`next_start`](ProgramTable::next_start), for a CPU that may have lines left.
    #[cold]
    #[inline(never)]
    fn look_for_start(&self, cpu: u32) -> Option<Start<'static>> {
        let begun = &self.begun[cpu as usize];
        let before = begun.load(Ordering::Relaxed);
        let rest = self.starts.iter().enumerate().skip(before);
        match rest.into_iter().find(|(_, start)| start.cpu == cpu) {
            Some((at, &start)) => {
                begun.store(at + 1, Ordering::Relaxed);
                Some(start)
            }
            None => {
                begun.store(self.starts.len() + 1, Ordering::Relaxed);
                self.one_less(cpu);
                None
            }
        }
    }

    /// The arguments in the line that CPU `cpu` was given last.
    pub fn arguments(&self, cpu: u32) -> Words<'static> {
        let begun = self.begun[cpu as usize].load(Ordering::Relaxed);
        let last = begun.checked_sub(1).and_then(|last| self.starts.get(last));
        last.map_or_else(Words::default, |start| start.arguments)
    }

    /// Records that CPU `cpu` has started `thread` with this image.
    pub fn started(&self, cpu: u32, thread: u32, image: u32) {
        self.images[thread as usize].store(image, Ordering::Relaxed);
        self.busy[cpu as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Reports that CPU `cpu` could not start a program of the boot list.
    pub fn not_started(&self, cpu: u32, image: u32, error: abi::Error) {
        say!("{}", Refused { cpu, name: self.name(image), error });
    }

    /// Records and reports that the program of the thread that `layer`'s CPU runs has ended.
    pub fn ended(&self, layer: &Cpu<'_, Metal>, end: End) {
        let (cpu, thread) = (layer.own.cpu, layer.own.cur);
        let image = self.images[thread as usize].swap(NO_PROGRAM, Ordering::Relaxed);
        if image == NO_PROGRAM {
            return;
        }
        let file = self.program(image).map_or(&[][..], |program| program.file);
        say!("{}", Report { cpu: layer, name: self.name(image), file, end });
        self.one_less(cpu);
    }

    /// Records and reports that the program of `thread` was killed.
    pub fn killed(&self, cpu: u32, thread: u32) {
        let image = self.images[thread as usize].swap(NO_PROGRAM, Ordering::Relaxed);
        if image != NO_PROGRAM {
            let end = End::Killed;
            say!("{}", abi::report::Ended { cpu, thread, name: self.name(image), end });
            self.one_less(cpu);
        }
    }

    /// Records that CPU `cpu` has one task less.
    fn one_less(&self, cpu: u32) {
        self.busy[cpu as usize].fetch_sub(1, Ordering::AcqRel);
    }

    /// Called by CPU `cpu` when it has nothing to run. If it has no task left either, all its programs have ended and
    /// have given back everything. The last CPU to reach this point switches the machine off.
    #[inline(never)]
    pub fn idles(&self, cpu: u32) {
        if self.is_done(cpu)
            && !IDLE[cpu as usize].swap(true, Ordering::Relaxed)
            && self.busy_cpus.fetch_sub(1, Ordering::AcqRel) == 1
        {
            checkpoint::finish()
        }
    }

    /// Whether CPU `cpu` has no task and never gets another. All its programs have ended, and only they and the boot
    /// list could give it a task.
    #[inline(always)]
    pub fn is_done(&self, cpu: u32) -> bool {
        self.busy[cpu as usize].load(Ordering::Acquire) == 0
    }

    /// The image number of the program that `thread` runs, or `u32::MAX`.
    pub fn image_of(&self, thread: u32) -> u32 {
        self.images.get(thread as usize).map_or(NO_PROGRAM, |image| image.load(Ordering::Relaxed))
    }

    /// Records the thread that CPU `cpu` runs.
    #[inline(always)]
    pub fn runs(&self, cpu: u32, thread: u32) {
        self.running[cpu as usize].store(thread, Ordering::Relaxed);
    }

    /// The thread that CPU `cpu` runs, and the name of its program, if it has one.
    pub fn running(&self, cpu: usize) -> (u32, Option<&'static str>) {
        let thread = self.running[cpu].load(Ordering::Relaxed);
        (thread, self.program(self.image_of(thread)).map(|program| program.name))
    }
}
