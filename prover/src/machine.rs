//! The symbolic machine: nothing is known of the state but what the invariant says, and whenever a lock is taken the
//! other CPUs have moved.
use crate::assumed::Assumed;
use crate::clause;
use crate::engine::engine;
use crate::explore::{branch, condition, in_range, oblige};
use crate::facts::{Quantified, Trigger};
use crate::lemma;
use crate::map::Origin;
use crate::mutant::running;
use crate::replay::Taken;
use crate::state::{State, is_part, object_identity, threads_identity};
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Domain, Geometry, Ghost, Home, Map};
use layer::call::{Call, Give};
use layer::constants::{TOTAL_CPU, UCTXT_SIZE};
use layer::fields::{FIELDS, Next, Slot, ThreadGhosts, UserContexts, bounds};
use layer::invariant::{IGNORE, Keys};
use layer::log::{Event, Log};
use layer::machine::{Links, Lock, Machine, Object, Spec, Visit};
use layer::page_alloc::AllocTable;
use layer::queue::{Queue, Threads};
use layer::state::Cpu;
use layer::stuck::Stuck;
use smt::term::{Name, Range, Term};
use std::any::Any;
use std::cell::RefCell;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::rc::Rc;

/// The symbolic domain and machine, for the page tables of geometry `G`.
pub struct Sym<G>(PhantomData<G>);

impl<G> Clone for Sym<G> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<G> Copy for Sym<G> {}
impl<G> Debug for Sym<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sym")
    }
}

impl<G: Geometry> Domain for Sym<G> {
    type Geometry = G;
    type Word = SymWord;
    type Wide = SymWide;
    type Nat = SymNat;
    type Flag = SymFlag;
    type Place = Origin;

    #[track_caller]
    fn decide(condition: impl Fn() -> bool) -> bool {
        decide(&condition)
    }
}

/// Ghost state, present; a check is one decision however much it compares.
#[derive(Clone, Debug)]
pub struct Shown<T>(pub T);

impl<T> Ghost<T> for Shown<T> {
    #[track_caller]
    fn update(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.0)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&T) -> bool) -> bool {
        check_ghost(&|| check(&self.0))
    }
}

/// The log is not modelled: what events say is in the state of the objects that they are about.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

impl<G: Geometry> Log<Sym<G>> for NoLog {
    fn push(&mut self, _: SymWord, _: Event<Sym<G>>) {}
}

/// The links of the queues: one version of them at a time.
pub struct SymLinks<G: Geometry>(pub Rc<RefCell<Threads<Sym<G>>>>);

impl<G: Geometry> Links<Sym<G>> for SymLinks<G> {
    #[track_caller]
    fn next(&self, thread: SymWord) -> SymWord {
        self.0.borrow().next.get([thread]).thread
    }
    #[track_caller]
    fn set_next(&self, thread: SymWord, next: SymWord) {
        self.0.borrow_mut().next.set([thread], Next { thread: next });
    }
    #[track_caller]
    fn update(&self, change: impl FnOnce(&mut <Sym<G> as Home<ThreadGhosts>>::Map)) {
        change(&mut self.0.borrow_mut().tcb)
    }
    #[track_caller]
    fn check(&self, check: impl Fn(&<Sym<G> as Home<ThreadGhosts>>::Map) -> bool) -> bool {
        let tcb = self.0.borrow().tcb.clone();
        check_ghost(&|| check(&tcb))
    }
}

impl<G: Geometry> Machine for Sym<G> {
    type Ghost<T: 'static> = Shown<T>;
    type Log = NoLog;
    type Lock<T: Object<Self>> = SymLock<G, T>;
    type Links = SymLinks<G>;
    type Registers = [SymWide; UCTXT_SIZE as usize];

    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Shown<T> {
        Shown(make())
    }
    fn log(_: Origin) -> NoLog {
        NoLog
    }
    fn store_registers(contexts: &mut <Self as Home<UserContexts>>::Map, thread: SymWord, registers: Self::Registers) {
        for (k, value) in (0..).zip(registers) {
            contexts.set([thread, SymWord::from(k)], Slot { value });
        }
    }
    fn real_vmxinfo(index: SymWord) -> SymWord {
        SymWord(machine_says("machine.vmxinfo", Range::WORD, index))
    }
    fn vmcs_host(field: SymWord) -> SymWide {
        SymWide(machine_says("machine.vmcs_host", Range::WIDE, field))
    }
    fn rdmsr(register: SymWord) -> SymWide {
        SymWide(machine_says("machine.rdmsr", Range::WIDE, register))
    }
    fn usable(frame: SymWord) -> SymFlag {
        SymFlag(machine_says("machine.usable", Range::Bool, frame))
    }

    #[track_caller]
    fn call<R>(
        cpu: &mut Cpu<'_, Self>,
        call: impl FnOnce() -> Call<Self>,
        give: Give<Self, R>,
        run: impl FnOnce(&mut Cpu<'_, Self>) -> Result<R, Stuck>,
    ) -> Result<R, Stuck> {
        let call = call();
        let (is_proved, again, is_called) = engine(|e| (e.proving == Some(call.name), e.again.is_some(), e.is_called));
        if is_proved || is_called {
            run(cpu)
        } else if again {
            running(false, || lemma::admit(cpu, &call));
            engine(|e| e.is_called = true);
            let result = run(cpu);
            engine(|e| e.is_called = false);
            result
        } else {
            Ok(give(&running(false, || lemma::apply(cpu, &call))))
        }
    }
}

/// What the machine answers at a key: anything, but the same each time.
fn machine_says(what: &str, range: Range, key: SymWord) -> Term {
    engine(|e| {
        let function = e.arena.name(what);
        e.arena.app(function, range, vec![key.0])
    })
}

impl<G: Geometry> Spec for Sym<G> {
    fn present<T: 'static>(ghost: &Shown<T>) -> &T {
        &ghost.0
    }
}

/// Something to prove at the end of the path, for all keys: what a critical section owes the other CPUs.
pub(crate) struct Duty {
    pub clause: String,
    pub bounds: Vec<u64>,
    pub holds: Box<dyn Fn(&[SymWord]) -> bool>,
}

/// What the critical sections of a path owe.
pub(crate) type Duties = Rc<RefCell<Vec<Duty>>>;

/// The links, as they are now and as they were when the others last moved.
pub(crate) struct Moves<G: Geometry> {
    /// The state that the proof starts from, and whose invariant holds.
    start: Rc<State<G>>,
    pub now: Rc<RefCell<Threads<Sym<G>>>>,
    pub since: RefCell<Threads<Sym<G>>>,
    pub version: RefCell<Origin>,
    pub me: SymWord,
    pub duties: Duties,
    /// Objects whose lock was taken, by name of their field.
    pub taken: RefCell<Vec<&'static str>>,
    /// What is assumed of the state that the invariant was last known of.
    latest: RefCell<Rc<Assumed>>,
}

impl<G: Geometry> Moves<G> {
    pub fn new(start: &Rc<State<G>>, assumed: &Rc<Assumed>) -> Rc<Self> {
        Rc::new(Moves {
            start: start.clone(),
            now: Rc::new(RefCell::new(start.threads.snapshot())),
            since: RefCell::new(start.threads.snapshot()),
            version: RefCell::new(Origin { version: 0 }),
            me: start.own.cpu,
            duties: Duties::default(),
            taken: RefCell::default(),
            latest: RefCell::new(assumed.clone()),
        })
    }

    /// `current_CPU_ID`.
    pub fn current_cpu(&self) -> SymWord {
        self.start.current_cpu
    }

    /// What is assumed of the state that the invariant was last known of.
    pub fn latest(&self) -> Rc<Assumed> {
        self.latest.borrow().clone()
    }

    /// The invariant is assumed of `state`. Facts of the state before would burden every question about this one.
    fn know(&self, state: State<G>) {
        let assumed = self.latest().of(state);
        assumed.assume();
        self.latest.replace(assumed);
    }

    /// A primitive that was called by its contract leaves `state`.
    pub fn called(&self, state: &State<G>, origin: Origin) {
        engine(|e| e.facts.drop_sets());
        self.know(state.snapshot());
        *self.now.borrow_mut() = state.threads.snapshot();
        *self.since.borrow_mut() = state.threads.snapshot();
        *self.version.borrow_mut() = origin;
    }

    /// Assumes the invariant of the state that the proof started from, but with a shared object as it is now that the
    /// others have moved for the first time: that the invariant is stable under their moves is proved by itself.
    fn assume_stable<T: Object<Sym<G>>>(&self, object: &T, threads: &Threads<Sym<G>>) {
        let mut state = self.start.snapshot();
        state.threads = threads.snapshot();
        let object: &dyn Any = object;
        if let Some(at) = object.downcast_ref::<AllocTable<Sym<G>>>() {
            state.at = at.snapshot();
        }
        if let Some(pending) = object.downcast_ref::<Queue<Sym<G>>>() {
            state.pending = pending.snapshot();
        }
        self.know(state);
    }

    /// What this CPU did to the threads since the others last moved is what they may count on.
    pub fn owe(&self, when: &'static str) {
        {
            let (now, since) = (self.now.borrow(), self.since.borrow());
            if threads_identity(&now) == threads_identity(&since) {
                return;
            }
        }
        let (before, after) = (Rc::new(self.since.borrow().snapshot()), Rc::new(self.now.borrow().snapshot()));
        let me = self.me;
        let (old, new) = (before.clone(), after.clone());
        let bound = bounds::<Sym<G>>("tcb").expect("tcb is a field")[0].into();
        self.duties.borrow_mut().push(Duty {
            clause: format!("{} {when}", clause::guarantee("tcb")),
            bounds: vec![TOTAL_CPU.into(), bound],
            holds: Box::new(move |k| k[0] == me || Threads::rely(&old, &new, k[0], k[1])),
        });
        self.duties.borrow_mut().push(Duty {
            clause: format!("{} {when}", clause::by_itself("tcb")),
            bounds: vec![bound],
            holds: Box::new(move |k| after.own_fact(k[0])),
        });
    }

    /// The others move threads: from here on a new version of the links holds.
    fn others_move(&self) {
        let origin = next_version();
        let old = Rc::new(self.now.borrow().snapshot());
        let new = Rc::new(Threads::homes(origin));
        #[cfg(test)]
        crate::agreement::concrete::threads_rest(origin, &old);
        let me = self.me;
        let from = self.version.replace(origin);
        let identity = [threads_identity(&old), threads_identity(&new)].concat();
        let set = self.latest().set("rely of threads", identity, || {
            let mut set = Vec::new();
            for version in [from, origin] {
                let (old, new) = (old.clone(), new.clone());
                set.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(version), move |k| {
                    Threads::rely(&old, &new, me, k[0])
                }));
            }
            let fact = new.clone();
            set.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(origin), move |k| fact.own_fact(k[0])));
            set
        });
        engine(|e| e.facts.add(set));
        *self.now.borrow_mut() = new.snapshot();
        *self.since.borrow_mut() = new.snapshot();
    }
}

/// A version that no object has yet.
pub(crate) fn next_version() -> Origin {
    engine(|e| {
        e.fresh += 1;
        Origin { version: e.fresh }
    })
}

/// The unknown maps of a field and its companions at version `origin`.
pub(crate) fn at_version(origin: Origin) -> impl Fn(&str) -> Vec<Name> {
    move |field| {
        let parts = FIELDS.iter().filter(|name| is_part(name, field));
        parts.map(|name| engine(|e| e.arena.name(&origin.name(name)))).collect()
    }
}

/// `holds` as a fact over the unknown maps that `maps` gives for each field that `keys` names.
pub(crate) fn quantified<G: Geometry>(
    keys: Keys,
    maps: &dyn Fn(&str) -> Vec<Name>,
    holds: impl Fn(&[SymWord]) -> bool + 'static,
) -> Quantified {
    let bounds = key_bounds::<G>(keys);
    let triggers = keys
        .iter()
        .map(|(field, coordinates)| Trigger {
            maps: maps(field),
            keys: coordinates.iter().map(|&k| (k != IGNORE).then_some(k)).collect(),
        })
        .collect();
    let holds = Box::new(move |key: &[Term]| {
        let words: Vec<SymWord> = key.iter().map(|&t| SymWord(t)).collect();
        holds(&words)
    });
    Quantified { triggers, bounds, holds }
}

/// The bound of each key.
pub(crate) fn key_bounds<G: Geometry>(keys: Keys) -> Vec<u64> {
    let mut limits = Vec::new();
    for (field, coordinates) in keys {
        let dims = bounds::<Sym<G>>(field).expect("a fact is over fields of the table");
        for (&key, &bound) in coordinates.iter().zip(dims) {
            if key != IGNORE {
                if limits.len() <= key {
                    limits.resize(key + 1, 0);
                }
                limits[key] = bound.into();
            }
        }
    }
    limits
}

/// A family of shared objects of which this CPU takes the lock of one row.
pub struct SymLock<G: Geometry, T> {
    row: SymWord,
    object: Rc<RefCell<T>>,
    version: RefCell<Origin>,
    moves: Rc<Moves<G>>,
}

impl<G: Geometry, T: Object<Sym<G>>> SymLock<G, T> {
    /// The family whose row `row` is `object`, which comes from version 0 of its fields.
    pub(crate) fn new(row: SymWord, object: T, moves: Rc<Moves<G>>) -> Self {
        SymLock { row, object: Rc::new(RefCell::new(object)), version: RefCell::new(Origin { version: 0 }), moves }
    }

    /// A primitive that was called by its contract leaves `object`.
    pub(crate) fn called(&self, object: &T, origin: Origin) {
        *self.object.borrow_mut() = object.snapshot();
        *self.version.borrow_mut() = origin;
    }

    /// What the critical sections of the path have moved.
    pub(crate) fn moves(&self) -> &Rc<Moves<G>> {
        &self.moves
    }

    /// The object as this CPU left it.
    pub(crate) fn left(&self) -> T {
        self.object.borrow().snapshot()
    }
}

/// Makes values that are in no map unknown, at version `origin`: those that `wanted` picks.
pub(crate) struct MakeUnknown<'a> {
    pub origin: Origin,
    /// What is before their names.
    pub prefix: &'a str,
    pub wanted: &'a dyn Fn(&str) -> bool,
}

impl MakeUnknown<'_> {
    fn make(&self, name: &str, range: Range, term: &mut Term) {
        if (self.wanted)(name) {
            let name = self.origin.name(&format!("{}{name}", self.prefix));
            *term = engine(|e| e.arena.var(&name, range));
        }
    }
}

impl<G: Geometry> Visit<Sym<G>> for MakeUnknown<'_> {
    fn word(&mut self, name: &'static str, word: &mut SymWord) {
        self.make(name, Range::WORD, &mut word.0);
    }
    fn wide(&mut self, name: &'static str, wide: &mut SymWide) {
        self.make(name, Range::WIDE, &mut wide.0);
    }
    fn nat(&mut self, name: &'static str, nat: &mut SymNat) {
        self.make(name, Range::Nat, &mut nat.0);
    }
    fn flag(&mut self, name: &'static str, flag: &mut SymFlag) {
        self.make(name, Range::Bool, &mut flag.0);
    }
}

/// An object of which nothing is known, at version `origin`.
pub(crate) fn unknown_object<G: Geometry, T: Object<Sym<G>>>(origin: Origin) -> T {
    let mut object = T::new(origin);
    object.words(&mut MakeUnknown { origin, prefix: &format!("{}.", T::NAME), wanted: &|_| true });
    object
}

/// Holds a symbolic lock.
pub struct SymGuard<'a, G: Geometry, T: Object<Sym<G>>> {
    lock: &'a SymLock<G, T>,
    object: T,
    taken: Rc<T>,
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
        assert!(
            by.0 == self.moves.me.0 && row.0 == self.row.0,
            "a lock is taken for another CPU or row than this CPU's"
        );
        self.moves.taken.borrow_mut().push(if T::MOVES_THREADS { "tcb" } else { T::NAME });
        // As it was when the proof started: nothing of it was written, and the others have not moved it yet.
        let mut pristine = self.version.borrow().version == 0;
        if T::MOVES_THREADS {
            let written = engine(|e| e.writes.iter().any(|w| w.field.starts_with("tcb")));
            pristine &= self.moves.version.borrow().version == 0 && !written;
        }
        if pristine {
            // Facts of the state before would burden every question about the one after.
            engine(|e| e.facts.drop_sets());
        }
        let mut versions = Vec::new();
        if T::MOVES_THREADS {
            self.moves.owe("before taking a lock");
            self.moves.others_move();
            versions.push(self.moves.version.borrow().version);
        }
        let origin = next_version();
        versions.push(origin.version);
        engine(|e| e.taken.push(Taken { versions }));
        let from = self.version.replace(origin);
        let old = Rc::new(self.object.borrow().snapshot());
        let new = Rc::new(unknown_object::<G, T>(origin));
        #[cfg(test)]
        crate::agreement::concrete::object_rests(origin, &*old);
        let threads = Rc::new(self.moves.now.borrow().snapshot());
        let links = *self.moves.version.borrow();
        // Where the object has no fields of its own, its facts are about the threads in it.
        let (before, after) = if T::MOVES_THREADS { (links, links) } else { (from, origin) };
        if pristine {
            let unmoved = &self.moves.start.threads;
            self.moves.assume_stable(&*new, if T::MOVES_THREADS { &threads } else { unmoved });
        }
        let identity = [object_identity(&*old), object_identity(&*new), threads_identity(&threads)].concat();
        let set = self.moves.latest().set(T::NAME, identity, || {
            let mut set = Vec::new();
            for version in [before, after] {
                let (old, new) = (old.clone(), new.clone());
                set.push(quantified::<G>(T::KEYS, &at_version(version), move |k| T::rely(&old, &new, by, k)));
            }
            let (fact, row) = (new.clone(), self.row);
            set.push(quantified::<G>(T::KEYS, &at_version(after), move |k| fact.own_fact(row, &threads, k)));
            set
        });
        engine(|e| e.facts.add(set));
        SymGuard { lock: self, object: new.snapshot(), taken: new }
    }
}

impl<G: Geometry, T: Object<Sym<G>>> Drop for SymGuard<'_, G, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = Rc::new(self.object.snapshot());
        *self.lock.object.borrow_mut() = self.object.snapshot();
        let moves = &self.lock.moves;
        let (me, row, limits) = (moves.me, self.lock.row, key_bounds::<G>(T::KEYS));
        let mut duties = moves.duties.borrow_mut();
        let (old, new) = (self.taken.clone(), left.clone());
        duties.push(Duty {
            clause: format!("{} at unlock", clause::guarantee(T::NAME)),
            bounds: [TOTAL_CPU.into()].into_iter().chain(limits.iter().copied()).collect(),
            holds: Box::new(move |k| k[0] == me || T::rely(&old, &new, k[0], &k[1..])),
        });
        let threads = moves.now.borrow().snapshot();
        duties.push(Duty {
            clause: format!("{} at unlock", clause::by_itself(T::NAME)),
            bounds: limits,
            holds: Box::new(move |k| left.own_fact(row, &threads, k)),
        });
        drop(duties);
        if T::MOVES_THREADS {
            moves.owe("at unlock");
        }
    }
}

/// One decision for a whole check of ghost state; that nothing in it goes out of range is an obligation.
#[track_caller]
fn check_ghost(code: &dyn Fn() -> bool) -> bool {
    let stays = in_range(&|| {
        code();
    });
    oblige(stays, "a check goes out of range", Location::caller());
    decide(code)
}

/// One decision for a whole condition.
#[track_caller]
pub(crate) fn decide(code: &dyn Fn() -> bool) -> bool {
    branch(condition(code), Location::caller())
}
