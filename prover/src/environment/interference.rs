//! Interference: how the other CPUs change the shared state when a lock is taken, and what this CPU guarantees to them.
use crate::clause;
use crate::environment::channels::{CHANNELS, MAIL, Relation};
use crate::environment::guarantee::{PendingGuarantee, PendingGuarantees};
use crate::environment::history::History;
use crate::facts::assumed::Assumed;
use crate::state::parts::{State, channels_identity, object_identity, threads_identity};
use crate::state::record::{Interactions, Locks, TakenLock};
use crate::state::sym::Sym;
use crate::state::unknown::is_part;
use crate::state::unknown::{at_version, key_bounds, quantified, unknown_object};
use layer::core::constants::TOTAL_CPU;
use layer::core::geometry::Geometry;
use layer::core::machine::Object;
use layer::objects::channel::pool::Channels;
use layer::objects::queue::{Family, Pending, Queue, Threads};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::merge::condition;
use symbolic::origin::{Identity, Origin};
use symbolic::word::SymWord;
use syscall::effect::Interaction;

/// A shared object without a lock of its own: its current state, and its state at the last interference or guarantee.
pub(crate) struct Tracked<T> {
    pub now: Rc<RefCell<T>>,
    since: RefCell<Rc<T>>,
    pub(super) version: Cell<Origin>,
}

impl<T> Tracked<T> {
    fn new(snapshot: impl Fn() -> T) -> Tracked<T> {
        let start = Origin::START;
        Tracked {
            now: Rc::new(RefCell::new(snapshot())),
            since: RefCell::new(Rc::new(snapshot())),
            version: Cell::new(start),
        }
    }

    /// Sets the current state to `snapshot`, at version `origin`; there are no changes since then.
    fn renew(&self, snapshot: impl Fn() -> T, origin: Origin) {
        *self.now.borrow_mut() = snapshot();
        *self.since.borrow_mut() = Rc::new(snapshot());
        self.version.set(origin);
    }
}

/// The shared state on a path, its interference and the pending guarantees.
pub(crate) struct Interference<G: Geometry> {
    /// The state in which the proof starts. The invariant holds in it.
    start: Rc<State<G>>,
    pub threads: Tracked<Threads<Sym<G>>>,
    pub channels: Tracked<Channels<Sym<G>>>,
    /// This CPU's own pending queue. Other CPUs may add threads to it.
    pub pending: Rc<RefCell<Queue<Sym<G>>>>,
    pub me: SymWord,
    pub pending_guarantees: PendingGuarantees,
    /// Clauses of guarantees that were discharged before the end of the path.
    pub discharged: RefCell<Vec<String>>,
    /// The log of events, if a primitive is under proof.
    pub history: History<G>,
    /// The objects whose locks were taken, by the names of their fields.
    pub taken: RefCell<Vec<&'static str>>,
    /// Whether the lock of a channel is just being taken, and its holder is not recorded yet.
    pub(super) taking: Cell<bool>,
    /// The ids of the queues whose locks are held.
    pub(super) held: RefCell<Vec<SymWord>>,
    /// The assumptions about the last state in which the invariant was known to hold.
    latest: RefCell<Rc<Assumed>>,
}

impl<G: Geometry> Interference<G> {
    pub fn new(start: &Rc<State<G>>, assumed: &Rc<Assumed>) -> Rc<Self> {
        Rc::new(Interference {
            start: start.clone(),
            threads: Tracked::new(|| start.threads.snapshot()),
            channels: Tracked::new(|| start.channels.snapshot()),
            pending: Rc::new(RefCell::new(start.pending.snapshot())),
            me: start.own.cpu,
            pending_guarantees: PendingGuarantees::default(),
            discharged: RefCell::default(),
            history: History::new(start),
            taken: RefCell::default(),
            taking: Cell::default(),
            held: RefCell::default(),
            latest: RefCell::new(assumed.clone()),
        })
    }

    /// The `current_CPU_ID` of the reference.
    pub fn current_cpu(&self) -> SymWord {
        self.start.current_cpu
    }

    /// The assumptions about the last state in which the invariant was known to hold.
    pub fn latest(&self) -> Rc<Assumed> {
        self.latest.borrow().clone()
    }

    /// Assumes the invariant in `state`, which becomes the last state in which it is known to hold.
    fn know(&self, state: State<G>) {
        let assumed = self.latest().of(state);
        assumed.assume();
        self.latest.replace(assumed);
    }

    /// Replaces the shared state by that of `state`, after a call rule.
    pub fn called(&self, state: &State<G>, origin: Origin) {
        engine(|e| e.facts.drop_sets());
        self.know(state.snapshot());
        self.threads.renew(|| state.threads.snapshot(), origin);
        self.channels.renew(|| state.channels.snapshot(), origin);
        *self.pending.borrow_mut() = state.pending.snapshot();
    }

    /// Assumes the invariant after the first interference, in the state that `moved` makes from the start state. A
    /// theorem proves that the invariant is stable under interference.
    pub(super) fn assume_stable(&self, moved: impl FnOnce(&mut State<G>)) {
        let mut state = self.start.snapshot();
        moved(&mut state);
        self.know(state);
    }

    pub(super) fn guarantee(
        &self,
        clause: String,
        when: &str,
        bounds: Vec<u64>,
        holds: impl Fn(&[SymWord]) -> bool + 'static,
    ) {
        self.pending_guarantees.borrow_mut().push(PendingGuarantee::new(clause, when, bounds, holds));
    }

    /// Adds pending guarantees: this CPU's changes of threads and channels since the last interference satisfy the rely
    /// conditions of the other CPUs, and were made only under the right locks.
    pub fn add_guarantees(&self, when: &'static str) {
        self.guarantee_threads(when);
        self.guarantee_channels(when);
        if is_primitive() {
            let effects = self.history.add_guarantees(&self.threads.now.borrow(), &self.channels.now.borrow(), when);
            self.pending_guarantees.borrow_mut().extend(effects);
        }
    }

    /// Informs the history that interference has changed threads or channels. Events from here on are about the new
    /// state.
    pub(super) fn moved(&self) {
        self.history.moved(self.threads.now.borrow().snapshot(), self.channels.now.borrow().snapshot());
    }

    pub(super) fn guarantee_threads(&self, when: &'static str) {
        let (old, new) = (self.threads.since.borrow().clone(), Rc::new(self.threads.now.borrow().snapshot()));
        if threads_identity(&old) == threads_identity(&new) {
            return;
        }
        *self.threads.since.borrow_mut() = new.clone();
        let me = self.me;
        let bound = key_bounds::<G>(Threads::<Sym<G>>::KEYS);
        let cpu_and = [&[TOTAL_CPU.into()], &*bound].concat();
        let (before, after) = (old.clone(), new.clone());
        self.guarantee(clause::guarantee("tcb"), when, cpu_and, move |k| {
            k[0] == me || Threads::rely(&before, &after, k[0], k[1])
        });
        let (after, held) = (new.clone(), self.held.borrow().clone());
        self.guarantee(clause::unheld("tcb"), when, bound.clone(), move |k| {
            Threads::moved_within(&old, &after, &held, k[0])
        });
        self.guarantee(clause::by_itself("tcb"), when, bound, move |k| new.lock_invariant(k[0]));
    }

    pub(super) fn guarantee_channels(&self, when: &'static str) {
        let (old, new) = (self.channels.since.borrow().clone(), Rc::new(self.channels.now.borrow().snapshot()));
        if channels_identity(&old) == channels_identity(&new) {
            return;
        }
        *self.channels.since.borrow_mut() = new.clone();
        let me = self.me;
        for (keys, relation) in Relation::CHANNELS {
            let bound = key_bounds::<G>(keys);
            let cpu_and = [&[TOTAL_CPU.into()], &*bound].concat();
            let (before, after) = (old.clone(), new.clone());
            self.guarantee(clause::guarantee(CHANNELS), when, cpu_and, move |k| {
                k[0] == me || relation.rely(&before, &after, k[0], &k[1..])
            });
            let (before, after) = (old.clone(), new.clone());
            self.guarantee(clause::unheld(CHANNELS), when, bound.clone(), move |k| {
                before.lock_of(k[0]).holder == me
                    || after.lock_of(k[0]).holder == me
                    || relation.unchanged(&before, &after, k)
            });
            let after = new.clone();
            self.guarantee(clause::by_itself(CHANNELS), when, bound, move |k| relation.lock_invariant(&after, k));
        }
    }

    /// Interference on the threads: their links get a new version. This CPU's pending queue also gets a new version,
    /// unless its lock is held or is being taken. Returns the new versions.
    pub(super) fn interfere_with_threads(&self, takes_own: bool) -> Vec<u32> {
        let origin = Origin::fresh();
        let mut versions = vec![origin.version];
        let old = Rc::new(self.threads.now.borrow().snapshot());
        let new = Rc::new(Threads::at(origin));
        #[cfg(test)]
        crate::agreement::concrete::threads_rest(origin, &old);
        let (me, from) = (self.me, self.threads.version.get());
        let held = self.held.borrow().clone();
        let mut identity = [threads_identity(&old), threads_identity(&new)].concat();
        identity.extend(held.iter().map(|id| Identity::Value(id.0)));
        let set = self.latest().set("rely of threads", identity, || {
            let mut set = Vec::new();
            for version in [from, origin] {
                let (old, new, held) = (old.clone(), new.clone(), held.clone());
                set.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(version), move |k| {
                    // No other CPU changes a queue whose lock this CPU holds.
                    Threads::rely(&old, &new, me, k[0]) && held.iter().all(|&id| Threads::stays(&old, &new, id, k[0]))
                }));
            }
            let fact = new.clone();
            set.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(origin), move |k| fact.lock_invariant(k[0])));
            set
        });
        engine(|e| e.facts.add(set));
        self.threads.renew(|| new.snapshot(), origin);
        if !takes_own && !held.iter().any(|id| id.0 == own_pending(me).0) {
            let own = Origin::fresh();
            versions.push(own.version);
            let pending = Rc::new(unknown_object::<G, Queue<Sym<G>>>(own));
            #[cfg(test)]
            crate::agreement::concrete::object_rests(own, &*self.pending.borrow());
            self.pending_by_itself(&pending, &new);
            *self.pending.borrow_mut() = pending.snapshot();
        }
        versions
    }

    /// Assumes that this CPU's pending queue is a well-formed queue.
    fn pending_by_itself(&self, pending: &Rc<Queue<Sym<G>>>, threads: &Rc<Threads<Sym<G>>>) {
        let (me, version) = (self.me, self.threads.version.get());
        let identity = [object_identity(&**pending), threads_identity(threads)].concat();
        let set = self.latest().set("own pending queue", identity, || {
            let (pending, threads) = (pending.clone(), threads.clone());
            vec![quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(version), move |k| {
                pending.lock_invariant(me, &threads, k)
            })]
        });
        engine(|e| e.facts.add(set));
    }

    /// Interference on all channels but those whose lock this CPU holds. Assumes that the lock of `q` is free.
    pub(super) fn interfere_with_channels(&self, q: SymWord) {
        let written =
            engine(|e| e.path.writes.iter().any(|w| [CHANNELS, MAIL].iter().any(|field| is_part(w.field, field))));
        let pristine = self.channels.version.get().version == 0 && !written;
        if pristine {
            engine(|e| e.facts.drop_sets());
        }
        let origin = Origin::fresh();
        engine(|e| e.path.data::<Locks>().0.push(TakenLock { versions: vec![origin.version] }));
        let old = Rc::new(self.channels.now.borrow().snapshot());
        let new = Rc::new(Channels::at(origin));
        #[cfg(test)]
        crate::agreement::concrete::channels_rest(origin, &old);
        if pristine {
            self.assume_stable(|state| state.channels = new.snapshot());
        }
        let (me, from) = (self.me, self.channels.version.get());
        let identity = [channels_identity(&old), channels_identity(&new)].concat();
        let set = self.latest().set("rely of channels", identity, || {
            let mut set = Vec::new();
            for (keys, relation) in Relation::CHANNELS {
                for version in [from, origin] {
                    let (old, new) = (old.clone(), new.clone());
                    set.push(quantified::<G>(keys, &at_version(version), move |k| relation.rely(&old, &new, me, k)));
                }
                let fact = new.clone();
                set.push(quantified::<G>(keys, &at_version(origin), move |k| relation.lock_invariant(&fact, k)));
            }
            set
        });
        engine(|e| e.facts.add(set));
        self.channels.renew(|| new.snapshot(), origin);
        self.moved();
        Interactions::record(Interaction::Acquire { channel: q, channels: new.snapshot() });
        let is_free = condition(&|| new.lock_of(q).holder == TOTAL_CPU);
        engine(|e| {
            e.learn(is_free);
            e.assume(is_free);
        });
    }
}

/// Whether a primitive is under proof. An entry has no contract about events.
pub(super) fn is_primitive() -> bool {
    engine(|e| e.settings.proving.is_some())
}

/// The id of the pending queue of CPU `me`.
fn own_pending(me: SymWord) -> SymWord {
    queue_id(Pending::FIRST, me)
}

/// The id of the queue in row `row` of a family whose first queue has the id `first`.
pub(super) fn queue_id(first: u32, row: SymWord) -> SymWord {
    SymWord(engine(|e| {
        let first = e.arena.number(first.into());
        e.arena.add(row.0, first)
    }))
}
