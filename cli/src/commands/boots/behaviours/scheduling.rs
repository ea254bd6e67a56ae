//! Time slices, idle CPUs, and CPUs that hang.

use crate::commands::boots::behaviour::{BOCHS_LIMIT, BUSY_LIMIT, Behaviour, USUAL};
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Act, Outcome};
use kernel::devices::exit::Reason;
use std::time::Duration;

/// Time after which a hang on Bochs is recognised.
const BOCHS_HANG: Duration = Duration::from_secs(20);

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "preemption",
        image: "try-preempt",
        cpus: 8,
        timeout: BUSY_LIMIT,
        texts: &["20 slices have ended on each of 8 CPUs"],
        ..USUAL
    },
    Behaviour {
        name: "programs-that-loop",
        cpus: 2,
        boot_list: "0 spin 32\n0 hello 48\n0 spin 32\n1 spin 32",
        timeout: BUSY_LIMIT,
        // The looping programs hold their CPUs no longer than a slice, and never end.
        script: &[("(hello) exited with status 0", Act::Interrupt)],
        outcome: Outcome::Ended(Reason::Interrupted),
        texts: &["(hello) exited with status 0", "cairn: stopped from outside", "CPU 1: "],
        ..USUAL
    },
    Behaviour {
        name: "bochs-preemption",
        emulator: Emulator::Bochs,
        image: "try-preempt",
        cpus: 2,
        timeout: BOCHS_LIMIT,
        texts: &["20 slices have ended on each of 2 CPUs"],
        ..USUAL
    },
    Behaviour {
        name: "idle-2-cpus",
        image: "try-idle",
        cpus: 2,
        timeout: BUSY_LIMIT,
        texts: &["the token went round 2 CPUs 300 times"],
        ..USUAL
    },
    Behaviour {
        name: "idle-8-cpus",
        image: "try-idle",
        cpus: 8,
        timeout: BUSY_LIMIT,
        texts: &["the token went round 8 CPUs 300 times"],
        ..USUAL
    },
    Behaviour {
        name: "idle-mcs",
        image: "try-idle",
        cpus: 8,
        options: "lock=mcs",
        timeout: BUSY_LIMIT,
        texts: &["8 CPUs, mcs locks", "the token went round 8 CPUs 300 times"],
        ..USUAL
    },
    Behaviour {
        name: "bochs-idle",
        emulator: Emulator::Bochs,
        image: "try-idle",
        cpus: 2,
        options: "lock=mcs",
        timeout: BOCHS_LIMIT,
        texts: &["2 CPUs, mcs locks", "the token went round 2 CPUs 300 times"],
        ..USUAL
    },
    Behaviour {
        name: "bochs-hang",
        emulator: Emulator::Bochs,
        image: "try-hang",
        cpus: 3,
        timeout: BOCHS_HANG,
        outcome: Outcome::TimedOut,
        texts: &["cairn: stopped from outside", "CPU 0: 0x40000008", "CPU 1: try_hang::spin"],
        ..USUAL
    },
    Behaviour {
        name: "hang",
        image: "try-hang",
        cpus: 3,
        timeout: Duration::from_secs(2),
        outcome: Outcome::TimedOut,
        texts: &[
            "cairn: stopped from outside; the CPUs were here:",
            "CPU 0: ring 3 at 0x40000008 ",
            ", the program of CPU 0",
            "CPU 1: kernel at 0xffffffff80",
            "try_hang::spin",
            ", the program of CPU 1",
            "CPU 2: kernel at 0xffffffff80",
        ],
        ..USUAL
    },
];
