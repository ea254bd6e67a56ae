//! A run from boot to power-off. Each CPU is a thread, and only one of them runs at a time.
//!
//! In the order to read it: [`config`] is the configuration, [`report`] is the result, and `cpu` is one CPU.
pub mod config;
mod cpu;
pub mod report;

use crate::check::replay::{Difference, Objects, Replayed, Running, listed};
use crate::machine::Sim;
use crate::machine::boot::shared;
use crate::machine::log::{Entry, Kept, merged};
use crate::machine::platform::{self, Archived, Console, Platform, Start};
use crate::machine::serial::SerialInput;
use crate::machine::turns::{Stop, TurnScheduler};
use config::{Checking, Config, ConfigError, Program};
use cpu::{Finished, Runner, Timer};
use layer::core::constants::TOTAL_CPU;
use layer::core::state::Shared;
use layer::objects::queue::Fifo;
use report::{End, Report};
use std::sync::{Arc, mpsc};
use std::thread;
use syscall::image::ParsedImage;

/// Runs programs until all have ended. Passes the output to `console` as it is written, as the stream that
/// [`abi::console`] describes.
///
/// The same configuration gives the same report and the same output, unless the limit in real time ends
/// the run.
///
/// # Errors
/// See [`ConfigError`]. Failures of the running machine are in the [`Report`].
pub fn run<'a>(config: Config<'a>, mut console: impl FnMut(&[u8])) -> Result<Report, ConfigError<'a>> {
    let Config { cpus, seed, time_slice, limit, checking, .. } = config;
    let (output, outputs) = mpsc::channel();
    let to_console = output.clone();
    // The receiver outlives the CPUs, so no output is lost.
    let write = move |bytes: &[u8]| drop(to_console.send(Output::Bytes(bytes.to_vec())));
    let platform = Arc::new(build(config, Box::new(write))?);
    let turns = Arc::new(TurnScheduler::new(cpus, seed, limit));
    platform::make_current(Arc::clone(&platform), None);
    let shared = shared();
    platform::leave();
    platform.write_line(&format!("cairn: {cpus} CPU{}", if cpus == 1 { "" } else { "s" }));

    let results: Vec<Finished> = thread::scope(|scope| {
        let start = |cpu| {
            let (platform, turns, shared, output) = (&platform, &turns, &shared, output.clone());
            scope.spawn(move || {
                platform::make_current(Arc::clone(platform), Some(Arc::clone(turns)));
                turns.arrive(cpu);
                let finished =
                    Runner::new(shared, cpu, turns, platform, Timer::new(time_slice, seed, cpu), checking).run();
                turns.leave(cpu);
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
    Ok(report(results, &turns, &platform, shared, checking))
}

/// Messages from the threads of the CPUs to the thread that runs the machine.
enum Output {
    Bytes(Vec<u8>),
    CpuLeft,
}

/// Builds the hardware.
fn build<'a>(config: Config<'a>, console: Box<Console<'static>>) -> Result<Platform, ConfigError<'a>> {
    let cpus = config.cpus;
    if cpus == 0 || cpus > TOTAL_CPU {
        return Err(ConfigError::Cpus(cpus));
    }
    let archived = |Program { name, elf }| match ParsedImage::parse(&elf) {
        Ok(image) => Ok(Archived { name, file: elf, image }),
        Err(malformed) => Err(ConfigError::Program { name, malformed }),
    };
    let archive = config.programs.into_iter().map(archived).collect::<Result<Vec<_>, _>>()?;
    let start = |line: Result<abi::boot::Start<'a>, _>| {
        let abi::boot::Start { cpu, image: name, quota, arguments, line } = line.map_err(ConfigError::BootList)?;
        if cpu >= cpus {
            return Err(ConfigError::NoCpu { line, cpu });
        }
        let image = archive.iter().position(|program| program.name == name);
        let image = image.ok_or(ConfigError::NoProgram { line, name })? as u32;
        let arguments = arguments.iter().collect::<Vec<_>>().join(" ");
        Ok(Start { cpu, image, quota, arguments })
    };
    let starts = abi::boot::parse(config.boot_list).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut platform = Platform::new(config.memory, archive, cpus, &starts, console);
    platform.serial = SerialInput::of_input(&config.input);
    platform.forgets_flushes = config.forgets_flushes;
    Ok(platform)
}

/// Joins the results of the CPUs, and replays the log.
fn report(
    results: Vec<Finished>,
    turns: &TurnScheduler,
    platform: &Arc<Platform>,
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
    let (log, differences) = replayed(&logs, queues, platform, shared, bug.is_none() && checking != Checking::Never);
    let end = match (bug, turns.stopped()) {
        (Some(bug), _) => bug,
        (None, _) if !violations.is_empty() => End::Violated,
        (None, _) if !differences.is_empty() => End::Diverged,
        (None, Some(Stop::PowerOff)) => End::PowerOff,
        (None, Some(Stop::Deadlock)) => End::Deadlock,
        // Each bug is reported by some CPU, so the only other reason is the limit.
        (None, Some(Stop::TimeOut | Stop::Bug) | None) => End::TimeOut,
    };
    let (programs, refused, work) = (platform.ends(), platform.refused(), turns.work());
    Report { end, programs, refused, work, violations, cpus, log, differences }
}

/// The log of the machine and, if wanted, the differences between the machine and the replayed log. For each CPU, the
/// arguments give its own log, its running thread and its ready queue.
fn replayed(
    own: &[Kept],
    cpus: Vec<(u32, u32, Fifo<Sim>)>,
    platform: &Arc<Platform>,
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
    platform::make_current(Arc::clone(platform), None);
    let mut replayed = Replayed::boot();
    platform::leave();
    let differences = match replayed.replay(&log) {
        Ok(_) => replayed.differences(&found, &log),
        Err(difference) => vec![difference],
    };
    (log, differences)
}
