//! Guests: by SVM on QEMU, and by VT-x on Bochs; one on each CPU, all at once.

use crate::commands::boots::behaviour::{BOCHS_LIMIT, BUSY_LIMIT, Behaviour, USUAL};
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Outcome, Parts};
use kernel::devices::exit::Reason;

/// Guests run on QEMU.
const SVM: Behaviour = Behaviour { timeout: BUSY_LIMIT, parts: Parts::GUESTS, ..USUAL };

/// Guests run on Bochs.
const VT_X: Behaviour = Behaviour { emulator: Emulator::Bochs, timeout: BOCHS_LIMIT, ..USUAL };

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "guest-real-mode-1-cpu",
        image: "try-guest-real-mode",
        cpus: 1,
        texts: &["cairn: guests by SVM", "every guest has printed its text and halted"],
        count: Some(("the guest has printed \"real mode speaks\" and halted", 1)),
        ..SVM
    },
    Behaviour {
        name: "guest-real-mode",
        image: "try-guest-real-mode",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every guest has printed its text and halted"],
        count: Some(("the guest has printed \"real mode speaks\" and halted", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-cpuid",
        image: "try-guest-cpuid",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every answer has arrived"],
        count: Some(("1000 leaves", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-memory",
        image: "try-guest-memory",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every access has its page"],
        count: Some(("3 faults at the right addresses, and one page replaced", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-event",
        image: "try-guest-event",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every event was seen"],
        count: Some(("the guest has handled 2 interrupts", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-endless",
        image: "try-guest-endless",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every slice has ended"],
        count: Some(("5 slices have ended", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-nmi",
        image: "try-guest-nmi",
        cpus: 2,
        outcome: Outcome::Ended(Reason::Interrupted),
        texts: &[
            "CPU 0 runs a guest, for ever",
            "cairn: stopped from outside",
            "CPU 0: kernel at 0xffffffff80",
            "svm_switch+",
        ],
        ..SVM
    },
    Behaviour {
        name: "guest-triple-fault",
        image: "try-guest-triple-fault",
        cpus: 8,
        texts: &["cairn: guests by SVM", "every triple fault was an exit"],
        count: Some(("the guest is gone, and another has run", 8)),
        ..SVM
    },
    Behaviour {
        name: "guest-hostile",
        image: "try-guest-hostile",
        cpus: 8,
        texts: &["cairn: guests by SVM", "nothing has passed"],
        count: Some(("31 instructions tried", 8)),
        ..SVM
    },
    Behaviour {
        name: "bochs-guest-real-mode",
        image: "try-guest-real-mode",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every guest has printed its text and halted"],
        count: Some(("the guest has printed \"real mode speaks\" and halted", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-real-mode-8-cpus",
        image: "try-guest-real-mode",
        cpus: 8,
        texts: &["cairn: guests by VT-x", "every guest has printed its text and halted"],
        count: Some(("the guest has printed \"real mode speaks\" and halted", 8)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-cpuid",
        image: "try-guest-cpuid",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every answer has arrived"],
        count: Some(("1000 leaves", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-memory",
        image: "try-guest-memory",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every access has its page"],
        count: Some(("3 faults at the right addresses, and one page replaced", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-memory-8-cpus",
        image: "try-guest-memory",
        cpus: 8,
        texts: &["cairn: guests by VT-x", "every access has its page"],
        count: Some(("3 faults at the right addresses, and one page replaced", 8)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-event",
        image: "try-guest-event",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every event was seen"],
        count: Some(("the guest has handled 2 interrupts", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-endless",
        image: "try-guest-endless",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every slice has ended"],
        count: Some(("5 slices have ended", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-endless-8-cpus",
        image: "try-guest-endless",
        cpus: 8,
        texts: &["cairn: guests by VT-x", "every slice has ended"],
        count: Some(("5 slices have ended", 8)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-nmi",
        image: "try-guest-nmi",
        cpus: 2,
        outcome: Outcome::Ended(Reason::Interrupted),
        texts: &[
            "CPU 0 runs a guest, for ever",
            "cairn: stopped from outside",
            "CPU 0: kernel at 0xffffffff80",
            "fields::raise+",
        ],
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-triple-fault",
        image: "try-guest-triple-fault",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "every triple fault was an exit"],
        count: Some(("the guest is gone, and another has run", 1)),
        ..VT_X
    },
    Behaviour {
        name: "bochs-guest-hostile",
        image: "try-guest-hostile",
        cpus: 1,
        texts: &["cairn: guests by VT-x", "nothing has passed"],
        count: Some(("31 instructions tried", 1)),
        ..VT_X
    },
    Behaviour {
        name: "no-guests",
        image: "try-no-guests",
        cpus: 2,
        parts: Parts { processor: "max,-svm", ..Parts::USUAL },
        texts: &["cairn: missing: guests (the processor has neither VT-x nor SVM)", "2 CPUs: no guest runs"],
        count: Some(("runs no guests: the processor has neither VT-x nor SVM", 2)),
        ..USUAL
    },
];
