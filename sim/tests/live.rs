//! Tests the checker for a kernel without ghost state on the hosted machine, which has ghost state. The checker gets
//! the state without the ghost state.
use domain::Map;
use layer::core::constants::*;
use layer::core::dump::{Compared, Counts, Out, Situation, write_own, write_shared};
use layer::core::fields::*;
use layer::core::state::{Cpu, Own, Shared};
use layer::invariant::facts;
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::Channel;
use layer::objects::channel::{acquire_lock_chan, ipc_send_body, release_lock_chan};
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::pt_resv;
use layer::objects::process::{proc_create, proc_start_user};
use layer::objects::thread::thread_yield;
use layer::objects::vmx::vmcs::Vmcs;
use proptest::prelude::*;
use sim::check::live::{Checkpoint, Dump, MADE_TRUE, Problem};
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use std::collections::BTreeSet;

/// An output that keeps the dump.
struct Kept(Vec<u8>);

impl Out for Kept {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }
}

/// The hosted machine has no hardware: it has just what the layer says.
fn compare(own: &Own<Sim>, tell: &mut dyn FnMut(Compared<'_>)) {
    let spurious = own.lapic.spurious.into();
    tell(Compared { field: "lapic.spurious", key: &[], leaf: "", layer: spurious, hardware: spurious });
}

/// The dump of these CPUs. The CPUs in `users` are in user mode.
fn tell(shared: &Shared<Sim>, cpus: &mut [Cpu<'_, Sim>], held: Option<u32>) -> Vec<u8> {
    tell_with(shared, cpus, held, compare)
}

/// As [`tell`], with this comparison of the layer with the hardware.
fn tell_with(
    shared: &Shared<Sim>,
    cpus: &mut [Cpu<'_, Sim>],
    held: Option<u32>,
    compare: fn(&Own<Sim>, &mut dyn FnMut(Compared<'_>)),
) -> Vec<u8> {
    let mut kept = Kept(Vec::new());
    write_shared(&mut kept, shared, 0, cpus.len() as u32, Counts { entries: 7, calls: 5 }, |q| held == Some(q));
    for (number, cpu) in (0..).zip(cpus) {
        let user = !cpu.own.ghost.0.ikern;
        let map = if user { cpu.own.ghost.0.pt } else { cpu.own.cur };
        write_own(&mut kept, &mut cpu.own, Situation { cpu: number, user, map }, compare);
    }
    kept.0
}

fn look(bytes: &[u8]) -> Checkpoint {
    let dump = Dump::read(bytes).expect("a dump").expect("one dump");
    Checkpoint::of(&dump).expect("a state")
}

/// The child of CPU 0's main thread, which runs there; a page of it, its page table, and the frame that is free after them.
const CHILD: u32 = 9;
const PAGE: u32 = KERN_LOW;
const TABLE: u32 = KERN_LOW + 1;
const FREE: u32 = KERN_LOW + 4;
const DIRECTORY: u32 = KERN_LOW / 512;
/// A ready child of CPU 1's main thread, and a page of it.
const OTHER: u32 = 17;
const OTHER_TABLE: u32 = KERN_LOW + 3;

/// Uses many primitives. In the end a child runs in user mode on CPU 0, and another one is ready on CPU 1.
fn live(cpus: &mut [Cpu<'_, Sim>]) {
    for cpu in &mut *cpus {
        sched_init(cpu, 0).unwrap();
    }
    let cpu = &mut cpus[0];
    assert_eq!(proc_create(cpu, 0, 0, 30), Ok(CHILD));
    assert_eq!(pt_resv(cpu, CHILD, ADR_LOW, perm::PTU), Ok(TABLE));
    let _ = thread_yield(cpu, Context { esp: 0, ra: 1 }).unwrap();
    assert_eq!(acquire_lock_chan(cpu, Channel(SLP_Q)), Ok(()));
    assert_eq!(ipc_send_body(cpu, Channel(SLP_Q), ADR_LOW, 2), Ok(2));
    release_lock_chan(cpu, Channel(SLP_Q)).unwrap();
    let _ = proc_start_user(cpu).unwrap();
    let cpu = &mut cpus[1];
    assert_eq!(proc_create(cpu, 0, 0, 30), Ok(OTHER));
    assert_eq!(pt_resv(cpu, OTHER, ADR_LOW, perm::PTU), Ok(OTHER_TABLE));
}

/// Charges a page to a child of CPU 1's main thread, and maps it nowhere.
fn strand(cpu: &mut Cpu<'_, Sim>) {
    assert_eq!(palloc(cpu, OTHER), Ok(FREE));
}

/// Gives CPU 0's child the virtual machine, and maps `frame` for its guest.
fn guest(cpu: &mut Cpu<'_, Sim>, frame: u32) {
    (cpu.own.vm.owner, cpu.own.vm.set_up) = (CHILD, true);
    cpu.own.ept.set([3, 5], Cell { value: frame * PAGE_SIZE + 0x47 });
}

/// The result of checking the machine after `corrupt`.
fn found(corrupt: impl FnOnce(&mut [Cpu<'_, Sim>])) -> Checkpoint {
    let shared = shared();
    let mut cpus = [processor(&shared, 0), processor(&shared, 1)];
    live(&mut cpus);
    corrupt(&mut cpus);
    look(&tell(&shared, &mut cpus, None))
}

#[test]
fn a_live_machine_is_clean_and_every_page_is_accounted_for() {
    let found = found(|_| ());
    assert_eq!((&found.violations[..], &found.problems[..]), (&[][..], &[][..]));
    assert_eq!(found.counts, Counts { entries: 7, calls: 5 });
    let pages = found.pages;
    assert_eq!((pages.mapped, pages.tables, pages.lost, pages.strays), (2, 2, 0, 0));
    assert_eq!((pages.total(), pages.free), (MAX_PAGE, MAX_PAGE / 2 - KERN_LOW - 4));
}

type Corruption = (&'static str, fn(&mut [Cpu<'_, Sim>]));

/// The corruptions of the real state, each with the fact that must report it.
const CORRUPTIONS: &[Corruption] = &[
    ("H1", |cpus| cpus[0].own.nps = 5),
    ("H6.2", |cpus| cpus[0].own.ac.update([CHILD], |child| child.parent = CHILD)),
    ("H6.4", |cpus| cpus[0].own.ac.update([CHILD], |child| child.usage = child.quota + 1)),
    ("H6.5", |cpus| cpus[0].own.ac.update([CHILD], |child| child.parent = 500)),
    ("H6.6", |cpus| cpus[0].own.ac.update([CHILD], |child| child.used = false)),
    ("H6.7", |cpus| cpus[0].own.ac.update([1], |root| root.nchildren = 0)),
    ("H6.8", |cpus| cpus[0].own.ac.update([CHILD], |child| child.parent = 2)),
    ("H6.9", |cpus| cpus[0].own.ac.update([CHILD], |child| child.quota += 1)),
    ("H6.11", |cpus| cpus[0].own.ac.update([1], |root| root.nchildren = 9)),
    ("H6.12", |cpus| cpus[0].own.ac.update([CHILD], |child| child.parent = 2)),
    ("H11", |cpus| cpus[0].own.ghost.0.pt = NUM_PROC),
    ("H14", |cpus| cpus[1].own.ac.update([3], |container| container.used = false)),
    ("H15", |cpus| cpus[0].own.console.start = CONSOLE_BUFFER_SIZE),
    ("H16", |cpus| cpus[0].own.console.len = CONSOLE_BUFFER_SIZE),
    ("H17", |cpus| cpus[0].own.cpu = TOTAL_CPU),
    ("H18", |cpus| cpus[0].own.cur = NUM_PROC),
    ("H19", |cpus| cpus[0].own.cpu = 1),
    ("L3", |cpus| cpus[0].own.kctxt.set([1], Context { esp: 0, ra: CONTINUATIONS })),
    // The processor uses another page map than the running thread's.
    ("D3", |cpus| cpus[0].own.ghost.0.pt = 1),
    ("D4.1", |cpus| cpus[0].own.cur = 700),
    ("D23.2", |cpus| cpus[0].own.proc.update([700], |process| process.state = process::GONE)),
    ("D23.3", |cpus| cpus[0].own.proc.update([CHILD], |process| process.state = process::VACANT)),
    ("D23.4", |cpus| cpus[0].own.proc.update([CHILD], |process| process.state = 3)),
    ("E1", |cpus| cpus[0].own.proc.update([CHILD], |process| process.state = process::GONE)),
    ("E2", |cpus| strand(&mut cpus[1])),
    ("D19.6", |cpus| cpus[0].own.vm.owner = CHILD),
    // The guest of one process reaches a page that nobody has, and a page of another process.
    ("E3", |cpus| guest(&mut cpus[0], FREE)),
    ("E3", |cpus| guest(&mut cpus[0], OTHER_TABLE)),
    ("E4", |cpus| {
        guest(&mut cpus[0], PAGE);
        cpus[0].own.proc.update([CHILD], |process| process.state = process::GONE);
    }),
    ("D4.2", |cpus| cpus[1].own.cur = 1),
    // Links that are lost, form a circle, or lead to a thread of another queue.
    ("D4.4", |cpus| cpus[0].own.ready.head = CHILD),
    ("D4.4", |cpus| cpus[0].own.ready.tail = NO_THREAD),
    ("D4.4", |cpus| cpus[0].shared.links.inspect().next.update([1], |link| link.thread = 1)),
    ("D4.4", |cpus| cpus[0].shared.links.inspect().next.update([1], |link| link.thread = OTHER)),
    ("D4.5", |cpus| cpus[0].shared.pending.inspect(0).fifo.head = 1),
    ("D4.6", |cpus| (cpus[1].own.ready.head, cpus[1].own.ready.tail) = (NO_THREAD, NO_THREAD)),
    ("D4.6", |cpus| cpus[0].shared.links.inspect().next.update([CHILD], |link| link.cpu = 1)),
    ("D4.7", |cpus| (cpus[0].own.ready.head, cpus[0].own.ready.tail) = (NO_THREAD, NO_THREAD)),
    ("D6.1", |cpus| cpus[0].own.dirs.set([CHILD, DIRECTORY + 9], Pde::Table { frame: TABLE })),
    // A page table of a dead thread.
    ("D6.3", |cpus| cpus[0].own.dirs.set([8 * CHILD + 3, DIRECTORY], Pde::Table { frame: FREE + 50 })),
    ("D7", |cpus| cpus[0].own.tables.set([TABLE, 0], Pte::Valid { page: TABLE, perm: perm::PTU })),
    ("D7", |cpus| cpus[0].own.tables.set([TABLE, 0], Pte::Valid { page: PAGE, perm: 1000 })),
    ("D7", |cpus| cpus[0].own.tables.set([TABLE, 0], Pte::Valid { page: PAGE, perm: 13 })),
    ("D7", |cpus| cpus[0].own.tables.set([TABLE, 0], Pte::Valid { page: PAGE, perm: perm::PTKG })),
    // A page of another CPU.
    ("D9", |cpus| cpus[1].own.tables.set([OTHER_TABLE, 3], Pte::Valid { page: PAGE, perm: perm::PTU })),
    ("D10", |cpus| cpus[0].own.ac.update([CHILD], |child| child.usage -= 2)),
    ("D10", |cpus| cpus[1].own.ac.update([OTHER], |child| child.usage += 1)),
    ("D11", |cpus| cpus[0].shared.at.inspect(0).frames.update([PAGE], |frame| frame.alloc = false)),
    ("D11", |cpus| cpus[0].shared.at.inspect(0).frames.update([7], |frame| frame.kind = kind::NORM)),
    ("D11", |cpus| cpus[0].shared.at.inspect(0).cursor += 1),
    // A page table outside of the users' memory.
    ("D11", |cpus| cpus[1].own.dirs.set([OTHER, DIRECTORY + 9], Pde::Table { frame: 5 })),
    ("D12", |cpus| cpus[0].own.ac.update([OTHER], |container| container.used = true)),
    ("D15.1", |cpus| cpus[0].shared.channels.inspect().pool.update([SLP_Q], |control| control.count = MAX_WORDS + 1)),
    // A page is mapped twice.
    ("D18", |cpus| cpus[0].own.tables.set([TABLE, 3], Pte::Valid { page: PAGE, perm: perm::PTU })),
    ("D20.1", |cpus| cpus[0].own.com1.on = false),
    ("D20.2", |cpus| cpus[0].own.com1.rx.len = 3),
    ("D20.3", |cpus| cpus[0].own.com1.rx.start = SERIAL_HW_BUF_SIZE),
    ("D20.4", |cpus| cpus[0].own.rx_buf.set([11], Cell { value: 256 })),
    ("D20.5", |cpus| cpus[0].own.cons_buf.set([511], Cell { value: 1000 })),
    ("D20.6", |cpus| (cpus[0].own.serial_exists, cpus[0].own.ioapic.enables) = (true, COM1_LINE)),
];

#[test]
fn each_corruption_of_the_real_state_is_reported_by_its_fact() {
    for (at, &(number, corrupt)) in CORRUPTIONS.iter().enumerate() {
        let violations = found(corrupt).violations;
        let broken: BTreeSet<_> = violations.iter().map(|violation| violation.number).collect();
        assert!(broken.contains(number), "corruption {at}, which breaks {number}, is reported as {violations:?}");
    }
}

#[test]
fn every_fact_is_tried_or_said_to_be_made_true() {
    let planted: BTreeSet<_> = CORRUPTIONS.iter().map(|(number, _)| *number).collect();
    let made: BTreeSet<_> = MADE_TRUE.iter().map(|(number, _)| *number).collect();
    let missing: Vec<_> = facts::<Sim>()
        .map(|fact| fact.number)
        .filter(|number| planted.contains(number) == made.contains(number))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn what_is_no_fact_is_reported_too() {
    let stray = |cpus: &mut [Cpu<'_, Sim>]| {
        cpus[0].shared.at.inspect(0).frames.update([FREE + 40], |frame| frame.alloc = true);
        cpus[0].shared.at.inspect(0).cursor = KERN_LOW;
    };
    let found = found(stray);
    // Charged frames are assigned in order, so the last one is left over.
    assert_eq!(found.problems, [Problem::Strays { first: FREE + 40, count: 1 }]);
    assert_eq!((found.pages.strays, found.pages.total()), (1, MAX_PAGE));

    let shared = shared();
    let mut cpus = [processor(&shared, 0), processor(&shared, 1)];
    live(&mut cpus);
    let found = look(&tell(&shared, &mut cpus, Some(SLP_Q + 3)));
    assert_eq!(found.problems, [Problem::Held { channel: SLP_Q + 3 }]);
}

#[test]
fn hardware_that_is_not_as_the_layer_says_is_reported() {
    let shared = shared();
    let mut cpus = [processor(&shared, 0), processor(&shared, 1)];
    live(&mut cpus);
    let found = look(&tell(&shared, &mut cpus, None));
    assert_eq!((found.is_clean(), found.compared), (true, 2));
    let bytes = tell_with(&shared, &mut cpus, None, |own, tell| {
        if own.cpu != 0 {
            return;
        }
        tell(Compared { field: "lapic.tpr", key: &[], leaf: "", layer: 0, hardware: 0x20 });
        tell(Compared { field: "lapic.ldr", key: &[], leaf: "", layer: 0, hardware: 0 });
        tell(Compared { field: "ioapic.lines", key: &[4], leaf: "irq", layer: 36, hardware: 255 });
        let key = [Vmcs::HostTrSelector as u32];
        tell(Compared { field: "vmcs", key: &key, leaf: "", layer: 0x30, hardware: 0x28 });
    });
    let found = look(&bytes);
    assert_eq!(found.compared, 4);
    let problems: Vec<_> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "lapic.tpr (CPU 0): 0x0 in the layer, but 0x20 in the hardware",
            "ioapic.lines[4].irq (CPU 0): 0x24 in the layer, but 0xff in the hardware",
            "vmcs[HostTrSelector] (CPU 0): 0x30 in the layer, but 0x28 in the hardware",
        ]
    );
}

#[test]
fn two_dumps_come_one_after_the_other() {
    let shared = shared();
    let mut cpus = [processor(&shared, 0), processor(&shared, 1)];
    live(&mut cpus);
    let mut bytes = tell(&shared, &mut cpus, None);
    bytes.extend(tell(&shared, &mut cpus, None));
    let mut rest = &bytes[..];
    let [first, second] = [(); 2].map(|()| Dump::read(&mut rest).unwrap().unwrap());
    assert_eq!(first, second);
    assert!(Dump::read(&mut rest).unwrap().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A damaged dump is an error or a state with violations, and never causes a panic.
    #[test]
    fn a_dump_that_is_damaged_is_never_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let shared = shared();
        let mut cpus = [processor(&shared, 0), processor(&shared, 1)];
        live(&mut cpus);
        let mut bytes = tell(&shared, &mut cpus, None);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        if let Ok(Some(dump)) = Dump::read(&bytes[..]) {
            let _ = Checkpoint::of(&dump);
        }
    }
}
