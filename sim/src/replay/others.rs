//! The other CPUs while a call is made: what they do, and what it owes them.
use super::{Broken, Refused, holds};
use crate::machine::Sim;
use crate::snapshot::Snapshot;
use crate::sparse::Cells;
use crate::witness::{Values, Witness};
use layer::constants::{NUM_PROC, TOTAL_CPU};
use layer::machine::Object;
use layer::page_alloc::AllocTable;
use layer::queue::{Queue, Threads};
use layer::state::Shared;

/// What the others do while a call is made, and what it owes them.
#[derive(Default)]
pub(super) struct Others {
    /// What they are to do before each lock.
    moves: std::vec::IntoIter<Values>,
    /// The state when they last moved: what they may count on is compared with it.
    since: Option<Snapshot>,
    /// What they changed.
    pub moved: Values,
    /// The objects whose locks were taken.
    pub taken: Vec<&'static str>,
    pub broken: Vec<Broken>,
    pub refused: Option<Refused>,
}

impl Others {
    pub fn new(witness: &Witness, before: &Snapshot) -> Self {
        Others { moves: witness.moves.clone().into_iter(), since: Some(before.snapshot()), ..Others::default() }
    }

    /// The lock of `object` is about to be taken: the others move.
    pub fn before_lock(&mut self, object: &'static str, shared: &Shared<Sim>) {
        let Some(since) = self.since.take() else { return };
        let row = since.current_cpu;
        let moves_threads = object != <AllocTable<Sim> as Object<Sim>>::NAME;
        self.taken.push(if moves_threads { "tcb" } else { object });
        // Only what the lock guards may be looked at: the call may hold the other one.
        let mut now = since.snapshot();
        if moves_threads {
            now.pending[row as usize] = shared.pending.inspect(row).snapshot();
            now.threads = shared.links.inspect().snapshot();
        } else {
            now.at = shared.at.inspect(0).snapshot();
        }
        self.broken.extend(owed(&since, &now));
        let values = self.moves.next().unwrap_or_default().differing(&now);
        let mut new = now.snapshot();
        match values.put(&mut new) {
            Err(error) => self.refused = Some(error.into()),
            Ok(()) => {
                let by_itself = || {
                    kept_by_itself(&new).into_iter().find_map(|broken| match broken {
                        Broken::Own { object, key } => Some((object, key)),
                        _ => None,
                    })
                };
                if !values.is_empty()
                    && let Some((object, key)) = relied(&now, &new, row).or_else(by_itself)
                {
                    self.refused.get_or_insert(Refused::Moved { object, key });
                }
                if moves_threads {
                    *shared.pending.inspect(row) = new.pending[row as usize].snapshot();
                    *shared.links.inspect() = new.threads.snapshot();
                } else {
                    *shared.at.inspect(0) = new.at.snapshot();
                }
            }
        }
        self.moved.scalars.extend(values.scalars);
        self.moved.cells.extend(values.cells);
        self.since = Some(new);
    }
}

/// What the other CPUs may count on and what does not hold, after this CPU made `new` of `old`.
pub(super) fn owed(old: &Snapshot, new: &Snapshot) -> Vec<Broken> {
    let me = new.current_cpu;
    let others = (0..TOTAL_CPU).filter(|&cpu| cpu != me);
    let mut broken: Vec<Broken> =
        others.filter_map(|cpu| relied(old, new, cpu).map(|(object, key)| Broken::Rely { object, cpu, key })).collect();
    broken.extend(kept_by_itself(new));
    broken
}

/// Keys of `at` that were written.
fn frames(at: &AllocTable<Sim>) -> Vec<u32> {
    let mut frames: Vec<u32> = at.frames.keys(Cells::Neighbours).into_iter().map(|[frame]| frame).collect();
    frames.extend(at.owner.0.owners.keys(Cells::Neighbours).into_iter().map(|[frame]| frame));
    frames.sort_unstable();
    frames.dedup();
    frames
}

/// An object, and a key of it, of which CPU `me` may not count on what it may.
fn relied(old: &Snapshot, new: &Snapshot, me: u32) -> Option<(&'static str, u32)> {
    let table = |frame: &u32| !holds(|| AllocTable::rely(&old.at, &new.at, me, &[*frame]));
    if let Some(frame) = frames(&new.at).into_iter().find(table) {
        return Some((<AllocTable<Sim> as Object<Sim>>::NAME, frame));
    }
    let thread = (0..NUM_PROC).find(|&thread| !holds(|| Threads::rely(&old.threads, &new.threads, me, thread)));
    thread.map(|thread| ("tcb", thread))
}

/// What does not hold of the shared objects of `state` by itself.
fn kept_by_itself(state: &Snapshot) -> Vec<Broken> {
    let mut broken = Vec::new();
    let row = state.current_cpu;
    if let Some(key) =
        frames(&state.at).into_iter().find(|&key| !holds(|| state.at.own_fact(0, &state.threads, &[key])))
    {
        broken.push(Broken::Own { object: <AllocTable<Sim> as Object<Sim>>::NAME, key });
    }
    if let Some(key) = (0..NUM_PROC).find(|&key| !holds(|| state.threads.own_fact(key))) {
        broken.push(Broken::Own { object: "tcb", key });
    }
    let pending = &state.pending[row as usize];
    if let Some(key) = (0..NUM_PROC).find(|&key| !holds(|| pending.own_fact(row, &state.threads, &[key]))) {
        broken.push(Broken::Own { object: <Queue<Sim> as Object<Sim>>::NAME, key });
    }
    broken
}
