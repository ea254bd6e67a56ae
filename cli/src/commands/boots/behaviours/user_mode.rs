//! Entries from ring 3, the protection of user pages from the kernel, and stale translations.

use crate::commands::boots::behaviour::{BOCHS_LIMIT, Behaviour, FAULT, USUAL};
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::Parts;

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour { name: "ring-3", image: "try-ring3", texts: &["ring 3: all 137 cases passed"], ..USUAL },
    Behaviour {
        name: "ring-3-without-smap",
        image: "try-ring3",
        parts: Parts { processor: "max,-smap", ..Parts::USUAL },
        texts: &["ring 3: all 153 cases passed"],
        ..USUAL
    },
    Behaviour {
        name: "compatibility-mode",
        image: "try-compat",
        texts: &["compatibility mode: all 5 entries are refused"],
        ..USUAL
    },
    Behaviour {
        name: "ring-3-smp",
        image: "try-ring3-smp",
        cpus: 8,
        texts: &["8 CPUs switched 5000 times each between two threads"],
        ..USUAL
    },
    Behaviour {
        name: "stale-translations",
        image: "try-stale-translation",
        texts: &["stale translations: 14 tries, none was used"],
        ..USUAL
    },
    Behaviour {
        name: "bochs-stale-translations",
        emulator: Emulator::Bochs,
        image: "try-stale-translation",
        timeout: BOCHS_LIMIT,
        texts: &["stale translations: 14 tries, none was used"],
        ..USUAL
    },
    Behaviour {
        name: "smap",
        image: "try-smap",
        texts: &["error code 0x1", "load from 0x40001000: its page forbids it", "try_smap::entry"],
        ..FAULT
    },
    Behaviour {
        name: "smep",
        image: "try-smep",
        texts: &["error code 0x11", "fetch from 0x40000000: its page forbids it", "try_smep::entry"],
        ..FAULT
    },
    Behaviour {
        name: "bochs-smep",
        emulator: Emulator::Bochs,
        image: "try-smep",
        timeout: BOCHS_LIMIT,
        texts: &["error code 0x11", "fetch from 0x40000000: its page forbids it", "try_smep::entry"],
        ..FAULT
    },
];
