//! The boots of the bench, and the measurements that their programs print.

use super::rows::YIELD;
use crate::emulator::{Emulator, Ended, Outcome, Run};
use crate::error::Error;
use crate::image::{self, Images, Kind};
use crate::{archive, workspace};
use abi::report::Ended as ProgramEnded;
use kernel::devices::exit::Reason;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A boot of the bench.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Boot {
    /// Only the programs that measure.
    Alone,
    /// 64 threads, including the main thread.
    With64,
    /// 500 threads.
    With500,
    /// A program whose children end.
    Life,
    /// A program that makes long kernel entries, together with many programs that sleep.
    Latency,
    /// No program: the kernel's own measurement of `palloc`.
    Palloc,
}

impl Boot {
    /// Every boot.
    pub const ALL: [Boot; 6] = [Boot::Alone, Boot::With64, Boot::With500, Boot::Life, Boot::Latency, Boot::Palloc];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Boot::Alone => "alone",
            Boot::With64 => "with 64 threads",
            Boot::With500 => "with 500 threads",
            Boot::Life => "of processes that end",
            Boot::Latency => "of long entries",
            Boot::Palloc => "of palloc",
        }
    }

    /// Name of its image.
    fn image(self) -> &'static str {
        match self {
            Boot::Palloc => "bench-palloc",
            Boot::Latency => "bench-latency",
            _ => PROGRAMS_IMAGE,
        }
    }

    /// The boot list. The quota of each instance of `bench-tree` says how many children it has. `bench` comes last, so
    /// that all others are there when it measures; see the programs. `None` where no program runs.
    fn list(self) -> Option<String> {
        let (trees, bench) = match self {
            // The counts below leave out the main thread, `bench` and `bench-peer`.
            Boot::Alone => (vec![], QUOTA),
            // 6 * (1 + 8) + (1 + 6) = 61 threads.
            Boot::With64 => ([[NODE + 8; 6].as_slice(), &[NODE + 6]].concat(), QUOTA),
            // 7 * (1 + 8), and 54 * 8 children of those whose numbers admit children, and 2: 497 threads.
            Boot::With500 => (vec![9 * (NODE + 8); 7], QUOTA + 2),
            Boot::Life => return Some(format!("0 bench-life {QUOTA}\n")),
            Boot::Latency => {
                let sleepers = format!("0 bench-latency {SLEEPERS} sleepers\n").repeat(7);
                return Some(format!("0 bench-latency {}\n{sleepers}", 8 * QUOTA));
            }
            Boot::Palloc => return None,
        };
        let trees: String = trees.iter().map(|quota| format!("0 bench-tree {quota}\n")).collect();
        Some(format!("{trees}0 bench {bench}\n"))
    }

    /// Least number of measurements of an operation.
    pub fn least(self) -> usize {
        match self {
            // Each sample is the longest of very many waits.
            Boot::Latency => 3,
            _ => 100,
        }
    }

    /// Number of programs that must end.
    fn programs(self) -> usize {
        match self {
            Boot::Alone => 2,
            // The main thread runs no program.
            Boot::With64 => 64 - 1,
            Boot::With500 => 500 - 1,
            // The program itself, and one child; then 200 rounds: a child that ends, two that are killed, and one with
            // its 8 children.
            Boot::Life => 2 + 200 * (1 + 2 + 9),
            // The program itself; 3 rounds of the large image, three programs with many pages, and 8 with 8 children
            // each; then the sleepers: of the 56 children of the first 7, 46 have numbers that admit children.
            Boot::Latency => 1 + 3 * (1 + 3 + 72) + 7 + 56 + 46 * 8,
            Boot::Palloc => 0,
        }
    }
}

/// The image that lets programs read the time-stamp counter.
const PROGRAMS_IMAGE: &str = "bench";
/// Pages of an instance of `bench-tree` with idle children, a multiple of 16; the number of children is added.
const NODE: u32 = 112;
/// Pages of an instance of `bench-latency` whose children and grandchildren sleep.
const SLEEPERS: u32 = 2_600;
/// Pages of `bench`, a multiple of 16.
const QUOTA: u32 = 1024;
/// Time after which a boot is given up.
const LIMIT: Duration = Duration::from_secs(300);
/// The beginning of a line with a measurement.
const MARK: &str = "bench: ";
/// The beginning of a line that says in which entry an interrupt waited longest.
const LONGEST: &str = "longest: ";
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
        for image in [PROGRAMS_IMAGE, Boot::Latency.image(), Boot::Palloc.image()] {
            image::build(Images::One(image), Kind::Fast)?;
        }
        for boot in Boot::ALL {
            if let (Some(path), Some(list)) = (boot.archive(), boot.list()) {
                let files: Vec<_> = bench.programs.iter().map(|(name, elf)| (*name, elf.as_slice())).collect();
                archive::write(&path, &image::path(boot.image(), Kind::Fast), &list, &files, false)?;
            }
        }
        Ok(bench)
    }

    /// Boots every machine, and reads the measurements.
    pub fn run(&self) -> Result<Measured, Error> {
        let mut samples = BTreeMap::new();
        let (mut overhead, mut began, mut longest) = (0, 0, Vec::new());
        for boot in Boot::ALL {
            let ended = self.boot(boot, true)?;
            let wrong = |problem: String| Error::Bench { boot: boot.name(), problem };
            let mut read = read(&ended.console).map_err(wrong)?;
            longest.extend(ended.console.lines().filter_map(|line| line.strip_prefix(LONGEST)).map(str::to_owned));
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
            let own = own.ok_or_else(|| wrong("what the readings cost is not constant".to_owned()))?;
            if boot == Boot::Alone {
                overhead = own;
            }
            read.values_mut().flatten().for_each(|ticks| *ticks = ticks.saturating_sub(own));
            samples.insert(boot, read);
        }
        Ok(Measured { samples, overhead, longest, boot: began })
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

impl Boot {
    /// Path of its archive, if it has one.
    fn archive(self) -> Option<PathBuf> {
        self.list()?;
        Some(workspace::target().join("kernel").join(format!("bench-{self:?}.tar").to_lowercase()))
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
    // One program prints when it left, the other when it arrived.
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
