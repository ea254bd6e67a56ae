//! The interference of the other CPUs during a call, and the guarantees of the call to them.
use super::outcome::{Broken, Refused};
use super::witness::Witness;
use crate::machine::Sim;
use crate::machine::lock::{CHANNEL, held_queues};
use crate::machine::panics::holds;
use crate::machine::sparse::Cells;
use crate::state::snapshot::{LookedAt, Snapshot};
use crate::state::values::Values;
use layer::core::constants::{NUM_PROC, TOTAL_CPU, WORD_SIZE};
use layer::core::machine::Object;
use layer::core::state::Shared;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Pending, Sleeping, Threads};

/// The interference during a call, and the guarantees that the call violates.
#[derive(Default)]
pub(super) struct Interference {
    /// The interference before each lock, in order.
    steps: std::vec::IntoIter<Values>,
    /// The state after the last interference. Guarantees are about changes since then.
    pub since: Option<Snapshot>,
    /// The values changed by interference.
    pub changed: Values,
    /// The objects whose locks were taken.
    pub taken: Vec<&'static str>,
    /// The ids of the queues whose locks were taken.
    pub queues: Vec<u32>,
    pub broken: Vec<Broken>,
    pub refused: Option<Refused>,
}

impl Interference {
    pub fn new(witness: &Witness, before: &Snapshot) -> Self {
        Interference {
            steps: witness.interference.clone().into_iter(),
            since: Some(before.snapshot()),
            ..Interference::default()
        }
    }

    /// Applies the interference before the lock of row `row` of `object` is taken.
    pub fn before_lock(&mut self, object: &'static str, row: u32, shared: &Shared<Sim>) {
        let Some(since) = self.since.take() else { return };
        let (me, held) = (since.current_cpu, held_queues());
        let (sleeping, pending) = (object == Sleeping::NAME, object == Pending::NAME);
        let moves_threads = sleeping || pending;
        self.taken.push(if moves_threads { "tcb" } else { object });
        // Reads only data that this lock guards and data without a lock, because the call may hold
        // other locks.
        let mut now = since.snapshot();
        if moves_threads {
            if sleeping {
                now.looked_at.sleep = row;
                now.sleep[row as usize] = shared.sleep.inspect(row).snapshot();
            } else {
                now.looked_at.pending = row;
                now.pending[row as usize] = shared.pending.inspect(row).snapshot();
            }
            now.pending[me as usize] = shared.pending.inspect(me).snapshot();
            now.threads = shared.links.inspect().snapshot();
        } else if object == CHANNEL {
            now.channels = shared.channels.inspect().snapshot();
        } else {
            now.at = shared.at.inspect(0).snapshot();
        }
        self.broken.extend(violated_guarantees(&since, &now));
        self.broken.extend(changed_without_lock(&since, &now, &held));
        let values = self.steps.next().unwrap_or_default().differing(&now);
        let mut new = now.snapshot();
        match values.put(&mut new) {
            Err(error) => self.refused = Some(error.into()),
            Ok(()) => {
                let by_itself = || {
                    violated_own_facts(&new).into_iter().find_map(|broken| match broken {
                        Broken::Own { object, key } => Some((object, key)),
                        _ => None,
                    })
                };
                let of_held = || {
                    let stays =
                        |thread: &u32| held.iter().all(|&id| Threads::stays(&now.threads, &new.threads, id, *thread));
                    (0..NUM_PROC).find(|thread| !stays(thread)).map(|thread| ("tcb", thread))
                };
                if !values.is_empty()
                    && let Some((object, key)) = violated_rely(&now, &new, me).or_else(of_held).or_else(by_itself)
                {
                    self.refused.get_or_insert(Refused::Interference { object, key });
                }
                if sleeping {
                    *shared.sleep.inspect(row) = new.sleep[row as usize].snapshot();
                }
                if pending {
                    *shared.pending.inspect(row) = new.pending[row as usize].snapshot();
                }
                if moves_threads {
                    *shared.pending.inspect(me) = new.pending[me as usize].snapshot();
                    *shared.links.inspect() = new.threads.snapshot();
                } else if object == CHANNEL {
                    if new.channels.lock_of(row).holder != TOTAL_CPU {
                        self.refused.get_or_insert(Refused::Interference { object, key: row });
                    }
                    *shared.channels.inspect() = new.channels.snapshot();
                } else {
                    *shared.at.inspect(0) = new.at.snapshot();
                }
            }
        }
        self.changed.scalars.extend(values.scalars);
        self.changed.cells.extend(values.cells);
        if moves_threads {
            let first = if sleeping { Sleeping::FIRST } else { Pending::FIRST };
            self.queues.push(first + row);
        }
        self.since = Some(new);
    }
}

/// The violated guarantees of this CPU to the others, after it changed the state from `old` to `new`.
pub(super) fn violated_guarantees(old: &Snapshot, new: &Snapshot) -> Vec<Broken> {
    let me = new.current_cpu;
    let others = (0..TOTAL_CPU).filter(|&cpu| cpu != me);
    let mut broken: Vec<Broken> = others
        .filter_map(|cpu| violated_rely(old, new, cpu).map(|(object, key)| Broken::Rely { object, cpu, key }))
        .collect();
    broken.extend(violated_own_facts(new));
    broken
}

/// The frames that were written in `at`.
fn frames(at: &AllocTable<Sim>) -> Vec<u32> {
    let mut frames: Vec<u32> = at.frames.keys(Cells::Neighbours).into_iter().map(|[frame]| frame).collect();
    frames.extend(at.owner.0.owners.keys(Cells::Neighbours).into_iter().map(|[frame]| frame));
    frames.sort_unstable();
    frames.dedup();
    frames
}

/// The changes from `old` to `new` that were made without a lock. This CPU holds the locks of the queues `held`, and of
/// the channels that it holds in `old` or `new`.
pub(super) fn changed_without_lock(old: &Snapshot, new: &Snapshot, held: &[u32]) -> Vec<Broken> {
    let me = new.current_cpu;
    let threads = |thread: &u32| !holds(|| Threads::moved_within(&old.threads, &new.threads, held, *thread));
    let threads = (0..NUM_PROC).find(threads).map(|key| Broken::Unheld { object: "tcb", key });
    let mail = mail(old, new);
    let channel = |q: &u32| {
        let held = [old, new].iter().any(|state| state.channels.lock_of(*q).holder == me);
        !held && !holds(|| Channels::unchanged(&old.channels, &new.channels, *q) && !mail.contains(q))
    };
    let channels = channels(new).into_iter().find(channel).map(|key| Broken::Unheld { object: CHANNEL, key });
    threads.into_iter().chain(channels).collect()
}

/// The channels of which some part was written.
fn channels(state: &Snapshot) -> Vec<u32> {
    let channels = &state.channels;
    let mut keys: Vec<u32> = channels.pool.keys(Cells::Neighbours).into_iter().map(|[q]| q).collect();
    keys.extend(channels.ghost.0.locks.keys(Cells::Neighbours).into_iter().map(|[q]| q));
    keys.extend(channels.mailbox.keys(Cells::Written).into_iter().map(|[q, _]| q));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The channels whose messages differ.
fn mail(old: &Snapshot, new: &Snapshot) -> Vec<u32> {
    let mut keys = old.channels.mailbox.keys(Cells::Neighbours);
    keys.extend(new.channels.mailbox.keys(Cells::Neighbours));
    keys.retain(|&[q, at]| !Channels::same_mail(&old.channels, &new.channels, q, at));
    let mut channels: Vec<u32> = keys.into_iter().map(|[q, _]| q).collect();
    channels.dedup();
    channels
}

/// An object, with a key, for which the change from `old` to `new` violates the rely condition of CPU `me`.
fn violated_rely(old: &Snapshot, new: &Snapshot, me: u32) -> Option<(&'static str, u32)> {
    let table = |frame: &u32| !holds(|| AllocTable::rely(&old.at, &new.at, me, &[*frame]));
    if let Some(frame) = frames(&new.at).into_iter().find(table) {
        return Some((<AllocTable<Sim> as Object<Sim>>::NAME, frame));
    }
    let mail = mail(old, new);
    let channel = |&q: &u32| {
        !holds(|| Channels::rely(&old.channels, &new.channels, me, q))
            || (old.channels.lock_of(q).holder == me && mail.contains(&q))
    };
    if let Some(q) = channels(new).into_iter().find(channel) {
        return Some((CHANNEL, q));
    }
    let thread = (0..NUM_PROC).find(|&thread| !holds(|| Threads::rely(&old.threads, &new.threads, me, thread)));
    thread.map(|thread| ("tcb", thread))
}

/// The shared objects of `state` that violate their own facts.
fn violated_own_facts(state: &Snapshot) -> Vec<Broken> {
    let mut broken = Vec::new();
    let row = state.current_cpu;
    if let Some(key) =
        frames(&state.at).into_iter().find(|&key| !holds(|| state.at.lock_invariant(0, &state.threads, &[key])))
    {
        broken.push(Broken::Own { object: <AllocTable<Sim> as Object<Sim>>::NAME, key });
    }
    if let Some(key) = (0..NUM_PROC).find(|&key| !holds(|| state.threads.lock_invariant(key))) {
        broken.push(Broken::Own { object: "tcb", key });
    }
    let LookedAt { pending, sleep } = state.looked_at;
    let mut of_queue = |object: &dyn Fn(u32) -> bool, name| {
        if let Some(key) = (0..NUM_PROC).find(|&key| !holds(|| object(key))) {
            broken.push(Broken::Own { object: name, key });
        }
    };
    for row in [row, pending] {
        of_queue(&|key| state.pending[row as usize].lock_invariant(row, &state.threads, &[key]), Pending::NAME);
    }
    of_queue(&|key| state.sleep[sleep as usize].lock_invariant(sleep, &state.threads, &[key]), Sleeping::NAME);
    if let Some(key) = channels(state).into_iter().find(|&q| {
        !holds(|| {
            state.channels.lock_invariant(q)
                && (0..state.channels.lock_of(q).words * WORD_SIZE).all(|at| state.channels.mail_lock_invariant(q, at))
        })
    }) {
        broken.push(Broken::Own { object: CHANNEL, key });
    }
    broken
}
