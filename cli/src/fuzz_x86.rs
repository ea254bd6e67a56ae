//! `cairn fuzz-x86`: random programs on the booted kernel and on the hosted machine, which must end alike.

use crate::counts::Counts;
use crate::emulator::{Emulator, Outcome, Parts, Run};
use crate::error::Error;
use crate::image::{self, Images, Kind};
use crate::{archive, workspace};
use fuzz_x86::batch::{Batch, CPUS, MOST};
use fuzz_x86::generate::Random;
use fuzz_x86::outcome::{Comparison, compare, explained};
use kernel::exit::Reason;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Programs of a boot: as many as one boot has room for.
pub const PROGRAMS: usize = MOST;
/// How long a boot may take, on a host that has other things to do.
const LIMIT: Duration = Duration::from_secs(240);
/// The machine: with SMAP, QEMU 7.2 faults where `retf` and `iretq` of a program read its stack.
const PARTS: Parts = Parts { processor: "max,-smap", ..Parts::USUAL };
/// Differences that are explained; the others are counted.
const SHOWN: usize = 20;

/// Run random programs on the kernel and on the hosted machine, and compare how they end
#[derive(clap::Args)]
pub struct Arguments {
    /// How many programs
    #[arg(long, default_value_t = PROGRAMS)]
    count: usize,
    /// Which programs: the same seed makes the same ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs one batch on both machines.
fn run_batch(batch: &Batch) -> Result<Comparison, Error> {
    image::build(Images::One("cairn"), Kind::Fast)?;
    let image = image::path("cairn", Kind::Fast);
    let path = workspace::target().join("kernel").join("fuzz-x86.tar");
    let files: Vec<_> = batch.files.iter().map(|(name, elf)| (name.as_str(), elf.as_slice())).collect();
    archive::write(&path, &image, &batch.boot_list, &files, false)?;
    let run = Run { archive: Some(&path), cpus: CPUS, timeout: Some(LIMIT), parts: PARTS, ..Run::of(&image) };
    let booted = Emulator::Qemu.run(&run)?;
    let hosted = batch.hosted(Some(Instant::now() + LIMIT)).map_err(Error::Hosted)?;
    let mut comparison = compare(batch, &hosted, &booted.console);
    // Where a program has not ended, the machine has not either, and the program says more.
    if booted.outcome != Outcome::Ended(Reason::Done) && comparison.different.is_empty() {
        comparison.different.push((0, format!("the machine: {}", booted.outcome)));
    }
    Ok(comparison)
}

/// Compares `count` programs that `seed` fixes, and tells `say` what differs.
pub fn fuzz(count: usize, seed: u64, mut say: impl FnMut(&str)) -> Result<Counts, Error> {
    let encode = |error: fuzz_x86::EncodeError| Error::Encode(error.to_string());
    let (mut alike, mut unimplemented, mut different) = (0, 0, 0);
    for (number, first) in (0u64..).zip((0..count).step_by(PROGRAMS)) {
        let mut random = Random::new(seed.wrapping_add(number));
        let batch = Batch::random(PROGRAMS.min(count - first), &mut random).map_err(encode)?;
        let found = run_batch(&batch)?;
        (alike, unimplemented) = (alike + found.alike, unimplemented + found.unimplemented);
        different += found.different.len();
        // Each step by itself is the smallest program there is.
        let long = found.different.iter().map(|(index, _)| &batch.programs[*index]).filter(|it| it.steps.len() > 1);
        let mut explained_by_a_step = false;
        for single in Batch::of_single_steps(long).map_err(encode)? {
            for (index, difference) in run_batch(&single)?.different.iter().take(SHOWN) {
                say(&format!("{difference}\n{}", explained(&single.programs[*index])));
                explained_by_a_step = true;
            }
        }
        for (index, difference) in found.different.iter().take(SHOWN) {
            let program = &batch.programs[*index];
            if program.steps.len() == 1 || !explained_by_a_step {
                say(&format!(
                    "seed {}, program {index}: {difference}\n{}",
                    seed.wrapping_add(number),
                    explained(program)
                ));
            }
        }
    }
    say(&format!(
        "{alike} programs end alike, {different} do not; {unimplemented} use what the hosted machine does not know"
    ));
    Ok(Counts { passed: alike, failed: different, ..Counts::default() })
}

/// Runs the programs that were asked for; the exit status is 0 if none of them differs.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if !Emulator::Qemu.is_there() {
        return Err(Error::NotInstalled(Emulator::Qemu));
    }
    let counts = fuzz(arguments.count, arguments.seed, |text| println!("{text}"))?;
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
