//! `cairn fuzz-x86`: runs random programs on the booted kernel and on the hosted machine; each must end alike on both.

use crate::host::archive;
use crate::host::counts::Counts;
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Outcome, Parts, Run};
use crate::host::error::Error;
use crate::host::image::{self, Images, Kind};
use crate::host::workspace;
use fuzz_x86::batch::{Batch, CPUS, MOST, name};
use fuzz_x86::generate::Random;
use fuzz_x86::outcome::{Comparison, compare, explained};
use kernel::devices::exit::Reason;
use sim::run::report::End;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Number of programs of a boot: as many as one boot has room for.
pub const PROGRAMS: usize = MOST;
/// Time limit of a boot on a busy host.
const LIMIT: Duration = Duration::from_secs(60);
/// The machine has no SMAP, because with SMAP QEMU 7.2 faults when it reads the program's stack for `retf`
/// and `iretq`.
const PARTS: Parts = Parts { processor: "max,-smap", ..Parts::USUAL };
/// The maximum number of differing programs of a boot that are shown in full; the others are counted.
const SHOWN: usize = 20;

/// Run random programs on the kernel and on the hosted machine, and compare how they end
#[derive(clap::Args)]
pub struct Arguments {
    /// Number of programs
    #[arg(long, default_value_t = PROGRAMS)]
    count: usize,
    /// Seed that determines the programs
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The result of a boot.
struct Booted {
    /// How the programs ended.
    comparison: Comparison,
    /// A line about how each machine ended. If a machine did not run to its end, the last lines of its
    /// console follow.
    machines: String,
}

/// Number of console lines that are shown if a machine did not run to its end.
const LAST_LINES: usize = 14;

/// Runs one batch on both machines.
fn run_batch(batch: &Batch) -> Result<Booted, Error> {
    image::build(Images::One("cairn"), Kind::Fast)?;
    let image = image::path("cairn", Kind::Fast);
    let path = workspace::target().join("kernel").join("fuzz-x86.tar");
    let files: Vec<_> = batch.files.iter().map(|(name, elf)| (name.as_str(), elf.as_slice())).collect();
    archive::write(&path, &image, &batch.boot_list, &files, false)?;
    let run = Run { archive: Some(&path), cpus: CPUS, timeout: Some(LIMIT), parts: PARTS, ..Run::of(&image) };
    let booted = Emulator::Qemu.run(&run)?;
    let begin = Instant::now();
    let hosted = batch.hosted(Some(begin + LIMIT)).map_err(Error::Hosted)?;
    let mut machines = format!(
        "{}: {} in {:.1} s; hosted machine: {:?} in {:.1} s",
        Emulator::Qemu,
        booted.outcome,
        booted.time.as_secs_f64(),
        hosted.end,
        begin.elapsed().as_secs_f64()
    );
    // A machine runs to its end if all programs have ended.
    let booted_to_the_end = booted.outcome == Outcome::Ended(Reason::Done);
    for (to_the_end, console) in [(booted_to_the_end, &booted.console), (hosted.end == End::PowerOff, &hosted.console)]
    {
        if !to_the_end {
            let lines: Vec<&str> = console.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            last.iter().for_each(|line| machines.extend(["\n    ", line]));
        }
    }
    Ok(Booted { comparison: compare(batch, &hosted.console, &booted.console), machines })
}

/// Shows the programs that differ, and those that did not end. If a machine's last lines name some of the programs
/// that did not end, these come first.
fn show(batch: &Batch, booted: &Booted, say: &mut impl FnMut(&str)) {
    let Booted { comparison, machines } = booted;
    let is_named = |index: usize| machines.contains(&format!("({})", name(index)));
    let (named, others): (Vec<_>, Vec<_>) = comparison.unended.iter().partition(|(index, _)| is_named(*index));
    for (index, difference) in comparison.different.iter().chain(named).chain(others).take(SHOWN) {
        say(&format!("program {index}: {difference}\n{}", explained(&batch.programs[*index])));
    }
}

/// Compares the programs that try every interrupt vector, and `count` programs that `seed` fixes. `say` gets lines
/// about how the machines ended, and about differences.
pub fn fuzz(count: usize, seed: u64, mut say: impl FnMut(&str)) -> Result<Counts, Error> {
    let encode = |error: fuzz_x86::EncodeError| Error::Encode(error.to_string());
    let mut total = Comparison::default();
    let mut try_all = |what: &str, batch: &Batch| {
        let booted = run_batch(batch)?;
        say(&format!("{what}, {} programs: {}", batch.programs.len(), booted.machines));
        show(batch, &booted, &mut say);
        Ok::<_, Error>(booted.comparison)
    };
    total.add(try_all("interrupts", &Batch::of_interrupts().map_err(encode)?)?);
    for (number, first) in (0u64..).zip((0..count).step_by(PROGRAMS)) {
        let seed = seed.wrapping_add(number);
        let batch = Batch::random(PROGRAMS.min(count - first), &mut Random::new(seed)).map_err(encode)?;
        let found = try_all(&format!("seed {seed}"), &batch)?;
        // Each step by itself is the smallest possible program.
        let long = found.different.iter().map(|(index, _)| &batch.programs[*index]);
        for steps in Batch::of_single_steps(long.filter(|program| program.steps.len() > 1)).map_err(encode)? {
            try_all(&format!("seed {seed}, steps of programs that differ"), &steps)?;
        }
        total.add(found);
    }
    let Comparison { alike, unimplemented, different, unended } = &total;
    say(&format!(
        "{alike} programs end alike, {} do not, {} did not end on both machines; {unimplemented} use an instruction \
         that the hosted machine does not implement",
        different.len(),
        unended.len()
    ));
    let failed = different.iter().chain(unended);
    let failed = failed.map(|(index, difference)| format!("program {index}: {difference}")).collect();
    Ok(Counts { passed: *alike, failed, ..Counts::default() })
}

/// Runs the programs that were asked for; the exit status is 0 if none of them differs.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if !Emulator::Qemu.is_there() {
        return Err(Error::NotInstalled(Emulator::Qemu.name()));
    }
    let counts = fuzz(arguments.count, arguments.seed, |text| println!("{text}"))?;
    Ok(if counts.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
