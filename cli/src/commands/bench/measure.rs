//! Runs the boots of the bench, and reads the measurements that their programs print.

use super::boot::{Boot, PROGRAMS_IMAGE};
use super::rows::YIELD;
use crate::host::archive;
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Ended, Outcome, Run};
use crate::host::error::Error;
use crate::host::image::{self, Images, Kind};
use crate::host::linux::{self, Linux};
use abi::report::Ended as ProgramEnded;
use kernel::devices::exit::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time limit of a boot.
const LIMIT: Duration = Duration::from_secs(300);
/// The beginning of a line with a measurement.
const MARK: &str = "bench: ";
/// The beginning of a line that names the entry in which an interrupt waited longest.
const LONGEST: &str = "longest: ";
/// The beginning of the line with Linux's exits.
const EXITS: &str = "exits: ";
/// Name of the cost of the readings, which is subtracted from all other figures.
const OVERHEAD: &str = "overhead";
/// Name of the reading at the first program's start.
const BOOT: &str = "boot";

/// The measurements of a boot, by name, in the order in which they were made. The cost of the readings is already
/// subtracted.
pub type Samples = BTreeMap<String, Vec<u64>>;

/// The results of all boots.
pub struct Measured {
    /// The measurements.
    pub samples: BTreeMap<Boot, Samples>,
    /// The cost of the readings of the counter, in instructions.
    pub overhead: u64,
    /// The entries in which interrupts waited longest, as the programs print them.
    pub longest: Vec<String>,
    /// The exits of Linux up to its prompt.
    pub exits: Option<String>,
    /// Instructions from power-on to the first program's first reading.
    pub boot: u64,
}

/// The images and archives of the bench, ready to boot.
pub struct Bench {
    /// The emulator that boots them.
    pub emulator: Emulator,
    /// The programs, in the order of the archive.
    programs: Vec<(&'static str, Vec<u8>)>,
}

impl Bench {
    /// Builds the programs, images and archives.
    pub fn build(emulator: Emulator) -> Result<Bench, Error> {
        let bench = Bench { emulator, programs: programs::build::build_bench()? };
        for image in BTreeSet::from(Boot::ALL.map(Boot::image)) {
            image::build(Images::One(image), Kind::Fast)?;
        }
        for boot in Boot::all() {
            let Some(path) = boot.archive() else { continue };
            let image = image::path(boot.image(), Kind::Fast);
            if let Some(list) = boot.list() {
                let files: Vec<_> = bench.programs.iter().map(|(name, elf)| (*name, elf.as_slice())).collect();
                archive::write(&path, &image, &list, &files, false)?;
            } else {
                let programs = programs::build()?;
                let monitor = programs.iter().find(|program| program.name == "linux").ok_or(Error::NoLinux)?;
                let Linux { elf, boot_list } = linux::build(&monitor.elf, "", true)?;
                archive::write(&path, &image, &boot_list, &[("linux", &elf)], false)?;
            }
        }
        Ok(bench)
    }

    /// Boots every machine, and reads the measurements.
    pub fn run(&self) -> Result<Measured, Error> {
        let mut samples = BTreeMap::new();
        let (mut overhead, mut began, mut longest) = (0, 0, Vec::new());
        let mut exits = None;
        for boot in Boot::all() {
            let ended = self.boot(boot, true)?;
            let wrong = |problem: String| Error::Bench { boot: boot.name(), problem };
            let mut read = read(&ended.console).map_err(wrong)?;
            longest.extend(ended.console.lines().filter_map(|line| line.strip_prefix(LONGEST)).map(str::to_owned));
            exits = exits.or(ended.console.lines().find_map(|line| line.strip_prefix(EXITS)).map(str::to_owned));
            let programs = ended.console.lines().filter(|line| ProgramEnded::parse(line).is_some()).count();
            if programs != boot.programs() {
                return Err(wrong(format!("{programs} programs ended, instead of {}", boot.programs())));
            }
            if boot == Boot::Alone {
                began = read.remove(BOOT).and_then(|boot| boot.first().copied()).unwrap_or_default();
            }
            // In this boot the image itself reads the counter.
            if boot == Boot::Latency {
                samples.insert(boot, read);
                continue;
            }
            let own = read.remove(OVERHEAD).and_then(|costs| constant(&costs));
            let own = own.ok_or_else(|| wrong("the cost of the readings is not constant".to_owned()))?;
            if boot == Boot::Alone {
                overhead = own;
            }
            read.values_mut().flatten().for_each(|ticks| *ticks = ticks.saturating_sub(own));
            samples.insert(boot, read);
        }
        Ok(Measured { samples, overhead, longest, exits, boot: began })
    }

    /// Seconds from the start of the emulator until the first output of a program. The emulator does not count
    /// instructions in this boot. On QEMU only.
    pub fn seconds_to_first_program(&self) -> Result<Option<f64>, Error> {
        let ended = self.boot(Boot::Alone, false)?;
        Ok(ended.when(MARK).map(|time| time.as_secs_f64()))
    }

    /// Bytes of memory that the kernel's image takes.
    pub fn image_bytes(&self) -> Result<u64, Error> {
        image::size(PROGRAMS_IMAGE, Kind::Fast)
    }

    /// Boots one machine, and waits for its end.
    fn boot(&self, boot: Boot, counted: bool) -> Result<Ended, Error> {
        let ended = self.emulator.run(&Run {
            archive: boot.archive().as_deref(),
            timeout: Some(LIMIT),
            counted,
            ..Run::of(&image::path(boot.image(), Kind::Fast))
        })?;
        if ended.outcome == Outcome::Ended(Reason::Done) {
            return Ok(ended);
        }
        let said = ended.console.lines().filter(|line| !line.starts_with(MARK)).collect::<Vec<_>>().join("\n");
        Err(Error::Bench { boot: boot.name(), problem: format!("{}\n{said}", ended.outcome) })
    }
}

/// The common value, if all values are equal.
fn constant(values: &[u64]) -> Option<u64> {
    let first = values.first()?;
    values.iter().all(|value| value == first).then_some(*first)
}

/// The measurements on a console, or a message about the first malformed line.
fn read(console: &str) -> Result<Samples, String> {
    let mut samples = Samples::new();
    for line in console.lines().filter(|line| line.starts_with(MARK)) {
        let words: Vec<_> = line[MARK.len()..].split(' ').collect();
        let parsed = match words[..] {
            [name, value, times] => value.parse::<u64>().ok().zip(times.parse().ok()).map(|rest| (name, rest)),
            _ => None,
        };
        let (name, (value, times)) = parsed.ok_or_else(|| format!("`{line}` is no measurement"))?;
        samples.entry(name.to_owned()).or_default().extend(std::iter::repeat_n(value, times));
    }
    // One of the two programs prints the reading before the yield, the other the reading after it.
    if let (Some(from), Some(to)) = (samples.remove("yield_from"), samples.remove("yield_to")) {
        let ticks: Option<_> = from.iter().zip(&to).map(|(from, to)| to.checked_sub(*from)).collect();
        samples.insert(YIELD.to_owned(), ticks.ok_or("a yield arrived before it left")?);
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_read() {
        let console = "cairn: 1 CPU\nbench: a 5 2\nbench: yield_to 10 1\nbench: a 6 1\nbench: yield_from 7 1\n";
        let samples = read(console).expect("it is well-formed");
        assert_eq!(samples, Samples::from([("a".to_owned(), vec![5, 5, 6]), (YIELD.to_owned(), vec![3])]));
    }

    #[test]
    fn what_is_not_well_formed_is_named() {
        for line in ["bench: a 5", "bench: a b 1", "bench: a 5 1 1", "bench: yield_to 1 1\nbench: yield_from 2 1"] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn only_equal_values_are_constant() {
        assert_eq!([constant(&[7, 7]), constant(&[7, 8]), constant(&[])], [Some(7), None, None]);
    }
}
