//! Branches of the code under proof with a side that no proof takes, each with the reason.
use symbolic::coverage::Explained;

/// All explanations.
pub(crate) const EXPLAINED: &[Explained] = &[
    Explained {
        file: "layer/src/objects/console/serial.rs",
        line: "require(cpu.own.ghost.check(|g| g.in_intr.holds()), Stuck::NoInterrupt)?;",
        never: false,
        reason: "whoever calls the handler has set it",
    },
    Explained {
        file: "layer/src/objects/process/mod.rs",
        line: "require(!own.ac.get([child]).used.holds(), Stuck::ChildUsed)?;",
        never: true,
        reason: "a container in use is one of the children that its parent has had (H6); this one is the next",
    },
    Explained {
        file: "layer/src/objects/thread/mod.rs",
        line: "require(next < NUM_PROC, Stuck::BadThread)?;",
        never: false,
        reason: "it is the head of a queue: one out of range has ended the path where the queue looked at its link",
    },
    Explained {
        file: "layer/src/objects/thread/mod.rs",
        line: "require(home < TOTAL_CPU, Stuck::BadThread)?;",
        never: false,
        reason: "whoever sleeps is alive, and belongs to a CPU: that holds of the threads by itself whenever a lock is taken",
    },
    Explained {
        file: "syscall/src/memory.rs",
        line: "require(cpu.own.ghost.check(|g| matches!(g.pperm.get([frame]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;",
        never: false,
        reason: "what a page map of this CPU maps is this CPU's data (D); entries are not proved from H alone",
    },
];

#[cfg(test)]
mod tests {
    use super::EXPLAINED;
    use crate::sources::path;

    #[test]
    fn every_explanation_is_of_a_line_that_is_there() {
        for explained in EXPLAINED {
            let source = std::fs::read_to_string(path(explained.file)).expect("the table names files that are there");
            assert!(source.lines().any(|line| line.trim() == explained.line), "{explained:?}");
        }
    }
}
