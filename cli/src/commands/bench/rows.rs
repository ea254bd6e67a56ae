//! The table of the measured operations.

use super::boot::Boot;
use syscall::entry::STEPS_AT_ONCE;

/// A measured operation.
pub struct Operation {
    /// Its name in the JSON.
    pub name: &'static str,
    /// A description.
    pub description: &'static str,
    /// The boot that measures it.
    pub boot: Boot,
    /// Its name in the output of the programs.
    pub samples: &'static str,
    /// The limit of its cost and the aim, in instructions.
    pub target: Option<Target>,
    /// Figures of other kernels.
    pub neighbours: &'static [Neighbour],
}

/// A limit, and an aim below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// The limit, in instructions.
    pub must: u64,
    /// The aim, in instructions.
    pub aim: u64,
}

/// A figure of another kernel, in executed instructions on QEMU 7.2 as well.
pub struct Neighbour {
    /// The kernel, and its operation.
    pub name: &'static str,
    /// The least number of instructions.
    pub least: u64,
    /// The greatest number of instructions.
    pub most: u64,
    /// How the operation differs in meaning.
    pub differs: &'static str,
}

/// Shorthand for a target.
const fn target(must: u64, aim: u64) -> Option<Target> {
    Some(Target { must, aim })
}

/// Shorthand for an operation without a limit and without figures of other kernels; the programs
/// and the JSON use the same name for it.
const fn figure(name: &'static str, description: &'static str, boot: Boot) -> Operation {
    Operation { name, description, boot, samples: name, target: None, neighbours: &[] }
}

/// The longest wait of an interrupt while the kernel does an operation for a program. One step of it takes `step`
/// instructions, and the kernel lets interrupts in after [`STEPS_AT_ONCE`] steps.
const fn latency(name: &'static str, step: u64, description: &'static str) -> Operation {
    let most = STEPS_AT_ONCE as u64 * step;
    Operation { target: target(most, most), ..figure(name, description, Boot::Latency) }
}

/// An exit of a guest, answered by its monitor.
const fn exit(name: &'static str, description: &'static str) -> Operation {
    Operation { target: target(1_500, 1_500), ..figure(name, description, Boot::Guest) }
}

/// A teaching kernel of the CertiKOS family, in 32-bit C.
const COURSE: &str = "course kernel (C, i386)";

/// Every measured operation, in the order of the report.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "null_syscall",
        description: "get_quota: a system call that changes nothing",
        boot: Boot::Alone,
        samples: "null_syscall",
        target: target(80, 50),
        neighbours: &[Neighbour {
            name: COURSE,
            least: 176,
            most: 176,
            differs: "32-bit; the number of the call is not recorded",
        }],
    },
    Operation {
        name: "yield",
        description: "yield, until a thread of another process is back in its program",
        boot: Boot::Alone,
        samples: YIELD,
        target: target(300, 150),
        neighbours: &[],
    },
    Operation {
        name: "yield_64",
        description: "the same with 64 threads, all of them ready",
        boot: Boot::With64,
        samples: YIELD,
        target: target(300, 150),
        neighbours: &[],
    },
    Operation {
        name: "yield_500",
        description: "the same with 500 threads, all of them ready",
        boot: Boot::With500,
        samples: YIELD,
        target: target(300, 150),
        neighbours: &[],
    },
    Operation {
        name: "ipc_round_trip_1",
        description: "one word sent to a program, which sends it back: four system calls, four switches (two by the main thread)",
        boot: Boot::Alone,
        samples: "ipc_round_trip_1",
        target: target(1_000, 417),
        neighbours: &[
            Neighbour {
                name: "seL4 (x86-64), call and reply",
                least: 417,
                most: 417,
                differs: "195 for the call and 222 for the reply, of 0 words each; both hand over the processor at \
                 once. Cairn's message goes through a mailbox, and a receiver that has to wait sleeps: four system \
                 calls",
            },
            Neighbour { name: COURSE, least: 6_046, most: 6_243, differs: "32-bit; messages of 4 to 64 bytes" },
        ],
    },
    Operation {
        name: "ipc_round_trip_1024",
        description: "the same with 1,024 words, a page: they are copied into the mailbox and out of it, twice",
        boot: Boot::Alone,
        samples: "ipc_round_trip_1024",
        target: target(9_000, 5_000),
        neighbours: &[],
    },
    Operation {
        name: "wakeup_1",
        description: "sending one word to a program that sleeps, which is woken; no other thread sleeps",
        boot: Boot::Alone,
        samples: WAKEUP,
        target: None,
        neighbours: &[],
    },
    Operation {
        name: "wakeup_64",
        description: "the same while 62 other threads sleep",
        boot: Boot::With64,
        samples: WAKEUP,
        target: None,
        neighbours: &[],
    },
    Operation {
        name: "wakeup_500",
        description: "the same while 498 other threads sleep",
        boot: Boot::With500,
        samples: WAKEUP,
        target: None,
        neighbours: &[],
    },
    Operation {
        name: "page_fault",
        description: "a store to a page that is not mapped: it is allocated, filled with zeros and mapped",
        boot: Boot::Alone,
        samples: "page_fault",
        target: target(1_300, 900),
        neighbours: &[
            Neighbour {
                name: "seL4 (x86-64), fault to a handler and back",
                least: 1_331,
                most: 1_331,
                differs: "the fault becomes a message to a program, which answers; no page is allocated, zeroed or mapped",
            },
            Neighbour {
                name: "seL4 (x86-64), map one page",
                least: 746,
                most: 924,
                differs: "a system call; the frame exists and is not zeroed",
            },
        ],
    },
    Operation {
        name: "spawn",
        description: "starting a child with a page each of code, constants and data, until its parent continues",
        boot: Boot::With500,
        samples: "spawn",
        target: target(20_000, 8_000),
        neighbours: &[],
    },
    figure(
        "spawn_to_wait_100",
        "a child is started, stores to 100 pages and exits, until its parent has waited for it",
        Boot::Life,
    ),
    figure(
        "kill_1",
        "a sleeping child with only the pages of its image is killed, until its parent has waited for it",
        Boot::Life,
    ),
    figure("kill_100", "the same for a child with 100 more pages", Boot::Life),
    figure("kill_9", "the same for a child with 8 children, all asleep", Boot::Life),
    latency("latency_puts", 500, "the longest that an interrupt waits: a page is written to the console, in one step"),
    latency("latency_spawn", 1_200, "the same: an image of 490 pages is loaded, one page in each step"),
    latency(
        "latency_exit",
        2_000,
        "the same: a program exits that has 1,100 pages and 104 page tables, one of them a step",
    ),
    latency(
        "latency_fault",
        2_000,
        "the same: such a program is stopped by a fault, and the names of its functions \
     are looked up",
    ),
    latency("latency_kill", 2_000, "the same: such a program is killed while it sleeps"),
    latency("latency_kill_72", 1_500, "the same: 8 children with 8 children each are killed, where 503 threads sleep"),
    latency("latency_wake", 300, "the same: 431 threads that sleep are woken, one in each step, and sleep again"),
    figure("vm_start", "a guest is set up in real mode, until its first exit, by CPUID, is answered", Boot::Guest),
    figure("vm_run", "hvm_run_vm: a guest runs, exits at once by CPUID, and its monitor continues", Boot::Guest),
    Operation {
        target: target(300, 300),
        ..figure(
            "vm_exit_cpuid_kernel",
            "an exit by CPUID, answered by an image that calls the primitives itself, until the guest's next exit",
            Boot::Exits,
        )
    },
    exit("vm_exit_cpuid_user", "the same, answered by the monitor"),
    exit("vm_exit_io", "the same: a byte is written to the guest's serial port"),
    exit("vm_exit_hlt", "the same: the guest halts while a device asks for an interrupt"),
    exit("vm_exit_ept", "the same: a page of the guest's memory is mapped"),
    exit("vm_inject", "the interrupt is injected, until the guest's handler exits by an output, which is answered"),
    figure("linux_prompt", "Linux starts in a virtual machine, until its shell's prompt is printed", Boot::Linux),
    figure(
        "palloc_empty",
        "the primitive palloc alone, in the kernel: the first 200 pages after one that is taken",
        Boot::Palloc,
    ),
    figure("palloc_full", "the same for the last 200 pages, until all are taken", Boot::Palloc),
    figure("pfree", "a page is released (pfree)", Boot::Palloc),
    figure("palloc_near", "palloc of a page that was just released, all others taken", Boot::Palloc),
    figure(
        "palloc_far",
        "palloc of the last page, after all taken pages, when a page before them was released",
        Boot::Palloc,
    ),
];

/// The sending half of a round trip with a message of one word.
const WAKEUP: &str = "wakeup";
/// The difference between the readings `yield_from` and `yield_to` of the two programs.
pub const YIELD: &str = "yield";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_targets_in_order() {
        for (index, operation) in OPERATIONS.iter().enumerate() {
            assert!(OPERATIONS[..index].iter().all(|other| other.name != operation.name), "{}", operation.name);
            assert!(operation.target.is_none_or(|target| target.aim <= target.must));
            assert!(operation.neighbours.iter().all(|neighbour| neighbour.least <= neighbour.most));
        }
    }
}
