//! The symbolic machine: nothing is known of the state but what the invariant says, and whenever a lock is taken the
//! other CPUs have moved.
use crate::assumed::Assumed;
use crate::clause;
use crate::effects::see_event;
use crate::engine::engine;
use crate::explore::{branch, condition, in_range, oblige};
use crate::facts::{Quantified, Trigger};
use crate::history::{self, History};
use crate::lemma;
use crate::map::{Identity, Origin};
use crate::mutant::running;
use crate::replay::Taken;
use crate::rounds;
use crate::state::{State, channels_identity, is_part, object_identity, threads_identity};
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Domain, Geometry, Ghost, Home, Map};
use layer::call::{Call, Give};
use layer::channel::Channels;
use layer::constants::{NEXT_SEND_MAX_REC, SERIAL_HW_BUF_SIZE, TOTAL_CPU, UCTXT_SIZE};
use layer::contract::loops;
use layer::fields::{ConsoleInput, FIELDS, Received, Slot, ThreadGhosts, UserContexts, bounds};
use layer::invariant::{IGNORE, Keys};
use layer::log::{Event, Log};
use layer::machine::{ChannelPool, Links, Lock, Machine, Object, Spec, Visit};
use layer::page_alloc::AllocTable;
use layer::queue::{Family, Fifo, Pending, Queue, Sleeping, Threads};
use layer::serial::{SerialEvent, event};
use layer::state::Cpu;
use layer::stuck::Stuck;
use sim::witness::OTHER_PENDING;
use smt::term::{Name, Range, Term};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{ControlFlow, Deref, DerefMut};
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

/// The log of every object: events are kept with the path, in the order in which they were appended.
#[derive(Clone, Copy, Debug)]
pub struct PathLog;

impl<G: Geometry> Log<Sym<G>> for PathLog {
    fn push(&mut self, by: SymWord, event: Event<Sym<G>>) {
        see_event(event);
        history::log(by, event);
    }
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
        self.0.borrow_mut().next.update([thread], |entry| entry.thread = next);
    }
    #[track_caller]
    fn cpu(&self, thread: SymWord) -> SymWord {
        self.0.borrow().next.get([thread]).cpu
    }
    #[track_caller]
    fn set_cpu(&self, thread: SymWord, cpu: SymWord) {
        self.0.borrow_mut().next.update([thread], |entry| entry.cpu = cpu);
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
    type Log = PathLog;
    type Lock<T: Object<Self>> = SymLock<G, T>;
    type Links = SymLinks<G>;
    type Channels = SymChannels<G>;
    type Registers = [SymWide; UCTXT_SIZE as usize];

    fn ghost<T: 'static>(make: impl FnOnce() -> T) -> Shown<T> {
        Shown(make())
    }
    fn ghosts<T: 'static, U: 'static>(ghost: &mut Shown<T>, other: &Shown<U>, change: impl FnOnce(&mut T, &U)) {
        change(&mut ghost.0, &other.0);
    }
    fn log(_: Origin) -> PathLog {
        PathLog
    }
    fn store_registers(contexts: &mut <Self as Home<UserContexts>>::Map, thread: SymWord, registers: Self::Registers) {
        for (k, value) in (0..).zip(registers) {
            contexts.set([thread, SymWord::from(k)], Slot { value });
        }
    }
    fn real_vmxinfo(index: SymWord) -> SymWord {
        SymWord(machine_says("machine.vmxinfo", Range::WORD, &[index]))
    }
    fn vmcs_host(field: SymWord) -> SymWide {
        SymWide(machine_says("machine.vmcs_host", Range::WIDE, &[field]))
    }
    fn rdmsr(register: SymWord) -> SymWide {
        SymWide(machine_says("machine.rdmsr", Range::WIDE, &[register]))
    }
    fn usable(frame: SymWord) -> SymFlag {
        SymFlag(machine_says("machine.usable", Range::Bool, &[frame]))
    }
    fn has_serial(cpu: SymWord) -> SymFlag {
        SymFlag(machine_says("machine.serial", Range::Bool, &[cpu]))
    }
    fn serial_event(index: SymWord) -> SerialEvent<Self> {
        let says = |what, most| SymWord(machine_says(what, Range::UpTo(most), &[index]));
        SerialEvent {
            kind: says("machine.serial.kind", event::PLUGIN.into()),
            count: says("machine.serial.count", SERIAL_HW_BUF_SIZE.into()),
        }
    }
    #[track_caller]
    fn serial_bytes(rx_buf: &mut <Self as Home<Received>>::Map, at: SymWord, index: SymWord, count: SymWord) {
        rx_buf.receive(at, index, count);
    }
    #[track_caller]
    fn copy_received(
        cons_buf: &mut <Self as Home<ConsoleInput>>::Map,
        at: SymWord,
        rx_buf: &<Self as Home<Received>>::Map,
        from: SymWord,
        many: SymWord,
    ) {
        cons_buf.copy_ring(at, rx_buf, from, many);
    }
    fn serial_sent(index: SymWord) -> SymWord {
        SymWord(machine_says("machine.serial.sent", Range::UpTo(NEXT_SEND_MAX_REC.into()), &[index]))
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

    #[track_caller]
    fn repeat(
        cpu: &mut Cpu<'_, Self>,
        name: &'static str,
        most: u32,
        round: impl Fn(&mut Cpu<'_, Self>) -> Result<ControlFlow<()>, Stuck>,
    ) -> Result<(), Stuck> {
        let rules = loops::<Self>();
        let rule = rules.iter().find(|rule| rule.name == name).expect("loops name a rule of the layer");
        rounds::repeat(cpu, rule, most, &round)
    }
}

/// What the machine answers at a key: anything, but the same each time.
fn machine_says(what: &str, range: Range, key: &[SymWord]) -> Term {
    engine(|e| {
        let function = e.arena.name(what);
        e.arena.app(function, range, key.iter().map(|word| word.0).collect())
    })
}

impl<G: Geometry> Spec for Sym<G> {
    fn present<T: 'static>(ghost: &Shown<T>) -> &T {
        &ghost.0
    }
    #[track_caller]
    fn register(registers: &Self::Registers, slot: SymWord) -> SymWide {
        // One that is none of the others is the last.
        let last = UCTXT_SIZE as usize - 1;
        registers[(0..last).find(|&k| slot == k as u32).unwrap_or(last)]
    }
    fn serial_byte(index: SymWord, k: SymWord) -> SymWord {
        SymWord(machine_says("machine.serial.byte", Range::UpTo(255), &[index, k]))
    }
}

/// Something to prove at the end of the path, for all keys: what a critical section owes the other CPUs.
pub(crate) struct Duty {
    pub clause: String,
    pub bounds: Vec<u64>,
    pub holds: Box<dyn Fn(&[SymWord]) -> bool>,
}

impl Duty {
    pub fn new(clause: String, when: &str, bounds: Vec<u64>, holds: impl Fn(&[SymWord]) -> bool + 'static) -> Duty {
        Duty { clause: format!("{clause} {when}"), bounds, holds: Box::new(holds) }
    }
}

/// What the critical sections of a path owe.
pub(crate) type Duties = Rc<RefCell<Vec<Duty>>>;

/// Something shared that has no lock of its own: as it is now, and as it was when the others last moved it.
pub(crate) struct Seen<T> {
    pub now: Rc<RefCell<T>>,
    since: RefCell<Rc<T>>,
    version: Cell<Origin>,
}

impl<T> Seen<T> {
    fn new(snapshot: impl Fn() -> T) -> Seen<T> {
        let start = Origin { version: 0 };
        Seen {
            now: Rc::new(RefCell::new(snapshot())),
            since: RefCell::new(Rc::new(snapshot())),
            version: Cell::new(start),
        }
    }

    /// It is as `snapshot` says, at version `origin`, and nobody has touched it since.
    fn renew(&self, snapshot: impl Fn() -> T, origin: Origin) {
        *self.now.borrow_mut() = snapshot();
        *self.since.borrow_mut() = Rc::new(snapshot());
        self.version.set(origin);
    }
}

/// What is shared on a path: what this CPU did to it, and what the others did.
pub(crate) struct Moves<G: Geometry> {
    /// The state that the proof starts from, and whose invariant holds.
    start: Rc<State<G>>,
    pub threads: Seen<Threads<Sym<G>>>,
    pub channels: Seen<Channels<Sym<G>>>,
    /// This CPU's own pending queue, which others fill whenever they move threads.
    pub pending: Rc<RefCell<Queue<Sym<G>>>>,
    pub me: SymWord,
    pub duties: Duties,
    /// Clauses of duties that were proved on the way.
    pub settled: RefCell<Vec<String>>,
    /// What was logged, if a primitive is proved.
    pub history: History<G>,
    /// Objects whose lock was taken, by name of their field.
    pub taken: RefCell<Vec<&'static str>>,
    /// A channel's lock was taken, and nothing says yet whose it is.
    taking: Cell<bool>,
    /// The ids of the queues whose locks are held.
    held: RefCell<Vec<SymWord>>,
    /// What is assumed of the state that the invariant was last known of.
    latest: RefCell<Rc<Assumed>>,
}

impl<G: Geometry> Moves<G> {
    pub fn new(start: &Rc<State<G>>, assumed: &Rc<Assumed>) -> Rc<Self> {
        Rc::new(Moves {
            start: start.clone(),
            threads: Seen::new(|| start.threads.snapshot()),
            channels: Seen::new(|| start.channels.snapshot()),
            pending: Rc::new(RefCell::new(start.pending.snapshot())),
            me: start.own.cpu,
            duties: Duties::default(),
            settled: RefCell::default(),
            history: History::new(start),
            taken: RefCell::default(),
            taking: Cell::default(),
            held: RefCell::default(),
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
        self.threads.renew(|| state.threads.snapshot(), origin);
        self.channels.renew(|| state.channels.snapshot(), origin);
        *self.pending.borrow_mut() = state.pending.snapshot();
    }

    /// Assumes the invariant of the state that the proof started from, but with what `moved` replaces in it as it is now
    /// that the others have moved it for the first time: that the invariant is stable under their moves is proved by itself.
    fn assume_stable(&self, moved: impl FnOnce(&mut State<G>)) {
        let mut state = self.start.snapshot();
        moved(&mut state);
        self.know(state);
    }

    fn duty(&self, clause: String, when: &str, bounds: Vec<u64>, holds: impl Fn(&[SymWord]) -> bool + 'static) {
        self.duties.borrow_mut().push(Duty::new(clause, when, bounds, holds));
    }

    /// What this CPU did to threads and channels since the others last moved is what they may count on, and it did so only
    /// where it held the lock.
    pub fn owe(&self, when: &'static str) {
        self.owe_threads(when);
        self.owe_channels(when);
        if is_primitive() {
            let effects = self.history.owe(&self.threads.now.borrow(), &self.channels.now.borrow(), when);
            self.duties.borrow_mut().extend(effects);
        }
    }

    /// The others have moved threads or channels: what is logged from here on is about these.
    fn moved(&self) {
        self.history.moved(self.threads.now.borrow().snapshot(), self.channels.now.borrow().snapshot());
    }

    fn owe_threads(&self, when: &'static str) {
        let (old, new) = (self.threads.since.borrow().clone(), Rc::new(self.threads.now.borrow().snapshot()));
        if threads_identity(&old) == threads_identity(&new) {
            return;
        }
        *self.threads.since.borrow_mut() = new.clone();
        let me = self.me;
        let bound = key_bounds::<G>(Threads::<Sym<G>>::KEYS);
        let cpu_and = [&[TOTAL_CPU.into()], &*bound].concat();
        let (before, after) = (old.clone(), new.clone());
        self.duty(clause::guarantee("tcb"), when, cpu_and, move |k| {
            k[0] == me || Threads::rely(&before, &after, k[0], k[1])
        });
        let (after, held) = (new.clone(), self.held.borrow().clone());
        self.duty(clause::unheld("tcb"), when, bound.clone(), move |k| {
            Threads::moved_within(&old, &after, &held, k[0])
        });
        self.duty(clause::by_itself("tcb"), when, bound, move |k| new.own_fact(k[0]));
    }

    fn owe_channels(&self, when: &'static str) {
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
            self.duty(clause::guarantee(CHANNELS), when, cpu_and, move |k| {
                k[0] == me || relation.rely(&before, &after, k[0], &k[1..])
            });
            let (before, after) = (old.clone(), new.clone());
            self.duty(clause::unheld(CHANNELS), when, bound.clone(), move |k| {
                before.lock_of(k[0]).holder == me
                    || after.lock_of(k[0]).holder == me
                    || relation.unchanged(&before, &after, k)
            });
            let after = new.clone();
            self.duty(clause::by_itself(CHANNELS), when, bound, move |k| relation.own_fact(&after, k));
        }
    }

    /// The others move threads: from here on a new version of the links holds, and, unless its lock is about to be taken or
    /// held, of this CPU's pending queue.
    fn others_move_threads(&self, takes_own: bool) -> Vec<u32> {
        let origin = next_version();
        let mut versions = vec![origin.version];
        let old = Rc::new(self.threads.now.borrow().snapshot());
        let new = Rc::new(Threads::homes(origin));
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
                    // Nobody touches what is in a queue whose lock this CPU holds.
                    Threads::rely(&old, &new, me, k[0]) && held.iter().all(|&id| Threads::stays(&old, &new, id, k[0]))
                }));
            }
            let fact = new.clone();
            set.push(quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(origin), move |k| fact.own_fact(k[0])));
            set
        });
        engine(|e| e.facts.add(set));
        self.threads.renew(|| new.snapshot(), origin);
        if !takes_own && !held.iter().any(|id| id.0 == own_pending(me).0) {
            let own = next_version();
            versions.push(own.version);
            let pending = Rc::new(unknown_object::<G, Queue<Sym<G>>>(own));
            #[cfg(test)]
            crate::agreement::concrete::object_rests(own, &*self.pending.borrow());
            self.pending_by_itself(&pending, &new);
            *self.pending.borrow_mut() = pending.snapshot();
        }
        versions
    }

    /// This CPU's pending queue is one.
    fn pending_by_itself(&self, pending: &Rc<Queue<Sym<G>>>, threads: &Rc<Threads<Sym<G>>>) {
        let (me, version) = (self.me, self.threads.version.get());
        let identity = [object_identity(&**pending), threads_identity(threads)].concat();
        let set = self.latest().set("own pending queue", identity, || {
            let (pending, threads) = (pending.clone(), threads.clone());
            vec![quantified::<G>(Threads::<Sym<G>>::KEYS, &at_version(version), move |k| {
                pending.own_fact(me, &threads, k)
            })]
        });
        engine(|e| e.facts.add(set));
    }

    /// The others move channels, all but those whose lock this CPU holds, and the lock of `q` is free.
    fn others_move_channels(&self, q: SymWord) {
        let written = engine(|e| e.writes.iter().any(|w| [CHANNELS, MAIL].iter().any(|field| is_part(w.field, field))));
        let pristine = self.channels.version.get().version == 0 && !written;
        if pristine {
            engine(|e| e.facts.drop_sets());
        }
        let origin = next_version();
        engine(|e| e.taken.push(Taken { versions: vec![origin.version] }));
        let old = Rc::new(self.channels.now.borrow().snapshot());
        let new = Rc::new(Channels::homes(origin));
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
                set.push(quantified::<G>(keys, &at_version(origin), move |k| relation.own_fact(&fact, k)));
            }
            set
        });
        engine(|e| e.facts.add(set));
        self.channels.renew(|| new.snapshot(), origin);
        self.moved();
        let is_free = condition(&|| new.lock_of(q).holder == TOTAL_CPU);
        engine(|e| {
            e.learn(is_free);
            e.assume(is_free);
        });
    }
}

/// Whether it is a primitive that is proved: an entry promises no events.
fn is_primitive() -> bool {
    engine(|e| e.proving.is_some())
}

/// The id of the pending queue of CPU `me`.
fn own_pending(me: SymWord) -> SymWord {
    queue_id(Pending::FIRST, me)
}

/// The id of the queue of row `row` of a family whose first one is `first`.
fn queue_id(first: u32, row: SymWord) -> SymWord {
    SymWord(engine(|e| {
        let first = e.arena.number(first.into());
        e.arena.add(row.0, first)
    }))
}

/// The fields of the channels: control blocks with their locks, and mailboxes.
pub(crate) const CHANNELS: &str = "syncchpool";
pub(crate) const MAIL: &str = "mailbox";

/// What holds of channels, and between two versions of them: of their control blocks and locks, or of their messages.
#[derive(Clone, Copy)]
pub(crate) enum Relation {
    Control,
    Mail,
}

impl Relation {
    /// Both, with where they are to be looked at.
    pub const CHANNELS: [(Keys, Relation); 2] =
        [(&[(CHANNELS, &[0])], Relation::Control), (&[(MAIL, &[0, 1])], Relation::Mail)];

    pub fn rely<G: Geometry>(self, old: &Channels<Sym<G>>, new: &Channels<Sym<G>>, me: SymWord, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => Channels::rely(old, new, me, k[0]),
            Relation::Mail => Channels::mail_rely(old, new, me, k[0], k[1]),
        }
    }

    pub fn unchanged<G: Geometry>(self, old: &Channels<Sym<G>>, new: &Channels<Sym<G>>, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => Channels::unchanged(old, new, k[0]),
            Relation::Mail => Channels::same_mail(old, new, k[0], k[1]),
        }
    }

    pub fn own_fact<G: Geometry>(self, channels: &Channels<Sym<G>>, k: &[SymWord]) -> bool {
        match self {
            Relation::Control => channels.own_fact(k[0]),
            Relation::Mail => channels.mail_fact(k[0], k[1]),
        }
    }
}

/// The channels: one version of them at a time.
pub struct SymChannels<G: Geometry>(pub(crate) Rc<Moves<G>>);

impl<G: Geometry> ChannelPool<Sym<G>> for SymChannels<G> {
    fn acquire(&self, by: SymWord, q: SymWord) {
        assert!(by.0 == self.0.me.0, "a lock is taken for another CPU");
        self.0.owe("before taking a lock");
        self.0.taken.borrow_mut().push(CHANNELS);
        self.0.others_move_channels(q);
        self.0.taking.set(true);
    }
    #[track_caller]
    fn release(&self, by: SymWord, q: SymWord) {
        assert!(by.0 == self.0.me.0, "a lock is given back for another CPU");
        let at = Location::caller();
        let given_back = condition(&|| self.0.channels.now.borrow().lock_of(q).holder == TOTAL_CPU);
        oblige(given_back, "a lock is given back that is held", at);
        self.0.owe_channels("at release");
    }
    #[track_caller]
    fn with<R>(&self, work: impl FnOnce(&mut Channels<Sym<G>>) -> R) -> R {
        let result = work(&mut self.0.channels.now.borrow_mut());
        // What follows is done by one who has the lock: also where it is given back on the same path.
        if self.0.taking.replace(false) {
            self.0.owe_channels("once taken");
        }
        result
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

/// A family of shared objects; one row may be part of the state.
pub struct SymLock<G: Geometry, T> {
    own: Option<OwnRow<T>>,
    moves: Rc<Moves<G>>,
}

/// The row of a family that is part of the state.
struct OwnRow<T> {
    row: SymWord,
    object: Rc<RefCell<T>>,
    version: Cell<Origin>,
}

impl<G: Geometry, T: Object<Sym<G>>> SymLock<G, T> {
    /// The family whose row `row` is `object`, which comes from version 0 of its fields.
    pub(crate) fn new(row: SymWord, object: Rc<RefCell<T>>, moves: Rc<Moves<G>>) -> Self {
        SymLock { own: Some(OwnRow { row, object, version: Cell::new(Origin { version: 0 }) }), moves }
    }

    /// A family of which no row is part of the state.
    pub(crate) fn elsewhere(moves: Rc<Moves<G>>) -> Self {
        SymLock { own: None, moves }
    }

    /// A primitive that was called by its contract leaves `object`.
    pub(crate) fn called(&self, object: &T, origin: Origin) {
        if let Some(own) = &self.own {
            *own.object.borrow_mut() = object.snapshot();
            own.version.set(origin);
        }
    }

    /// What the critical sections of the path have moved.
    pub(crate) fn moves(&self) -> &Rc<Moves<G>> {
        &self.moves
    }

    /// The object of the row that is part of the state, as this CPU left it.
    pub(crate) fn left(&self) -> T {
        self.own.as_ref().expect("a row is part of the state").object.borrow().snapshot()
    }

    /// The row that is part of the state, if it is this one.
    fn own(&self, row: SymWord) -> Option<&OwnRow<T>> {
        self.own.as_ref().filter(|own| own.row.0 == row.0)
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
    unknown_row(origin, T::NAME)
}

/// As [`unknown_object`], for one whose words are called after `name`.
fn unknown_row<G: Geometry, T: Object<Sym<G>>>(origin: Origin, name: &str) -> T {
    let mut object = T::new(origin);
    object.words(&mut MakeUnknown { origin, prefix: &format!("{name}."), wanted: &|_| true });
    object
}

/// Holds a symbolic lock.
pub struct SymGuard<'a, G: Geometry, T: Object<Sym<G>>> {
    lock: &'a SymLock<G, T>,
    row: SymWord,
    object: T,
    taken: Rc<T>,
    /// How many events had been logged when it was taken.
    logged: usize,
}

/// The list of an object that is a queue.
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
        let (moves, own) = (&self.moves, self.own(row));
        assert!(by.0 == moves.me.0, "a lock is taken for another CPU");
        let moves_threads = T::QUEUES.is_some();
        moves.taken.borrow_mut().push(if moves_threads { "tcb" } else { T::NAME });
        // As it was when the proof started: nothing of it was written, and the others have not moved it yet.
        let mut pristine = own.is_none_or(|own| own.version.get().version == 0);
        if moves_threads {
            let written = engine(|e| e.writes.iter().any(|w| is_part(w.field, "tcb")));
            pristine &= moves.threads.version.get().version == 0 && !written;
        }
        if pristine {
            // Facts of the state before would burden every question about the one after.
            engine(|e| e.facts.drop_sets());
        }
        let mut versions = Vec::new();
        if moves_threads {
            moves.owe("before taking a lock");
            versions.extend(moves.others_move_threads(own.is_some()));
            moves.moved();
        }
        let origin = next_version();
        versions.push(origin.version);
        engine(|e| e.taken.push(Taken { versions }));
        let (from, old) = match own {
            Some(own) => (own.version.replace(origin), Rc::new(own.object.borrow().snapshot())),
            // Nothing is known of what it was before.
            None => (origin, Rc::new(unknown_row::<G, T>(next_version(), "before"))),
        };
        let new = Rc::new(match own {
            None if T::NAME == Pending::NAME => unknown_row::<G, T>(origin, OTHER_PENDING),
            _ => unknown_object::<G, T>(origin),
        });
        #[cfg(test)]
        crate::agreement::concrete::row_rests(origin, row, own.map(|_| &*old), &*new);
        if let Some(own) = own {
            // The invariant speaks of it as it is now.
            *own.object.borrow_mut() = new.snapshot();
        }
        let threads = Rc::new(moves.threads.now.borrow().snapshot());
        let links = moves.threads.version.get();
        // Where the object has no fields of its own, its facts are about the threads in it.
        let (before, after) = if moves_threads { (links, links) } else { (from, origin) };
        if pristine {
            moves.assume_stable(|state| {
                if moves_threads {
                    state.threads = threads.snapshot();
                    state.pending = moves.pending.borrow().snapshot();
                }
                let object: &dyn Any = &*new;
                if let Some(at) = object.downcast_ref::<AllocTable<Sym<G>>>() {
                    state.at = at.snapshot();
                }
            });
        }
        let mut identity = [object_identity(&*old), object_identity(&*new), threads_identity(&threads)].concat();
        identity.push(Identity::Value(row.0));
        let set = moves.latest().set(T::NAME, identity, || {
            let mut set = Vec::new();
            if own.is_some() {
                for version in [before, after] {
                    let (old, new) = (old.clone(), new.clone());
                    set.push(quantified::<G>(T::KEYS, &at_version(version), move |k| T::rely(&old, &new, by, k)));
                }
            }
            let fact = new.clone();
            set.push(quantified::<G>(T::KEYS, &at_version(after), move |k| fact.own_fact(row, &threads, k)));
            set
        });
        engine(|e| e.facts.add(set));
        if let Some(first) = T::QUEUES {
            moves.held.borrow_mut().push(queue_id(first, row));
            if let Some(fifo) = fifo(&*new) {
                moves.history.locked(first, row, fifo);
            }
        }
        SymGuard { lock: self, row, object: new.snapshot(), taken: new, logged: moves.history.logged() }
    }
}

impl<G: Geometry, T: Object<Sym<G>>> Drop for SymGuard<'_, G, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let left = Rc::new(self.object.snapshot());
        if let Some(own) = self.lock.own(self.row) {
            *own.object.borrow_mut() = self.object.snapshot();
        }
        let moves = &self.lock.moves;
        if is_primitive() {
            let any: &dyn Any = &*left;
            let table = any.downcast_ref::<AllocTable<Sym<G>>>();
            let duty = match (table, T::QUEUES, fifo(&*left)) {
                (Some(table), ..) => Some(moves.history.owe_table(self.logged, self.taken.clone(), table)),
                (None, Some(first), Some(fifo)) => Some(moves.history.owe_queue(first, self.row, fifo)),
                _ => None,
            };
            moves.duties.borrow_mut().extend(duty);
        }
        let (me, row, limits) = (moves.me, self.row, key_bounds::<G>(T::KEYS));
        let (old, new) = (self.taken.clone(), left.clone());
        let cpu_and = [&[TOTAL_CPU.into()], &*limits].concat();
        moves.duty(clause::guarantee(T::NAME), "at unlock", cpu_and, move |k| {
            k[0] == me || T::rely(&old, &new, k[0], &k[1..])
        });
        let threads = moves.threads.now.borrow().snapshot();
        moves.duty(clause::by_itself(T::NAME), "at unlock", limits, move |k| left.own_fact(row, &threads, k));
        if T::QUEUES.is_some() {
            moves.owe_threads("at unlock");
            moves.held.borrow_mut().pop();
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
