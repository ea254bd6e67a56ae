//! Tests that a corruption of the state is reported by the fact that forbids it.
use domain::{Count, Map};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::state::Cpu;
use layer::invariant::facts;
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::Channel;
use layer::objects::channel::{acquire_lock_chan, ipc_send_body};
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::pt_resv;
use layer::objects::process::proc_create;
use layer::objects::thread::thread_yield;
use layer::objects::vmx::vmcs::Vmcs;
use layer::objects::vmx::vmx_init;
use layer::spec::fact::Class;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::sparse::Cells;
use std::collections::BTreeSet;

/// The child of CPU 0's main thread, which is also the thread that runs there.
const CHILD: u32 = 9;
/// Frames in the order of their allocation: a page of the child, its page table, and a page in no page map.
const PAGE: u32 = KERN_LOW;
const TABLE: u32 = KERN_LOW + 1;
const LOOSE: u32 = KERN_LOW + 2;
/// The directory index of the child's page table.
const DIRECTORY: u32 = KERN_LOW / 512;

/// Uses many primitives on CPU 0. In the end the child runs, and the main thread is ready.
fn live(cpu: &mut Cpu<'_, Sim>) {
    sched_init(cpu, 0).unwrap();
    vmx_init(cpu, 0).unwrap();
    assert_eq!(proc_create(cpu, 0, 0, 30), Ok(CHILD));
    assert_eq!(pt_resv(cpu, CHILD, ADR_LOW, perm::PTU), Ok(TABLE));
    assert_eq!(palloc(cpu, CHILD), Ok(LOOSE));
    let _ = thread_yield(cpu, Context { esp: 0, ra: 1 }).unwrap();
    assert_eq!(acquire_lock_chan(cpu, Channel(SLP_Q)), Ok(()));
    assert_eq!(ipc_send_body(cpu, Channel(SLP_Q), ADR_LOW, 2), Ok(2));
    assert_eq!(cpu.own.cur, CHILD);
}

type Corruption = (&'static str, fn(&mut Cpu<'_, Sim>));

/// The corruptions, each with the fact that must report it.
const CORRUPTIONS: &[Corruption] = &[
    ("H1", |cpu| cpu.own.nps = 5),
    ("H1", |cpu| cpu.own.nps = MAX_PAGE + 1),
    ("H2", |cpu| (cpu.own.ghost.0.ipt, cpu.own.ghost.0.pg) = (false, false)),
    ("H3", |cpu| cpu.own.ghost.0.ikern = false),
    ("H4", |cpu| cpu.own.ghost.0.ikern = false),
    ("H5", |cpu| (cpu.own.ghost.0.ihost, cpu.own.ghost.0.ikern) = (false, false)),
    ("H7", |cpu| cpu.own.ghost.0.pg = false),
    ("H8.1", |cpu| cpu.own.dirs.set([CHILD, DIRECTORY - 1], Pde::UnPresent)),
    ("H8.3", |cpu| cpu.own.ghost.0.tables.set([TABLE, 77], PteGhost { defined: false, slot: 0 })),
    ("H8.2", |cpu| cpu.own.ghost.0.dirs_defined.set([77, DIRECTORY + 3], Defined { defined: false })),
    ("H9", |cpu| cpu.own.ghost.0.pt = CHILD),
    ("H10", |cpu| cpu.own.dirs.set([0, 1000], Pde::UnPresent)),
    ("H11", |cpu| cpu.own.ghost.0.pt = NUM_PROC),
    ("H12", |cpu| cpu.own.ghost.0.hp_defined.set([TABLE, 7], Defined { defined: true })),
    ("H12", |cpu| cpu.own.ghost.0.hp_defined.set([500_000, 4000], Defined { defined: true })),
    ("H13", |cpu| cpu.own.ghost.0.idpde.set([77, 3], IdentityEntry { valid: true, perm: perm::PTK })),
    ("H14", |cpu| cpu.own.ac.update([3], |container| container.used = false)),
    ("H15", |cpu| cpu.own.console.start = CONSOLE_BUFFER_SIZE),
    ("H16", |cpu| cpu.own.console.len = CONSOLE_BUFFER_SIZE),
    ("H17", |cpu| cpu.own.cpu = TOTAL_CPU),
    ("H18", |cpu| cpu.own.cur = NUM_PROC),
    ("H19", |cpu| cpu.own.cpu = 1),
    ("H6.2", |cpu| cpu.own.ac.update([CHILD], |child| child.parent = CHILD)),
    ("H6.4", |cpu| cpu.own.ac.update([CHILD], |child| child.usage = child.quota + 1)),
    ("H6.5", |cpu| cpu.own.ac.update([CHILD], |child| child.parent = 500)),
    ("H6.6", |cpu| cpu.own.ac.update([CHILD], |child| child.used = false)),
    ("H6.7", |cpu| cpu.own.ac.update([1], |root| root.nchildren = 0)),
    ("H6.8", |cpu| cpu.own.ac.update([CHILD], |child| child.parent = 2)),
    ("H6.9", |cpu| cpu.own.ac.update([CHILD], |child| child.quota += 1)),
    ("H6.11", |cpu| cpu.own.ac.update([1], |root| root.nchildren = 9)),
    ("H6.12", |cpu| cpu.own.ac.update([CHILD], |child| child.parent = 2)),
    ("L3", |cpu| cpu.own.kctxt.set([1], Context { esp: 0, ra: CONTINUATIONS })),
    ("D1", |cpu| cpu.own.ghost.0.init = false),
    ("D2", |cpu| cpu.own.ghost.0.ipt = false),
    ("D3", |cpu| cpu.own.ghost.0.pt = 1),
    ("D4.1", |cpu| cpu.own.cur = 1),
    ("D4.2", |cpu| cpu.shared.links.inspect().tcb.update([1], |thread| thread.place = place::RUN)),
    ("D4.4", |cpu| cpu.own.ready.head = CHILD),
    ("D4.4", |cpu| cpu.own.ready.tail = NO_THREAD),
    ("D4.4", |cpu| cpu.own.ready.span.0.hi = Count(9)),
    ("D4.4", |cpu| cpu.shared.links.inspect().next.update([1], |entry| entry.thread = CHILD)),
    ("D4.5", |cpu| cpu.shared.pending.inspect(0).fifo.head = 1),
    ("D4.6", |cpu| cpu.shared.links.inspect().tcb.update([CHILD], |thread| thread.home = 1)),
    ("D4.6", |cpu| cpu.shared.links.inspect().tcb.update([CHILD], |thread| thread.place = 7)),
    ("D4.7", |cpu| cpu.shared.links.inspect().tcb.update([1], |thread| thread.place = SLP_Q)),
    ("D5.3", |cpu| cpu.own.ghost.0.section = NO_CHANNEL),
    ("D5.3", |cpu| cpu.own.ghost.0.section = 77),
    ("D5.2", |cpu| cpu.own.ghost.0.lock.set([CHANNEL_LOCKS + SLP_Q], LockState::Free)),
    ("D5.1", |cpu| cpu.own.ghost.0.lock.set([CHANNEL_LOCKS + 77], LockState::Own { pulled: true })),
    ("D5.1", |cpu| cpu.own.ghost.0.lock.set([0], LockState::Own { pulled: true })),
    ("D5.2", |cpu| cpu.shared.channels.inspect().ghost.0.locks.update([77], |lock| lock.holder = 0)),
    ("D15.1", |cpu| cpu.shared.channels.inspect().pool.update([SLP_Q], |control| control.count = 3)),
    ("D15.1", |cpu| cpu.shared.channels.inspect().ghost.0.locks.update([SLP_Q], |lock| lock.budget = 11)),
    ("D15.2", |cpu| cpu.shared.channels.inspect().ghost.0.defined.set([SLP_Q, 7], Defined { defined: false })),
    ("D6.1", |cpu| cpu.own.dirs.set([CHILD, DIRECTORY], Pde::Table { frame: LOOSE })),
    ("D6.1", |cpu| cpu.own.dirs.set([CHILD, DIRECTORY + 9], Pde::Table { frame: TABLE })),
    ("D6.2", |cpu| cpu.own.ghost.0.pperm.set([LOOSE], FrameUse::Hide { thread: CHILD, index: DIRECTORY })),
    ("D7", |cpu| cpu.own.tables.set([TABLE, 0], Pte::Valid { page: TABLE, perm: perm::PTU })),
    ("D6.3", |cpu| cpu.own.dirs.set([700, DIRECTORY], Pde::Table { frame: LOOSE })),
    ("D6.3", |cpu| cpu.own.proc.set([CHILD], Process { state: process::VACANT, status: 0, cause: 0 })),
    ("D7", |cpu| cpu.own.tables.set([TABLE, 0], Pte::Valid { page: PAGE, perm: 13 })),
    ("D7", |cpu| cpu.own.tables.set([TABLE, 0], Pte::Valid { page: PAGE, perm: perm::PTKG })),
    ("D7", |cpu| cpu.own.tables.set([TABLE, 3], Pte::Valid { page: PAGE, perm: perm::PTU })),
    ("D7", |cpu| cpu.own.ghost.0.tables.set([TABLE, 0], PteGhost { defined: true, slot: 1 })),
    ("D8", |cpu| cpu.own.tables.set([TABLE, 0], Pte::UnPresent)),
    ("D8", |cpu| cpu.own.ghost.0.lat_entry.update([PAGE, 0], |place| place.index = 1)),
    ("D8", |cpu| cpu.own.ghost.0.lat.update([LOOSE], |lat| lat.len = 1)),
    ("D9", |cpu| cpu.own.ghost.0.pperm.set([LOOSE], FrameUse::Undef)),
    ("D9", |cpu| cpu.shared.at.inspect(0).owner.0.owners.set([LOOSE + 9], Owner { cpu: 0 })),
    ("D10", |cpu| cpu.own.ghost.0.charged.update([CHILD], |charge| charge.pages = 2)),
    ("D11", |cpu| cpu.shared.at.inspect(0).frames.update([LOOSE], |frame| frame.alloc = false)),
    ("D11", |cpu| cpu.shared.at.inspect(0).frames.update([7], |frame| frame.kind = kind::NORM)),
    ("D11", |cpu| cpu.shared.at.inspect(0).cursor += 1),
    ("D12", |cpu| cpu.own.ac.update([77], |container| container.used = true)),
    ("D12", |cpu| cpu.shared.links.inspect().tcb.update([700], |thread| thread.place = place::FLIGHT)),
    ("D13", |cpu| cpu.own.ghost.0.uctxt_kind.set([500, 0], SlotKind::Int)),
    ("D13.2", |cpu| cpu.own.ghost.0.uctxt_kind.set([CHILD, slot::EAX], SlotKind::Undef)),
    ("D13.2", |cpu| cpu.own.ghost.0.uctxt_kind.set([CHILD, slot::EAX], SlotKind::Ptr)),
    ("D18", |cpu| cpu.own.ghost.0.lat.update([PAGE], |lat| lat.len = 2)),
    ("D14", |cpu| cpu.own.dirs.set([CHILD, DIRECTORY + 1], Pde::Id)),
    ("D19.1", |cpu| cpu.own.ghost.0.init = false),
    ("D19.2", |cpu| cpu.own.ghost.0.vmcs_kind.set([Vmcs::GuestRip as u32], SlotKind::Undef)),
    ("D19.2", |cpu| cpu.own.ghost.0.vmcs_kind.set([Vmcs::GuestCr0 as u32], SlotKind::Ptr)),
    ("D19.3", |cpu| cpu.own.ghost.0.vmx_kind.set([vmx_slot::EXIT_QUALIFICATION], SlotKind::Undef)),
    ("D19.4", |cpu| cpu.own.ghost.0.ept_dirs.set([77], Defined { defined: false })),
    ("D20.1", |cpu| cpu.own.com1.on = false),
    ("D20.2", |cpu| cpu.own.com1.rx.len = 3),
    ("D20.3", |cpu| cpu.own.com1.rx.start = SERIAL_HW_BUF_SIZE),
    ("D20.4", |cpu| cpu.own.rx_buf.set([11], Cell { value: 256 })),
    ("D20.5", |cpu| cpu.own.cons_buf.set([511], Cell { value: 1000 })),
    ("D20.6", |cpu| cpu.own.ioapic.enables = COM1_LINE),
    ("D21", |cpu| cpu.own.ghost.0.in_intr = true),
    ("D17", |cpu| cpu.own.ghost.0.hp_defined.set([PAGE, 2000], Defined { defined: false })),
    ("D22.1", |cpu| cpu.own.ghost.0.lat.update([LOOSE], |lat| lat.payer = 1)),
    ("D22.1", |cpu| cpu.own.ghost.0.lat.update([LOOSE], |lat| lat.seat = 0)),
    ("D22.2", |cpu| cpu.own.ghost.0.seats.set([CHILD, 1], Seat { frame: LOOSE })),
    ("D22.2", |cpu| cpu.own.ghost.0.seats.set([CHILD, 2], Seat { frame: LOOSE + 1 })),
    ("D22.3", |cpu| cpu.own.ghost.0.lat.update([TABLE], |lat| lat.payer = 1)),
    ("D22.4", |cpu| cpu.own.ghost.0.lat.update([PAGE], |lat| lat.payer = 1)),
    ("D23.1", |cpu| cpu.own.proc.update([CHILD], |process| process.state = process::GONE)),
    ("D23.1", |cpu| cpu.shared.links.inspect().tcb.update([CHILD], |thread| thread.place = place::GONE)),
    ("D23.2", |cpu| cpu.own.proc.update([700], |process| process.state = process::GONE)),
    ("D23.3", |cpu| cpu.own.proc.update([CHILD], |process| process.state = process::VACANT)),
    ("D23.4", |cpu| cpu.own.proc.update([CHILD], |process| process.state = 3)),
    ("E1", |cpu| cpu.own.proc.update([CHILD], |process| process.state = process::GONE)),
    ("D19.5", map_unlisted_frame),
    ("D19.6", |cpu| (cpu.own.vm.owner, cpu.own.vm.set_up) = (CHILD, false)),
    ("E3", |cpu| cpu.own.ghost.0.guest_frames.set([500_000], Defined { defined: true })),
    ("E4", |cpu| {
        cpu.own.vm.owner = CHILD;
        cpu.own.proc.update([CHILD], |process| process.state = process::GONE);
    }),
    // Stands for a primitive that has charged pages that no page map maps.
    ("E2", |_| ()),
];

/// A guest reaches a frame that is not listed.
fn map_unlisted_frame(cpu: &mut Cpu<'_, Sim>) {
    cpu.own.vm.set_up = true;
    cpu.own.ept.set([3, 5], Cell { value: 0x47 });
}

/// The numbers of the facts that a corrupted CPU 0 violates.
fn broken(corrupt: fn(&mut Cpu<'_, Sim>), cells: Cells) -> BTreeSet<&'static str> {
    let shared = shared();
    let mut cpu = processor(&shared, 0);
    live(&mut cpu);
    assert_eq!(check(&cpu, 0, cells, Class::Derived), []);
    corrupt(&mut cpu);
    check(&cpu, 0, cells, Class::Entry).iter().map(|violation| violation.number).collect()
}

#[test]
fn each_corruption_is_reported_by_its_fact() {
    for &(number, corrupt) in CORRUPTIONS {
        for cells in [Cells::Written, Cells::Neighbours] {
            let broken = broken(corrupt, cells);
            assert!(broken.contains(number), "a corruption that breaks {number} is reported as {broken:?}");
        }
    }
}

#[test]
fn a_thread_that_runs_before_boot_is_reported() {
    let shared = shared();
    let cpu = processor(&shared, 0);
    shared.links.inspect().tcb.update([1], |thread| thread.place = place::DEAD);
    assert!(check(&cpu, 0, Cells::Written, Class::Entry).iter().any(|violation| violation.number == "D4.3"));
}

#[test]
fn every_fact_has_a_corruption() {
    let planted: BTreeSet<_> = CORRUPTIONS.iter().map(|(number, _)| *number).collect();
    let missing: Vec<_> = facts::<Sim>().map(|fact| fact.number).filter(|number| !planted.contains(number)).collect();
    // D4.3 is about the time before boot, and has a test of its own.
    assert_eq!(missing, ["D4.3"]);
}
