//! The plan of a run: the programs that the main threads start, and what is expected of each.

use crate::manifest::{End, Machine, Start};
use crate::{Program, template::Values};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A run of some programs on some CPUs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The boot list: see [`abi::boot`].
    pub boot_list: String,
    /// Pages that the programs of each CPU need together.
    pub pages: Vec<u64>,
    /// Whether a program is started that needs a machine with guests.
    pub runs_guests: bool,
    pub(crate) groups: Vec<Group>,
    pub(crate) ends: BTreeMap<u32, ExpectedEnd>,
    /// Threads whose descendants are not judged.
    pub(crate) ancestors: BTreeSet<u32>,
}

/// Lines that the instances of one `start` on one CPU print in this order.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) program: String,
    pub(crate) cpu: u32,
    pub(crate) lines: Vec<String>,
}

/// The expected end of one thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ExpectedEnd {
    pub(crate) cpu: u32,
    pub(crate) program: String,
    pub(crate) end: End,
}

/// Why programs cannot be run together.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// A main thread would need more than its eight children.
    #[error("CPU {cpu} would have to start more than {} programs", abi::CHILDREN)]
    TooMany {
        /// Its CPU.
        cpu: u32,
    },
    /// A quota does not fit in 32 bits.
    #[error("the quota of {program} on CPU {cpu} exceeds 32 bits")]
    Quota {
        /// The program.
        program: String,
        /// The CPU.
        cpu: u32,
    },
    /// An argument is not possible in a boot list.
    #[error("{program}: the argument '{argument}' is empty, or has spaces or a '#' in it")]
    Argument {
        /// The program.
        program: String,
        /// The argument.
        argument: String,
    },
    /// Two groups are expected to print the same line, so its origin would be unknown.
    #[error("{program} on CPU {cpu}: the line '{line}' is also expected of others")]
    Ambiguous {
        /// The program.
        program: String,
        /// The CPU.
        cpu: u32,
        /// The line.
        line: String,
    },
    /// A descendant's path is empty or names a child that no program can have, or two are the same.
    #[error("{program}: no descendant, or not only one, can have the path {path:?}")]
    Path {
        /// The program.
        program: String,
        /// Its descendant's path.
        path: Vec<u32>,
    },
}

impl Plan {
    /// Plans a run of every instance that the manifests of `programs` ask for on this machine.
    ///
    /// The main threads start these programs. The boot archive must hold all programs in any case, because programs
    /// refer to each other by their index in it.
    ///
    /// # Errors
    ///
    /// See [`PlanError`].
    pub fn new<'a>(
        programs: impl IntoIterator<Item = &'a Program> + Clone,
        machine: Machine,
    ) -> Result<Plan, PlanError> {
        let boot_list = "# CPU IMAGE QUOTA ARGUMENT...\n".to_owned();
        let mut plan = Plan { boot_list, ..Plan::unjudged(String::new()) };
        for cpu in 0..machine.cpus {
            let mut slots = 0..abi::CHILDREN;
            plan.pages.push(0);
            for program in programs.clone() {
                let starts = program.manifest.starts.iter();
                for start in starts.filter(|start| start.cpus.contain(cpu) && start.machine.contain(machine)) {
                    plan.runs_guests |= start.machine.need_guests();
                    plan.add(program.name, start, cpu, &mut slots)?;
                }
            }
        }
        plan.check_lines()?;
        Ok(plan)
    }

    /// A run of a boot list, of which nothing is expected.
    pub fn unjudged(boot_list: String) -> Plan {
        let (ends, ancestors) = (BTreeMap::new(), BTreeSet::new());
        Plan { boot_list, pages: Vec::new(), runs_guests: false, groups: Vec::new(), ends, ancestors }
    }

    /// Adds the instances of one `start` on one CPU, in the next child slots of its main thread.
    fn add(
        &mut self,
        program: &str,
        start: &Start,
        cpu: u32,
        slots: &mut impl Iterator<Item = u32>,
    ) -> Result<(), PlanError> {
        let mut first = None;
        for instance in 0..start.count {
            let slot = slots.next().ok_or(PlanError::TooMany { cpu })?;
            let quota = start.quota.of(cpu, instance);
            let quota = quota.ok_or_else(|| PlanError::Quota { program: program.to_owned(), cpu })?;
            let thread = abi::child(abi::main_thread(cpu), slot);
            let values = Values { cpu, thread, quota };
            first.get_or_insert(values);
            let mut line = format!("{cpu} {program} {quota}");
            for argument in &start.arguments {
                let argument = argument.fill(values);
                if argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || c == '#') {
                    return Err(PlanError::Argument { program: program.to_owned(), argument });
                }
                line += &format!(" {argument}");
            }
            writeln!(self.boot_list, "{line}").expect("strings grow");
            self.pages[cpu as usize] += u64::from(quota);

            self.expect(cpu, program, thread, start.end);
            if start.any_descendants {
                self.ancestors.insert(thread);
            }
            for descendant in &start.descendants {
                let Some(thread) = follow(thread, &descendant.path) else {
                    return Err(path_error(program, &descendant.path));
                };
                let name = descendant.program.as_deref().unwrap_or(program);
                if !self.expect(cpu, name, thread, descendant.end) {
                    return Err(path_error(program, &descendant.path));
                }
            }
        }
        if let Some(values) = first {
            let mut expect = |lines| self.groups.push(Group { program: program.to_owned(), cpu, lines });
            expect(start.lines.iter().map(|line| line.fill(values)).collect());
            start.any_order.iter().for_each(|line| expect(vec![line.fill(values)]));
        }
        Ok(())
    }

    /// Adds the expected end of a thread; false if it has one already.
    fn expect(&mut self, cpu: u32, program: &str, thread: u32, end: End) -> bool {
        let expected = ExpectedEnd { cpu, program: program.to_owned(), end };
        self.ends.insert(thread, expected).is_none()
    }

    /// Checks that no line is expected of two groups.
    fn check_lines(&self) -> Result<(), PlanError> {
        let mut seen = BTreeSet::new();
        for Group { program, cpu, lines } in &self.groups {
            let own: BTreeSet<_> = lines.iter().collect();
            if let Some(&line) = own.iter().find(|line| seen.contains(*line)) {
                let (program, line) = (program.clone(), line.clone());
                return Err(PlanError::Ambiguous { program, cpu: *cpu, line });
            }
            seen.extend(own);
        }
        Ok(())
    }
}

/// The descendant of a thread at the end of a path.
fn follow(thread: u32, path: &[u32]) -> Option<u32> {
    if path.is_empty() || path.iter().any(|&index| index >= abi::CHILDREN) {
        return None;
    }
    path.iter().try_fold(thread, |thread, &index| Some(abi::child(thread, index)).filter(|&child| child < abi::THREADS))
}

/// The error about a path.
fn path_error(program: &str, path: &[u32]) -> PlanError {
    PlanError::Path { program: program.to_owned(), path: path.to_vec() }
}
