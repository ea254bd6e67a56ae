//! The calls of a monitor on the hosted machine. It executes no guest: a test says how the guest exits.
mod common;

use abi::{Call, Error};
use common::*;
use domain::Map;
use layer::core::constants::*;
use layer::core::fields::{Pde, Pte, process};
use layer::core::state::Cpu;
use layer::objects::vmx::vmcs::Vmcs;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::guest::{Exit, vm_exit};
use sim::machine::sparse::Cells;
use sim::state::snapshot::Snapshot;
use syscall::entry;
use syscall::mode::is_guest;
use syscall::next::Next;

const CREATE: u32 = Call::HvmCreate as u32;
const RUN: u32 = Call::HvmRunVm as u32;
const INFO: u32 = Call::HvmGetExitinfo as u32;
const MAP: u32 = Call::HvmMmap as u32;
const SET: u32 = Call::HvmSetReg as u32;
const GET: u32 = Call::HvmGetReg as u32;
const MONITOR: u32 = FIRST;

/// Every call of a monitor but `hvm_create`.
fn owner_calls() -> impl Iterator<Item = Call> {
    let calls = || Call::ALL.iter().copied().filter(|call| matches!(call, abi::owner_calls!()));
    assert_eq!(calls().count(), 16);
    calls()
}

/// The caller's five results.
fn results(cpu: &Cpu<'_, Sim>, thread: u32) -> [u32; 5] {
    [slot::EBX, slot::R10, slot::EDX, slot::ESI, slot::EDI].map(|slot| cpu.own.uctxt.get([thread, slot]).value as u32)
}

/// The monitor runs the guest, which exits like this with the registers 1, 2, ….
fn run(cpu: &mut Cpu<'_, Sim>, exit: Exit) -> Next<Sim> {
    let next = begin(cpu, RUN, [0; 5]);
    assert!(matches!(next, Next::ToGuest(_)));
    assert!(is_guest(&Snapshot::take(cpu).view()));
    vm_exit(cpu, exit).unwrap();
    entry::guest_exit(cpu, std::array::from_fn(|k| k as u64 + 1)).unwrap()
}

const HALT: Exit = Exit { reason: 12, qualification: 0, address: 0, length: 1, rip: 0x7C05 };

#[test]
fn a_machine_without_guests_refuses_politely() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, CREATE, [5]), refused(Error::NoGuests, 5));
    for other in owner_calls() {
        assert_eq!(call(&mut cpu, other as u32, [5; 5]), refused(Error::InvalHvm, 5), "{other:?}");
    }
}

#[test]
fn a_virtual_machine_belongs_to_one_process_at_a_time() {
    let fixture = Fixture::with_guests(&[FRAMES + 2, FRAMES + 2]);
    let mut cpu = fixture.boot();
    for other in owner_calls() {
        assert_eq!(call(&mut cpu, other as u32, [5; 5]), refused(Error::InvalHvm, 5), "{other:?}");
    }
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    assert_eq!(call(&mut cpu, CREATE, [5]), refused(Error::Busy, 5));
    // The second program.
    let next = begin(&mut cpu, Call::Yield as u32, [0]);
    assert!(drive(&mut cpu, next));
    let other = cpu.own.cur;
    assert_ne!(other, MONITOR);
    assert_eq!(call(&mut cpu, CREATE, [5]), refused(Error::Busy, 5));
    for other in owner_calls() {
        assert_eq!(call(&mut cpu, other as u32, [5; 5]), refused(Error::InvalHvm, 5), "{other:?}");
    }
    // The monitor ends; then the virtual machine is anybody's.
    let next = begin(&mut cpu, Call::Yield as u32, [0]);
    assert!(drive(&mut cpu, next));
    assert_eq!(cpu.own.cur, MONITOR);
    assert_eq!(call(&mut cpu, MAP, [0x3000, ADR_LOW + 4096, 6]), (0, 0));
    let next = begin(&mut cpu, Call::Exit as u32, [7]);
    assert!(drive(&mut cpu, next));
    assert_eq!((cpu.own.cur, cpu.own.vm.owner), (other, 0));
    while cpu.own.proc.get([MONITOR]).state == process::LIVE {
        let next = begin(&mut cpu, Call::Yield as u32, [0]);
        assert!(drive(&mut cpu, next));
    }
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    // Nothing of the first guest is left.
    assert_eq!(cpu.own.ept.get([0, 3]).value, 0);
    assert_eq!(check(&cpu, 0, Cells::Written, layer::spec::fact::Class::Entry), []);
}

#[test]
fn a_guest_gets_memory_of_its_monitor_only() {
    let fixture = Fixture::with_guests(&[FRAMES + 2]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    let frame = |cpu: &Cpu<'_, Sim>, va: u32| {
        let Pde::Table { frame } = cpu.own.dirs.get([MONITOR, va >> 21]) else { panic!("{va:#x} has no page table") };
        let Pte::Valid { page, .. } = cpu.own.tables.get([frame, va >> 12 & 511]) else { panic!("{va:#x} is absent") };
        page
    };
    // A page of data; a page that the monitor has not touched yet; the same page again, somewhere else.
    for (guest, address, memtype) in
        [(0, ADR_LOW + 4096, 6), (0x7000, ADR_HIGH - 4096, 0), (0x1FFF_F000, ADR_HIGH - 4096, 7)]
    {
        assert_eq!(call(&mut cpu, MAP, [guest, address, memtype]), (0, 0));
        let entry = cpu.own.ept.get([guest >> 21, guest >> 12 & 511]).value;
        assert_eq!(entry, frame(&cpu, address) * PAGE_SIZE + memtype * 8 + 0x47);
    }
    let refused = |guest| refused(Error::InvalAddr, guest);
    for (guest, address, memtype) in [
        (1, ADR_LOW + 4096, 6),
        (0x2000_0000, ADR_LOW + 4096, 6),
        (0, ADR_LOW + 4097, 6),
        (0, ADR_LOW - 4096, 6),
        (0, ADR_HIGH, 6),
        (0, ADR_LOW + 4096, 8),
        // The monitor's text, which is read-only.
        (0, ADR_LOW, 6),
    ] {
        assert_eq!(call(&mut cpu, MAP, [guest, address, memtype]), refused(guest));
    }
    // Two frames of quota are used up: a page and its page table.
    assert_eq!(call(&mut cpu, MAP, [0, ADR_HIGH - 8192, 6]), (Error::Mem as u32, 0));
}

#[test]
fn what_is_written_is_what_the_control_structure_has() {
    let fixture = Fixture::with_guests(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    for register in 0..14 {
        assert_eq!(call(&mut cpu, SET, [register, 1000 + register]), (0, 0));
    }
    for register in 0..14 {
        assert_eq!(call(&mut cpu, GET, [register]), (0, 1000 + register));
    }
    assert_eq!(call(&mut cpu, GET, [14]), refused(Error::InvalReg, 14));
    assert_eq!(call(&mut cpu, SET, [14, 5]), refused(Error::InvalReg, 14));
    let field = |cpu: &Cpu<'_, Sim>, field: Vmcs| cpu.own.vmcs.get([field as u32]).value;
    assert_eq!(field(&cpu, Vmcs::GuestCr3), 1012);
    assert_eq!(call(&mut cpu, Call::HvmSetSeg as u32, [5, 0x10, 0x1000, 0xFFFF, 0x93]), (0, 0));
    let ss = [Vmcs::GuestSsSelector, Vmcs::GuestSsBase, Vmcs::GuestSsLimit, Vmcs::GuestSsAccess];
    assert_eq!(ss.map(|of| field(&cpu, of)), [0x10, 0x1000, 0xFFFF, 0x93]);
    assert_eq!(call(&mut cpu, Call::HvmSetSeg as u32, [9, 1, 2, 3, 4]), (0, 0));
    assert_eq!((field(&cpu, Vmcs::GuestIdtrBase), field(&cpu, Vmcs::GuestIdtrLimit)), (2, 3));
    assert_eq!(call(&mut cpu, Call::HvmSetSeg as u32, [10, 1, 2, 3, 4]), refused(Error::InvalSeg, 10));
    assert_eq!(call(&mut cpu, Call::HvmSetTscOffset as u32, [7, 9]), (0, 0));
    assert_eq!(field(&cpu, Vmcs::TscOffset), 7 << 32 | 9);
    assert_eq!(call(&mut cpu, Call::HvmGetTscOffset as u32, [0, 0]), (0, 7));
    assert_eq!(results(&cpu, MONITOR), [7, 9, 0, 0, 0]);
    let controls = field(&cpu, Vmcs::PriProcBasedCtls);
    assert_eq!(call(&mut cpu, Call::HvmInterceptIntWindow as u32, [1]), (0, 0));
    assert_eq!(field(&cpu, Vmcs::PriProcBasedCtls), controls | 4);
    assert_eq!(call(&mut cpu, Call::HvmInterceptIntWindow as u32, [0]), (0, 0));
    assert_eq!(field(&cpu, Vmcs::PriProcBasedCtls), controls & !4);
    const INJECT: u32 = Call::HvmInjectEvent as u32;
    for wrong in [[0x800, 3, 0, 0], [0x301, 3, 0, 0], [0x300, 256, 0, 0]] {
        assert_eq!(call(&mut cpu, INJECT, wrong), refused(Error::InvalEvent, wrong[0]));
    }
    assert_eq!(call(&mut cpu, Call::HvmCheckPendingEvent as u32, [0]), (0, 0));
    assert_eq!(call(&mut cpu, INJECT, [0x300, 14, 0x77, 1]), (0, 0));
    assert_eq!(call(&mut cpu, Call::HvmCheckPendingEvent as u32, [0]), (0, 1));
    assert_eq!((field(&cpu, Vmcs::EntryIntrInfo), field(&cpu, Vmcs::EntryExceptionError)), (0x8000_0B0E, 0x77));
    assert_eq!(call(&mut cpu, INJECT, [0, 0x20, 0, 0]), (0, 0));
    assert_eq!(field(&cpu, Vmcs::EntryIntrInfo), 0x8000_0B0E);
}

#[test]
fn the_monitor_learns_why_the_guest_exited() {
    let fixture = Fixture::with_guests(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    // OUT DX, AX to port 0x3F8.
    let exits = [
        (Exit { reason: 30, qualification: 0x03F8_0001, ..HALT }, [30, 0x3F8, 1, 1, 0]),
        // REP INSD from port 0x1F0.
        (Exit { reason: 30, qualification: 0x01F0_003B, ..HALT }, [30, 0x1F0, 2, 6, 0]),
        (Exit { reason: 48, qualification: 0x182, address: 0xFEE0_0000, ..HALT }, [48, 0xFEE0_0000, 0x182, 0, 0]),
        (Exit { reason: 0x8000_0021, qualification: 4, ..HALT }, [0x21, 4, 0, 0, 0]),
    ];
    for (exit, expected) in exits {
        let next = run(&mut cpu, exit);
        assert!(drive(&mut cpu, next));
        assert_eq!(answer(&cpu, MONITOR), (0, expected[0]));
        // EAX is the first register of the exit.
        assert_eq!(results(&cpu, MONITOR)[1], 1);
        assert_eq!(call(&mut cpu, INFO, [0]), (0, expected[0]));
        assert_eq!(results(&cpu, MONITOR), expected);
    }
    // The registers of the exit: RAX, RBX, RDX and so on are 1, 2, 3.
    assert_eq!([0, 1, 3, 8].map(|register| call(&mut cpu, GET, [register]).1), [1, 2, 3, 0x7C05]);
    assert_eq!(call(&mut cpu, Call::HvmGetNextEip as u32, [0]), (0, 0x7C06));
    // EAX and EDX, then all four, then none.
    const COMPLETE: u32 = Call::HvmComplete as u32;
    for (count, expected, eip) in [(2, [11, 2, 0, 12], 6), (4, [11, 14, 13, 12], 7), (0, [11, 14, 13, 12], 8)] {
        assert_eq!(call(&mut cpu, COMPLETE, [count, 11, 12, 13, 14]), (0, 0));
        assert_eq!([0, 1, 2, 3].map(|register| call(&mut cpu, GET, [register]).1), expected);
        assert_eq!(call(&mut cpu, GET, [8]).1, 0x7C00 + eip);
    }
    assert_eq!(call(&mut cpu, COMPLETE, [5]), refused(Error::InvalReg, 5));
    for (rip, length) in [(u64::from(u32::MAX), 1), (1 << 32, 1)] {
        let next = run(&mut cpu, Exit { rip, length, ..HALT });
        assert!(drive(&mut cpu, next));
        for of_next in [Call::HvmGetNextEip, Call::HvmHandleRdmsr, Call::HvmHandleWrmsr] {
            assert_eq!(call(&mut cpu, of_next as u32, [5]), refused(Error::InvalAddr, 5), "{of_next:?}");
        }
        assert_eq!(call(&mut cpu, COMPLETE, [4]), refused(Error::InvalAddr, 4));
    }
}

#[test]
fn an_interrupt_gives_the_other_threads_their_turns() {
    let fixture = Fixture::with_guests(&[FRAMES, FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, CREATE, [0]), (0, 0));
    let next = run(&mut cpu, Exit { reason: 1, ..HALT });
    assert!(matches!(next, Next::Switch(_)));
    assert!(drive(&mut cpu, next));
    assert_ne!(cpu.own.cur, MONITOR);
    assert_eq!(answer(&cpu, MONITOR), (0, 1));
}
