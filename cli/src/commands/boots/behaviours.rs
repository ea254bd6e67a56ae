//! The table of behaviours.

use crate::host::emulator::Emulator;
use crate::host::emulator::machine::{Act, Outcome, Parts};
use crate::host::image::Kind;
use kernel::devices::exit::Reason;
use std::time::Duration;

/// A behaviour, and the expected result of its image.
pub struct Behaviour {
    /// Its name.
    pub name: &'static str,
    /// The emulator that tries it.
    pub emulator: Emulator,
    /// Name of its image.
    pub image: &'static str,
    /// The checks in the image. Only images with programs have a choice.
    pub kind: Kind,
    /// Number of CPUs.
    pub cpus: u32,
    /// Names of programs that run as their manifests say and as on the hosted machine; an empty list means the usual
    /// ones, and `None` means that no programs run. The boot archive holds all programs.
    pub programs: Option<&'static [&'static str]>,
    /// Numbers of facts that the checkpoints must find broken while all programs run; usually none.
    pub broken: &'static [&'static str],
    /// Whether there is a boot archive, and with it symbols.
    pub archive: bool,
    /// Number of zero bytes that are appended to the boot archive.
    pub padding: u64,
    /// The boot list. If it is not empty, the boot archive holds all programs.
    pub boot_list: &'static str,
    /// Boot options.
    pub options: &'static str,
    /// The parts of the machine.
    pub parts: Parts<'static>,
    /// The acts on the machine, each once the console shows a text, or before the machine runs where the text is empty.
    pub script: &'static [(&'static str, Act<'static>)],
    /// Time after which the run is given up.
    pub timeout: Duration,
    /// How the run must end.
    pub outcome: Outcome,
    /// Texts that the console must show, in this order.
    pub texts: &'static [&'static str],
    /// A text, and the exact number of times that the console must show it.
    pub count: Option<(&'static str, usize)>,
    /// A condition that every line must satisfy.
    pub lines: fn(&str) -> bool,
}

/// The image ends well on one CPU within the time-out.
pub const USUAL: Behaviour = Behaviour {
    name: "",
    emulator: Emulator::Qemu,
    image: "cairn",
    kind: Kind::Fast,
    cpus: 1,
    programs: None,
    broken: &[],
    archive: true,
    padding: 0,
    boot_list: "",
    options: "",
    parts: Parts::USUAL,
    script: &[],
    timeout: Duration::from_secs(60),
    outcome: Outcome::Ended(Reason::Done),
    texts: &[],
    count: None,
    lines: |_| true,
};

/// The kernel reports an exception in ring 0.
const FAULT: Behaviour =
    Behaviour { outcome: Outcome::Ended(Reason::KernelFault), count: Some(("cairn: page fault", 1)), ..USUAL };

/// The hardware reports a hardware error while CPU 0 is in ring 3 and the others are in the kernel.
const MACHINE_CHECK: Behaviour =
    Behaviour { image: "try-hang", cpus: 3, count: Some(("machine check (vector", 1)), ..FAULT };

/// Once the console shows this text, the hardware reports an error.
const IN_RING_3: &str = "CPU 0 goes to ring 3, for ever";

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

/// Time-out where CPUs wait for each other on a busy host.
const BUSY_LIMIT: Duration = Duration::from_secs(120);

/// Time-out on Bochs, where GRUB alone takes several seconds.
const BOCHS_LIMIT: Duration = Duration::from_secs(180);

/// Time after which a hang on Bochs is recognised.
const BOCHS_HANG: Duration = Duration::from_secs(20);

/// The kernel reports why it cannot run.
const REFUSED: Behaviour = Behaviour {
    outcome: Outcome::Ended(Reason::Refused),
    count: Some(("cairn: this machine is refused:", 1)),
    ..USUAL
};

/// Every CPU runs.
const SMP: Behaviour = Behaviour { image: "try-smp", ..USUAL };

/// All programs run.
const PROGRAMS: Behaviour = Behaviour { programs: Some(&[]), timeout: BUSY_LIMIT, ..USUAL };

/// Guests run on QEMU.
const SVM: Behaviour = Behaviour { timeout: BUSY_LIMIT, ..USUAL };

/// Guests run on Bochs.
const VT_X: Behaviour = Behaviour { emulator: Emulator::Bochs, timeout: BOCHS_LIMIT, ..USUAL };

/// More characters than the UART, the layer's UART and the layer's console hold, except the last of them.
const LONG_LINE: &str = concat!(
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\n",
);

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
    Behaviour {
        name: "console",
        image: "try-console",
        cpus: 8,
        count: Some(("abcdefghijklmnopqrstuvwxyz", 400)),
        lines: |line| line.starts_with("cairn: ") || is_whole(line),
        ..USUAL
    },
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
        name: "serial",
        image: "try-serial",
        timeout: BUSY_LIMIT,
        script: &[
            ("type now", Act::Type("hello, kernel\n")),
            ("<hello, kernel>", Act::Type(LONG_LINE)),
            ("56789>", Act::Type("bye\n")),
        ],
        texts: &["<hello, kernel>", "<0123456789012345678901234567890123456789", "<bye>", "0 characters were lost"],
        count: Some(("0123456789", LONG_LINE.len() / 10)),
        ..USUAL
    },
    // More than a FIFO holds, and typed while the firmware still runs.
    Behaviour {
        name: "typed-before-boot",
        image: "try-serial",
        timeout: BUSY_LIMIT,
        script: &[("", Act::Type("typed before the kernel ran\n")), ("kernel ran>", Act::Type("bye\n"))],
        texts: &["type now", "<typed before the kernel ran>", "<bye>", "0 characters were lost"],
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
        name: "spurious-interrupts",
        image: "try-spurious",
        texts: &["3 interrupts that nobody asked for"],
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
    Behaviour {
        name: "bochs-hang",
        emulator: Emulator::Bochs,
        image: "try-hang",
        cpus: 3,
        timeout: BOCHS_HANG,
        outcome: Outcome::TimedOut,
        texts: &["cairn: stopped from outside", "CPU 0: 0x40000000", "CPU 1: try_hang::spin"],
        ..USUAL
    },
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
    // Guests by SVM on QEMU, and by VT-x on Bochs: one on each CPU, all at once.
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
    Behaviour { name: "programs-1-cpu", cpus: 1, ..PROGRAMS },
    Behaviour { name: "programs-2-cpus", cpus: 2, ..PROGRAMS },
    Behaviour { name: "programs-8-cpus", cpus: 8, ..PROGRAMS },
    Behaviour { name: "programs-mcs", options: "lock=mcs", cpus: 8, ..PROGRAMS },
    Behaviour { name: "programs-checked", kind: Kind::Checked, cpus: 8, ..PROGRAMS },
    Behaviour { name: "dirty-memory", image: "try-dirty-memory", cpus: 2, ..PROGRAMS },
    Behaviour { name: "mapped-twice", image: "try-mapped-twice", cpus: 2, broken: &["D18"], ..PROGRAMS },
    Behaviour { name: "lost-thread", image: "try-lost-thread", cpus: 2, broken: &["D4.6"], ..PROGRAMS },
    Behaviour {
        name: "hang",
        image: "try-hang",
        cpus: 3,
        timeout: Duration::from_secs(2),
        outcome: Outcome::TimedOut,
        texts: &[
            "cairn: stopped from outside; the CPUs were here:",
            "CPU 0: ring 3 at 0x40000000 ",
            ", the program of CPU 0",
            "CPU 1: kernel at 0xffffffff80",
            "try_hang::spin",
            ", the program of CPU 1",
            "CPU 2: kernel at 0xffffffff80",
        ],
        ..USUAL
    },
];

/// Whether a line of the image `try-console` is whole: it begins and ends with the same CPU's number.
pub fn is_whole(line: &str) -> bool {
    let number = line.strip_prefix("<CPU ").and_then(|rest| rest.split_once(" line ")).map(|(number, _)| number);
    let last = line
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once("abcdefghijklmnopqrstuvwxyz "))
        .map(|(_, number)| number);
    number.is_some() && number == last
}
