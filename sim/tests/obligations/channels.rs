//! D.8 and D.13: a lock has one holder, who stays within the budget. Messages arrive as they were sent, in order.
use crate::machine::{CONTEXT, Processor, assert_invariant, boot, in_program, memory, next};
use layer::core::call::{Access, Chunk};
use layer::core::constants::*;
use layer::core::stuck::Stuck;
use layer::objects::channel::pool::{Channel, Cv};
use layer::objects::channel::*;
use layer::objects::memory::{exec_load, exec_store};
use layer::objects::page_table::pt_resv;
use layer::objects::process::proc_create;
use layer::objects::thread::{thread_sleep, thread_wakeup};
use proptest::prelude::*;

/// The pages of each client: for its message, and to receive.
const HERE: u32 = ADR_LOW;
const THERE: u32 = ADR_LOW + PAGE_SIZE;
/// The condition variable.
const CV: u32 = 5;
const Q: Channel<sim::machine::Sim> = Channel(SLP_Q + CV);

/// This many CPUs. Each runs a client with two pages. Its main thread is ready, so the client can sleep.
fn clients(cpus: u32) -> Vec<Processor> {
    let mut cpus = boot(memory(400), cpus);
    for cpu in &mut cpus {
        let client = proc_create(cpu, 0, 0, 8).unwrap();
        for va in [HERE, THERE] {
            assert!(pt_resv(cpu, client, va, perm::PTU).is_ok_and(|end| end != MAGIC_NUMBER));
        }
        assert_eq!(next(cpu), client);
    }
    cpus
}

/// The running program writes words to a page.
fn write(cpu: &mut Processor, va: u32, words: &[u32]) {
    in_program(cpu, |cpu| {
        for (at, word) in (va..).step_by(4).zip(words) {
            let bytes = std::array::from_fn(|k| if k < 4 { word.to_le_bytes()[k].into() } else { 0 });
            assert!(matches!(exec_store(cpu, Chunk::Four, at.into(), bytes, 0), Ok(Access::Done(()))));
        }
    });
}

/// The running program reads words from a page.
fn read(cpu: &mut Processor, va: u32, many: usize) -> Vec<u32> {
    in_program(cpu, |cpu| {
        let word = |at: u32| match exec_load(cpu, Chunk::Four, at.into(), 0) {
            Ok(Access::Done(bytes)) => u32::from_le_bytes([0, 1, 2, 3].map(|k| bytes[k] as u8)),
            other => panic!("{other:?}"),
        };
        (va..).step_by(4).take(many).map(word).collect()
    })
}

/// How the protocol distinguishes a reserved mailbox from a filled one (P29).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    /// As in the reference's section 8: `busy` is 1 in both cases.
    Plain,
    /// `busy` is 1 if the mailbox is reserved, and 2 if it is filled.
    Told,
}

impl Protocol {
    fn filled(self) -> u32 {
        if self == Protocol::Plain { 1 } else { 2 }
    }
}

/// The first half of a send, under the lock. Returns whether the running thread has reserved the mailbox; otherwise it
/// sleeps.
fn reserve(cpu: &mut Processor) -> bool {
    let free = get_sync_chan_busy(cpu, Q) == Ok(0);
    if free {
        set_sync_chan_busy(cpu, Q, 1).unwrap();
    } else {
        let _resume = thread_sleep(cpu, Cv(CV), CONTEXT).expect("the main thread is ready");
    }
    free
}

/// The second half of a send: the message is put into the mailbox, and the lock is released.
fn fill(cpu: &mut Processor, n: u32, protocol: Protocol) -> u32 {
    let sent = ipc_send_body(cpu, Q, HERE, n).unwrap();
    set_sync_chan_busy(cpu, Q, protocol.filled()).unwrap();
    release_lock_chan(cpu, Q).unwrap();
    sent
}

/// A receive under the lock, which is then released. Returns the words, or `None` if the channel is
/// empty.
fn take(cpu: &mut Processor, n: u32, protocol: Protocol) -> Option<u32> {
    let filled = get_sync_chan_busy(cpu, Q) == Ok(protocol.filled());
    let taken = filled.then(|| {
        let many = ipc_receive_body(cpu, Q, THERE, n).unwrap();
        let woken = thread_wakeup(cpu, Cv(CV)).unwrap();
        set_sync_chan_busy(cpu, Q, woken).unwrap();
        many
    });
    release_lock_chan(cpu, Q).unwrap();
    taken
}

fn send(cpu: &mut Processor, n: u32) -> u32 {
    acquire_lock_chan(cpu, Q).unwrap();
    assert!(reserve(cpu), "the channel is free");
    fill(cpu, n, Protocol::Told)
}

fn receive(cpu: &mut Processor, n: u32) -> Option<u32> {
    acquire_lock_chan(cpu, Q).unwrap();
    take(cpu, n, Protocol::Told)
}

/// The channel's `busy` and `count`, read without the lock.
fn control(cpu: &Processor) -> (u32, u32) {
    let control = domain::Map::get(&cpu.shared.channels.inspect().pool, [Q.0]);
    (control.busy, control.count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d13_a_message_arrives_as_it_was_sent(
        words in prop::collection::vec(any::<u32>(), 1024),
        before in any::<u32>(),
        sizes in prop::collection::vec((prop::sample::select(vec![0, 1, 2, 17, 1023, 1024, 1025, u32::MAX]), 0..1100u32), 1..4),
        to_itself in any::<bool>(),
    ) {
        let mut cpus = clients(2);
        let to = usize::from(!to_itself);
        write(&mut cpus[0], HERE, &words);
        for (n, m) in sizes {
            write(&mut cpus[to], THERE, &[before; 1024]);
            let sent = n.min(1024);
            prop_assert_eq!(send(&mut cpus[0], n), sent);
            prop_assert_eq!(control(&cpus[0]), (2, sent));
            let taken = sent.min(m);
            prop_assert_eq!(receive(&mut cpus[to], m), Some(taken));
            prop_assert_eq!(control(&cpus[0]), (0, 0), "what is left of a longer message is gone");
            let taken = taken as usize;
            let page = read(&mut cpus[to], THERE, 1024);
            prop_assert_eq!(&page[..taken], &words[..taken]);
            prop_assert!(page[taken..].iter().all(|&word| word == before));
            prop_assert_eq!(receive(&mut cpus[to], m), None, "there is nothing more");
        }
        assert_invariant(&cpus);
    }

    #[test]
    fn d13_whoever_waits_longest_is_next(senders in 2..8usize, many in 0..3u32) {
        let mut cpus = clients(8);
        let order: Vec<usize> = (0..senders).map(|k| (k * 3 + many as usize) % 7).fold(Vec::new(), |mut order, k| {
            let free = (0..7).map(|step| (k + step) % 7).find(|k| !order.contains(k)).unwrap();
            order.push(free);
            order
        });
        let word = |cpu: usize| 100 + cpu as u32;
        for &cpu in &order {
            write(&mut cpus[cpu], HERE, &[word(cpu)]);
            acquire_lock_chan(&mut cpus[cpu], Q).unwrap();
            if reserve(&mut cpus[cpu]) {
                fill(&mut cpus[cpu], 1, Protocol::Told);
            }
        }
        for (&cpu, then) in order.iter().zip(order.iter().skip(1).map(Some).chain([None])) {
            prop_assert_eq!(receive(&mut cpus[7], 1), Some(1));
            prop_assert_eq!(read(&mut cpus[7], THERE, 1), [word(cpu)]);
            prop_assert_eq!(receive(&mut cpus[7], 1), None, "it is reserved for one that has not run yet");
            if let Some(&then) = then {
                let sender = &mut cpus[then];
                // The woken thread is in the pending queue. A yield takes it out, and no other thread is before it.
                let client = 8 * sender.own.cur + 1;
                while sender.own.cur != client {
                    next(sender);
                }
                acquire_lock_chan(sender, Q).unwrap();
                fill(sender, 1, Protocol::Told);
            }
        }
        prop_assert_eq!(control(&cpus[0]), (0, 0));
        assert_invariant(&cpus);
    }
}

/// Three senders; the second and the third one sleep. The first receive wakes the second sender. Before that sender
/// runs, there is a second receive, and after the woken senders have sent, a third one.
///
/// Returns the number of words of each receive, and the received words. If the word is 12, the third sender was woken
/// too early.
fn hand_off(protocol: Protocol) -> (Vec<Option<u32>>, Vec<u32>) {
    let mut cpus = clients(4);
    for (sender, words) in [(0, 10), (1, 11), (2, 12)] {
        write(&mut cpus[sender], HERE, &[words]);
        acquire_lock_chan(&mut cpus[sender], Q).unwrap();
        if reserve(&mut cpus[sender]) {
            fill(&mut cpus[sender], 1, protocol);
        }
    }
    let (mut taken, mut words) = (Vec::new(), Vec::new());
    let mut receive = |cpus: &mut Vec<Processor>| {
        acquire_lock_chan(&mut cpus[3], Q).unwrap();
        taken.push(take(&mut cpus[3], 1, protocol));
        words.extend(read(&mut cpus[3], THERE, 1).into_iter().filter(|_| taken.last() == Some(&Some(1))));
    };
    receive(&mut cpus);
    receive(&mut cpus);
    // The woken senders send.
    for (sender, client) in [(1, 17), (2, 25)] {
        let sender = &mut cpus[sender];
        if (0..3).any(|_| next(sender) == client) {
            acquire_lock_chan(sender, Q).unwrap();
            fill(sender, 1, protocol);
        }
    }
    receive(&mut cpus);
    assert_invariant(&cpus);
    (taken, words)
}

#[test]
fn d13_the_hazard_of_the_hand_off() {
    // A receive between the wake-up and the send finds no words and wakes another sender, whose message overwrites the
    // first.
    assert_eq!(hand_off(Protocol::Plain), (vec![Some(1), Some(0), Some(1)], vec![10, 12]));
    // If the protocol distinguishes a reserved mailbox, only one sender is woken.
    assert_eq!(hand_off(Protocol::Told), (vec![Some(1), None, Some(1)], vec![10, 11]));
}

/// The state of a client in a send or receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Continuation {
    Idle,
    /// It holds the lock, to send or to receive.
    Sends,
    Receives,
    /// It sleeps, or was woken and waits for its turn.
    Sleeps,
    /// It holds the lock and has reserved the mailbox.
    Fills,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d08_one_holder_within_its_budget(steps in prop::collection::vec((0..8usize, any::<bool>()), 1..250)) {
        let mut cpus = clients(8);
        let mut continuations = [Continuation::Idle; 8];
        // The holder of the lock, and the remaining budget of its section, both as in the
        // reference.
        let mut holder: Option<(usize, u32)> = None;
        let (mut sent, mut received) = (0u32, Vec::new());
        for (me, sends) in steps {
            let cpu = &mut cpus[me];
            let client = 8 * (me as u32 + 1) + 1;
            match continuations[me] {
                Continuation::Idle | Continuation::Sleeps => {
                    let woken = continuations[me] == Continuation::Sleeps;
                    if woken && next(cpu) != client {
                        continue;
                    }
                    if holder.is_some() {
                        // The lock is held by another client. This client continues at the next
                        // switch.
                        if woken {
                            next(cpu);
                        }
                        continue;
                    }
                    acquire_lock_chan(cpu, Q).unwrap();
                    holder = Some((me, 10 - 1));
                    continuations[me] = match (woken, sends) {
                        (true, _) => Continuation::Fills,
                        (false, true) => Continuation::Sends,
                        (false, false) => Continuation::Receives,
                    };
                }
                Continuation::Sends => {
                    let reserved = reserve(cpu);
                    continuations[me] = if reserved { Continuation::Fills } else { Continuation::Sleeps };
                    // A sleep needs two events of the section, and ends it.
                    prop_assert!(reserved || holder.is_some_and(|(_, budget)| budget >= 2));
                    holder = holder.filter(|_| reserved);
                }
                Continuation::Fills => {
                    write(cpu, HERE, &[sent]);
                    fill(cpu, 1, Protocol::Told);
                    let (_, budget) = holder.take().unwrap();
                    prop_assert!(budget > 1);
                    (continuations[me], sent) = (Continuation::Idle, sent + 1);
                }
                Continuation::Receives => {
                    if take(cpu, 1, Protocol::Told).is_some() {
                        received.extend(read(cpu, THERE, 1));
                    }
                    (continuations[me], holder) = (Continuation::Idle, None);
                }
            }
            let lock = cpus[me].shared.channels.inspect().lock_of(Q.0);
            let expected = holder.map_or((TOTAL_CPU, 0), |(holder, budget)| (holder as u32, budget));
            prop_assert_eq!((lock.holder, lock.budget), expected);
        }
        // Each message arrives once, in the order of sending.
        prop_assert!(received.iter().copied().eq(0..received.len() as u32), "{:?}", received);
        prop_assert!(sent - received.len() as u32 <= 1);
        assert_invariant(&cpus);
    }
}

#[test]
fn d08_a_section_has_ten_events() {
    let mut cpus = clients(2);
    let cpu = &mut cpus[0];
    assert_eq!(release_lock_chan(cpu, Q), Err(Stuck::LockNotHeld));
    acquire_lock_chan(cpu, Q).unwrap();
    assert_eq!(acquire_lock_chan(cpu, Q), Err(Stuck::LockHeld));
    // One event was GET, and the last one is the release.
    for _ in 0..8 {
        assert_eq!(ipc_send_body(cpu, Q, HERE, 1), Ok(1));
    }
    assert_eq!(thread_sleep(cpu, Cv(CV), CONTEXT).map(|_| ()), Err(Stuck::NoBudget));
    release_lock_chan(cpu, Q).unwrap();
    // Now the other CPU holds the lock.
    acquire_lock_chan(&mut cpus[1], Q).unwrap();
    assert_eq!(release_lock_chan(&mut cpus[0], Q), Err(Stuck::LockNotHeld));
    assert_eq!(set_sync_chan_busy(&mut cpus[0], Q, 1), Err(Stuck::LockNotHeld));
    for _ in 0..9 {
        ipc_send_body(&mut cpus[1], Q, HERE, 1).unwrap();
    }
    assert_eq!(ipc_send_body(&mut cpus[1], Q, HERE, 1), Err(Stuck::NoBudget));
    assert_eq!(release_lock_chan(&mut cpus[1], Q), Err(Stuck::NoBudget));
}
