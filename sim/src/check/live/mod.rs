//! The checker, for a kernel that runs elsewhere and has erased its ghost state.
//!
//! For such a state we can only check that *there is* ghost state with which the invariant holds. A quiescent kernel
//! writes a [`Dump`] of its real state. Ghost state is reconstructed from the facts that define it (`rebuild`). Then
//! the checker of the hosted machine ([`crate::check`]) evaluates the same facts. In addition, every page is
//! accounted for ([`Pages`]), and what the layer says of the hardware is what the hardware has ([`Problem::Differs`]).
mod dump;
mod rebuild;

pub use dump::{Difference, Dump, DumpError, DumpRow, Part};

use crate::check::facts::{Violation, check};
use crate::machine::sparse::Cells;
use domain::Map;
use layer::core::constants::{MAX_PAGE, NUM_ID};
use layer::core::dump::{Counts, machine};
use layer::core::fields::kind;
use layer::spec::fact::Class;
use rebuild::{Rest, rebuild};
use std::fmt;

/// Facts that the reconstructed ghost state makes true, so that they say nothing about the kernel: number and
/// reason.
pub const MADE_TRUE: &[(&str, &str)] = &[
    ("H2", MODE),
    ("H3", MODE),
    ("H4", MODE),
    ("H5", MODE),
    ("H7", MODE),
    ("H8.1", "the kernel entries of directories are computed from their keys"),
    ("H8.2", DEFINED),
    ("H8.3", DEFINED),
    ("H9", MODE),
    ("H10", "thread 0 has no page map of its own"),
    ("H12", DEFINED),
    ("H13", "the kernel's own map is not the layer's"),
    ("D1", MODE),
    ("D2", MODE),
    ("D4.3", "a CPU that has not booted is not checked"),
    ("D5.1", LOCKS),
    ("D5.2", LOCKS),
    ("D5.3", LOCKS),
    ("D6.2", "the use of a frame is computed from the page maps"),
    ("D8", "the reverse map is computed from the page maps"),
    ("D22.1", PAYERS),
    ("D22.2", PAYERS),
    ("D22.3", PAYERS),
    ("D22.4", PAYERS),
    ("D23.1", "the set of ended threads is computed from the processes"),
    ("D13", DEFINED),
    ("D13.2", DEFINED),
    ("D14", "a directory of the processor's has no identity entries"),
    ("D15.2", DEFINED),
    ("D17", DEFINED),
    ("D19.1", MODE),
    ("D19.2", DEFINED),
    ("D19.3", DEFINED),
    ("D19.4", DEFINED),
    ("D19.5", "the frames of a guest are computed from its nested page tables"),
    ("D21", MODE),
];
const MODE: &str = "a quiescent CPU is in kernel mode";
const PAYERS: &str = "the payer of a frame is computed from the page maps and the counts";
const DEFINED: &str = "real memory is always defined";
const LOCKS: &str = "the words of a lock do not say who holds it; a lock that is held in a quiescent state is reported";

/// The result of checking a quiescent kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// How often programs have entered the kernel.
    pub counts: Counts,
    /// The violated facts of the invariant.
    pub violations: Vec<Violation>,
    /// Other problems.
    pub problems: Vec<Problem>,
    /// The uses of the pages.
    pub pages: Pages,
    /// How many values of the layer were compared with the hardware, on all CPUs.
    pub compared: u64,
}

/// A problem that is not a violated fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The lock of a channel is held, although no CPU is in a critical section.
    Held {
        /// The channel.
        channel: u32,
    },
    /// Frames are allocated, but no page map and no account contains them.
    Strays {
        /// The first of them.
        first: u32,
        /// The number of them.
        count: usize,
    },
    /// The layer says something else of the hardware than the hardware has.
    Differs {
        /// The CPU.
        cpu: u32,
        /// The value.
        value: Difference,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Held { channel } => {
                write!(formatter, "the lock of channel {channel} is held in a quiescent state")
            }
            Problem::Strays { first, count } => {
                write!(formatter, "{count} pages were handed out and are charged to no container, the first is {first}")
            }
            Problem::Differs { cpu, value } => write!(
                formatter,
                "{value} (CPU {cpu}): {:#x} in the layer, but {:#x} in the hardware",
                value.layer, value.hardware
            ),
        }
    }
}

/// The uses of all pages. Each page is counted once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pages {
    /// Used by the kernel, or not present.
    pub kernel: u32,
    /// In the user area, but not memory.
    pub reserved: u32,
    /// Free.
    pub free: u32,
    /// Mapped once.
    pub mapped: u32,
    /// Page tables.
    pub tables: u32,
    /// Allocated and charged, but not mapped: a violation of E2.
    pub lost: u32,
    /// Allocated without an owner.
    pub strays: u32,
}

impl Pages {
    /// The number of all pages.
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
    /// Checks a quiescent kernel.
    ///
    /// # Errors
    /// If the dump is not a valid state.
    pub fn of(dump: &Dump) -> Result<Checkpoint, DumpError> {
        let count = |name| dump.shared.machine(0, name);
        let counts = Counts { entries: count(machine::ENTRIES)?, calls: count(machine::CALLS)? };
        let own = || (0..).zip(&dump.own);
        let compared = own().map(|(cpu, part)| part.machine(cpu, machine::COMPARED)).sum::<Result<_, _>>()?;
        rebuild(dump, |rest| {
            let facts =
                (0..).zip(&rest.cpus).flat_map(|(number, cpu)| check(cpu, number, Cells::Written, Class::Entry));
            let held = rest.held.iter().map(|&channel| Problem::Held { channel });
            let strays = rest.strays.iter().min().map(|&first| Problem::Strays { first, count: rest.strays.len() });
            let differs = own().flat_map(|(cpu, part)| {
                part.differences.iter().cloned().map(move |value| Problem::Differs { cpu, value })
            });
            Checkpoint {
                counts,
                violations: facts.collect(),
                problems: held.chain(strays).chain(differs).collect(),
                pages: account(rest),
                compared,
            }
        })
    }

    /// Whether no fact is violated and there are no problems.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && self.problems.is_empty()
    }
}

/// Counts the uses of the pages.
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
            // Frames without an owner are already counted.
            (_, None) => {}
        }
    }
    pages.lost = (0..NUM_ID as usize).map(|id| rest.lost[id]).sum();
    pages
}
