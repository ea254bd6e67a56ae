//! Long random histories of eight CPUs. Replaying the merged log gives the objects of the machine; the other CPUs
//! satisfy each CPU's rely conditions (H20); and a wrong log is detected.
use layer::core::constants::*;
use layer::core::fields::Context;
use layer::core::log::Event;
use layer::core::state::{Cpu, Shared};
use layer::objects::boot::sched_init;
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::channel::{
    acquire_lock_chan, ipc_receive_body, ipc_send_body, release_lock_chan, set_sync_chan_busy,
};
use layer::objects::page_alloc::palloc;
use layer::objects::page_table::pt_resv;
use layer::objects::process::proc_create;
use layer::objects::thread::{thread_sleep, thread_wakeup, thread_yield};
use proptest::prelude::*;
use sim::check::rely::breach;
use sim::check::replay::{Difference, Flaw, Objects, Place, Replayed, Running, listed};
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::log::{Entry, merged};
use sim::machine::platform::{self, Memory, Platform};
use std::sync::Arc;

/// A small memory, which runs out.
fn memory() -> Memory {
    let low = KERN_LOW;
    Memory { frames: low + 2500, usable: vec![low..low + 700, low + 710..low + 2500] }
}

/// A random action of one CPU.
#[derive(Clone, Copy, Debug)]
struct Wish {
    cpu: u32,
    what: u32,
    dice: u32,
}

fn wishes(many: usize) -> impl Strategy<Value = Vec<Wish>> {
    let wish = (0..TOTAL_CPU, 0..16u32, any::<u32>()).prop_map(|(cpu, what, dice)| Wish { cpu, what, dice });
    prop::collection::vec(wish, many)
}

/// Performs the action, if it is defined. These primitives check everything before they change anything.
fn grant(cpu: &mut Cpu<'_, Sim>, Wish { what, dice, .. }: Wish) {
    let (cv, rs) = (dice % 3, Context { esp: dice, ra: 0 });
    let q = Channel(cv + SLP_Q);
    let holder = cpu.shared.channels.inspect().lock_of(q.0).holder;
    let _ = match what {
        0 => palloc(cpu, cpu.own.cur).map(drop),
        1 => proc_create(cpu, 0, 7, dice % 4).map(drop),
        2..4 => thread_yield(cpu, rs).map(drop),
        // No other CPU would release the lock meanwhile.
        4..8 if holder == TOTAL_CPU => acquire_lock_chan(cpu, q),
        8..10 => release_lock_chan(cpu, q),
        10 => set_sync_chan_busy(cpu, q, dice % 3),
        11 => ipc_send_body(cpu, q, ADR_LOW, dice % 2000).map(drop),
        12 => ipc_receive_body(cpu, q, ADR_LOW, dice % 2000).map(drop),
        13 => thread_wakeup(cpu, Cv(cv)).map(drop),
        14..16 => thread_sleep(cpu, Cv(cv), rs).map(drop),
        _ => Ok(()),
    };
}

/// Runs a machine. Calls `look` with its final objects and its log.
fn run<R>(wishes: &[Wish], look: impl FnOnce(&Objects<'_>, Vec<Entry>) -> R) -> R {
    platform::make_current(Arc::new(Platform::bare(memory())), None);
    let shared: Shared<Sim> = shared();
    let mut cpus: Vec<_> = (0..TOTAL_CPU).map(|cpu| processor(&shared, cpu)).collect();
    for cpu in &mut cpus {
        sched_init(cpu, 0).expect("a good machine");
        pt_resv(cpu, cpu.own.cur, ADR_LOW, perm::PTU).expect("there is memory");
    }
    for &wish in wishes {
        grant(&mut cpus[wish.cpu as usize], wish);
    }
    let (at, channels, threads) = (shared.at.inspect(0), shared.channels.inspect(), shared.links.inspect());
    let pending: Vec<_> = (0..TOTAL_CPU).map(|row| shared.pending.inspect(row)).collect();
    let sleep: Vec<_> = (0..NUM_CV).map(|row| shared.sleep.inspect(row)).collect();
    let running =
        |cpu: &Cpu<'_, Sim>| Running { cpu: cpu.own.cpu, thread: cpu.own.cur, ready: listed(&cpu.own.ready, &threads) };
    let logs = pending.iter().map(|queue| &queue.log).chain(sleep.iter().map(|queue| &queue.log));
    let log = merged(logs.chain([&at.log, &channels.log]).chain(cpus.iter().map(|cpu| &cpu.own.log)));
    let objects = Objects {
        at: &at,
        pending: pending.iter().map(|queue| &queue.fifo).collect(),
        sleep: sleep.iter().map(|queue| &queue.fifo).collect(),
        channels: &channels,
        threads: &threads,
        running: cpus.iter().map(running).collect(),
        nps: shared.boot.nps,
    };
    look(&objects, log)
}

/// The errors in a log that should lead from boot to `objects`.
fn wrong(objects: &Objects<'_>, log: &[Entry]) -> Vec<Difference> {
    let mut replayed = Replayed::boot();
    match replayed.replay(log) {
        Ok(_) => replayed.differences(objects, log),
        Err(difference) => vec![difference],
    }
}

fn texts(log: &[Entry]) -> Vec<String> {
    log.iter().map(|entry| format!("{entry:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_leads_to_where_the_machine_is(wishes in wishes(3000)) {
        let first = run(&wishes, |objects, log| {
            prop_assert_eq!(wrong(objects, &log), []);
            prop_assert!(log.windows(2).all(|two| two[0].stamp < two[1].stamp));
            Ok(texts(&log))
        })?;
        // The same actions give the same log.
        prop_assert_eq!(first, run(&wishes, |_, log| texts(&log)));
    }

    #[test]
    fn each_cpu_may_count_on_the_others(wishes in wishes(1500)) {
        run(&wishes, |_, log| {
            let start = Replayed::boot();
            for cpu in 0..TOTAL_CPU {
                prop_assert_eq!(breach(&start, &log, cpu), None);
            }
            Ok(())
        })?;
    }

    /// Every prefix of a log is valid.
    #[test]
    fn every_prefix_of_a_log_has_a_meaning(wishes in wishes(600), cut in any::<prop::sample::Index>()) {
        run(&wishes, |_, log| {
            let mut replayed = Replayed::boot();
            prop_assert!(replayed.replay(&log[..cut.index(log.len() + 1)]).is_ok());
            Ok(())
        })?;
    }

    #[test]
    fn a_log_of_another_machine_is_found_out(
        wishes in wishes(600), at in any::<prop::sample::Index>(), how in 0..4u32
    ) {
        run(&wishes, |objects, log| {
            let mut other = log.clone();
            let number = at.index(log.len());
            let entry = &mut other[number];
            let changed = match how {
                // The event is removed. If the event reports that nothing was allocated, its
                // removal cannot be detected.
                0 => {
                    let leaves_nothing = match entry.event {
                        Event::Palloc { page, .. } => page == 0,
                        Event::Wake { .. } | Event::Yield { .. } => true,
                        // The budget that the event used is forgotten when the lock is released.
                        Event::Get { .. } | Event::Buffer { .. } | Event::Release { .. } => true,
                        _ => false,
                    };
                    other.remove(number);
                    !leaves_nothing
                }
                1 => {
                    entry.cpu = (entry.cpu + 1) % TOTAL_CPU;
                    true
                }
                // Another thread.
                2 => {
                    match &mut entry.event {
                        Event::Palloc { tid, .. } | Event::Yield { tid } | Event::Wait { tid, .. }
                        | Event::Get { tid, .. } | Event::Release { tid, .. } | Event::Buffer { tid, .. }
                        | Event::Sleep { tid, .. } | Event::Wake { tid, .. } | Event::WakeDiff { tid, .. }
                        | Event::Spawn { tid, .. } => *tid += 1,
                        _ => {}
                    }
                    true
                }
                // The event is about another page, child, channel or woken thread.
                _ => match &mut entry.event {
                    Event::Palloc { page, .. } => { *page += 1; true }
                    Event::Spawn { child, .. } => { *child += 1; true }
                    Event::Get { channel, .. } | Event::Buffer { channel, .. } | Event::Release { channel, .. } => {
                        *channel += 1;
                        true
                    }
                    Event::WakeDiff { woken, .. } => { *woken += 1; true }
                    _ => false,
                },
            };
            prop_assert!(!changed || !wrong(objects, &other).is_empty(), "{:?} is not missed", log[number]);
            Ok(())
        })?;
    }
}

#[test]
fn a_difference_is_found_where_it_is() {
    let wishes: Vec<Wish> = (0..40).map(|k| Wish { cpu: k % 2, what: 0, dice: k }).collect();
    run(&wishes, |objects, log| {
        let page = |entry: &Entry| match entry.event {
            Event::Palloc { page, .. } => page,
            _ => 0,
        };
        // The last allocation is missing.
        let last = log.len() - 1;
        let (said, given) = (&log[..last], page(&log[last]));
        let [Difference::End { place: Place::Frame(frame), .. }] = wrong(objects, said)[..] else {
            panic!("{:?}", wrong(objects, said))
        };
        assert_eq!(frame, given);
        // One page is allocated twice.
        let mut twice = log.clone();
        twice[5].event = twice[4].event;
        let [Difference::Entry { number: 5, flaw: Flaw::Undefined(_), .. }] = wrong(objects, &twice)[..] else {
            panic!("{:?}", wrong(objects, &twice))
        };
        // Two events are exchanged.
        let mut swapped = log.clone();
        swapped.swap(6, 7);
        let [Difference::Entry { number: 6, flaw: Flaw::NotFirst { first }, .. }] = wrong(objects, &swapped)[..] else {
            panic!("{:?}", wrong(objects, &swapped))
        };
        assert_eq!(first, page(&log[6]));
    });
}

/// For each clause of H20 there is a log that violates it.
#[test]
fn what_others_may_not_do_is_found() {
    platform::make_current(Arc::new(Platform::bare(memory())), None);
    let start = Replayed::boot();
    let log = |events: &[(u32, Event<Sim>)]| -> Vec<Entry> {
        (0..).zip(events).map(|(stamp, &(cpu, event))| Entry { stamp, cpu, event }).collect()
    };
    let (wait, get) =
        (|tid| Event::Wait { tid, channel: 20, budget: LOCK_BOUND }, |tid| Event::Get { tid, channel: 20 });
    let release = |tid, count| Event::Release { tid, channel: 20, to: 0, senderpaddr: 0, count, busy: 0 };
    let spawn = |tid, child| Event::Spawn { tid, child, quota: 0, sp_ofs: 0, code: 0 };
    let clause = |events: &[(u32, Event<Sim>)], cpu| breach(&start, &log(events), cpu).map(|breach| breach.clause);
    // Permitted events.
    assert_eq!(clause(&[(1, wait(2)), (1, get(2)), (1, release(2, 0)), (0, wait(1)), (1, spawn(2, 17))], 0), None);
    assert_eq!(clause(&[(8, Event::Yield { tid: 9 })], 0), Some(1));
    assert_eq!(clause(&[(1, Event::Palloc { tid: 2, page: 5 })], 0), Some(2));
    assert_eq!(clause(&[(1, Event::Yield { tid: 1 })], 0), Some(3));
    assert_eq!(clause(&[(1, wait(2)), (1, get(2)), (0, wait(1))], 0), Some(4));
    assert_eq!(clause(&[(1, wait(2)), (2, get(3))], 0), Some(4));
    assert_eq!(clause(&[(1, spawn(2, 9))], 0), Some(5));
    assert_eq!(clause(&[(1, wait(2)), (1, get(2)), (1, release(2, 1))], 0), Some(7));
}
