//! Random sequences of calls from boot on. Each call preserves the invariant, satisfies its contract and the rely
//! conditions of the other CPUs, and does what an independent model says.
mod model;

use domain::Map;
use layer::catalogue::{Kind, Primitive, Rows, primitives};
use layer::core::call::{Access, Answer, Arguments, Chunk};
use layer::core::constants::*;
use layer::core::fields::Context;
use layer::core::machine::{Links, Object};
use layer::core::state::Cpu;
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::Threads;
use layer::spec::contract::Transition;
use layer::spec::fact::Class;
use model::{Model, Said, agree};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseResult, TestRunner};
use sim::check::facts::check;
use sim::check::replay::Replayed;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::guest::{Exit, vm_exit};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::serial::{SerialEvent, SerialInput};
use sim::machine::sparse::Cells;
use sim::state::snapshot::Snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A small memory with a hole, so that quotas and memory run out soon.
fn memory() -> Memory {
    let low = KERN_LOW;
    Memory { frames: low + 330, usable: vec![0..low + 150, low + 160..low + 330] }
}

/// A random call, before its arguments are chosen.
#[derive(Clone, Copy, Debug)]
struct Wish {
    cpu: u32,
    row: usize,
    /// Random bytes from which the arguments are made.
    dice: [u8; 6],
}

/// The most important primitives are called more often.
fn wish(cpus: u32) -> impl Strategy<Value = Wish> {
    let row = |name: &str| primitives::<Sim>().iter().position(|(row, _)| row.name == name).expect("a primitive");
    let often: Vec<usize> =
        ["pt_resv", "pt_resv", "exec_load", "exec_store", "exec_store", "proc_create", "thread_yield", "palloc"]
            .map(row)
            .into();
    let modes: Vec<usize> = ["proc_start_user", "proc_exit_user"].map(row).into();
    let guest = [
        "vmx_init",
        "vmx_set_mmap",
        "vmx_set_mmap",
        "vmx_run_vm",
        "guest_load",
        "guest_store",
        "guest_store",
        "vmx_return_from_guest",
        "host_in",
    ];
    let guest: Vec<usize> = guest.map(row).into();
    let channels = [
        "acquire_lock_CHAN",
        "acquire_lock_CHAN",
        "release_lock_CHAN",
        "ipc_send_body",
        "ipc_receive_body",
        "thread_sleep",
        "thread_wakeup",
        "thread_yield",
        "proc_create",
    ];
    let channels: Vec<usize> = channels.map(row).into();
    let console = console_rows();
    // The model is that of the reference, which does not have the primitives that this layer adds.
    let rows = primitives::<Sim>();
    let whichever: Vec<usize> = (0..rows.len()).filter(|&row| !rows[row].0.is_fresh()).collect();
    let row = prop_oneof![
        3 => prop::sample::select(often),
        2 => prop::sample::select(modes),
        4 => prop::sample::select(guest),
        4 => prop::sample::select(channels),
        2 => prop::sample::select(console),
        4 => prop::sample::select(whichever)
    ];
    (0..cpus, row, any::<[u8; 6]>()).prop_map(|(cpu, row, dice)| Wish { cpu, row, dice })
}

/// The rows of the console's primitives.
fn console_rows() -> Vec<usize> {
    let names = ["sti", "serial_intr_disable", "serial_intr_enable", "serial_putc", "cons_buf_read"];
    let rows = primitives::<Sim>();
    names.map(|name| rows.iter().position(|(row, _)| row.name == name).expect("a primitive")).to_vec()
}

/// Random events of the UART: bursts of up to `burst` characters, and pauses.
fn script(burst: usize) -> impl Strategy<Value = SerialInput> {
    let happens = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..=burst).prop_map(SerialEvent::Recv),
        2 => Just(SerialEvent::SendComplete),
        1 => Just(SerialEvent::Plugin),
        1 => Just(SerialEvent::Null),
    ];
    (prop::collection::vec(happens, 1..40), 0..3000u32).prop_map(|(happens, length)| {
        // The events repeat for a while, and then there are none.
        SerialInput::of(happens.iter().cycle().take(length as usize).cloned())
    })
}

/// Arguments for a primitive, mostly plausible ones.
fn arguments(row: &Primitive, model: &Model, wish: Wish) -> Arguments<Sim> {
    let one = &model.cpus[wish.cpu as usize];
    let [a, b, c, d, e, f] = wish.dice.map(u32::from);
    let threads = one.threads();
    let thread = match a % 8 {
        0..4 => one.cur,
        4..7 => threads[b as usize % threads.len()],
        _ => b * 5,
    };
    let zeroed = one.zeroed();
    let pages = [0, 1, 2, 511, 512, 513, 700_000, 720_895, 720_896, 5];
    let page = if c == 255 { 3 } else { KERN_LOW + pages[c as usize % pages.len()] };
    // Mostly pages that are mapped in the guest.
    let guest = one.vm.mapped();
    let page = if row.kind == Kind::GuestAccessor && f % 8 != 0 && !guest.is_empty() {
        guest[c as usize % guest.len()]
    } else {
        page
    };
    let chunk = Chunk::ALL[d as usize % 4];
    let offset = e % 16 * if f == 0 { 1 } else { chunk as u32 } + f % 3 * 2000;
    // Mostly a channel whose lock this CPU holds.
    let held = model.held_by(wish.cpu).filter(|_| row.name != "acquire_lock_CHAN");
    let cv = held.map_or(d % 2, |q| q - SLP_Q);
    let word = |name: &&str| match *name {
        "n" if row.name == "container_can_consume" => Some(e),
        "n" if row.name.starts_with("ipc") => Some([0, 1, 5, 1024, 2000][d as usize % 5]),
        "n" | "i" => Some(if row.name == "vmxinfo_get" { e % 20 } else { thread }),
        "va" if row.name.starts_with("ipc") => {
            let mapped = one.mapped();
            let page = mapped.get(c as usize % mapped.len().max(1)).copied().unwrap_or(page);
            Some(page * PAGE_SIZE + u32::from(f == 0))
        }
        "va" => Some(page * PAGE_SIZE + e),
        "perm" => Some([7, 7, 7, 5, 3, 1, 259, 2][d as usize % 8]),
        "k" => Some(e % 26),
        "v" => Some(e),
        "q" if row.name == "proc_create" => Some(d % 12),
        // Mostly the channels of two condition variables.
        "q" | "cv" if d % 16 == 0 => Some(1020 + e),
        "q" => Some(SLP_Q + cv),
        "cv" => Some(cv),
        // The internal functions get only pages that pt_resv has zeroed. Other pages would violate D17.
        "page" => Some(zeroed.get(f as usize % zeroed.len().max(1)).copied().unwrap_or(f)),
        "elf" | "elf_id" | "mbi" => Some(e),
        "r" | "seg" => Some(e % 15),
        "enable" | "ev" => Some(d % 3),
        "sel" | "base" | "lim" | "ar" | "errcode" => Some(c << 24 | e),
        "kind" | "vector" => Some(if f == 0 { c << 24 | e } else { e % 8 << 8 }),
        // Mostly pages of this CPU.
        "hpa" if f % 4 != 0 && !one.data.is_empty() => Some(one.data[e as usize % one.data.len()] * PAGE_SIZE),
        "gpa" | "hpa" => Some(page * PAGE_SIZE + if f % 8 == 0 { e } else { 0 }),
        "memtype" => Some(d % 9),
        "c" => Some(if d % 3 == 0 { u32::from(b'\n') } else { c << 24 | e }),
        _ => None,
    };
    let mut words = [0; 4];
    for (to, word) in words.iter_mut().zip(row.arguments.iter().filter_map(|argument| word(&argument.name))) {
        *to = word;
    }
    Arguments {
        words,
        wide: u64::from(page * PAGE_SIZE + offset) + if f == 255 { 1 << 32 } else { 0 },
        place: f.into(),
        context: Context { esp: f, ra: f % layer::core::fields::CONTINUATIONS },
        registers: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(e)),
        guest: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(d << 24 | e)),
        chunk,
        bytes: [a, b, c, d, e, f, 1, 2],
    }
}

/// The differences of queues and channels from the model.
fn differences(cpu: &Cpu<'_, Sim>, model: &Model) -> Option<String> {
    let shared = cpu.shared;
    let threads = |head: u32| -> Vec<u32> {
        let behind = |&thread: &u32| Some(Links::<Sim>::next(&shared.links, thread)).filter(|&next| next != NO_THREAD);
        std::iter::successors(Some(head).filter(|&head| head != NO_THREAD), behind).collect()
    };
    let me = cpu.own.cpu;
    let mut queues = vec![("ready", me, threads(cpu.own.ready.head), Some(&model.cpus[me as usize].ready))];
    for cpu in 0..TOTAL_CPU {
        let pending = threads(shared.pending.inspect(cpu).fifo.head);
        queues.push(("pending", cpu, pending, model.shared.pending.get(&cpu)));
    }
    for cv in 0..2 {
        let sleepers = threads(shared.sleep.inspect(cv).fifo.head);
        queues.push(("sleep", cv, sleepers, model.shared.sleepers.get(&cv)));
    }
    for (name, row, natively, expected) in queues {
        let expected: Vec<u32> = expected.into_iter().flatten().copied().collect();
        if natively != expected {
            return Some(format!("{name} queue {row} is {natively:?}, the model has {expected:?}"));
        }
    }
    let channels = shared.channels.inspect();
    for q in SLP_Q..SLP_Q + 2 {
        let expected = model.shared.channels.get(&q).cloned().unwrap_or_default();
        let (control, lock) = (channels.pool.get([q]), channels.lock_of(q));
        let held = (lock.holder != TOTAL_CPU).then_some((lock.holder, lock.budget));
        let message: Vec<u32> = (0..4 * lock.words).map(|at| channels.mailbox.get([q, at]).value).collect();
        let same = message.len() == expected.message.len()
            && message.iter().zip(&expected.message).all(|(byte, expected)| expected.is_none_or(|e| e == *byte));
        if (held, control.count, control.busy) != (expected.held, expected.count, expected.busy) || !same {
            return Some(format!("channel {q} is {control:?}, {lock:?}, the model has {expected:?}"));
        }
    }
    None
}

/// Makes one call, and checks everything about it. Adds the primitive to `done` if the call did not get stuck.
fn call(
    cpus: &mut [Cpu<'_, Sim>],
    (model, replayed): (&mut Model, &mut Replayed),
    rows: &Rows<Sim>,
    wish: Wish,
    done: &mut BTreeSet<&'static str>,
) -> TestCaseResult {
    let (row, contract) = &rows[wish.row];
    // The internal functions of pt_resv preserve H for any page, but D17 and D18 only for the pages that pt_resv
    // passes.
    if row.kind == Kind::Internal {
        return Ok(());
    }
    let arguments = arguments(row, model, wish);
    let cpu = &mut cpus[wish.cpu as usize];
    let before = Snapshot::take(cpu);
    if !(contract.assumes)(&before.view(), &arguments) {
        return Ok(());
    }
    // The call would wait for ever, because no other CPU runs that could release the lock.
    let holder = |q: u32| before.channels.lock_of(q).holder;
    let q = arguments.words[0];
    if row.name == "acquire_lock_CHAN" && q < NUM_CHAN && ![TOTAL_CPU, wish.cpu].contains(&holder(q)) {
        return Ok(());
    }
    let said = model.call(wish.cpu, row.name, &arguments);
    let name = row.name;
    let Ok(answer) = (contract.run)(cpu, &arguments) else {
        prop_assert!(
            matches!(said, None | Some(Said::Stuck)),
            "{name} is stuck, the model says {said:?}: {arguments:x?}"
        );
        before.restore(cpu);
        return Ok(());
    };
    done.insert(name);
    let agreed = match (&answer, &said) {
        (_, None) => true,
        (Answer::Word(word), Some(Said::Word(expected))) => word == expected,
        (Answer::Wide(wide), Some(Said::Wide(expected))) => wide == expected,
        (Answer::ToGuest(registers, rip), Some(Said::Registers(expected))) => {
            expected.split_last() == Some((rip, registers.as_slice()))
        }
        (Answer::ToHost(rdi, rbp), Some(Said::Registers(expected))) => expected == &[*rdi, *rbp],
        (Answer::Loaded(access), Some(said)) => agree(access, said),
        (Answer::Stored(Access::Done(())), Some(Said::Stored)) | (Answer::Stored(Access::Fault), Some(Said::Fault)) => {
            true
        }
        (Answer::Unit | Answer::Resume(_) | Answer::ToUser(_), Some(Said::Done)) => true,
        _ => false,
    };
    prop_assert!(agreed, "{name} gives {answer:?}, the model says {said:?}: {arguments:x?}");
    prop_assert_eq!(cpu.own.cur, model.cpus[wish.cpu as usize].cur);
    prop_assert_eq!(differences(cpu, model), None, "after {} with {:x?}", name, arguments);
    prop_assert_eq!(model.cpus[wish.cpu as usize].vm.differences(&cpu.own), [""; 0], "after {}", name);
    prop_assert_eq!(model.cpus[wish.cpu as usize].uart.differences(&cpu.own), [""; 0], "after {}", name);

    let after = Snapshot::take(cpu);
    let any = [wish.dice[4].into(), wish.dice[5].into()];
    let step = Transition { before: before.view(), after: after.view(), arguments: &arguments, answer: &answer, any };
    prop_assert!((contract.ensures)(&step), "{name} breaks its postcondition: {arguments:x?} {answer:?}");
    let log = after.logged_since(&before);
    let outs = replayed.replay(&log).map_err(|difference| TestCaseError::fail(format!("{name}: {difference}")))?;
    let logged: Vec<_> = log.iter().map(|entry| entry.event).zip(outs).collect();
    prop_assert!((contract.events)(&step, &logged), "{name} logs events that its contract does not allow: {logged:x?}");
    prop_assert!(log.iter().all(|entry| entry.cpu == wish.cpu));
    prop_assert_eq!(replayed.differences(&after.objects(), &log), [], "after {} with {:x?}", name, arguments);
    for me in (0..TOTAL_CPU).filter(|&me| me != wish.cpu) {
        for thread in 0..NUM_PROC {
            prop_assert!(
                Threads::rely(&before.threads, &after.threads, me, thread),
                "{name}: CPU {me}, thread {thread}"
            );
        }
        for q in SLP_Q..SLP_Q + 2 {
            prop_assert!(Channels::rely(&before.channels, &after.channels, me, q), "{name}: CPU {me}, channel {q}");
        }
        for frame in KERN_LOW - 1..memory().frames + 1 {
            prop_assert!(AllocTable::rely(&before.at, &after.at, me, &[frame]), "{name}: CPU {me}, frame {frame}");
        }
    }
    prop_assert_eq!(check(cpu, wish.cpu, Cells::Written, Class::Derived), [], "after {} with {:x?}", name, arguments);
    if name == "vmx_run_vm" {
        let [a, b, c, d, e, f] = wish.dice.map(u32::from);
        let (address, rip) = (u64::from(c) << 12, u64::from(d << 24 | e));
        let exit = Exit { reason: a << 24 | b, qualification: (e << 16 | f).into(), address, length: f % 16, rip };
        prop_assert_eq!(vm_exit(cpu, exit), Ok(()));
        model.cpus[wish.cpu as usize].vm.exit(exit);
    }
    let other = u32::from(wish.dice[0]) % cpus.len() as u32;
    prop_assert_eq!(
        check(&cpus[other as usize], other, Cells::Written, Class::Derived),
        [],
        "after {} on CPU {}",
        name,
        wish.cpu
    );
    Ok(())
}

/// Boots a machine and makes the calls on it. Returns the primitives that did not get stuck.
fn run(wishes: &[Wish], many: u32, script: SerialInput) -> Result<BTreeSet<&'static str>, TestCaseError> {
    let mut platform = Platform::bare(memory());
    platform.serial = script.clone();
    platform::make_current(Arc::new(platform), None);
    let (shared, rows) = (shared(), primitives::<Sim>());
    let mut cpus: Vec<_> = (0..many).map(|cpu| processor(&shared, cpu)).collect();
    for cpu in &mut cpus {
        sched_init(cpu, 0).expect("a good machine");
    }
    let mut model = Model::boot(memory().frames, |frame| memory().is_usable(frame), &script);
    let mut replayed = Replayed::boot();
    let mut done = BTreeSet::new();
    for &wish in wishes {
        call(&mut cpus, (&mut model, &mut replayed), &rows, wish, &mut done)?;
    }
    for (current, cpu) in (0..).zip(&cpus) {
        prop_assert_eq!(check(cpu, current, Cells::Neighbours, Class::Derived), []);
    }
    Ok(done)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_cpu_keeps_everything(wishes in prop::collection::vec(wish(1), 1..120), script in script(20)) {
        run(&wishes, 1, script)?;
    }

    #[test]
    fn the_console_does_what_the_reference_says(
        wishes in prop::collection::vec((prop::sample::select(console_rows()), any::<[u8; 6]>()), 1..100),
        script in script(15),
    ) {
        let wishes: Vec<Wish> = wishes.into_iter().map(|(row, dice)| Wish { cpu: 0, row, dice }).collect();
        run(&wishes, 1, script)?;
    }

    #[test]
    fn eight_cpus_keep_everything(wishes in prop::collection::vec(wish(8), 1..160), script in script(20)) {
        run(&wishes, 8, script)?;
    }
}

#[test]
fn these_sequences_reach_every_primitive() {
    let mut runner = TestRunner::deterministic();
    let mut done = BTreeSet::new();
    for _ in 0..50 {
        let wishes = prop::collection::vec(wish(2), 150).new_tree(&mut runner).unwrap().current();
        let script = script(20).new_tree(&mut runner).unwrap().current();
        done.extend(run(&wishes, 2, script).unwrap());
    }
    let rows = primitives::<Sim>();
    let called = rows.iter().filter(|(row, _)| row.kind != Kind::Internal && !row.is_fresh());
    let missing: Vec<_> = called.map(|(row, _)| row.name).filter(|name| !done.contains(name)).collect();
    // The first primitive is undefined in every state that satisfies D2, and the second has run
    // before.
    assert_eq!(missing, ["set_pt", "sched_init"]);
}
