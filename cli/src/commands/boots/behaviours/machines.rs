//! Machines: numbers of CPUs, memory, processors, clocks, boot archives, and the machines that are refused.

use crate::commands::boots::behaviour::{BOCHS_LIMIT, BUSY_LIMIT, Behaviour, USUAL};
use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Outcome, Parts};
use kernel::devices::exit::Reason;

/// The kernel reports why it cannot run.
const REFUSED: Behaviour = Behaviour {
    outcome: Outcome::Ended(Reason::Refused),
    count: Some(("cairn: this machine is refused:", 1)),
    ..USUAL
};

/// Every CPU runs.
const SMP: Behaviour = Behaviour { image: "try-smp", ..USUAL };

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour { name: "1-cpu", cpus: 1, texts: &["cairn: 1 CPU,", "all 1 CPUs run"], ..SMP },
    Behaviour { name: "2-cpus", cpus: 2, texts: &["cairn: 2 CPUs", "all 2 CPUs run"], ..SMP },
    Behaviour { name: "3-cpus", cpus: 3, texts: &["cairn: 3 CPUs", "all 3 CPUs run"], ..SMP },
    Behaviour { name: "4-cpus", cpus: 4, texts: &["cairn: 4 CPUs", "all 4 CPUs run"], ..SMP },
    Behaviour { name: "5-cpus", cpus: 5, texts: &["cairn: 5 CPUs", "all 5 CPUs run"], ..SMP },
    Behaviour { name: "6-cpus", cpus: 6, texts: &["cairn: 6 CPUs", "all 6 CPUs run"], ..SMP },
    Behaviour { name: "7-cpus", cpus: 7, texts: &["cairn: 7 CPUs", "all 7 CPUs run"], ..SMP },
    Behaviour { name: "8-cpus", cpus: 8, texts: &["cairn: 8 CPUs", "all 8 CPUs run"], ..SMP },
    Behaviour {
        name: "8-sockets",
        cpus: 8,
        parts: Parts { topology: Some("sockets=8"), ..Parts::USUAL },
        texts: &["cairn: 8 CPUs", "all 8 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "2-sockets",
        cpus: 8,
        parts: Parts { topology: Some("sockets=2,cores=4"), ..Parts::USUAL },
        texts: &["cairn: 8 CPUs", "all 8 CPUs run"],
        ..SMP
    },
    // The APIC numbers are not consecutive.
    Behaviour {
        name: "3-cores-a-socket",
        cpus: 6,
        parts: Parts { topology: Some("sockets=2,cores=3"), ..Parts::USUAL },
        texts: &["cairn: 6 CPUs", "all 6 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "12-cpus",
        cpus: 12,
        texts: &["cairn: 8 CPUs", "cairn: 4 more CPUs are left alone", "all 8 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "6-gib",
        parts: Parts { memory: "6G", ..Parts::USUAL },
        texts: &[
            "cairn: 6143 MiB of memory, 2047 MiB of it for users",
            "cairn: 3072 MiB of memory from 4 GiB on are left",
        ],
        ..USUAL
    },
    Behaviour {
        name: "too-little-memory",
        parts: Parts { memory: "512M", ..Parts::USUAL },
        texts: &["is refused: 0 KiB of memory from 1 GiB on"],
        ..REFUSED
    },
    Behaviour {
        name: "no-64-bit-mode",
        parts: Parts { processor: "pentium3", ..Parts::USUAL },
        texts: &["is refused: its processor has no 64-bit mode"],
        ..REFUSED
    },
    Behaviour {
        name: "no-apic",
        parts: Parts { processor: "max,-apic", ..Parts::USUAL },
        texts: &["is refused: its processor lacks one of", "APIC"],
        ..REFUSED
    },
    Behaviour {
        name: "no-syscall",
        parts: Parts { processor: "max,-syscall", ..Parts::USUAL },
        texts: &["is refused: its processor has no syscall instruction"],
        ..REFUSED
    },
    Behaviour {
        name: "no-acpi",
        parts: Parts { more: &["-no-acpi"], ..Parts::USUAL },
        texts: &["is refused: it has no ACPI tables"],
        ..REFUSED
    },
    // Machines without one of the clocks that PCs have, machines without any of them, and machines that are no usual PC.
    // On no machine of QEMU's is the HPET or the time-stamp counter the clock: machines with an HPET have the
    // power-management timer, which is preferred, and no emulated processor reports its counter's speed by CPUID.
    Behaviour {
        name: "no-interval-timer",
        cpus: 8,
        parts: Parts { machine: "pc,pit=off", ..Parts::USUAL },
        texts: &["cairn: 8 CPUs", "time is measured by the ACPI power-management timer", "all 8 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "no-hpet",
        cpus: 2,
        parts: Parts { machine: "pc,hpet=off", ..Parts::USUAL },
        texts: &["cairn: 2 CPUs", "all 2 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "q35",
        cpus: 2,
        parts: Parts { machine: "q35", ..Parts::USUAL },
        texts: &["cairn: 2 CPUs", "all 2 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "only-the-interval-timer",
        cpus: 8,
        parts: Parts { machine: "microvm", ..Parts::USUAL },
        texts: &["cairn: 8 CPUs", "time is measured by the 8254 interval timer", "all 8 CPUs run"],
        ..SMP
    },
    Behaviour {
        name: "no-clock",
        parts: Parts { machine: "microvm,pit=off,pic=off,rtc=off,isa-serial=on", ..Parts::USUAL },
        texts: &["is refused: it has no clock that time slices could be measured by"],
        ..REFUSED
    },
    Behaviour {
        name: "preemption-by-another-clock",
        image: "try-preempt",
        cpus: 8,
        parts: Parts { machine: "pc,pit=off", ..Parts::USUAL },
        timeout: BUSY_LIMIT,
        texts: &["20 slices have ended on each of 8 CPUs"],
        ..USUAL
    },
    // The loader's data lies where a copy of the archive would go.
    Behaviour {
        name: "large-archive",
        padding: 200 << 20,
        timeout: BUSY_LIMIT,
        texts: &["cairn: boot archive: symbols"],
        ..USUAL
    },
    Behaviour {
        name: "bochs-long-module-text",
        emulator: Emulator::Bochs,
        padding: 6 << 20,
        parts: Parts { module_text: 6_000, ..Parts::USUAL },
        timeout: BOCHS_LIMIT,
        texts: &["cairn: 1 CPU", "cairn: boot archive: symbols"],
        ..USUAL
    },
    Behaviour {
        name: "unknown-option",
        options: "lock=mcs lock=msc",
        texts: &["is refused: there is no boot option lock=msc"],
        ..REFUSED
    },
    Behaviour {
        name: "no-protections",
        parts: Parts { processor: "max,-nx,-smep,-smap,-umip,-mce,-mca", ..Parts::USUAL },
        texts: &[
            "cairn: missing: NX",
            "cairn: missing: SMEP",
            "cairn: missing: SMAP",
            "cairn: missing: UMIP",
            "cairn: missing: machine checks",
        ],
        ..USUAL
    },
    Behaviour {
        name: "no-com1",
        parts: Parts { more: &["-global", "isa-serial.iobase=0x9000"], ..Parts::USUAL },
        texts: &["cairn: missing: COM1 (nothing can be typed)"],
        ..USUAL
    },
    Behaviour { name: "no-archive", archive: false, texts: &["cairn: no boot archive"], ..USUAL },
];
