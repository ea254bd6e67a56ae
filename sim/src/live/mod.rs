//! The checker, of a kernel that runs elsewhere and has erased its ghosts.
//!
//! What can be checked of a state without ghosts is that *there is* ghost state with which the invariant holds. A [`Dump`] of
//! the real state comes from a kernel that is at rest; ghosts are made up from the facts that they stand for
//! ([`rebuild`](rebuild::rebuild)); then the same checker evaluates the same facts as on the hosted machine
//! ([`crate::check`]). Beside them, every page is accounted for ([`Pages`]).
mod dump;
mod rebuild;

pub use dump::{Dump, Error, Part, Row};

use crate::check::{Violation, check};
use crate::sparse::Cells;
use domain::Map;
use layer::constants::{MAX_PAGE, NUM_ID};
use layer::dump::{Counts, machine};
use layer::fields::kind;
use rebuild::{Rest, rebuild};
use std::fmt;

/// What the made-up ghosts make true, so that it says nothing of the kernel: by number, with the reason.
pub const MADE_TRUE: &[(&str, &str)] = &[
    ("H2", MODE),
    ("H3", MODE),
    ("H4", MODE),
    ("H5", MODE),
    ("H7", MODE),
    ("H8.1", "kernel entries of directories are known from their keys"),
    ("H8.2", DEFINED),
    ("H8.3", DEFINED),
    ("H9", MODE),
    ("H10", "thread 0 has no page map of its own"),
    ("H12", DEFINED),
    ("H13", "the kernel's own map is not the layer's"),
    ("D1", MODE),
    ("D2", MODE),
    ("D4.3", "a CPU that has not booted is not looked at"),
    ("D5.1", LOCKS),
    ("D5.2", LOCKS),
    ("D5.3", LOCKS),
    ("D6.2", "what a frame is used for is what the page maps say"),
    ("D8", "the reverse map is what the page maps say"),
    ("D22.1", PAYERS),
    ("D22.2", PAYERS),
    ("D22.3", PAYERS),
    ("D22.4", PAYERS),
    ("D23.1", "who has ended is in no queue: that is what the processes say"),
    ("D13", DEFINED),
    ("D13.2", DEFINED),
    ("D14", "a directory of the processor's has no identity entries"),
    ("D15.2", DEFINED),
    ("D17", DEFINED),
    ("D19.1", MODE),
    ("D19.2", DEFINED),
    ("D19.3", DEFINED),
    ("D19.4", DEFINED),
    ("D21", MODE),
];
const MODE: &str = "the mode is where the CPU was met";
const PAYERS: &str = "who pays for a frame is what the page maps and the counts say";
const DEFINED: &str = "real memory always holds something";
const LOCKS: &str = "whose a lock is, its words do not say; that none is held at rest is looked at";

/// What a kernel at rest was found to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// How often programs had entered the kernel.
    pub counts: Counts,
    /// Facts of the invariant that do not hold.
    pub violations: Vec<Violation>,
    /// What is wrong beside them.
    pub problems: Vec<Problem>,
    /// What the pages are used for.
    pub pages: Pages,
}

/// Something wrong that is no fact of the invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The lock of a channel is held, and no CPU is in a critical section.
    Held {
        /// The channel.
        channel: u32,
    },
    /// Frames were handed out and neither a map nor an account knows them.
    Strays {
        /// The first.
        first: u32,
        /// How many.
        count: usize,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Held { channel } => write!(formatter, "the lock of channel {channel} is held at rest"),
            Problem::Strays { first, count } => {
                write!(formatter, "{count} pages were handed out and charged to nobody, the first is {first}")
            }
        }
    }
}

/// An account of every page: each is counted once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pages {
    /// The kernel's, or not there.
    pub kernel: u32,
    /// In the users' area, but no memory.
    pub reserved: u32,
    /// Free to hand out.
    pub free: u32,
    /// Mapped in one place.
    pub mapped: u32,
    /// Page tables.
    pub tables: u32,
    /// Handed out and charged, but in no map: what a refused page table leaves (P31).
    pub lost: u32,
    /// Handed out, and nobody's.
    pub strays: u32,
}

impl Pages {
    /// How many were counted.
    pub fn total(&self) -> u32 {
        let Pages { kernel, reserved, free, mapped, tables, lost, strays } = self;
        kernel + reserved + free + mapped + tables + lost + strays
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pages { kernel, reserved, free, mapped, tables, lost, strays } = self;
        write!(
            formatter,
            "{} pages accounted for: {free} free, {mapped} mapped once, {tables} page tables, ",
            self.total()
        )?;
        write!(formatter, "{lost} charged but in no map, {reserved} reserved, {kernel} the kernel's or absent")?;
        if *strays > 0 {
            write!(formatter, ", {strays} NOBODY'S")?;
        }
        Ok(())
    }
}

impl Checkpoint {
    /// Checks a kernel at rest.
    ///
    /// # Errors
    /// When the dump is no state.
    pub fn of(dump: &Dump) -> Result<Checkpoint, Error> {
        let count = |name| dump.shared.machine(0, name);
        let counts = Counts { entries: count(machine::ENTRIES)?, calls: count(machine::CALLS)? };
        rebuild(dump, |rest| {
            let facts = (0..).zip(&rest.cpus).flat_map(|(number, cpu)| check(cpu, number, Cells::Written));
            let held = rest.held.iter().map(|&channel| Problem::Held { channel });
            let strays = rest.strays.iter().min().map(|&first| Problem::Strays { first, count: rest.strays.len() });
            Checkpoint {
                counts,
                violations: facts.collect(),
                problems: held.chain(strays).collect(),
                pages: account(rest),
            }
        })
    }

    /// Whether all is well.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.problems.is_empty()
    }
}

/// Counts the pages.
fn account(rest: &Rest<'_>) -> Pages {
    let mut pages = Pages { strays: rest.strays.len() as u32, ..Pages::default() };
    let Some(cpu) = rest.cpus.first() else { return pages };
    let table = cpu.shared.at.inspect(0);
    for page in 0..MAX_PAGE {
        let frame = table.frames.get([page]);
        match (frame.kind, rest.uses.get(&page)) {
            (_, Some(used)) if used.table => pages.tables += 1,
            (_, Some(_)) => pages.mapped += 1,
            (kind::NORM, None) if !frame.alloc => pages.free += 1,
            (kind::RESV, None) if !frame.alloc => pages.reserved += 1,
            (_, None) if !frame.alloc => pages.kernel += 1,
            // Those that are nobody's are counted already.
            (_, None) => {}
        }
    }
    pages.lost = (0..NUM_ID as usize).map(|id| rest.lost[id]).sum();
    pages
}
