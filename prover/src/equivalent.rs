//! Mutants that survive, each with the reason why that is right.
use crate::mutant::{Change, Operator};

/// Mutants of one operator that survive.
#[derive(Debug, serde::Serialize)]
pub struct Equivalent {
    /// The file, from the root of the tree.
    pub file: &'static str,
    /// The line of the source, without white space around it.
    pub line: &'static str,
    /// The operator.
    pub operator: Operator,
    /// What may be wrong with it.
    pub changes: &'static [Change],
    /// Why nobody can tell.
    pub reason: &'static str,
}

/// All of them.
pub const EQUIVALENT: &[Equivalent] = &[
    Equivalent {
        file: "layer/src/memory.rs",
        line: "require(own.ghost.check(|g| g.ihost.holds() && g.pg.holds() && !g.ikern.holds()), Stuck::NotUserMode)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "outside the kernel the CPU is in root operation (H5) and pages (H2 and H4)",
    },
    Equivalent {
        file: "layer/src/memory.rs",
        line: "require(offset <= PAGE_SIZE - size && offset % size == 0, Stuck::Misaligned)?;",
        operator: Operator::AtMost,
        changes: &[Change::Yes],
        reason: "an aligned access stays in its page anyway: the size of a page is a multiple of every size",
    },
    Equivalent {
        file: "layer/src/page_alloc.rs",
        line: "Some(page) => page + 1,",
        operator: Operator::Add,
        changes: &[Change::FirstOperand],
        reason: "the frame is handed out, so none below the cursor is free either way; the next search looks at one more",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "frame < MAX_PAGE",
        operator: Operator::Less,
        changes: &[Change::Yes, Change::Boundary],
        reason: "a page table's frame is one of the machine's (H8.3)",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "require(cpu.own.ghost.check(|g| g.tables.get([frame, j]).defined.holds()), Stuck::Undefined)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "every entry of a page table that a directory names is defined (H8.3)",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "pt_arg(cpu, n, va)?;",
        operator: Operator::AtMost,
        changes: &[Change::Yes],
        reason: "below the user window all directory entries are identity entries (H8.1), which are refused at once",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "g.tables.fill(&[frame], PteGhost { defined: true.into(), slot: 0.into() });",
        operator: Operator::Write("slot"),
        changes: &[Change::Lost],
        reason: "the slot of an entry that maps nothing means nothing",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "g.dirs_defined.set([n, i], Defined { defined: true.into() });",
        operator: Operator::Write("defined"),
        changes: &[Change::Lost],
        reason: "the entry was defined before: it was read",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "require(ghost.check(|g| g.lat.get([page]).len < u32::MAX), Stuck::TooManyMappings)?;",
        operator: Operator::Less,
        changes: &[Change::Yes, Change::Boundary],
        reason: "a frame is mapped at most once (D18); from H alone the addition that comes next is stuck instead",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "g.tables.set([frame, j], PteGhost { defined: true.into(), slot });",
        operator: Operator::Write("defined"),
        changes: &[Change::Lost],
        reason: "the entry was defined before: it was read",
    },
    Equivalent {
        file: "layer/src/page_table.rs",
        line: "g.lat.set([page], ReverseMap { valid: true.into(), len: slot + 1 });",
        operator: Operator::Write("valid"),
        changes: &[Change::Lost],
        reason: "it was valid before: it was asked for",
    },
    Equivalent {
        file: "layer/src/process.rs",
        line: "&& g.ikern.holds()",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "on the kernel's page map the kernel runs (H3)",
    },
    Equivalent {
        file: "layer/src/process.rs",
        line: "&& g.ihost.holds()",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "before paging the CPU is in root operation (H5)",
    },
    Equivalent {
        file: "layer/src/process.rs",
        line: "&& g.ipt.holds()",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "before paging there is no other page map than the kernel's (H2)",
    },
    Equivalent {
        file: "layer/src/process.rs",
        line: "require(!own.ac.get([child]).used.holds(), Stuck::ChildUsed)?;",
        operator: Operator::Flag,
        changes: &[Change::No],
        reason: "a container in use is one of the children that its parent counts (H6.7), and the next is not yet",
    },
    Equivalent {
        file: "layer/src/process.rs",
        line: "require(own.ghost.check(|g| !g.ikern.holds() && g.pg.holds() && g.ihost.holds()), Stuck::NotUserMode)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "outside the kernel the CPU is in root operation (H5) and pages (H2 and H4)",
    },
    Equivalent {
        file: "layer/src/queue.rs",
        line: "require(links.check(|tcb| tcb.get([thread]).place >= NUM_CHAN), Stuck::Queued)?;",
        operator: Operator::AtMost,
        changes: &[Change::Yes],
        reason: "whoever is appended runs (D4.1), is new (D12), or was just taken from another queue (D4.5); from H alone nothing is promised of places",
    },
    Equivalent {
        file: "layer/src/serial.rs",
        line: "let asks = com1.irq.holds() || (M::serial_event(com1.l1).kind == event::RECV && com1.rx_int_enable.holds());",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "the UART asks for interrupts from boot on (D20.1); from H alone nothing is promised of it",
    },
    Equivalent {
        file: "layer/src/serial.rs",
        line: "if received.kind == event::PLUGIN {",
        operator: Operator::Equal,
        changes: &[Change::Opposite, Change::Yes, Change::No],
        reason: "the UART is on from boot (D20.1); from H alone nothing is promised of it",
    },
    Equivalent {
        file: "layer/src/serial.rs",
        line: "if com1.rx_int_enable.holds() {",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "the UART asks for interrupts from boot on (D20.1); from H alone nothing is promised of it",
    },
    Equivalent {
        file: "layer/src/serial.rs",
        line: "require(cpu.own.ghost.check(|g| g.in_intr.holds()), Stuck::NoInterrupt)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "whoever calls the handler has set it",
    },
    Equivalent {
        file: "layer/src/state.rs",
        line: "self.mode(|g| g.ikern.holds() && g.ihost.holds() && g.pg.holds() && g.ipt.holds(), Stuck::NotKernelMap)",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "on the kernel's page map the kernel runs (H3); the other flags of the line are noticed",
    },
    Equivalent {
        file: "layer/src/thread.rs",
        line: "require(own.ac.get([drained]).used.holds(), Stuck::NoContainer)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "a thread in a queue of this CPU is alive, so its container is in use (D12)",
    },
    Equivalent {
        file: "layer/src/thread.rs",
        line: "require(next < NUM_PROC, Stuck::BadThread)?;",
        operator: Operator::Less,
        changes: &[Change::Yes, Change::Boundary],
        reason: "a queue holds threads only (D4.4)",
    },
    Equivalent {
        file: "layer/src/thread.rs",
        line: "require(resume.ra < STAGES, Stuck::BadContext)?;",
        operator: Operator::Less,
        changes: &[Change::Yes, Change::Boundary],
        reason: "a thread that does not run resumes at a stage (L3)",
    },
    Equivalent {
        file: "layer/src/vmx.rs",
        line: "let eip = read(cpu, X(vmx_slot::RIP))?.narrow().ok_or(Stuck::TooLarge)?;",
        operator: Operator::AtMost,
        changes: &[Change::Yes],
        reason: "what is too large for a word is too large for the sum: the comparison below refuses it as well",
    },
    Equivalent {
        file: "layer/src/vmx.rs",
        line: "require(cpu.own.ghost.check(|g| g.ikern.holds() && g.pg.holds() && !g.ihost.holds()), Stuck::NotGuestMode)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "a guest runs with paging on and counts as the kernel (H5); the third flag is noticed",
    },
    Equivalent {
        file: "layer/src/vmx.rs",
        line: "require(cpu.own.ghost.check(|g| g.ikern.holds() && !g.ihost.holds()), Stuck::NotGuestMode)?;",
        operator: Operator::Flag,
        changes: &[Change::Yes],
        reason: "a guest counts as the kernel (H5); the other flag is noticed",
    },
];
