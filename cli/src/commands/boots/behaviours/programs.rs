//! Programs, and the checkpoints while they run.

use crate::commands::boots::behaviour::{BOCHS_LIMIT, BUSY_LIMIT, Behaviour, USUAL};
use crate::host::emulator::Emulator;
use crate::host::image::Kind;

/// All programs run.
const PROGRAMS: Behaviour = Behaviour { programs: Some(&[]), timeout: BUSY_LIMIT, ..USUAL };

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    // The fake ends of programs and of the machine that this program prints must be recognised as fake.
    Behaviour { name: "impostor", programs: Some(&["impostor"]), cpus: 2, ..PROGRAMS },
    Behaviour {
        name: "bochs-impostor",
        emulator: Emulator::Bochs,
        programs: Some(&["impostor"]),
        cpus: 2,
        timeout: BOCHS_LIMIT,
        ..PROGRAMS
    },
    Behaviour { name: "programs-1-cpu", cpus: 1, ..PROGRAMS },
    Behaviour { name: "programs-2-cpus", cpus: 2, ..PROGRAMS },
    Behaviour { name: "programs-8-cpus", cpus: 8, ..PROGRAMS },
    Behaviour { name: "programs-mcs", options: "lock=mcs", cpus: 8, ..PROGRAMS },
    Behaviour { name: "programs-checked", kind: Kind::Checked, cpus: 8, ..PROGRAMS },
    Behaviour { name: "dirty-memory", image: "try-dirty-memory", cpus: 2, ..PROGRAMS },
    Behaviour { name: "mapped-twice", image: "try-mapped-twice", cpus: 2, broken: &["D18"], ..PROGRAMS },
    Behaviour { name: "lost-thread", image: "try-lost-thread", cpus: 2, broken: &["D4.6"], ..PROGRAMS },
    Behaviour {
        name: "changed-apic",
        image: "try-changed-apic",
        cpus: 2,
        broken: &["lapic.spurious", "lapic.tpr"],
        ..PROGRAMS
    },
];
