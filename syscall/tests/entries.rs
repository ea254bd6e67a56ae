//! The entries of the kernel on the hosted machine.
mod common;

use abi::report::End;
use abi::{Call, Error, Reason, ThreadState};
use common::*;
use domain::Map;
use layer::core::call::{Access, Chunk};
use layer::core::constants::*;
use layer::core::fields::{Pde, Pte, process};
use layer::core::state::Cpu;
use layer::objects::memory::{exec_load, exec_store};
use layer::spec::fact::Class;
use proptest::prelude::*;
use sim::check::facts::check;
use sim::machine::Sim;
use sim::machine::boot::processor;
use sim::machine::sparse::Cells;
use sim::state::snapshot::Snapshot;
use syscall::continuation::Continuation;
use syscall::effect::EntryArguments;
use syscall::entry;
use syscall::next::{Next, Parent};
use syscall::table::rows;

const PUTS: u32 = Call::Puts as u32;
const SPAWN: u32 = Call::Spawn as u32;
const YIELD: u32 = Call::Yield as u32;
const QUOTA: u32 = Call::GetQuota as u32;

#[test]
fn an_image_is_loaded_as_its_file_says() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(cpu.own.cur, FIRST);
    assert_eq!(cpu.own.uctxt.get([FIRST, slot::EIP]).value, u64::from(ADR_LOW));
    let mut load = |va: u32| exec_load(&mut cpu, Chunk::Eight, va.into(), 0).unwrap();
    assert!(matches!(load(ADR_LOW), Access::Done([1, 2, 3, 4, 5, 0, 0, 0])));
    assert!(matches!(load(ADR_LOW + 4096), Access::Done([6, 7, 8, 0, 0, 0, 0, 0])));
    assert!(matches!(load(ADR_LOW + 8192), Access::Done([0, 0, 0, 0, 0, 0, 0, 0])));
    assert!(matches!(load(ADR_LOW + 3 * 4096), Access::Fault));
    let mut store = |va: u32| exec_store(&mut cpu, Chunk::One, va.into(), [9; 8], 0).unwrap();
    assert!(matches!(store(ADR_LOW), Access::Fault), "text is read-only");
    assert!(matches!(store(ADR_LOW + 4096), Access::Done(())));
    assert_eq!(cpu.own.ac.get([FIRST]).usage, FRAMES);
}

#[test]
fn a_boot_list_that_asks_too_much_is_refused_line_by_line() {
    let fixture = Fixture::new(&[FRAMES - 1, 600, FRAMES, 1]);
    let cpu = fixture.boot();
    let line = "cairn: CPU 0: image not started: no quota, child slot or thread number left\n";
    assert_eq!(String::from_utf8(fixture.console()).unwrap(), line.repeat(3));
    assert_eq!((cpu.own.ac.get([1]).nchildren, cpu.own.ac.get([1]).usage), (1, FRAMES));
    assert_eq!(fixture.platform.refused(), 3);
}

#[test]
fn puts_writes_to_the_end_of_the_page() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, PUTS, [ADR_LOW + 1, 3]), (0, 3));
    assert_eq!(fixture.console(), [2, 3, 4]);
    assert_eq!(call(&mut cpu, PUTS, [ADR_LOW + 4095, u32::MAX]), (0, 1));
    assert_eq!(fixture.console(), [0]);
    assert_eq!(call(&mut cpu, PUTS, [ADR_LOW, 5000]), (0, 4096));
    assert_eq!(fixture.console().len(), 4096);
    for address in [0, ADR_LOW - 1, ADR_HIGH, u32::MAX] {
        assert_eq!(call(&mut cpu, PUTS, [address, 1]), refused(Error::InvalAddr, address));
    }
    assert_eq!(call(&mut cpu, PUTS, [ADR_HIGH - 1, 0]), (0, 0));
    assert!(fixture.console().is_empty());
}

#[test]
fn puts_reserves_what_was_never_touched() {
    let fixture = Fixture::new(&[FRAMES + 2]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, QUOTA, [0, 0]), (0, 2));
    assert_eq!(call(&mut cpu, PUTS, [ADR_HIGH - 2, 9]), (0, 2));
    assert_eq!(fixture.console(), [0, 0]);
    assert_eq!(call(&mut cpu, QUOTA, [0, 0]), (0, 0));
    assert_eq!(call(&mut cpu, PUTS, [0x5000_0000, 1]), refused(Error::Mem, 0x5000_0000));
}

#[test]
fn putc_writes_a_byte_and_unknown_calls_are_refused() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, Call::Putc as u32, [0x1234, 0]), (0, 0x34));
    assert_eq!(fixture.console(), [0x34]);
    let behind = Call::ALL.iter().map(|&call| call as u32 + 1).max().unwrap();
    for number in [1, 4, behind, 1000, u32::MAX] {
        assert_eq!(call(&mut cpu, number, [5, 6]), refused(Error::InvalCallnr, 5));
    }
}

#[test]
fn spawn_gives_children_until_a_limit_is_reached() {
    let fixture = Fixture::new(&[200]);
    let mut cpu = fixture.boot();
    let left = 200 - FRAMES;
    for (image, quota, error) in [
        (1, FRAMES, Error::InvalId),
        (u32::MAX, FRAMES, Error::InvalId),
        (0, FRAMES - 1, Error::Mem),
        (0, left + 1, Error::Mem),
        (0, u32::MAX, Error::Mem),
    ] {
        assert_eq!(call(&mut cpu, SPAWN, [image, quota]), refused(error, image));
        assert_eq!(call(&mut cpu, QUOTA, [0, 0]), (0, left), "a refusal costs nothing");
    }
    for child in 0..8 {
        assert_eq!(call(&mut cpu, SPAWN, [0, 10 + child]), (0, 8 * FIRST + 1 + child));
        assert_eq!(cpu.own.ac.get([8 * FIRST + 1 + child]).usage, FRAMES);
    }
    assert_eq!(call(&mut cpu, SPAWN, [0, 10]), refused(Error::Mem, 0), "a ninth child");
}

/// Lets programs yield until `thread` runs.
fn wait_for(cpu: &mut Cpu<'_, Sim>, thread: u32) {
    while cpu.own.cur != thread {
        let next = begin(cpu, YIELD, [0, 0]);
        assert!(drive(cpu, next));
    }
}

#[test]
fn a_parent_whose_last_child_would_have_no_number_has_none() {
    let fixture = Fixture::new(&[FRAMES, FRAMES, FRAMES, FRAMES, FRAMES, FRAMES, 200]);
    let mut cpu = fixture.boot();
    // 15 is the seventh child of the main thread, 127 the seventh of 15: its children would be 1017 to 1024.
    wait_for(&mut cpu, 15);
    for child in 121..128 {
        assert_eq!(call(&mut cpu, SPAWN, [0, if child < 126 { FRAMES } else { 60 }]), (0, child));
    }
    wait_for(&mut cpu, 127);
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES]), refused(Error::Mem, 0));
    wait_for(&mut cpu, 126);
    for child in 1009..1017 {
        assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES]), (0, child));
    }
}

#[test]
fn spawn_refuses_numbers_that_do_not_exist() {
    let fixture = Fixture::new(&[300]);
    let mut cpu = fixture.boot();
    let mut parents = vec![FIRST];
    // A line of first children: 9, 73, 585. The children of 585 would have the numbers from 4681 on.
    for quota in [200, 100] {
        let (error, child) = call(&mut cpu, SPAWN, [0, quota]);
        assert_eq!(error, 0);
        wait_for(&mut cpu, child);
        parents.push(child);
    }
    assert_eq!(parents, [9, 73, 585]);
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES]), refused(Error::Mem, 0));
}

#[test]
fn spawn_takes_arguments_from_a_page_of_the_callers_own() {
    let fixture = Fixture::new(&[100]);
    let mut cpu = fixture.boot();
    let left = call(&mut cpu, QUOTA, [0, 0]);
    // The page of the image's data.
    let page = ADR_LOW + 4096;
    for wrong in [1, ADR_LOW - 4096, page + 4, 0x5000_0000, ADR_HIGH] {
        assert_eq!(call(&mut cpu, SPAWN, [0, 50, wrong]), refused(Error::InvalAddr, 0), "{wrong:#x}");
    }
    // The quota must cover the page of arguments and a page table for it.
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES + 1, page]), refused(Error::Mem, 0));
    assert_eq!(call(&mut cpu, QUOTA, [0, 0]), left);
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES + 2, page]), (0, 73));
    assert_eq!(cpu.own.ac.get([73]).usage, FRAMES + 1);
    // The page of the image's text may also be the source.
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES + 2, ADR_LOW]), (0, 74));
}

#[test]
fn a_program_is_told_who_it_is() {
    let fixture = Fixture::new(&[FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, Call::WhoAmI as u32, [7, 7]), (0, FIRST));
    let told = [slot::R10, slot::EDX].map(|slot| cpu.own.uctxt.get([FIRST, slot]).value as u32);
    assert_eq!(told, [0, abi::main_thread(0)]);
}

#[test]
fn a_main_thread_that_is_alone_says_so() {
    let fixture = Fixture::new(&[]);
    let mut cpu = processor(&fixture.shared, 0);
    let next = entry::boot(&mut cpu, 0).unwrap();
    assert!(!drive(&mut cpu, next));
    assert_eq!(fixture.platform.idles(), 100);
}

#[test]
fn yield_takes_turns_and_exit_is_for_good() {
    let fixture = Fixture::new(&[10, 10]);
    let mut cpu = fixture.boot();
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(cpu.own.cur);
        let next = begin(&mut cpu, YIELD, [77, 0]);
        assert!(drive(&mut cpu, next));
        // The main thread runs between the two programs; `drive` does not show this.
        assert_eq!(answer(&cpu, turns[turns.len() - 1]), (0, 0), "the result is there before the turn is over");
    }
    assert_eq!(turns, [9, 10, 9, 10]);
    let next = begin(&mut cpu, Call::Exit as u32, [42, 0]);
    assert!(drive(&mut cpu, next));
    for _ in 0..3 {
        assert_eq!(cpu.own.cur, 10);
        let next = begin(&mut cpu, YIELD, [0, 0]);
        assert!(drive(&mut cpu, next));
    }
    assert_eq!(fixture.platform.idles(), 0, "there was always another thread");
    let next = begin(&mut cpu, Call::Exit as u32, [43, 0]);
    assert!(!drive(&mut cpu, next), "nothing is left to run");
    let ends: Vec<_> = fixture.platform.ends().iter().map(|end| (end.thread, end.end)).collect();
    assert_eq!(ends, [(9, End::Exited { status: 42 }), (10, End::Exited { status: 43 })]);
}

#[test]
fn an_interrupted_program_goes_on_where_it_was() {
    let fixture = Fixture::new(&[10, 10]);
    let mut cpu = fixture.boot();
    let mut turns = Vec::new();
    for turn in 0..4 {
        turns.push(cpu.own.cur);
        let registers = std::array::from_fn(|slot| 100 * turn + slot as u64);
        let next = entry::interrupt(&mut cpu, registers).unwrap();
        assert!(drive(&mut cpu, next));
        let saved = |slot| cpu.own.uctxt.get([turns[turns.len() - 1], slot]).value;
        assert_eq!((0..UCTXT_SIZE).map(saved).collect::<Vec<_>>(), registers);
    }
    assert_eq!(turns, [9, 10, 9, 10]);
}

/// The running program accesses an address, which faults. Returns whether a program runs afterwards.
fn fault(cpu: &mut Cpu<'_, Sim>, address: u64, stores: bool) -> bool {
    let faults = if stores {
        matches!(exec_store(cpu, Chunk::One, address, [1; 8], 0x4000_0123).unwrap(), Access::Fault)
    } else {
        matches!(exec_load(cpu, Chunk::One, address, 0x4000_0123).unwrap(), Access::Fault)
    };
    assert!(faults);
    let next = entry::page_fault(cpu, [0; UCTXT_SIZE as usize]).unwrap();
    drive(cpu, next)
}

#[test]
fn a_fault_in_the_window_is_served() {
    let fixture = Fixture::new(&[FRAMES + 3]);
    let mut cpu = fixture.boot();
    for address in [STACK_TOP - 8, ADR_LOW + 100 * 4096] {
        assert!(fault(&mut cpu, address.into(), true));
        assert_eq!(cpu.own.cur, FIRST);
        let loaded = exec_load(&mut cpu, Chunk::Eight, address.into(), 0).unwrap();
        assert!(matches!(loaded, Access::Done([0, 0, 0, 0, 0, 0, 0, 0])));
    }
    assert_eq!(fixture.platform.ends(), []);
}

#[test]
fn other_faults_and_exceptions_stop_the_program_and_no_other() {
    let wide = 0xFFFF_8000_0000_0000;
    let stops = [
        (Reason::BadAddress, 0, false),
        (Reason::BadAddress, u64::from(ADR_LOW) - 1, true),
        (Reason::BadAddress, ADR_HIGH.into(), false),
        (Reason::BadAddress, wide, true),
        (Reason::ProtectionFault, ADR_LOW.into(), true),
        (Reason::OutOfQuota, 0x9000_0000, false),
    ];
    for (reason, address, stores) in stops {
        let fixture = Fixture::new(&[FRAMES, 10]);
        let mut cpu = fixture.boot();
        assert!(fault(&mut cpu, address, stores));
        assert_eq!(cpu.own.cur, 10, "the other program goes on");
        let end = End::Stopped { reason, address, rip: 0x4000_0123 };
        assert_eq!(fixture.platform.ends().iter().map(|end| (end.thread, end.end)).collect::<Vec<_>>(), [(FIRST, end)]);
        let line = abi::report::Ended { cpu: 0, thread: FIRST, name: "image", end }.to_string();
        // All registers are 0, and there is no function at address 0.
        let zeros =
            |names: [&str; 4]| format!("cairn:  {}\n", names.map(|name| format!(" {name:<3} {:#018x}", 0)).concat());
        let names = [
            ["rax", "rbx", "rcx", "rdx"],
            ["rsi", "rdi", "rbp", "rsp"],
            ["r8", "r9", "r10", "r11"],
            ["r12", "r13", "r14", "r15"],
        ];
        let account = format!("cairn:   rflags 0x0, {FRAMES} of {FRAMES} pages used\n");
        let report = format!("{line}\n{}{account}cairn:   in 0x0\n", names.map(zeros).concat());
        assert_eq!(String::from_utf8(fixture.console()).unwrap(), report);
    }
    let fixture = Fixture::new(&[FRAMES, 10]);
    let mut cpu = fixture.boot();
    let mut registers = [0; UCTXT_SIZE as usize];
    registers[slot::EIP as usize] = wide;
    let next = entry::exception(&mut cpu, registers, Reason::DivideError).unwrap();
    assert!(drive(&mut cpu, next));
    let end = End::Stopped { reason: Reason::DivideError, address: wide, rip: wide };
    assert_eq!(fixture.platform.ends()[0].end, end);
}

#[test]
fn the_rows_are_ready_where_they_are_to_run_and_lead_to_each_other() {
    let fixture = Fixture::new(&[10, 50]);
    let mut cpu = fixture.boot();
    let arguments = |cpu: &Cpu<'_, Sim>, load| EntryArguments::<Sim> {
        registers: [7; UCTXT_SIZE as usize],
        context: cpu.own.kctxt.get([cpu.own.cur]),
        reason: Reason::DivideError,
        parent: Parent::Program,
        load,
        wake: [5, 3, 0],
        guest: [7; SAVED.len()],
    };
    let ready = |cpu: &mut Cpu<'_, Sim>, load| {
        let mut ready = Vec::new();
        for row in rows::<Sim>() {
            let (before, arguments) = (Snapshot::take(cpu), arguments(cpu, load));
            if (row.ready)(&before.view(), &arguments) {
                let next = (row.run)(cpu, &arguments).unwrap();
                assert!(next.holds(&Snapshot::take(cpu).view()), "{}", row.name);
                assert_eq!(check(cpu, 0, Cells::Written, Class::Entry), [], "{}", row.name);
                ready.push(row.name);
            }
            before.restore(cpu);
        }
        ready
    };
    assert_eq!(ready(&mut cpu, [10, 0, 0]), ["system_call", "page_fault", "exception", "interrupt"]);
    let Next::Switch(_) = begin(&mut cpu, YIELD, [0, 0]) else { panic!("a yield switches") };
    assert_eq!(cpu.own.cur, 10);
    let steps = ["resume", "start_user", "main", "exited", "send", "receive", "wait", "wake"];
    assert_eq!(ready(&mut cpu, [FIRST, 0, 0]), [&steps[..], &["load"]].concat());
    // The running thread, a thread that does not exist, and thread 0, which is the kernel's.
    for child in [10, 11, 0] {
        assert_eq!(ready(&mut cpu, [child, 0, 0]), steps);
    }
}

/// An action of a program.
#[derive(Clone, Debug)]
enum Deed {
    Call([u64; UCTXT_SIZE as usize]),
    Access(u64, bool),
    Raise(Reason),
    Interrupt,
}

fn deed() -> impl Strategy<Value = Deed> {
    let number = prop_oneof![8 => prop::sample::select(vec![0u64, 2, 2, 3, 8, 8, 8, 9, 9, 9, 26, 32, 34, 37, 37, 38]), 1 => Just(33), 1 => any::<u64>()];
    let low = u64::from(ADR_LOW);
    let address = prop_oneof![4 => low..low + 20_000, 4 => (0..5u64).prop_map(move |page| low + 4096 * page), 1 => (low - 9)..(low + (3 << 30)), 1 => any::<u64>()];
    let value = prop_oneof![2 => Just(0u64), 2 => 0..60u64, 2 => address.clone(), 1 => any::<u64>()];
    let rest = (value.clone(), 0..3u64, any::<u64>());
    let call = (number, value.clone(), value, rest).prop_map(|(number, first, second, (third, wait, junk))| {
        let mut registers = [junk; UCTXT_SIZE as usize];
        let given = [(slot::EAX, number), (slot::EBX, first), (slot::R10, second), (slot::EDX, third)];
        for (slot, value) in given.into_iter().chain([(slot::ESI, wait)]) {
            registers[slot as usize] = value;
        }
        Deed::Call(registers)
    });
    let access = (address, any::<bool>()).prop_map(|(address, stores)| Deed::Access(address, stores));
    prop_oneof![6 => call, 4 => access, 1 => prop::sample::select(Reason::ALL).prop_map(Deed::Raise), 1 => Just(Deed::Interrupt)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever programs do, nothing gets stuck, the invariant holds, and every step's precondition holds.
    #[test]
    fn no_program_gets_the_kernel_stuck(deeds in prop::collection::vec(deed(), 1..80)) {
        let fixture = Fixture::new(&[20, 150, 60, 4, 9]);
        let mut cpu = fixture.boot();
        for deed in deeds {
            let next = match deed {
                Deed::Call(registers) => entry::system_call(&mut cpu, registers),
                Deed::Interrupt => entry::interrupt(&mut cpu, [7; UCTXT_SIZE as usize]),
                Deed::Raise(reason) => entry::exception(&mut cpu, [7; UCTXT_SIZE as usize], reason),
                Deed::Access(address, stores) => {
                    let done = if stores {
                        matches!(exec_store(&mut cpu, Chunk::One, address, [1; 8], 0), Ok(Access::Done(())))
                    } else {
                        matches!(exec_load(&mut cpu, Chunk::One, address, 0), Ok(Access::Done(_)))
                    };
                    if done {
                        continue;
                    }
                    entry::page_fault(&mut cpu, [7; UCTXT_SIZE as usize])
                }
            };
            if !drive(&mut cpu, next.expect("no entry is stuck")) {
                break;
            }
        }
        prop_assert_eq!(check(&cpu, 0, Cells::Neighbours, Class::Entry), []);
        // No frame is mapped twice.
        let mut frames: Vec<u32> = Vec::new();
        for (thread, page) in (FIRST..NUM_PROC).flat_map(|thread| (0..6).map(move |page| (thread, page))) {
            if let Pde::Table { frame } = cpu.own.dirs.get([thread, KERN_LOW / 512])
                && let Pte::Valid { page, .. } = cpu.own.tables.get([frame, page])
            {
                frames.push(page);
            }
        }
        let is_ended = |thread: u32| cpu.own.proc.get([thread]).state != process::LIVE;
        // Children of the main thread, from the boot list, that have not begun to end.
        let lives = |thread: u32| {
            let is_ending = thread != cpu.own.cur && cpu.own.kctxt.get([thread]).ra == Continuation::Exited as u32;
            cpu.own.ac.get([thread]).used && !is_ended(thread) && !is_ending
        };
        let alive = (FIRST..FIRST + 5).filter(|&thread| lives(thread)).count();
        prop_assert!(frames.len() >= alive * 3, "the programs that are alive have their images of three pages");
        for thread in (FIRST..NUM_PROC).filter(|&thread| is_ended(thread)) {
            prop_assert_eq!((thread, cpu.own.ac.get([thread]).usage), (thread, 0), "who has ended has nothing");
        }
        let all = frames.len();
        frames.sort_unstable();
        frames.dedup();
        prop_assert_eq!(frames.len(), all);
    }
}

#[test]
fn thread_info_tells_of_the_threads_of_this_cpu() {
    let fixture = Fixture::new(&[100, FRAMES]);
    let mut cpu = fixture.boot();
    assert_eq!(call(&mut cpu, SPAWN, [0, FRAMES + 1]), (0, 8 * FIRST + 1));
    let mut info = |thread: u32| {
        let (error, state) = call(&mut cpu, Call::ThreadInfo as u32, [thread]);
        let more =
            [slot::R10, slot::EDX, slot::ESI, slot::EDI].map(|slot| cpu.own.uctxt.get([FIRST, slot]).value as u32);
        (Error::from_number(error), ThreadState::from_number(state), more)
    };
    let told = |state, more: [u32; 4]| (Some(Error::Succ), Some(state), more);
    assert_eq!(info(FIRST), told(ThreadState::Running, [0, 100, 2 * FRAMES + 1, 1]));
    assert_eq!(info(FIRST + 1), told(ThreadState::Ready, [0, FRAMES, FRAMES, 0]));
    assert_eq!(info(8 * FIRST + 1), told(ThreadState::Ready, [0, FRAMES + 1, FRAMES, 0]));
    let (error, state, [image, _, usage, children]) = info(1);
    assert_eq!((error, state), (Some(Error::Succ), Some(ThreadState::Main)));
    assert_eq!((image, usage, children), (u32::MAX, 100 + FRAMES, 2));
    // In this order: never started, another CPU's, another CPU's main thread, of no CPU, and two that are no threads.
    for thread in [FIRST + 2, 17, 2, 0, NUM_PROC, u32::MAX] {
        assert_eq!(info(thread).0, Some(Error::InvalId), "{thread}");
    }

    // The states of a thread that waits for a message and of one that has ended.
    let next = begin(&mut cpu, Call::Recv as u32, [7, ADR_LOW + PAGE_SIZE, 1, 1]);
    assert!(drive(&mut cpu, next));
    let next = begin(&mut cpu, Call::Exit as u32, [0]);
    assert!(drive(&mut cpu, next));
    let me = cpu.own.cur;
    let state = |thread| ThreadState::from_number(call(&mut cpu, Call::ThreadInfo as u32, [thread]).1);
    let states = [FIRST, FIRST + 1, 8 * FIRST + 1].map(state);
    let ended = |thread| if me == thread { ThreadState::Running } else { ThreadState::Ended };
    assert_eq!(states, [ThreadState::Receiving, ended(FIRST + 1), ended(8 * FIRST + 1)].map(Some));
}
