//! The boots of the bench: which programs run, with which quotas.

use crate::host::{linux, workspace};
use std::path::PathBuf;

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
    /// A monitor with guests that exit.
    Guest,
    /// Linux in a virtual machine.
    Linux,
    /// No program: the kernel's own measurement of exits.
    Exits,
    /// No program: the kernel's own measurement of `palloc`.
    Palloc,
}

impl Boot {
    /// Every boot.
    pub const ALL: [Boot; 9] = [
        Boot::Alone,
        Boot::With64,
        Boot::With500,
        Boot::Life,
        Boot::Latency,
        Boot::Guest,
        Boot::Linux,
        Boot::Exits,
        Boot::Palloc,
    ];

    /// Every boot that can be made: without Linux's files, all but one.
    pub fn all() -> impl Iterator<Item = Boot> {
        Boot::ALL.into_iter().filter(|&boot| boot != Boot::Linux || linux::is_there())
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Boot::Alone => "alone",
            Boot::With64 => "with 64 threads",
            Boot::With500 => "with 500 threads",
            Boot::Life => "of processes that end",
            Boot::Latency => "of long entries",
            Boot::Guest => "of guests",
            Boot::Linux => "of Linux",
            Boot::Exits => "of exits",
            Boot::Palloc => "of palloc",
        }
    }

    /// Name of its image.
    pub fn image(self) -> &'static str {
        match self {
            Boot::Palloc => "bench-palloc",
            Boot::Exits => "bench-exits",
            Boot::Latency => "bench-latency",
            _ => PROGRAMS_IMAGE,
        }
    }

    /// The boot list. The quota of each instance of `bench-tree` determines how many children it has. `bench` comes
    /// last, so that all other programs are there when it measures. `None` if the boot runs no program.
    pub fn list(self) -> Option<String> {
        let (trees, bench) = match self {
            // The counts below leave out the main thread, `bench` and `bench-peer`.
            Boot::Alone => (vec![], QUOTA),
            // 6 * (1 + 8) + (1 + 6) = 61 threads.
            Boot::With64 => ([[NODE + 8; 6].as_slice(), &[NODE + 6]].concat(), QUOTA),
            // 497 threads: 7 instances with 8 children each, 54 * 8 grandchildren (54 of the children
            // have numbers that admit children), and 2 more.
            Boot::With500 => (vec![9 * (NODE + 8); 7], QUOTA + 2),
            Boot::Life => return Some(format!("0 bench-life {QUOTA}\n")),
            Boot::Latency => {
                let sleepers = format!("0 bench-latency {SLEEPERS} sleepers\n").repeat(7);
                return Some(format!("0 bench-latency {}\n{sleepers}", 8 * QUOTA));
            }
            Boot::Guest => return Some(format!("0 bench-guest {QUOTA}\n")),
            // The list of Linux comes with its guest.
            Boot::Linux | Boot::Exits | Boot::Palloc => return None,
        };
        let trees: String = trees.iter().map(|quota| format!("0 bench-tree {quota}\n")).collect();
        Some(format!("{trees}0 bench {bench}\n"))
    }

    /// Least number of measurements of an operation.
    pub fn least(self) -> usize {
        match self {
            // Each sample is the longest of very many waits, so few samples suffice.
            Boot::Latency => 3,
            // Linux starts once.
            Boot::Linux => 1,
            _ => 100,
        }
    }

    /// Number of programs that must end before the boot is over.
    pub fn programs(self) -> usize {
        match self {
            Boot::Alone => 2,
            // The main thread runs no program.
            Boot::With64 => 64 - 1,
            Boot::With500 => 500 - 1,
            // The program itself and one child; then 200 rounds. Each has a child that ends, two that are killed, and
            // one with 8 children of its own.
            Boot::Life => 2 + 200 * (1 + 2 + 9),
            // The program itself; 3 rounds with the large image, three programs with many pages, and 8 programs with
            // 8 children each; then the sleepers. Of the 56 children of the first 7 sleepers, 46 have numbers that
            // admit children.
            Boot::Latency => 1 + 3 * (1 + 3 + 72) + 7 + 56 + 46 * 8,
            Boot::Guest | Boot::Linux => 1,
            Boot::Exits | Boot::Palloc => 0,
        }
    }

    /// Path of its archive, if it has one.
    pub fn archive(self) -> Option<PathBuf> {
        let runs_programs = !matches!(self, Boot::Exits | Boot::Palloc);
        runs_programs.then(|| workspace::target().join("kernel").join(format!("bench-{self:?}.tar").to_lowercase()))
    }
}

/// The image that lets programs read the time-stamp counter.
pub const PROGRAMS_IMAGE: &str = "bench";
/// Pages of an instance of `bench-tree` with idle children, a multiple of 16; the number of children is added.
const NODE: u32 = 112;
/// Pages of an instance of `bench-latency` whose children and grandchildren sleep.
const SLEEPERS: u32 = 2_600;
/// Pages of `bench`, a multiple of 16.
const QUOTA: u32 = 1024;
