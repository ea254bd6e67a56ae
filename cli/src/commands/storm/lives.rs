//! The kills, exits and waits of the processes of `storm fuzz`, as the console shows them.

use abi::report::{End, Ended};
use std::collections::BTreeMap;
use std::fmt;

/// How often the processes have killed, exited and waited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Lives {
    /// Children that were killed, at least by the roots.
    pub kills: u64,
    /// Calls of `exit`.
    pub exits: u64,
    /// Children that roots have waited for after their ends.
    pub waits: u64,
    /// Calls of the roots that named no process that they may kill or wait for.
    pub refusals: u64,
}

/// The beginning of a line of a root with counts.
const MARK: &str = "fuzz on CPU ";

impl Lives {
    /// The counts on a console.
    pub fn of(console: &str) -> Lives {
        let exits = console.lines().filter_map(Ended::parse);
        let exits = exits.filter(|ended| ended.name == "fuzz" && matches!(ended.end, End::Exited { .. })).count();
        // Each line includes the counts of all earlier lines of its CPU.
        let counted: BTreeMap<&str, [u64; 3]> = console.lines().filter_map(counts).collect();
        let sum = |which: usize| counted.values().map(|counts| counts[which]).sum();
        Lives { kills: sum(0), exits: exits as u64, waits: sum(1), refusals: sum(2) }
    }

    /// The names of the counts that are 0.
    pub fn lacks(&self) -> Vec<&'static str> {
        let Lives { kills, exits, waits, refusals } = *self;
        let all = [(kills, "kills"), (exits, "exits"), (waits, "waits"), (refusals, "refusals")];
        all.into_iter().filter(|(count, _)| *count == 0).map(|(_, name)| name).collect()
    }
}

/// A line of a root: its CPU, its kills, waits and refusals.
fn counts(line: &str) -> Option<(&str, [u64; 3])> {
    let (cpu, rest) = line.strip_prefix(MARK)?.split_once(": ")?;
    let (kills, rest) = rest.split_once(" kills, ")?;
    let (waits, rest) = rest.split_once(" waits, ")?;
    let refusals = rest.strip_suffix(" refusals")?;
    Some((cpu, [kills.parse().ok()?, waits.parse().ok()?, refusals.parse().ok()?]))
}

impl fmt::Display for Lives {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lives { kills, exits, waits, refusals } = self;
        write!(
            formatter,
            "{kills} kills, {exits} exits, {waits} waits, {refusals} refused because there is no such \
         child"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_each_cpu_counts() {
        let console = "fuzz on CPU 0: 1 kills, 2 waits, 3 refusals\nfuzz on CPU 1: 10 kills, 20 waits, 30 refusals\n\
                       cairn: CPU 0: thread 73 (fuzz) exited with status 5\nfuzz on CPU 0: 4 kills, 5 waits, 6 refusals\n\
                       fuzz on CPU 0: many kills, 5 waits, 6 refusals\ncairn: CPU 0: thread 74 (hog) exited with status 5\n";
        assert_eq!(Lives::of(console), Lives { kills: 14, exits: 1, waits: 25, refusals: 36 });
    }

    #[test]
    fn what_did_not_happen_is_named() {
        assert_eq!(Lives { exits: 1, ..Lives::default() }.lacks(), ["kills", "waits", "refusals"]);
        assert!(Lives { kills: 1, exits: 1, waits: 1, refusals: 1 }.lacks().is_empty());
    }
}
