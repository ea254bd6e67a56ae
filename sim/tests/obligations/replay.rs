//! D.5, and D.8 for a whole log: the log, replayed as in section 4.1 of the reference, gives the machine's state.
use crate::sessions::{ask, booted, call, make, note, would_wait};
use layer::core::constants::{KERN_LOW, NO_THREAD, TOTAL_CPU};
use proptest::prelude::*;
use serde_json::{Value, json};
use sim::session::Session;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    Ready,
    Runs,
    Sleeps,
    /// Woken, but not in a queue yet.
    Between,
    Pending,
}

/// The state according to a log.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Replayed {
    given: BTreeSet<u64>,
    /// The place of each thread, and its CPU.
    threads: BTreeMap<u64, (At, u64)>,
    ready: BTreeMap<u64, VecDeque<u64>>,
    pending: BTreeMap<u64, VecDeque<u64>>,
    sleepers: BTreeMap<u64, VecDeque<u64>>,
    runs: BTreeMap<u64, u64>,
    /// The holder of each channel's lock, and the remaining budget of its section.
    locks: BTreeMap<u64, (u64, u64)>,
}

impl Replayed {
    /// An empty log.
    fn new() -> Self {
        let cpus = 0..u64::from(TOTAL_CPU);
        Replayed {
            given: BTreeSet::new(),
            threads: cpus.clone().map(|cpu| (cpu + 1, (At::Runs, cpu))).collect(),
            ready: BTreeMap::new(),
            pending: BTreeMap::new(),
            sleepers: BTreeMap::new(),
            runs: cpus.map(|cpu| (cpu, cpu + 1)).collect(),
            locks: BTreeMap::new(),
        }
    }

    /// Switches CPU `cpu` to its next thread. `None` if none is ready.
    fn run_next(&mut self, cpu: u64) -> Option<()> {
        let next = self.ready.get_mut(&cpu)?.pop_front()?;
        self.threads.insert(next, (At::Runs, cpu));
        self.runs.insert(cpu, next);
        Some(())
    }

    fn make_ready(&mut self, thread: u64, cpu: u64) {
        self.threads.insert(thread, (At::Ready, cpu));
        self.ready.entry(cpu).or_default().push_back(thread);
    }

    /// Counts one event of the holder's section of channel `q`.
    fn spend(&mut self, cpu: u64, q: u64) -> Option<()> {
        let (holder, budget) = self.locks.get_mut(&q)?;
        (*holder == cpu && *budget >= 1).then(|| *budget -= 1)
    }

    /// Replays one event. `None` if the replay is undefined.
    fn step(&mut self, event: &Value) -> Option<()> {
        let number = |name: &str| event[name].as_u64();
        let (by, me) = (number("by")?, number("tid")?);
        // The event must be of the CPU's running thread.
        if self.runs.get(&by) != Some(&me) {
            return None;
        }
        match event["event"].as_str()? {
            "PALLOC" => match number("page")? {
                0 => Some(()),
                page => (page >= u64::from(KERN_LOW) && self.given.insert(page)).then_some(()),
            },
            "SPAWN" => {
                let child = number("child")?;
                let is_new = !self.threads.contains_key(&child);
                is_new.then(|| self.make_ready(child, by))
            }
            "YIELD" => {
                if let Some(woken) = self.pending.get_mut(&by).and_then(VecDeque::pop_front) {
                    self.make_ready(woken, by);
                }
                self.make_ready(me, by);
                self.run_next(by)
            }
            "SLEEP" => {
                let cv = number("cv")?;
                self.spend(by, cv + 16)?;
                self.locks.remove(&(cv + 16));
                self.threads.insert(me, (At::Sleeps, by));
                self.sleepers.entry(cv).or_default().push_back(me);
                self.run_next(by)
            }
            "WAKE" => {
                let cv = number("cv")?;
                let Some(woken) = self.sleepers.get_mut(&cv).and_then(VecDeque::pop_front) else { return Some(()) };
                match self.threads[&woken] {
                    (At::Sleeps, cpu) if cpu == by => self.make_ready(woken, by),
                    (At::Sleeps, cpu) => drop(self.threads.insert(woken, (At::Between, cpu))),
                    _ => return None,
                }
                Some(())
            }
            "WAKE_DIFF" => {
                let (woken, cpu) = (number("woken")?, number("cpu")?);
                (self.threads.get(&woken) == Some(&(At::Between, cpu))).then(|| {
                    self.threads.insert(woken, (At::Pending, cpu));
                    self.pending.entry(cpu).or_default().push_back(woken);
                })
            }
            "WAIT" => {
                let q = number("channel")?;
                let was = self.locks.insert(q, (by, number("budget")?));
                was.is_none().then_some(())
            }
            "GET" | "BUFFER" => self.spend(by, number("channel")?),
            "RELEASE" => {
                let q = number("channel")?;
                self.spend(by, q)?;
                self.locks.remove(&q);
                Some(())
            }
            _ => None,
        }
    }
}

/// The value of a place in the state of CPU `cpu`.
fn state(session: &mut Session, cpu: u64, place: &str) -> Value {
    ask(session, &json!({"state": place, "cpu": cpu}))["value"].clone()
}

/// The threads of a queue, from its head on.
fn threads(session: &mut Session, cpu: u64, head: &str) -> VecDeque<u64> {
    let mut all = VecDeque::new();
    let mut thread = state(session, cpu, head);
    while thread != NO_THREAD {
        thread = {
            all.push_back(thread.as_u64().unwrap_or_else(|| panic!("{head}: {thread}")));
            state(session, cpu, &format!("tcb.next[{thread}].thread"))
        };
    }
    all
}

/// Checks that the machine equals the replayed log.
fn assert_is_so(session: &mut Session, replayed: &Replayed) {
    let queue = |queues: &BTreeMap<u64, VecDeque<u64>>, key| queues.get(&key).cloned().unwrap_or_default();
    for cpu in 0..2 {
        assert_eq!(state(session, cpu, "cid"), replayed.runs[&cpu], "on CPU {cpu}");
        assert_eq!(threads(session, cpu, "rdy.head"), queue(&replayed.ready, cpu), "ready on CPU {cpu}");
        assert_eq!(threads(session, cpu, "msg.head"), queue(&replayed.pending, cpu), "pending on CPU {cpu}");
    }
    assert_eq!(threads(session, 0, "slp[0].head"), queue(&replayed.sleepers, 0), "asleep on condition variable 0");
    for q in 16..18 {
        let (holder, budget) = replayed.locks.get(&q).copied().unwrap_or((TOTAL_CPU.into(), 0));
        let lock = ["holder", "budget"].map(|part| state(session, 0, &format!("syncchpool.lock[{q}].{part}")));
        assert_eq!(lock, [json!(holder), json!(budget)], "the lock of channel {q}");
    }
    let alloc = state(session, 0, &format!("AT[{KERN_LOW}..{}].alloc", KERN_LOW + 200));
    let given = (u64::from(KERN_LOW)..).map(|frame| json!(replayed.given.contains(&frame)));
    assert!(alloc.as_array().expect("a list").iter().cloned().eq(given.take(200)), "{alloc}");
}

/// The events of a call, in order.
fn events(answer: &Value) -> Vec<Value> {
    let mut events = answer["events"].as_array().cloned().unwrap_or_default();
    // The answer lists them by object. A woken thread joins its CPU's queue last.
    events.sort_by_key(|event| event["event"] == "WAKE_DIFF");
    events
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn d05_d08_the_log_says_what_the_machine_has(calls in prop::collection::vec(call(), 1..100)) {
        let mut session = booted();
        let (mut held, mut log) = (BTreeMap::new(), Vec::new());
        for call in calls.iter().filter(|call| call.name != "sched_init") {
            if would_wait(call, &held) {
                continue;
            }
            let answer = make(&mut session, call);
            if answer.get("stuck").is_none() {
                note(call, &mut held);
                log.extend(events(&answer));
            }
        }
        // Every prefix of a valid log is valid, and has the same replay at any time.
        let replay = |log: &[Value]| {
            log.iter().try_fold(Replayed::new(), |mut replayed, event| replayed.step(event).map(|()| replayed))
        };
        for many in 0..=log.len() {
            prop_assert!(replay(&log[..many]).is_some(), "event {} of {:?} is undefined", many, log);
        }
        let replayed = replay(&log).unwrap();
        prop_assert_eq!(replay(&log), Some(replayed.clone()));
        assert_is_so(&mut session, &replayed);
    }
}

#[test]
fn d08_a_log_with_two_holders_is_undefined() {
    let event =
        |by: u64, event: &str| json!({"by": by, "tid": by + 1, "event": event, "channel": 16, "budget": 3, "words": 1});
    let defined = |events: &[(u64, &str)]| {
        let mut replayed = Replayed::new();
        events.iter().all(|&(by, name)| replayed.step(&event(by, name)).is_some())
    };
    assert!(defined(&[
        (0, "WAIT"),
        (0, "GET"),
        (0, "RELEASE"),
        (1, "WAIT"),
        (1, "GET"),
        (1, "BUFFER"),
        (1, "RELEASE")
    ]));
    // Two holders; a release by another CPU; a section with more events than its budget.
    assert!(!defined(&[(0, "WAIT"), (1, "WAIT")]));
    assert!(!defined(&[(0, "WAIT"), (0, "GET"), (1, "RELEASE")]));
    assert!(!defined(&[(0, "WAIT"), (0, "GET"), (0, "BUFFER"), (0, "BUFFER"), (0, "RELEASE")]));
    // A page that is allocated twice, and a thread that does not run.
    let palloc = json!({"by": 0, "tid": 1, "event": "PALLOC", "page": KERN_LOW});
    let mut replayed = Replayed::new();
    assert!(replayed.step(&palloc).is_some() && replayed.step(&palloc).is_none());
    assert!(Replayed::new().step(&json!({"by": 0, "tid": 2, "event": "YIELD"})).is_none());
}
