//! The boots of the bench, and what their programs say.

use super::rows::YIELD;
use crate::emulator::{Emulator, Ended, Outcome, Run};
use crate::error::Error;
use crate::image::{self, Images, Kind};
use crate::{archive, workspace};
use abi::report::Ended as ProgramEnded;
use kernel::exit::Reason;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A machine that is booted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Boot {
    /// Nothing but the programs that measure.
    Alone,
    /// 64 threads, the main thread among them.
    With64,
    /// 500 threads.
    With500,
    /// A program whose children end.
    Life,
    /// A program that makes the kernel work long, in the company of many that sleep.
    Latency,
    /// No program: the kernel's own measurement of `palloc`.
    Palloc,
}

impl Boot {
    /// Every one.
    pub const ALL: [Boot; 6] = [Boot::Alone, Boot::With64, Boot::With500, Boot::Life, Boot::Latency, Boot::Palloc];

    /// What it is called.
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

    /// Its image.
    fn image(self) -> &'static str {
        match self {
            Boot::Palloc => "bench-palloc",
            Boot::Latency => "bench-latency",
            _ => PROGRAMS_IMAGE,
        }
    }

    /// The boot list: instances of `bench-tree`, whose quotas say how many children each has, and `bench`, which comes last so
    /// that all others are there when it measures; see the programs. `None` where no program runs.
    fn list(self) -> Option<String> {
        let (trees, bench) = match self {
            // Beside the main thread, `bench` and `bench-peer`:
            Boot::Alone => (vec![], QUOTA),
            // 6 * (1 + 8) + (1 + 6) = 61 threads.
            Boot::With64 => ([[NODE + 8; 6].as_slice(), &[NODE + 6]].concat(), QUOTA),
            // 7 * (1 + 8) and 54 * 8 whose parents' numbers admit children, and 2 = 497 threads.
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
            // Each is the longest of very many.
            Boot::Latency => 3,
            _ => 100,
        }
    }

    /// How many programs must end.
    fn programs(self) -> usize {
        match self {
            Boot::Alone => 2,
            // The main thread runs none.
            Boot::With64 => 64 - 1,
            Boot::With500 => 500 - 1,
            // Itself, and one child; then 200 times each a child that ends, two that are killed, and one with its 8 children.
            Boot::Life => 2 + 200 * (1 + 2 + 9),
            // Itself, 3 times each the large image, three with many pages, and 8 with 8 children; then those that sleep: of the 56
            // children of the first 7, 46 have numbers that admit children.
            Boot::Latency => 1 + 3 * (1 + 3 + 72) + 7 + 56 + 46 * 8,
            Boot::Palloc => 0,
        }
    }
}

/// The image that lets programs read the time-stamp counter.
const PROGRAMS_IMAGE: &str = "bench";
/// Pages for an instance of `bench-tree` with idle children, a multiple of 16; their number is added.
const NODE: u32 = 112;
/// Pages for an instance of `bench-latency` whose children, and theirs, sleep.
const SLEEPERS: u32 = 2_600;
/// Pages for `bench`, a multiple of 16.
const QUOTA: u32 = 1024;
/// When to give up a boot.
const LIMIT: Duration = Duration::from_secs(300);
/// What a line with a measurement begins with.
const MARK: &str = "bench: ";
/// What a line begins with that says during what an interrupt waited longest.
const LONGEST: &str = "longest: ";
/// What the readings cost, which is taken off all others.
const OVERHEAD: &str = "overhead";
/// When the first program began.
const BOOT: &str = "boot";

/// The measurements of a boot, by name, in the order in which they were made, without what the readings themselves cost.
pub type Samples = BTreeMap<String, Vec<u64>>;

/// What all boots gave.
pub struct Measured {
    /// The measurements.
    pub samples: BTreeMap<Boot, Samples>,
    /// What the readings of the counter cost, in instructions.
    pub overhead: u64,
    /// During what interrupts waited longest, as the programs say it.
    pub longest: Vec<String>,
    /// Instructions from power-on to the first program's first reading.
    pub boot: u64,
}

/// Images and archives, ready to boot.
pub struct Bench {
    /// On what.
    pub emulator: Emulator,
    /// Programs, in the order of the archive.
    programs: Vec<(&'static str, Vec<u8>)>,
}

impl Bench {
    /// Builds everything.
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

    /// Boots every machine.
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
            // There, the image has read the counter.
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

    /// Seconds from the start of the emulator until a program's first words are here; it does not count instructions
    /// then. On QEMU only.
    pub fn seconds_to_first_program(&self) -> Result<Option<f64>, Error> {
        let ended = self.boot(Boot::Alone, false)?;
        Ok(ended.when(MARK).map(|time| time.as_secs_f64()))
    }

    /// Bytes of memory that the kernel's image takes.
    pub fn image_bytes(&self) -> Result<u64, Error> {
        image::size(PROGRAMS_IMAGE, Kind::Fast)
    }

    /// Boots one machine, to its end.
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
    /// Where its archive is, if it has one.
    fn archive(self) -> Option<PathBuf> {
        self.list()?;
        Some(workspace::target().join("kernel").join(format!("bench-{self:?}.tar").to_lowercase()))
    }
}

/// The value that all are.
fn constant(values: &[u64]) -> Option<u64> {
    let first = values.first()?;
    values.iter().all(|value| value == first).then_some(*first)
}

/// What a console says, or the line that says nothing.
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
    // One program says when it left, the other when it arrived.
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
