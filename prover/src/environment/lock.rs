//! Locks of the symbolic machine: interference where a lock is taken, and pending guarantees where it is released.
//!
//! When a lock is taken, the object that it guards gets a new unknown version, related to the old one by the rely
//! condition. The critical section's changes of the object must satisfy the rely conditions of the other CPUs.
use crate::clause;
use crate::environment::channels::CHANNELS;
use crate::environment::interference::{Interference, is_primitive, queue_id};
use crate::state::parts::{object_identity, threads_identity};
use crate::state::record::see_row;
use crate::state::record::{Locks, TakenLock};
use crate::state::sym::Sym;
use crate::state::unknown::is_part;
use crate::state::unknown::{at_version, key_bounds, quantified, unknown_object, unknown_row};
use layer::core::constants::TOTAL_CPU;
use layer::core::geometry::Geometry;
use layer::core::machine::{ChannelPool, Lock, Object};
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Fifo, Pending, Queue, Sleeping};
use sim::state::values::OTHER_PENDING;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::explore::oblige;
use symbolic::merge::condition;
use symbolic::origin::{Identity, Origin};
use symbolic::word::SymWord;

/// The pool of channels, at its current version.
pub struct SymChannels<G: Geometry>(pub(crate) Rc<Interference<G>>);

impl<G: Geometry> ChannelPool<Sym<G>> for SymChannels<G> {
    fn acquire(&self, by: SymWord, q: SymWord) {
        assert!(by.0 == self.0.me.0, "a lock is taken for another CPU");
        self.0.add_guarantees("before taking a lock");
        self.0.taken.borrow_mut().push(CHANNELS);
        self.0.interfere_with_channels(q);
        self.0.taking.set(true);
    }
    #[track_caller]
    fn release(&self, by: SymWord, q: SymWord) {
        assert!(by.0 == self.0.me.0, "a lock is given back for another CPU");
        let at = Location::caller();
        let given_back = condition(&|| self.0.channels.now.borrow().lock_of(q).holder == TOTAL_CPU);
        oblige(given_back, format_args!("a lock is given back that is held"), at);
        self.0.guarantee_channels("at release");
    }
    #[track_caller]
    fn with<R>(&self, work: impl FnOnce(&mut Channels<Sym<G>>) -> R) -> R {
        let result = work(&mut self.0.channels.now.borrow_mut());
        // From here on this CPU holds the lock. The guarantee must also be proved if the same path releases
        // the lock.
        if self.0.taking.replace(false) {
            self.0.guarantee_channels("once taken");
        }
        result
    }
}

/// The lock array of a family of objects. One row may be part of the CPU's state.
pub struct SymLock<G: Geometry, T> {
    own: Option<OwnRow<T>>,
    interference: Rc<Interference<G>>,
}

/// The row of a lock array that is part of the state.
struct OwnRow<T> {
    row: SymWord,
    object: Rc<RefCell<T>>,
    version: Cell<Origin>,
}

impl<G: Geometry, T: Object<Sym<G>>> SymLock<G, T> {
    /// The lock array whose row `row` is `object`, with version 0 of its fields.
    pub(crate) fn new(row: SymWord, object: Rc<RefCell<T>>, interference: Rc<Interference<G>>) -> Self {
        SymLock { own: Some(OwnRow { row, object, version: Cell::new(Origin::START) }), interference }
    }

    /// A lock array with no row in the state.
    pub(crate) fn elsewhere(interference: Rc<Interference<G>>) -> Self {
        SymLock { own: None, interference }
    }

    /// Replaces the row in the state by `object`, after a call rule.
    pub(crate) fn called(&self, object: &T, origin: Origin) {
        if let Some(own) = &self.own {
            *own.object.borrow_mut() = object.snapshot();
            own.version.set(origin);
        }
    }

    /// The interference of this path, and its pending guarantees.
    pub(crate) fn interference(&self) -> &Rc<Interference<G>> {
        &self.interference
    }

    /// The object of the row in the state, as this CPU left it.
    pub(crate) fn left(&self) -> T {
        self.own.as_ref().expect("a row is part of the state").object.borrow().snapshot()
    }

    /// The row in the state, if it is row `row`.
    fn own(&self, row: SymWord) -> Option<&OwnRow<T>> {
        self.own.as_ref().filter(|own| own.row.0 == row.0)
    }
}

/// The guard of a symbolic lock.
pub struct SymGuard<'a, G: Geometry, T: Object<Sym<G>>> {
    lock: &'a SymLock<G, T>,
    row: SymWord,
    object: T,
    taken: Rc<T>,
    /// The number of events that were logged before the lock was taken.
    logged: usize,
}

/// The list of an object, if the object is a queue.
fn fifo<G: Geometry, T: Object<Sym<G>>>(object: &T) -> Option<&Fifo<Sym<G>>> {
    let any: &dyn Any = object;
    let pending = any.downcast_ref::<Queue<Sym<G>, Pending>>().map(|queue| &queue.fifo);
    pending.or_else(|| any.downcast_ref::<Queue<Sym<G>, Sleeping>>().map(|queue| &queue.fifo))
}

impl<G: Geometry, T: Object<Sym<G>>> Deref for SymGuard<'_, G, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<G: Geometry, T: Object<Sym<G>>> DerefMut for SymGuard<'_, G, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<G: Geometry, T: Object<Sym<G>>> Lock<Sym<G>, T> for SymLock<G, T> {
    type Guard<'a>
        = SymGuard<'a, G, T>
    where
        Self: 'a;

    #[track_caller]
    fn lock(&self, by: SymWord, row: SymWord) -> SymGuard<'_, G, T> {
        let (interference, own) = (&self.interference, self.own(row));
        assert!(by.0 == interference.me.0, "a lock is taken for another CPU");
        let moves_threads = T::QUEUES.is_some();
        interference.taken.borrow_mut().push(if moves_threads { "tcb" } else { T::NAME });
        // Pristine means: as at the start of the proof, without writes and without interference so
        // far.
        let mut pristine = own.is_none_or(|own| own.version.get().version == 0);
        if moves_threads {
            let written = engine(|e| e.path.writes.iter().any(|w| is_part(w.field, "tcb")));
            pristine &= interference.threads.version.get().version == 0 && !written;
        }
        if pristine {
            // Facts about the earlier state would slow down every query about the new one.
            engine(|e| e.facts.drop_sets());
        }
        let mut versions = Vec::new();
        if moves_threads {
            interference.add_guarantees("before taking a lock");
            versions.extend(interference.interfere_with_threads(own.is_some()));
            interference.moved();
        }
        let origin = Origin::fresh();
        versions.push(origin.version);
        engine(|e| e.path.data::<Locks>().0.push(TakenLock { versions }));
        let (from, old) = match own {
            Some(own) => (own.version.replace(origin), Rc::new(own.object.borrow().snapshot())),
            // There is no knowledge of the earlier state of a row outside the state.
            None => (origin, Rc::new(unknown_row::<G, T>(Origin::fresh(), "before"))),
        };
        let new = Rc::new(match own {
            None if T::NAME == Pending::NAME => unknown_row::<G, T>(origin, OTHER_PENDING),
            _ => unknown_object::<G, T>(origin),
        });
        #[cfg(test)]
        crate::agreement::concrete::row_rests(origin, row, own.map(|_| &*old), &*new);
        if let Some(own) = own {
            // From now on, the invariant is about the new version.
            *own.object.borrow_mut() = new.snapshot();
        }
        let threads = Rc::new(interference.threads.now.borrow().snapshot());
        let links = interference.threads.version.get();
        // If an object has no fields of its own, its facts are about the threads in it.
        let (before, after) = if moves_threads { (links, links) } else { (from, origin) };
        if pristine {
            interference.assume_stable(|state| {
                if moves_threads {
                    state.threads = threads.snapshot();
                    state.pending = interference.pending.borrow().snapshot();
                }
                let object: &dyn Any = &*new;
                if let Some(at) = object.downcast_ref::<AllocTable<Sym<G>>>() {
                    state.at = at.snapshot();
                }
            });
        }
        let mut identity = [object_identity(&*old), object_identity(&*new), threads_identity(&threads)].concat();
        identity.push(Identity::Value(row.0));
        let set = interference.latest().set(T::NAME, identity, || {
            let mut set = Vec::new();
            if own.is_some() {
                for version in [before, after] {
                    let (old, new) = (old.clone(), new.clone());
                    set.push(quantified::<G>(T::KEYS, &at_version(version), move |k| T::rely(&old, &new, by, k)));
                }
            }
            let fact = new.clone();
            set.push(quantified::<G>(T::KEYS, &at_version(after), move |k| fact.lock_invariant(row, &threads, k)));
            set
        });
        engine(|e| e.facts.add(set));
        if let Some(first) = T::QUEUES {
            interference.held.borrow_mut().push(queue_id(first, row));
            if let Some(fifo) = fifo(&*new) {
                interference.history.locked(first, row, fifo);
            }
        }
        SymGuard { lock: self, row, object: new.snapshot(), taken: new, logged: interference.history.logged() }
    }
}

impl<G: Geometry, T: Object<Sym<G>>> Drop for SymGuard<'_, G, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = Rc::new(self.object.snapshot());
        match self.lock.own(self.row) {
            Some(own) => *own.object.borrow_mut() = self.object.snapshot(),
            None => see_row::<G, T>(&self.taken, &left),
        }
        let interference = &self.lock.interference;
        if is_primitive() {
            let any: &dyn Any = &*left;
            let table = any.downcast_ref::<AllocTable<Sym<G>>>();
            let guarantee = match (table, T::QUEUES, fifo(&*left)) {
                (Some(table), ..) => Some(interference.history.guarantee_table(self.logged, self.taken.clone(), table)),
                (None, Some(first), Some(fifo)) => Some(interference.history.guarantee_queue(first, self.row, fifo)),
                _ => None,
            };
            interference.pending_guarantees.borrow_mut().extend(guarantee);
        }
        let (me, row, limits) = (interference.me, self.row, key_bounds::<G>(T::KEYS));
        let (old, new) = (self.taken.clone(), left.clone());
        let cpu_and = [&[TOTAL_CPU.into()], &*limits].concat();
        interference.guarantee(clause::guarantee(T::NAME), "at unlock", cpu_and, move |k| {
            k[0] == me || T::rely(&old, &new, k[0], &k[1..])
        });
        let threads = interference.threads.now.borrow().snapshot();
        interference
            .guarantee(clause::by_itself(T::NAME), "at unlock", limits, move |k| left.lock_invariant(row, &threads, k));
        if T::QUEUES.is_some() {
            interference.guarantee_threads("at unlock");
            interference.held.borrow_mut().pop();
        }
    }
}
