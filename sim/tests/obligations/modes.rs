//! D.18, D.19 and D.20: the modes, the state after `sched_init`, the constants.
use crate::machine::{Processor, assert_invariant, boot, memory, off};
use domain::Map;
use layer::core::constants::*;
use layer::core::fields::{LockState, Pde, kind};
use layer::core::geometry::{Geometry, Reference};
use layer::core::stuck::Stuck;
use layer::objects::boot::sched_init;
use layer::objects::interrupt::cli;
use layer::objects::page_table::set_pt;
use layer::objects::process::*;
use layer::objects::vmx::*;
use proptest::prelude::*;
use sim::machine::guest::{Exit, vm_exit};
use sim::machine::platform::Memory;
use sim::machine::serial::SerialInput;

/// The mode of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Boot,
    Kernel,
    User,
    Guest,
}

/// A step that changes the mode, or tries to.
#[derive(Clone, Copy, Debug)]
enum Step {
    SchedInit,
    StartUser(bool),
    ExitUser(bool),
    HostOut,
    HostIn,
    RunVm,
    ReturnFromGuest,
    SetPt(u32),
    Cli,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::SchedInit),
        any::<bool>().prop_map(Step::StartUser),
        any::<bool>().prop_map(Step::ExitUser),
        Just(Step::HostOut),
        Just(Step::HostIn),
        Just(Step::RunVm),
        Just(Step::ReturnFromGuest),
        (0..NUM_PROC + 1).prop_map(Step::SetPt),
        Just(Step::Cli),
    ]
}

/// Makes a step. Returns whether it succeeded.
fn take(cpu: &mut Processor, step: Step) -> bool {
    match step {
        Step::SchedInit => sched_init(cpu, 0).is_ok(),
        Step::StartUser(false) => proc_start_user(cpu).is_ok(),
        Step::StartUser(true) => proc_start_user2(cpu).is_ok(),
        Step::ExitUser(false) => proc_exit_user(cpu, [0; 25]).is_ok(),
        Step::ExitUser(true) => proc_exit_user2(cpu, [0; 25]).is_ok(),
        Step::HostOut => host_out(cpu).is_ok(),
        Step::HostIn => host_in(cpu).is_ok(),
        Step::RunVm => vmx_run_vm(cpu, 0, 0).is_ok(),
        Step::ReturnFromGuest => {
            let exit = Exit { reason: 1, qualification: 0, address: 0, length: 0, rip: 0 };
            vm_exit(cpu, exit).is_ok() && vmx_return_from_guest(cpu, [0; 14]).is_ok()
        }
        Step::SetPt(n) => set_pt(cpu, n).is_ok(),
        Step::Cli => cli(cpu).is_ok(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d18_from_boot_to_the_kernel_and_from_there_and_back(steps in prop::collection::vec(step(), 1..80)) {
        let mut cpus = off(memory(80), 1, SerialInput::default());
        let (mut mode, mut vm) = (Mode::Boot, false);
        for step in steps {
            let cpu = &mut cpus[0];
            if mode == Mode::Kernel && !vm {
                vm = vmx_init(cpu, 0).is_ok();
            }
            let to = match (mode, step) {
                (Mode::Boot, Step::SchedInit) => Some(Mode::Kernel),
                (Mode::Kernel, Step::StartUser(_)) => Some(Mode::User),
                (Mode::User, Step::ExitUser(_)) => Some(Mode::Kernel),
                (Mode::Kernel, Step::HostOut | Step::RunVm) => Some(Mode::Guest),
                (Mode::Guest, Step::HostIn | Step::ReturnFromGuest) => Some(Mode::Kernel),
                (Mode::Kernel, Step::Cli) => Some(Mode::Kernel),
                _ => None,
            };
            prop_assert_eq!(take(cpu, step), to.is_some(), "{:?} in {:?} mode", step, mode);
            mode = to.unwrap_or(mode);
            let g = &cpu.own.ghost.0;
            let flags = (g.pg, g.ikern, g.ihost, g.ipt, g.init);
            let expected = match mode {
                Mode::Boot => (false, true, true, true, false),
                Mode::Kernel => (true, true, true, true, true),
                Mode::User => (true, false, true, false, true),
                Mode::Guest => (true, true, false, true, true),
            };
            prop_assert_eq!(flags, expected, "in {:?} mode", mode);
            prop_assert_eq!(g.pt, match mode { Mode::Boot => u32::MAX, Mode::User => cpu.own.cur, _ => 0 });
        }
        assert_invariant(&cpus);
    }

    #[test]
    fn d19_the_state_after_boot(pages in 0..400u32, hole in 0..30u32, at in 0..400u32, cpu in 0..TOTAL_CPU) {
        let frames = KERN_LOW + pages;
        let hole = KERN_LOW + at..(KERN_LOW + at + hole).max(KERN_LOW + at);
        let memory = Memory { frames, usable: vec![0..hole.start.min(frames), hole.end.min(frames)..frames] };
        let norm: Vec<u32> = (KERN_LOW..frames).filter(|frame| !hole.contains(frame)).collect();
        let mut cpus = off(memory, TOTAL_CPU, SerialInput::default());
        let cpu = &mut cpus[cpu as usize];
        sched_init(cpu, 7).unwrap();
        prop_assert_eq!(sched_init(cpu, 7), Err(Stuck::NotBoot), "a second time");
        let own = &cpu.own;
        let g = &own.ghost.0;

        prop_assert_eq!((own.nps, own.cur, g.pt), (frames, own.cpu + 1, 0));
        let (quota, share) = (norm.len() as u32, norm.len() as u32 / 8);
        for i in 0..NUM_ID {
            let container = own.ac.get([i]);
            let fields = (container.quota, container.usage, container.parent, container.nchildren, container.used);
            let expected = match i {
                0 => (quota, 8 * share, 0, 8, true),
                1..=8 => (share, 0, 0, 0, true),
                _ => (0, 0, 0, 0, false),
            };
            prop_assert_eq!(fields, expected, "container {}", i);
        }
        let table = cpu.shared.at.inspect(0);
        for frame in (KERN_LOW - 2..frames + 2).chain([0, 1, KERN_HIGH, MAX_PAGE - 1]) {
            let expected = match frame {
                _ if norm.contains(&frame) => kind::NORM,
                _ if (KERN_LOW..frames.min(KERN_HIGH)).contains(&frame) => kind::RESV,
                _ => kind::KERN,
            };
            let found = table.frames.get([frame]);
            prop_assert_eq!((found.kind, found.alloc), (expected, false), "frame {}", frame);
            // The reverse map is empty below the end of memory, and undefined beyond it (10.3).
            let reverse = g.lat.get([frame]);
            prop_assert_eq!((reverse.valid, reverse.len), (frame < own.nps, 0), "frame {}", frame);
        }
        // A directory entry covers 2 MiB. The user window is entries 512 to 1919.
        for thread in [0, 1, 8, 9, 500, NUM_PROC - 1] {
            for directory in [0, 511, 512, 513, 1000, 1919, 1920, 2047] {
                let is_absent = matches!(own.dirs.get([thread, directory]), Pde::UnPresent);
                let is_identity = matches!(own.dirs.get([thread, directory]), Pde::Id);
                let user = thread != 0 && (512..1920).contains(&directory);
                prop_assert_eq!((is_absent, is_identity), (user, !user), "{} of {}", directory, thread);
            }
        }
        for q in 0..NUM_CHAN {
            let channel = cpu.shared.channels.inspect().pool.get([q]);
            prop_assert_eq!((channel.to, channel.senderpaddr, channel.count, channel.busy), (NUM_CHAN, 0, 0, 0));
        }
        for lock in 0..LOCK_RANGE {
            prop_assert!(matches!(g.lock.get([lock]), LockState::Free));
        }
        for line in 0..24 {
            let found = own.lines.get([line]);
            // Line 4 belongs to the UART, on the CPU that has it (P39).
            prop_assert_eq!((found.irq, found.enabled), (32 + line, line == 4 && own.cpu == 0));
        }
        for (one, other) in [(0, 0), (1, 9), (NUM_PROC - 1, 5)] {
            let offer = g.smspool.get([one, other]);
            prop_assert_eq!((offer.status, offer.seen, offer.address), (0, true, 0));
        }
        prop_assert!(own.ioapic.init && own.intr_flag && !own.vm.set_up);
        prop_assert_eq!((own.ti.addr, own.com1.l1, own.com1.l2, own.console.len), (0, 0, 0, 0));
    }
}

#[test]
fn d18_set_pt_never_has_a_behaviour() {
    let mut cpus = boot(memory(80), 1);
    for n in [0, 1, NUM_PROC, u32::MAX] {
        assert!(set_pt(&mut cpus[0], n).is_err(), "{n}");
    }
}

#[test]
fn d19_the_references_example() {
    // One usable region below 0x4100_0000. The page count is the number of pages below its end (P25).
    let cpus = boot(Memory::all(0x4100_0000 / 4096), 1);
    assert_eq!((cpus[0].own.nps, cpus[0].own.ac.get([0]).quota, cpus[0].own.ac.get([1]).quota), (266_240, 4096, 512));
}

#[test]
fn d19_a_machine_with_too_little_memory_is_refused() {
    let mut cpus = off(Memory::all(KERN_LOW - 1), 1, SerialInput::default());
    assert_eq!(sched_init(&mut cpus[0], 0), Err(Stuck::BadMemory));
}

// D.20: the constants are those of the reference's table (section 2), and satisfy P1.
const _: () = {
    assert!(PAGE_SIZE == 4096 && MAX_PAGE == 1_048_576 && KERN_LOW == 262_144 && KERN_HIGH == 983_040);
    assert!(ADR_LOW == 0x4000_0000 && ADR_HIGH == 0xF000_0000 && STACK_TOP == 0xF000_0000);
    assert!(MAGIC_NUMBER == 1_048_577 && TOTAL_CPU == 8 && MAX_CHILDREN == 8 && MAX_WORDS == 1024);
    assert!(NUM_PROC >= 73 && NUM_ID == NUM_PROC && NUM_CHAN == 16 + NUM_CV && SLP_Q == 16 && MSG_Q == 8);
    assert!(CHANNEL_LOCKS == 1 + NUM_CHAN && LOCK_RANGE == 1 + 2 * NUM_CHAN && LOCK_BOUND == 10);
    assert!(CONSOLE_BUFFER_SIZE == 512 && SERIAL_HW_BUF_SIZE == 12);
    assert!(INTR_DISABLE_REC_MAX == 100 && NEXT_SEND_MAX_REC == 12_800);
    assert!(Reference::USER_CODE == 27 && USER_DATA == 35 && FL_IF == 0x200);
    // The reference's 17 words and R8 to R15 (P45).
    assert!(UCTXT_SIZE == 17 + 8 && VMX_SIZE == 36 + 8 && VMXINFO_SIZE == 15);
};

#[test]
fn d20_queues_and_locks_have_ids_of_their_own() {
    let ready = (0..TOTAL_CPU).collect::<Vec<_>>();
    let pending = (0..TOTAL_CPU).map(|cpu| MSG_Q + cpu);
    let sleep = (0..NUM_CV).map(|cv| SLP_Q + cv);
    let queues: Vec<u32> = ready.into_iter().chain(pending).chain(sleep).collect();
    assert!(queues.iter().copied().eq(0..NUM_CHAN), "no two queues have one id, and all are channels");
    let locks = [0].into_iter().chain(queues.iter().map(|q| q + 1)).chain(queues.iter().map(|q| q + CHANNEL_LOCKS));
    assert!(locks.eq(0..LOCK_RANGE));
}
