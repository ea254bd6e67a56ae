//! Theorems about logs, queues and locks: the initial replay, first in first out, one place per thread, mutual
//! exclusion.
use super::theorem::{Theorem, clause, premises_hold};
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::run_proof;
use crate::state::parts::State;
use crate::state::sym::{Sym, SymLinks};
use crate::state::unknown::{at_version, key_bounds, quantified, unknown_object};
use domain::{Flag, Map};
use layer::core::constants::*;
use layer::core::fields::{ChannelLock, place};
use layer::core::geometry::Geometry;
use layer::core::log::Event;
use layer::core::machine::Spec;
use layer::core::replay::lock;
use layer::objects::queue::{Fifo, Pending, Queue, Threads, fifo_fact};
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::engine::engine;
use symbolic::facts::FactSet;
use symbolic::origin::Origin;
use symbolic::proof::{Outcome, any, note, prove_once, run_paths};
use symbolic::word::SymWord;

/// The theorems, for page tables of geometry `G`.
pub(super) fn theorems<G: Geometry>() -> [Theorem; 6] {
    [
        Theorem {
            name: "replay_start",
            description: "at boot the shared objects equal the replay of an empty log",
            prove: replay_start::<G>,
        },
        Theorem {
            name: "first_in",
            description: "a thread that joins a queue is after all others in it; no other thread is moved",
            prove: first_in::<G>,
        },
        Theorem {
            name: "first_out",
            description: "a thread that leaves a queue was before all others in it; no other thread is moved",
            prove: first_out::<G>,
        },
        Theorem {
            name: "one_place",
            description: "a thread of a CPU runs, is in its ready queue, in its pending queue, or asleep; none is lost",
            prove: one_place::<G>,
        },
        Theorem {
            name: "mutual_exclusion",
            description: "according to the replay, only a free channel lock is taken and only its holder releases it, and a \
             critical section has at most as many events as its budget",
            prove: mutual_exclusion::<G>,
        },
        Theorem {
            name: "budgets",
            description: "the protocols of channels (send, receive, sleep) need 3 of the 10 events of their budget",
            prove: budgets::<G>,
        },
    ]
}

fn replay_start<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let state = State::<G>::initial();
        if !premises_hold(outcome) {
            return;
        }
        clause(outcome, "each CPU runs its main thread, all other threads are dead", &[NUM_PROC.into()], &|k| {
            let thread = state.threads.tcb.get([k[0]]);
            if k[0] >= 1 && k[0] <= TOTAL_CPU {
                thread.place == place::RUN && thread.home + 1 == k[0]
            } else {
                thread.place == place::DEAD
            }
        });
        clause(outcome, "no page is handed out", &[MAX_PAGE.into()], &|k| {
            let owner = Sym::<G>::present(&state.at.owner).owners.get([k[0]]).cpu;
            !state.at.frames.get([k[0]]).alloc.holds() && owner == TOTAL_CPU
        });
        clause(outcome, "no channel is held, and no mailbox has a message", &[NUM_CHAN.into()], &|k| {
            let lock = state.channels.lock_of(k[0]);
            lock.holder == TOTAL_CPU && lock.budget == 0 && lock.words == 0
        });
    });
    outcome.require_success();
    outcome
}

/// Any well-formed queue, and the threads.
struct AnyQueue<G: Geometry> {
    id: SymWord,
    fifo: Fifo<Sym<G>>,
    links: SymLinks<G>,
    before: Threads<Sym<G>>,
}

fn any_queue<G: Geometry>() -> AnyQueue<G> {
    let origin = Origin::START;
    let id = any("id", NUM_CHAN.into());
    let threads = Rc::new(Threads::<Sym<G>>::at(origin));
    let queue = Rc::new(unknown_object::<G, Queue<Sym<G>, Pending>>(origin));
    let (of, queued) = (threads.clone(), queue.clone());
    let holds = move |k: &[SymWord]| fifo_fact(&queued.fifo, id, &of, k[0]);
    let fact = quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(origin), holds);
    engine(|e| e.facts.add(FactSet::new(vec![fact])));
    // There is a fact about the ends of a queue; this read triggers it for each thread.
    let _ = threads.tcb.get([any("any", NUM_PROC.into())]);
    AnyQueue {
        id,
        fifo: queue.fifo.snapshot(),
        links: SymLinks(Rc::new(RefCell::new(threads.snapshot()))),
        before: threads.snapshot(),
    }
}

impl<G: Geometry> AnyQueue<G> {
    fn bounds() -> Vec<u64> {
        key_bounds::<G>(Threads::<Sym<G>>::KEYS)
    }

    /// Proves that the queue is still well formed, and that no thread other than `moved` has changed its
    /// place.
    fn is_queue_but_for(&self, outcome: &mut Outcome, moved: SymWord) {
        let after = self.links.0.borrow().snapshot();
        clause(outcome, "the queue is well formed afterwards", &Self::bounds(), &|k| {
            fifo_fact(&self.fifo, self.id, &after, k[0])
        });
        clause(outcome, "no other thread is moved", &Self::bounds(), &|k| {
            let (old, new) = (self.before.tcb.get([k[0]]), after.tcb.get([k[0]]));
            k[0] == moved || (old.place == new.place && old.seq == new.seq && old.home == new.home)
        });
    }
}

fn first_in<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let mut queue = any_queue::<G>();
        let thread = any("thread", NUM_PROC.into());
        let id = queue.id;
        if queue.fifo.push(&queue.links, id, thread).is_err() || !premises_hold(outcome) {
            return;
        }
        let last = queue.links.0.borrow().tcb.get([thread]);
        let at_end = || last.place == id;
        if prove_once(|| "the thread that joins is in the queue".to_string(), &at_end) {
            note(&mut outcome.clauses, "the thread that joins is in the queue".to_string());
        }
        clause(outcome, "the thread that joins is after all others in the queue", &AnyQueue::<G>::bounds(), &|k| {
            let other = queue.before.tcb.get([k[0]]);
            other.place != id || other.seq < last.seq
        });
        queue.is_queue_but_for(outcome, thread);
    });
    outcome.require_success();
    outcome
}

fn first_out<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let mut queue = any_queue::<G>();
        let id = queue.id;
        let first = queue.fifo.pop(&queue.links);
        if !premises_hold(outcome) {
            return;
        }
        let Some(first) = first else {
            clause(outcome, "if no thread can leave, no thread is in the queue", &AnyQueue::<G>::bounds(), &|k| {
                queue.before.tcb.get([k[0]]).place != id
            });
            return;
        };
        let left = queue.before.tcb.get([first]);
        clause(outcome, "the thread that leaves was before all others in the queue", &AnyQueue::<G>::bounds(), &|k| {
            let other = queue.before.tcb.get([k[0]]);
            left.place == id && (other.place != id || k[0] == first || left.seq < other.seq)
        });
        queue.is_queue_but_for(outcome, first);
    });
    outcome.require_success();
    outcome
}

/// Whether thread `t` is in the list of a queue: it is the head, or the successor of another thread in the list.
fn is_listed<G: Geometry>(fifo: &Fifo<Sym<G>>, threads: &Threads<Sym<G>>, t: SymWord) -> bool {
    let (thread, span) = (threads.tcb.get([t]), Sym::<G>::present(&fifo.span));
    span.lo <= thread.seq
        && thread.seq < span.hi
        && (fifo.head == t || {
            let before = thread.prev;
            before < NUM_PROC
                && threads.next.get([before]).thread == t
                && threads.tcb.get([before]).place == thread.place
                && threads.tcb.get([before]).seq + 1 == thread.seq
        })
}

fn one_place<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Derived, &|state, _, outcome| {
        if !decide(&|| state.view().ghost.init.holds()) || !premises_hold(outcome) {
            return;
        }
        clause(outcome, "each thread of a CPU runs, is ready, pending or asleep", &[NUM_PROC.into()], &|k| {
            let (view, thread) = (state.view(), state.threads.tcb.get([k[0]]));
            !view.is_mine(k[0])
                || if thread.place == place::RUN {
                    k[0] == state.own.cur
                } else if thread.place == place::GONE {
                    state.own.proc.get([k[0]]).state != layer::core::fields::process::LIVE
                } else if thread.place == state.own.cpu {
                    is_listed(&state.own.ready, &state.threads, k[0])
                } else if thread.place == state.own.cpu + MSG_Q {
                    is_listed(&state.pending.fifo, &state.threads, k[0])
                } else {
                    thread.place >= SLP_Q && thread.place < NUM_CHAN
                }
        });
        clause(outcome, "the running thread is in no queue", &[], &|_| {
            state.threads.tcb.get([state.own.cur]).place == place::RUN
        });
        // Interference satisfies the rely condition because every primitive guarantees it.
        let (to, me) = (Origin { version: 1 }, state.own.cpu);
        let (old, new) = (Rc::new(state.threads.snapshot()), Rc::new(Threads::<Sym<G>>::at(to)));
        let mut facts = Vec::new();
        for version in [Origin::START, to] {
            let (old, new) = (old.clone(), new.clone());
            facts.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(version), move |k| {
                Threads::rely(&old, &new, me, k[0])
            }));
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        clause(outcome, "no thread is lost, and none changes its CPU", &[NUM_PROC.into()], &|k| {
            let (before, after) = (old.tcb.get([k[0]]), new.tcb.get([k[0]]));
            before.place == place::DEAD || (after.place != place::DEAD && after.home == before.home)
        });
    });
    outcome.require_success();
    outcome
}

/// Any lock of a channel.
fn any_lock<G: Geometry>() -> ChannelLock<Sym<G>> {
    ChannelLock {
        holder: any("holder", u64::from(TOTAL_CPU) + 1),
        budget: any("budget", 1 << 32),
        words: any("words", 1 << 32),
    }
}

/// One event of each kind that a critical section can log, about any channel.
fn section_events<G: Geometry>() -> [Event<Sym<G>>; 5] {
    let [tid, channel, budget, words, cv] = ["tid", "channel", "budget", "words", "cv"].map(|name| any(name, 1 << 32));
    let [to, senderpaddr, count, busy] = [words; 4];
    [
        Event::Wait { tid, channel, budget },
        Event::Get { tid, channel },
        Event::Buffer { tid, channel, words },
        Event::Release { tid, channel, to, senderpaddr, count, busy },
        Event::Sleep { tid, cv, to, senderpaddr, count, busy },
    ]
}

fn mutual_exclusion<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let (q, by) = (any("q", NUM_CHAN.into()), any("by", TOTAL_CPU.into()));
        let before = any_lock::<G>();
        if !premises_hold(outcome) {
            return;
        }
        for event in section_events::<G>() {
            clause(outcome, "a CPU takes the lock only if it is free, and a release makes it free", &[], &|_| {
                lock(q, before, by, &event).map_or(true, |after| {
                    after.holder == before.holder
                        || (before.holder == TOTAL_CPU && after.holder == by)
                        || (before.holder == by && after.holder == TOTAL_CPU)
                })
            });
            clause(outcome, "while a CPU holds the lock, no event of another CPU changes the channel", &[], &|_| {
                lock(q, before, by, &event).map_or(true, |after| {
                    before.holder == TOTAL_CPU
                        || before.holder == by
                        || (after.holder == before.holder
                            && after.budget == before.budget
                            && after.words == before.words)
                })
            });
            clause(outcome, "while a CPU keeps the lock, its remaining budget does not grow", &[], &|_| {
                lock(q, before, by, &event).map_or(true, |after| {
                    before.holder == TOTAL_CPU || after.holder == TOTAL_CPU || after.budget <= before.budget
                })
            });
        }
    });
    outcome.require_success();
    outcome
}

/// The protocols of a channel that take its lock: send, receive, sleep.
const PROTOCOLS: [&str; 3] = ["send", "receive", "sleep"];

fn budgets<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let (cv, by) = (any("cv", NUM_CV.into()), any("by", TOTAL_CPU.into()));
        let [tid, words] = ["tid", "words"].map(|name| any(name, 1 << 32));
        if !premises_hold(outcome) {
            return;
        }
        let channel = cv + SLP_Q;
        let [to, senderpaddr, count, busy] = [words; 4];
        let taken = [Event::Wait { tid, channel, budget: LOCK_BOUND.into() }, Event::Get { tid, channel }];
        for protocol in PROTOCOLS {
            let rest: &[Event<Sym<G>>] = match protocol {
                "send" => &[
                    Event::Buffer { tid, channel, words },
                    Event::Release { tid, channel, to, senderpaddr, count, busy },
                ],
                "receive" => &[Event::Release { tid, channel, to, senderpaddr, count, busy }],
                _ => &[Event::Sleep { tid, cv, to, senderpaddr, count, busy }],
            };
            let free = ChannelLock { holder: TOTAL_CPU.into(), budget: 0.into(), words };
            clause(outcome, &format!("{protocol}: the critical section is within its budget"), &[], &|_| {
                let (mut lock_now, mut least) = (free, SymWord::from(LOCK_BOUND));
                for event in taken.iter().chain(rest) {
                    match lock(channel, lock_now, by, event) {
                        Ok(after) => lock_now = after,
                        Err(_) => return false,
                    }
                    if lock_now.holder != TOTAL_CPU {
                        least = lock_now.budget;
                    }
                }
                // The event that releases the lock is at most the third one after the wait.
                lock_now.holder == TOTAL_CPU && least >= LOCK_BOUND - 2
            });
        }
    });
    outcome.require_success();
    outcome
}
