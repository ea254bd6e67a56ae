//! D.6 and D.7: round robin, wake-up in time, and no lost wake-up.
use crate::machine::{CONTEXT, Processor, assert_invariant, boot, memory, next, sleep};
use domain::Map;
use layer::core::constants::{MAX_CHILDREN, NUM_PROC, SLP_Q, TOTAL_CPU};
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::channel::{acquire_lock_chan, release_lock_chan};
use layer::objects::process::proc_create;
use layer::objects::thread::{thread_sleep, thread_wakeup};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Starts up to `many` children of the running thread, without pages, as far as it can have more and numbers remain.
fn children(cpu: &mut Processor, many: u32) -> Vec<u32> {
    let cur = cpu.own.cur;
    let has = cpu.own.ac.get([cur]).nchildren;
    let numbers = NUM_PROC.saturating_sub(cur * MAX_CHILDREN + 1 + has);
    (0..many.min(MAX_CHILDREN - has).min(numbers))
        .map(|_| proc_create(cpu, 0, 0, 0).expect("a child number is free"))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d06_as_many_yields_as_threads_come_round(families in prop::collection::vec(0..=MAX_CHILDREN, 1..9)) {
        let mut cpus = boot(memory(64), 1);
        let cpu = &mut cpus[0];
        // The running thread gets children, and then the next thread runs.
        let mut threads = BTreeSet::from([cpu.own.cur]);
        for many in families {
            threads.extend(children(cpu, many));
            next(cpu);
        }
        let first = cpu.own.cur;
        let round: Vec<u32> = (0..threads.len()).map(|_| next(cpu)).collect();
        prop_assert_eq!(round.last(), Some(&first));
        prop_assert_eq!(round.iter().copied().collect::<BTreeSet<_>>(), threads, "each has run once");
        let again: Vec<u32> = (0..round.len()).map(|_| next(cpu)).collect();
        prop_assert_eq!(again, round, "and in the same order again");
        assert_invariant(&cpus);
    }

    #[test]
    fn d06_who_was_woken_runs_in_time(others in 1..8u32, sleepers in 1..8u32, remote in any::<bool>()) {
        let mut cpus = boot(memory(64), 2);
        let sleepers = sleepers.min(MAX_CHILDREN - others);
        let main = cpus[0].own.cur;
        children(&mut cpus[0], others);
        let asleep = children(&mut cpus[0], sleepers);
        // Each child sleeps on its own condition variable when it runs, so that the next one runs.
        next(&mut cpus[0]);
        while cpus[0].own.cur != main {
            match asleep.iter().position(|&thread| thread == cpus[0].own.cur) {
                Some(cv) => sleep(&mut cpus[0], cv as u32),
                None => drop(next(&mut cpus[0])),
            }
        }
        let by = usize::from(remote);
        for cv in 0..sleepers {
            prop_assert_eq!(thread_wakeup(&mut cpus[by], Cv(cv)), Ok(1));
            prop_assert_eq!(thread_wakeup(&mut cpus[by], Cv(cv)), Ok(0), "it sleeps no more");
        }
        let ran: Vec<u32> = (0..2 * (others + 2 * sleepers + 1)).map(|_| next(&mut cpus[0])).collect();
        // A locally woken thread is after the ready ones. A remotely woken thread must first be taken out of the
        // pending queue; each switch takes out one. The remotely woken thread is then after the others, and after
        // those that were taken out before it.
        for (place, &thread) in (1..).zip(&asleep) {
            let most = if remote { place + others + place } else { others + place };
            let at = (1..).zip(&ran).find(|(_, ran)| **ran == thread).map(|(at, _)| at);
            prop_assert!(at.is_some_and(|at| at <= most), "{} runs at {:?} of {:?}, not by {}", thread, at, ran, most);
        }
        assert_invariant(&cpus);
    }
}

/// The main thread from which a child descends.
fn root(child: u32) -> u32 {
    (child - 1) / MAX_CHILDREN
}

/// An action of a CPU with sleepers and wakers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Acquire,
    Sleep,
    Wake,
    Release,
}

use Act::*;

/// The condition variable.
const CV: u32 = 3;

/// Runs the scripts of all CPUs, one action after the other in the order `order`. Returns the CPUs that can act next.
///
/// The results of the actions are compared with a list of sleepers.
fn play(scripts: &[&[Act]], order: &[usize]) -> Vec<usize> {
    let mut cpus = boot(memory(64), scripts.len() as u32);
    // On each CPU a child runs, and the main thread is ready.
    for cpu in &mut cpus {
        let child = children(cpu, 1);
        assert_eq!(next(cpu), child[0]);
    }
    let (mut done, mut holder, mut asleep, mut woken) = (vec![0; scripts.len()], None, Vec::new(), Vec::new());
    for &me in order {
        let cpu = &mut cpus[me];
        match scripts[me][done[me]] {
            Acquire => {
                acquire_lock_chan(cpu, Channel(SLP_Q + CV)).expect("it is free");
                holder = Some(me);
            }
            Sleep => {
                asleep.push(cpu.own.cur);
                let _resume = thread_sleep(cpu, Cv(CV), CONTEXT).expect("the main thread is ready");
                holder = None;
            }
            Wake => {
                let found = if asleep.is_empty() { 0 } else { 1 };
                assert_eq!(thread_wakeup(cpu, Cv(CV)), Ok(found), "after {order:?} of {scripts:?}");
                woken.extend((found == 1).then(|| asleep.remove(0)));
            }
            Release => {
                release_lock_chan(cpu, Channel(SLP_Q + CV)).expect("it is held");
                holder = None;
            }
        }
        done[me] += 1;
    }
    assert_invariant(&cpus);
    let acts = |me: usize| scripts[me].get(done[me]);
    let possible: Vec<usize> =
        (0..scripts.len()).filter(|&me| acts(me).is_some_and(|&act| act != Acquire || holder.is_none())).collect();
    if possible.is_empty() {
        // The woken threads run again, and the others do not.
        for cpu in &mut cpus {
            let ran: BTreeSet<u32> = (0..6).map(|_| next(cpu)).collect();
            assert!(woken.iter().all(|&thread| root(thread) - 1 != cpu.own.cpu || ran.contains(&thread)), "{order:?}");
            assert!(asleep.iter().all(|thread| !ran.contains(thread)), "{order:?}");
        }
    }
    possible
}

/// Runs the scripts in every order that the lock permits. Returns the number of orders.
fn play_all(scripts: &[&[Act]], order: &mut Vec<usize>) -> usize {
    let possible = play(scripts, order);
    let ends = usize::from(possible.is_empty());
    let further = possible.into_iter().map(|me| {
        order.push(me);
        let orders = play_all(scripts, order);
        order.pop();
        orders
    });
    ends + further.sum::<usize>()
}

#[test]
fn d07_no_wake_up_is_lost_in_any_order() {
    let under_the_lock: &[Act] = &[Acquire, Wake, Release];
    let mut orders = 0;
    for waker in [under_the_lock, &[Wake], &[Wake, Wake]] {
        orders += play_all(&[&[Acquire, Sleep], waker], &mut Vec::new());
        orders += play_all(&[&[Acquire, Sleep], waker, &[Acquire, Sleep]], &mut Vec::new());
    }
    orders += play_all(&[&[Acquire, Sleep], under_the_lock, under_the_lock], &mut Vec::new());
    assert!(orders > 40 && TOTAL_CPU > 2, "{orders}");
}
