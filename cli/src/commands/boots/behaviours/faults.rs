//! Exceptions, machine checks and panics in the kernel, and their reports.

use crate::commands::boots::behaviour::{Behaviour, FAULT, USUAL};
use crate::host::emulator::machine::{Act, Outcome};
use kernel::devices::exit::Reason;

/// The hardware reports a hardware error while CPU 0 is in ring 3 and the others are in the kernel.
const MACHINE_CHECK: Behaviour =
    Behaviour { image: "try-hang", cpus: 3, count: Some(("machine check (vector", 1)), ..FAULT };

/// Once the console shows this text, the hardware reports an error.
const IN_RING_3: &str = "CPU 0 is in ring 3, for ever";

/// A stack overflows while a report is written on it; the number of CPUs tells the image which stack.
const OVERFLOW: Behaviour =
    Behaviour { image: "try-report-overflow", outcome: Outcome::Ended(Reason::ReportFault), ..USUAL };

/// The kernel reports a panic, on 8 CPUs.
const PANIC: Behaviour = Behaviour {
    cpus: 8,
    outcome: Outcome::Ended(Reason::Panic),
    count: Some(("cairn: kernel panic on CPU", 1)),
    ..USUAL
};

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "stack-overflow",
        image: "try-stack-overflow",
        texts: &[
            "store to 0xffff8080",
            "guard page below the kernel stack of CPU 0",
            "try_stack_overflow::deeper",
            "called from:",
        ],
        ..FAULT
    },
    Behaviour {
        name: "double-fault",
        image: "try-double-fault",
        texts: &["cairn: double fault (vector 8) in the kernel on CPU 0", "rip", "try_double_fault::", "called from:"],
        count: Some(("double fault (vector", 1)),
        ..FAULT
    },
    Behaviour {
        name: "machine-check",
        image: "try-machine-check",
        cpus: 2,
        texts: &[
            "cairn: machine check (vector 18) in the kernel on CPU 0",
            "  on CPU 0, which has lost its stack",
            "  no bank of this CPU holds an error",
            "rsp 0x0000000000000000",
        ],
        count: Some(("machine check (vector", 1)),
        ..FAULT
    },
    Behaviour {
        name: "machine-check-in-ring-3",
        script: &[(IN_RING_3, Act::Monitor("mce 0 0 0xbe00000000000000 0 0 0"))],
        texts: &[
            "cairn: machine check (vector 18) in ring 3 on CPU 0",
            "  bank 0: status 0xbe00000000000000 (not corrected, processor context corrupt), error code 0x0, address 0x0",
        ],
        ..MACHINE_CHECK
    },
    Behaviour {
        name: "machine-check-in-the-kernel",
        script: &[(IN_RING_3, Act::Monitor("mce 1 3 0xbe00000000000135 5 0xabc000 7"))],
        texts: &[
            "cairn: machine check (vector 18) in the kernel on CPU 1",
            "  machine-check status 0x5",
            "  bank 3: status 0xbe00000000000135",
            "error code 0x135, address 0xabc000, more 0x7",
            "try_hang::spin",
        ],
        ..MACHINE_CHECK
    },
    Behaviour {
        name: "machine-check-everywhere",
        script: &[(IN_RING_3, Act::Monitor("mce -b 0 1 0xbe00000000000000 0 0 0"))],
        texts: &["cairn: machine check (vector 18)", "  bank 1: status 0x"],
        ..MACHINE_CHECK
    },
    Behaviour {
        name: "double-fault-in-ring-3",
        image: "try-double-fault-in-ring-3",
        texts: &[
            "cairn: double fault (vector 8) in ring 3 on CPU 0",
            "  on CPU 0, the program of CPU 0",
            "guard page below the trap stack of CPU 0",
            "rip 0x0000000040000000",
        ],
        count: Some(("double fault (vector", 1)),
        ..FAULT
    },
    Behaviour {
        name: "nmi-in-an-entry",
        image: "try-nmi-in-entry",
        cpus: 3,
        outcome: Outcome::Ended(Reason::Interrupted),
        texts: &[
            "cairn: stopped from outside",
            "CPU 1: kernel at 0xffffffff80",
            ", the last words of CPU 1",
            "CPU 2: kernel",
        ],
        ..USUAL
    },
    Behaviour {
        name: "overflow-of-the-kernel-stack",
        cpus: 1,
        texts: &["page fault in the report of CPU 0", "guard page below the kernel stack of CPU 0"],
        ..OVERFLOW
    },
    Behaviour {
        name: "overflow-of-the-double-fault-stack",
        cpus: 2,
        texts: &["cairn: double fault (vector 8)", "double fault in the report of CPU 0"],
        ..OVERFLOW
    },
    Behaviour {
        name: "overflow-of-the-nmi-stack",
        cpus: 3,
        texts: &[
            "cairn: stopped from outside",
            "page fault in the report of CPU 0",
            "guard page below the NMI stack of CPU 0",
        ],
        ..OVERFLOW
    },
    Behaviour {
        name: "overflow-of-the-machine-check-stack",
        cpus: 4,
        texts: &[
            "cairn: machine check",
            "page fault in the report of CPU 0",
            "guard page below the machine-check stack of CPU 0",
        ],
        ..OVERFLOW
    },
    Behaviour {
        name: "overflow-of-the-trap-stack",
        cpus: 5,
        texts: &[
            "cairn: invalid opcode",
            "page fault in the report of CPU 0",
            "guard page below the trap stack of CPU 0",
        ],
        ..OVERFLOW
    },
    Behaviour {
        name: "write-text",
        image: "try-write-text",
        texts: &[
            "page fault (vector 14) in the kernel on CPU 0, error code 0x3",
            "store to 0xffffffff80",
            "its page forbids it",
            "try_write_text::store",
        ],
        ..FAULT
    },
    Behaviour {
        name: "write-text-alias",
        image: "try-write-text-alias",
        texts: &["error code 0x3", "store to 0xffff80000010", "its page forbids it"],
        ..FAULT
    },
    Behaviour {
        name: "execute-data",
        image: "try-execute-data",
        texts: &[
            "error code 0x11",
            "fetch from 0xffff8080",
            "its page forbids it",
            "called from:",
            "try_execute_data::",
        ],
        ..FAULT
    },
    Behaviour {
        name: "null",
        image: "try-null",
        texts: &["error code 0x0", "load from 0x0: no page is there", "try_null::load", "called from:"],
        ..FAULT
    },
    Behaviour {
        name: "no-symbols",
        image: "try-null",
        archive: false,
        texts: &["load from 0x0: no page is there", "  rip 0xffffffff80", " ?", "called from:"],
        count: Some(("try_null", 0)),
        ..FAULT
    },
    Behaviour {
        name: "panic-amid-output",
        image: "try-panic-amid-output",
        texts: &[
            "CPU 0 writes",
            "cairn: kernel panic on CPU 5: CPU 5 has had enough",
            "  at images/src/bin/try-panic-amid-output.rs:",
            "called from:",
            "try_panic_amid_output::start",
        ],
        ..PANIC
    },
    Behaviour { name: "panic-everywhere", image: "try-panic-everywhere", texts: &["all together, says CPU"], ..PANIC },
    Behaviour {
        name: "panic-in-report",
        image: "try-panic-in-report",
        outcome: Outcome::Ended(Reason::ReportFault),
        texts: &["cairn: kernel panic on CPU 0: a bad message:"],
        ..USUAL
    },
];
