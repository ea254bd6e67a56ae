//! H20, `valid_big_oracle` (reference, section 5.5 and clause 7 of 10.2), checked on a log: between two events of a
//! CPU, the events of the other CPUs satisfy its rely conditions.
//!
//! The prover has the same conditions as relations: [`Object::rely`](layer::core::machine::Object::rely) of each shared
//! object.
use crate::check::replay::{Positions, Replayed};
use crate::machine::log::Entry;
use layer::core::constants::*;
use layer::core::fields::place;
use layer::core::log::Event;
use std::fmt;

/// A violation of the rely conditions of a CPU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The clause of H20, 1 to 7. Clause 6, determinism, holds because the replay is a function.
    pub clause: u32,
    /// The CPU whose rely conditions are violated.
    pub cpu: u32,
    /// The number of the last entry of the other CPUs.
    pub entry: usize,
    /// What happened.
    pub description: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Breach { clause, cpu, entry, description } = self;
        write!(f, "H20.{clause} does not hold for CPU {cpu} at entry {entry}: {description}")
    }
}

/// The CPU of the subtree of a thread.
fn root_of(mut thread: u32) -> u32 {
    while thread > TOTAL_CPU {
        thread = (thread - 1) / MAX_CHILDREN;
    }
    thread.wrapping_sub(1)
}

/// The first violation of the rely conditions of CPU `cpu` in `log`, which begins in the state `start`.
pub fn breach(start: &Replayed, log: &[Entry], cpu: u32) -> Option<Breach> {
    let mut state = start.clone();
    let mut since = state.positions.clone();
    for (number, entry) in log.iter().enumerate() {
        let broken = |clause, description: String| Some(Breach { clause, cpu, entry: number, description });
        let mine = entry.cpu == cpu;
        if mine {
            // The events of the other CPUs end here.
            if let Some(description) = moved(&since, &state.positions, cpu) {
                return broken(3, description);
            }
            if let Event::Wait { channel, .. } = entry.event
                && state.lock_of(channel).holder != TOTAL_CPU
            {
                return broken(4, format!("channel {channel} is held by CPU {}", state.lock_of(channel).holder));
            }
        } else {
            if entry.cpu >= TOTAL_CPU {
                return broken(1, format!("there is no CPU {}", entry.cpu));
            }
            match entry.event {
                Event::Spawn { tid, child, .. }
                    if child.wrapping_sub(1) / MAX_CHILDREN != tid || root_of(child) != entry.cpu =>
                {
                    return broken(5, format!("thread {child} is no child of {tid} on CPU {}", entry.cpu));
                }
                Event::Release { channel, count, .. } => {
                    if let Some(description) = unreceivable(&state, channel, count) {
                        return broken(7, description);
                    }
                }
                Event::Sleep { cv, count, .. } if cv < NUM_CV => {
                    if let Some(description) = unreceivable(&state, cv + SLP_Q, count) {
                        return broken(7, description);
                    }
                }
                _ => {}
            }
        }
        if let Err(flaw) = state.step(entry) {
            let clause = match entry.event {
                Event::Palloc { .. } => 2,
                Event::Wait { .. } | Event::Get { .. } | Event::Buffer { .. } | Event::Release { .. } => 4,
                _ => 3,
            };
            return broken(clause, flaw.to_string());
        }
        if mine {
            since = state.positions.clone();
        }
    }
    moved(&since, &state.positions, cpu).map(|description| Breach { clause: 3, cpu, entry: log.len(), description })
}

/// A forbidden change of a CPU's threads by the other CPUs, if there is one.
fn moved(before: &Positions, after: &Positions, cpu: u32) -> Option<String> {
    if before.runs(cpu) != after.runs(cpu) {
        return Some(format!("it runs {} in place of {}", after.runs(cpu), before.runs(cpu)));
    }
    if !before.queue(cpu).eq(after.queue(cpu)) {
        return Some("its ready queue is another".to_string());
    }
    (0..NUM_PROC).find_map(|thread| {
        let ((from, home), (to, new_home)) = (before.thread(thread), after.thread(thread));
        let woken = (SLP_Q..NUM_CHAN).contains(&from) && to == cpu + MSG_Q;
        let mine = from != place::DEAD && home == cpu;
        let became_mine = from == place::DEAD && to != place::DEAD && new_home == cpu;
        let stays = from == to && home == new_home;
        ((mine && !stays && !(woken && home == new_home)) || became_mine)
            .then(|| format!("thread {thread} is at {to}, and was at {from}"))
    })
}

/// The reason for which the published message of a channel cannot be received (D15), if there is
/// one.
fn unreceivable(state: &Replayed, q: u32, count: u32) -> Option<String> {
    let words = state.lock_of(q).words;
    (count > words || words > MAX_WORDS)
        .then(|| format!("{count} of {words} words are to be received from channel {q}"))
}
