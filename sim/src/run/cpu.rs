//! One CPU while it runs: it boots, runs programs, enters the kernel and leaves it.
use super::config::Checking;
use super::report::{Activity, End};
use crate::check::facts::{Violation, check};
use crate::machine::Sim;
use crate::machine::boot::processor;
use crate::machine::log::Kept;
use crate::machine::platform::Platform;
use crate::machine::sparse::Cells;
use crate::machine::tlb::{self, Stale};
use crate::machine::turns::{Deadlocked, Stop, TurnScheduler};
use crate::machine::user::{Departure, execute, load_registers, trap_registers};
use crate::x86;
use domain::Map;
use fastrand::Rng;
use layer::core::fields::process;
use layer::core::state::{Cpu, Shared};
use layer::core::stuck::Stuck;
use layer::objects::queue::Fifo;
use layer::spec::fact::Class;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use syscall::entry;
use syscall::entry::EntryStep;
use syscall::next::Next;

/// The number of instructions of a program after which another CPU may run.
const SLICE: u64 = 2000;

/// The timer of a CPU. It interrupts the CPU's programs.
pub(crate) struct Timer {
    slice: u64,
    random: Rng,
    /// The remaining instructions of the turn.
    left: u64,
}

impl Timer {
    /// The timer of CPU `cpu`. A turn has `slice` instructions on average; `seed` determines its length.
    pub(crate) fn new(slice: u64, seed: u64, cpu: u32) -> Self {
        let mut timer = Timer { slice, random: Rng::with_seed(seed.wrapping_mul(8).wrapping_add(cpu.into())), left: 0 };
        timer.begin();
        timer
    }

    /// Begins a turn.
    fn begin(&mut self) {
        self.left = self.slice / 2 + self.random.u64(..=self.slice);
    }
}

/// A CPU while it runs.
pub(crate) struct Runner<'m> {
    cpu: Cpu<'m, Sim>,
    /// The processor's state for each program of this CPU, including what a user context does not contain.
    programs: BTreeMap<u32, x86::Cpu>,
    /// The thread whose program ran last.
    last: Option<u32>,
    /// Whether a program is running.
    in_user: bool,
    /// The number of entries into the kernel.
    entries: u64,
    violations: Vec<Violation>,
    turns: &'m TurnScheduler,
    platform: &'m Platform,
    timer: Timer,
    checking: Checking,
}

/// The results of a CPU after a run.
pub(crate) struct Finished {
    /// The bug that the CPU found.
    pub bug: Option<End>,
    /// Facts that were violated.
    pub violations: Vec<Violation>,
    /// What the CPU was doing.
    pub activity: Activity,
    /// The log of the CPU's own state.
    pub log: Kept,
    /// The ready queue.
    pub ready: Fifo<Sim>,
}

impl<'m> Runner<'m> {
    /// CPU `cpu` of a machine, switched off.
    pub(crate) fn new(
        shared: &'m Shared<Sim>,
        cpu: u32,
        turns: &'m TurnScheduler,
        platform: &'m Platform,
        timer: Timer,
        checking: Checking,
    ) -> Self {
        let cpu = processor(shared, cpu);
        let (programs, violations) = (BTreeMap::new(), Vec::new());
        Runner { cpu, programs, last: None, in_user: false, entries: 0, violations, turns, platform, timer, checking }
    }

    /// Runs until the machine stops.
    pub(crate) fn run(mut self) -> Finished {
        let cpu = self.cpu.own.cpu;
        let bug = match catch_unwind(AssertUnwindSafe(|| self.work())) {
            Ok(Ok(())) => None,
            Ok(Err(stuck)) => Some(End::Stuck { cpu, stuck }),
            Err(panic) if panic.is::<Deadlocked>() => Some(End::Deadlock),
            Err(panic) => Some(End::Panicked { cpu, message: message(&*panic) }),
        };
        match bug {
            Some(_) => self.turns.stop(Stop::Bug),
            None if self.checking != Checking::Never => {
                self.violations.extend(check(&self.cpu, cpu, Cells::Neighbours, Class::Entry))
            }
            None => {}
        }
        let thread = self.cpu.own.cur;
        let program = self.platform.image_of(thread).map(|image| self.platform.name(image).to_owned());
        let running = self.programs.get(&thread).filter(|_| self.in_user);
        let rip = running.map(|program| program.registers.rip);
        let activity = Activity { cpu, thread, program, rip };
        let own = self.cpu.own;
        Finished { bug, violations: self.violations, activity, log: own.log, ready: own.ready }
    }

    /// Boots, and then alternates between kernel and user mode.
    fn work(&mut self) -> Result<(), Stuck> {
        let me = self.cpu.own.cpu;
        let mut next = entry::boot(&mut self.cpu, 0)?;
        while self.turns.stopped().is_none() {
            // The next program gets a whole turn, even if the timer ended the last one.
            if matches!(next, Next::Switch(_)) {
                self.timer.begin();
            }
            let running = self.cpu.own.cur;
            let step = next.step(&mut self.cpu)?;
            if let Some(stale) = tlb::stale(me) {
                self.violations.push(stale_translation(stale, me));
                self.turns.stop(Stop::Bug);
                return Ok(());
            }
            // A later thread with this number gets new registers. The general registers are in its user
            // context.
            if self.cpu.own.proc.get([running]).state != process::LIVE {
                self.programs.remove(&running);
            }
            next = match step {
                EntryStep::Kernel(next) => {
                    self.turns.worked(me, 1, matches!(next, Next::Load(_) | Next::Wake(_)));
                    next
                }
                EntryStep::Guest(_) => unreachable!("hvm_create is refused: this machine's capability words are all 0"),
                EntryStep::User(to_user) => match self.user_mode(to_user.thread)? {
                    Some(next) => next,
                    None => return Ok(()),
                },
            };
        }
        Ok(())
    }

    /// Runs a program until it enters the kernel. `None` if the machine was stopped first.
    fn user_mode(&mut self, thread: u32) -> Result<Option<Next<Sim>>, Stuck> {
        let me = self.cpu.own.cpu;
        let program = self.programs.entry(thread).or_default();
        load_registers(&self.cpu, thread, &mut program.registers);
        if self.last.replace(thread) != Some(thread) {
            tlb::load_root(me, thread);
            program.reset_segments();
        }
        self.in_user = true;
        let departure = loop {
            let (executed, departure) = execute(&mut self.cpu, program, SLICE.min(self.timer.left))?;
            self.turns.worked(me, executed, true);
            self.timer.left -= executed;
            if let Some(departure) = departure {
                break departure;
            }
            if self.timer.left == 0 {
                break Departure::Interrupt;
            }
            self.turns.pass(me);
            if self.turns.stopped().is_some() {
                return Ok(None);
            }
        };
        self.in_user = false;
        self.entries += 1;
        if let Checking::Every(entries) = self.checking
            && self.entries.is_multiple_of(entries.max(1))
        {
            self.violations.extend(check(&self.cpu, me, Cells::Written, Class::Entry));
            if !self.violations.is_empty() {
                self.turns.stop(Stop::Bug);
                return Ok(None);
            }
        }
        let registers = trap_registers(&program.registers, departure);
        Ok(Some(match departure {
            Departure::SystemCall => {
                let next = entry::system_call(&mut self.cpu, registers)?;
                // The kernel returns by `sysret` if the call returns directly to the program.
                if let Next::ToUser(_) = next {
                    program.return_by_sysret();
                }
                next
            }
            Departure::PageFault => entry::page_fault(&mut self.cpu, registers)?,
            Departure::Exception { reason, .. } => entry::exception(&mut self.cpu, registers, reason)?,
            Departure::Interrupt => entry::interrupt(&mut self.cpu, registers)?,
        }))
    }
}

/// Reports a stale translation as a violated fact: the lemma in ARCHITECTURE.md.
fn stale_translation(Stale { frame, address }: Stale, cpu: u32) -> Violation {
    Violation { number: "TLB", name: "no CPU remembers a free frame", cpu, keys: vec![vec![frame, address]], places: 1 }
}

/// The message of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
