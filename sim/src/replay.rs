//! One call from a state that is given as data, and what of its contract it breaks.
use crate::check::{Violation, check_facts};
use crate::lock::{CHANNEL, held_queues, watched};
use crate::machine::Sim;
use crate::maps::{Look, look};
use crate::snapshot::{LookedAt, Snapshot};
use crate::sparse::{Cells, Sparse};
use crate::witness::{Each, Values, Witness, WitnessError, leaves};
use domain::{Field, Key, Map};
use layer::channel::Channels;
use layer::constants::{NUM_PROC, TOTAL_CPU, WORD_SIZE};
use layer::contract::{Answer, Contract, Step};
use layer::fields::FrameUse;
use layer::invariant::{Class, View};
use layer::machine::Object;
use layer::page_alloc::AllocTable;
use layer::primitive::{Primitive, primitives};
use layer::queue::{Family, Pending, Sleeping, Threads};
use layer::state::Shared;
use layer::stuck::Stuck;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

/// How many CPUs, cells and keys that break the same clause are named.
const MOST: usize = 8;

/// A clause of a contract that a call breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A fact of the invariant does not hold afterwards.
    Fact(Violation),
    /// It succeeds though its precondition does not hold.
    Guard,
    /// The postcondition does not hold.
    Promise,
    /// The call began in kernel mode and does not end there.
    Mode,
    /// A scalar was written that the frame does not name.
    Scalar(&'static str, u64, u64),
    /// A leaf was written that the frame does not name.
    Leaf {
        /// The field.
        field: &'static str,
        /// The key.
        key: Vec<u32>,
        /// The leaf.
        leaf: &'static str,
        /// Its value before and after; nothing where the variant has no such leaf.
        values: [Option<u64>; 2],
    },
    /// The lock of an object was taken of which the frame does not speak.
    Lock(&'static str),
    /// The call is stuck though what it requires holds.
    Stuck(Stuck),
    /// The code panicked.
    Panic(Panic),
    /// What another CPU relies on does not hold of an object.
    Rely {
        /// The object.
        object: &'static str,
        /// The other CPU.
        cpu: u32,
        /// The key.
        key: u32,
    },
    /// Something was touched of an object whose lock is not held.
    Unheld {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
    /// An object does not satisfy what holds whenever its lock is free.
    Own {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
}

/// A panic of the code that was called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// What it says.
    pub message: String,
    /// Where: file and line.
    pub at: String,
}

/// How a call ended.
#[derive(Debug)]
pub struct Ending {
    /// What it gave.
    pub answer: String,
    /// What it breaks.
    pub broken: Vec<Broken>,
}

/// The state or the arguments do not admit the call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// They cannot be made.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The state does not satisfy the invariant.
    #[error("the state does not satisfy the invariant: {}", .0[0])]
    Facts(Vec<Violation>),
    /// The premise of the primitive does not hold.
    #[error("the premise does not hold")]
    Premise,
    /// What the others did is not what the object's rely condition allows.
    #[error("the others moved {object} as they may not at {key}")]
    Moved {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Fact(violation) => write!(f, "{violation}"),
            Broken::Guard => f.write_str("it succeeds where its precondition does not hold"),
            Broken::Promise => f.write_str("the postcondition does not hold"),
            Broken::Mode => f.write_str("kernel mode is not kept"),
            Broken::Scalar(name, before, after) => {
                write!(f, "{name}, which the frame does not name, was {before} and is {after}")
            }
            Broken::Leaf { field, key, leaf, values } => {
                let [before, after] =
                    values.map(|value| value.map_or("nothing".to_string(), |value| value.to_string()));
                write!(f, "{field}{key:?}.{leaf}, which the frame does not name, was {before} and is {after}")
            }
            Broken::Lock(object) => write!(f, "the lock of {object} is taken, of which the frame does not speak"),
            Broken::Stuck(stuck) => write!(f, "it is stuck, {stuck:?}, though what it requires holds"),
            Broken::Panic(panic) => write!(f, "{} at {}", panic.message, panic.at),
            Broken::Rely { object, cpu, key } => {
                write!(f, "what CPU {cpu} relies on does not hold of {object} at {key}")
            }
            Broken::Unheld { object, key } => write!(f, "{object} is touched at {key} without its lock"),
            Broken::Own { object, key } => write!(f, "{object} does not hold by itself at {key}"),
        }
    }
}

thread_local! {
    /// The last panic of this thread, while they are not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic of it is a result instead of a message on the terminal.
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> Result<R, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                return print(info);
            }
            let message = info.payload_as_str().unwrap_or("a panic").to_string();
            let at = info.location().map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
            PANIC.set(Some(Panic { message, at }));
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    result.map_err(|_| PANIC.take().unwrap_or(Panic { message: "a panic".to_string(), at: String::new() }))
}

/// A condition; where it goes out of range it does not hold.
fn holds(condition: impl FnOnce() -> bool) -> bool {
    quietly(condition).unwrap_or(false)
}

/// A call to be made: the primitive's contract, and which facts the state satisfies.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The primitive.
    pub primitive: &'a Primitive,
    /// Its contract.
    pub contract: &'a Contract<Sim>,
    /// Facts of classes up to this one are assumed, and are to be kept.
    pub facts: Class,
}

impl Witness {
    /// Makes a call of the primitive `name`, from a state that satisfies the facts of all classes up to `facts`.
    ///
    /// # Errors
    /// When the state or the arguments do not admit the call, or there is no such primitive.
    pub fn call(&self, name: &str, facts: Class) -> Result<Ending, Refused> {
        let rows = primitives::<Sim>();
        let row = rows.iter().find(|(primitive, _)| primitive.name == name);
        let (primitive, contract) = row.ok_or_else(|| WitnessError::NoSuch(name.to_string()))?;
        Subject { primitive, contract, facts }.call(self)
    }
}

impl Subject<'_> {
    /// Whether the state and the arguments of `witness`, which differ from its boot state `boot`, admit the call.
    ///
    /// # Errors
    /// When not.
    pub fn admits(&self, witness: &Witness, boot: &Snapshot) -> Result<(), Refused> {
        let state = witness.state_from(boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        let violations = quietly(|| check_facts(&state.view(), Cells::Neighbours, self.facts));
        match violations {
            Ok(violations) if violations.is_empty() => {}
            Ok(violations) => return Err(Refused::Facts(violations)),
            Err(panic) => return Err(WitnessError::NoSuch(panic.message).into()),
        }
        if !holds(|| (self.contract.premise)(&state.view(), &arguments)) {
            return Err(Refused::Premise);
        }
        Ok(())
    }

    /// Makes the call from the state of `witness` with its arguments.
    ///
    /// # Errors
    /// When they do not admit it.
    pub fn call(&self, witness: &Witness) -> Result<Ending, Refused> {
        let boot = witness.boot_state()?;
        self.admits(witness, &boot)?;
        let before = witness.state_from(&boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        let others = Rc::new(RefCell::new(Others::new(witness, &before)));
        let (result, after) = witness.on_machine(|cpu, shared| {
            before.snapshot().restore(cpu);
            let (watching, shared) = (others.clone(), shared.clone());
            let watch = move |object, row| watching.borrow_mut().before_lock(object, row, &shared);
            let result = watched(watch, || quietly(|| (self.contract.run)(cpu, &arguments)));
            (result, Snapshot { boot: before.boot, current_cpu: before.current_cpu, ..Snapshot::take(cpu) })
        });
        let others = others.take();
        if let Some(refused) = others.refused {
            return Err(refused);
        }
        let answer = match &result {
            Ok(Ok(answer)) => format!("{answer:?}"),
            Ok(Err(stuck)) => format!("stuck: {stuck:?}"),
            Err(panic) => format!("panic: {}", panic.message),
        };
        let broken = match result {
            Ok(Ok(given)) => {
                // What others did is in the state that the call left, and is none of its writes.
                let mut moved = before.snapshot();
                others.moved.put(&mut moved)?;
                let step = Step {
                    before: before.view(),
                    after: after.view(),
                    arguments: &arguments,
                    answer: &given,
                    any: witness.any,
                };
                let mut broken = self.broken(&step, &moved, &after, &others);
                broken.extend(others.broken);
                broken
            }
            Ok(Err(stuck)) => {
                let required = holds(|| (self.contract.requires)(&before.view(), &arguments));
                if required && self.facts == Class::Derived { vec![Broken::Stuck(stuck)] } else { Vec::new() }
            }
            Err(panic) => vec![Broken::Panic(panic)],
        };
        Ok(Ending { answer, broken })
    }

    /// What a call breaks that gave an answer and left `after`; `moved` is the state before it, as the others moved it.
    fn broken(&self, step: &Step<'_, Sim>, moved: &Snapshot, after: &Snapshot, others: &Others) -> Vec<Broken> {
        let mut broken = Vec::new();
        let requires = || holds(|| (self.contract.requires)(&step.before, step.arguments));
        let kept = |number: &str| self.facts != Class::Derived || self.primitive.keeps(number, requires);
        let violations = check_facts(&step.after, Cells::Neighbours, self.facts);
        broken.extend(violations.into_iter().filter(|violation| kept(violation.number)).map(Broken::Fact));
        if self.facts != Class::Derived {
            if !holds(|| (self.contract.guard)(&step.before, step.arguments)) {
                broken.push(Broken::Guard);
            }
            let mode = |view: &View<'_, Sim>| view.ghost.ikern && view.ghost.ihost;
            let ends_there = self.primitive.keeps_mode();
            if ends_there && mode(&step.before) && !mode(&step.after) {
                broken.push(Broken::Mode);
            }
            return broken;
        }
        if !holds(|| (self.contract.promise)(step)) {
            broken.push(Broken::Promise);
        }
        let frame = Frame::of(self.contract, step);
        broken.extend(frame.scalars(moved, after));
        broken.extend(frame.leaves(&step.before, &moved.view(), &step.after));
        for &object in &others.taken {
            let is_part =
                |name: &str| name.strip_prefix(object).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if !frame.0.iter().any(|entry| is_part(entry.0)) && !self.may_take(step, &is_part) {
                broken.push(Broken::Lock(object));
            }
        }
        broken.extend(owed(moved, after));
        broken.extend(unheld(others.since.as_ref().unwrap_or(moved), after, &others.queues));
        broken
    }

    /// Whether the frame speaks of an object whatever the call gives: a lock is taken also where nothing is written.
    fn may_take(&self, step: &Step<'_, Sim>, is_part: &dyn Fn(&str) -> bool) -> bool {
        let Answer::Word(_) = step.answer else { return false };
        [0, 1, u32::MAX].into_iter().any(|word| {
            let answer = Answer::Word(word);
            let after = View { ..step.before };
            Frame::of(self.contract, &Step { after, answer: &answer, before: View { ..step.before }, ..*step })
                .0
                .iter()
                .any(|entry| is_part(entry.0))
        })
    }
}

/// What the others do while a call is made, and what it owes them.
#[derive(Default)]
struct Others {
    /// What they are to do before each lock.
    moves: std::vec::IntoIter<Values>,
    /// The state when they last moved: what they may count on is compared with it.
    since: Option<Snapshot>,
    /// What they changed.
    moved: Values,
    /// The objects whose locks were taken.
    taken: Vec<&'static str>,
    /// The ids of the queues whose locks were taken.
    queues: Vec<u32>,
    broken: Vec<Broken>,
    refused: Option<Refused>,
}

impl Others {
    fn new(witness: &Witness, before: &Snapshot) -> Self {
        Others { moves: witness.moves.clone().into_iter(), since: Some(before.snapshot()), ..Others::default() }
    }

    /// The lock of row `row` of `object` is about to be taken: the others move.
    fn before_lock(&mut self, object: &'static str, row: u32, shared: &Shared<Sim>) {
        let Some(since) = self.since.take() else { return };
        let (me, held) = (since.current_cpu, held_queues());
        let (sleeping, pending) = (object == Sleeping::NAME, object == Pending::NAME);
        let moves_threads = sleeping || pending;
        self.taken.push(if moves_threads { "tcb" } else { object });
        // Only what the lock guards may be looked at, and what has none: the call may hold others.
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
        self.broken.extend(owed(&since, &now));
        self.broken.extend(unheld(&since, &now, &held));
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
                let of_held = || {
                    let stays =
                        |thread: &u32| held.iter().all(|&id| Threads::stays(&now.threads, &new.threads, id, *thread));
                    (0..NUM_PROC).find(|thread| !stays(thread)).map(|thread| ("tcb", thread))
                };
                if !values.is_empty()
                    && let Some((object, key)) = relied(&now, &new, me).or_else(of_held).or_else(by_itself)
                {
                    self.refused.get_or_insert(Refused::Moved { object, key });
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
                        self.refused.get_or_insert(Refused::Moved { object, key: row });
                    }
                    *shared.channels.inspect() = new.channels.snapshot();
                } else {
                    *shared.at.inspect(0) = new.at.snapshot();
                }
            }
        }
        self.moved.scalars.extend(values.scalars);
        self.moved.cells.extend(values.cells);
        if moves_threads {
            let first = if sleeping { Sleeping::FIRST } else { Pending::FIRST };
            self.queues.push(first + row);
        }
        self.since = Some(new);
    }
}

/// What the other CPUs may count on and what does not hold, after this CPU made `new` of `old`.
fn owed(old: &Snapshot, new: &Snapshot) -> Vec<Broken> {
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

/// What this CPU touched when it made `new` of `old`, and had no lock for: all it has are those of the queues `held` and of the
/// channels that it held before or holds after.
fn unheld(old: &Snapshot, new: &Snapshot, held: &[u32]) -> Vec<Broken> {
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

/// Channels of which something was written.
fn channels(state: &Snapshot) -> Vec<u32> {
    let channels = &state.channels;
    let mut keys: Vec<u32> = channels.pool.keys(Cells::Neighbours).into_iter().map(|[q]| q).collect();
    keys.extend(channels.ghost.0.locks.keys(Cells::Neighbours).into_iter().map(|[q]| q));
    keys.extend(channels.mailbox.keys(Cells::Written).into_iter().map(|[q, _]| q));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Channels whose messages differ.
fn mail(old: &Snapshot, new: &Snapshot) -> Vec<u32> {
    let mut keys = old.channels.mailbox.keys(Cells::Neighbours);
    keys.extend(new.channels.mailbox.keys(Cells::Neighbours));
    keys.retain(|&[q, at]| !Channels::same_mail(&old.channels, &new.channels, q, at));
    let mut channels: Vec<u32> = keys.into_iter().map(|[q, _]| q).collect();
    channels.dedup();
    channels
}

/// An object, and a key of it, of which CPU `me` may not count on what it may.
fn relied(old: &Snapshot, new: &Snapshot, me: u32) -> Option<(&'static str, u32)> {
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
    let LookedAt { pending, sleep } = state.looked_at;
    let mut of_queue = |object: &dyn Fn(u32) -> bool, name| {
        if let Some(key) = (0..NUM_PROC).find(|&key| !holds(|| object(key))) {
            broken.push(Broken::Own { object: name, key });
        }
    };
    for row in [row, pending] {
        of_queue(&|key| state.pending[row as usize].own_fact(row, &state.threads, &[key]), Pending::NAME);
    }
    of_queue(&|key| state.sleep[sleep as usize].own_fact(sleep, &state.threads, &[key]), Sleeping::NAME);
    if let Some(key) = channels(state).into_iter().find(|&q| {
        !holds(|| {
            state.channels.own_fact(q)
                && (0..state.channels.lock_of(q).words * WORD_SIZE).all(|at| state.channels.mail_fact(q, at))
        })
    }) {
        broken.push(Broken::Own { object: CHANNEL, key });
    }
    broken
}

/// What a call may write: field or scalar, leaf, key.
struct Frame(Vec<(&'static str, &'static str, Vec<u32>)>);

impl Frame {
    fn of(contract: &Contract<Sim>, step: &Step<'_, Sim>) -> Frame {
        let mut entries = Vec::new();
        // Where it goes out of range it names nothing more.
        let _ = quietly(|| (contract.frame)(step, &mut |name, leaf, key| entries.push((name, leaf, key.to_vec()))));
        Frame(entries)
    }

    /// Scalars that were written and are not in it.
    fn scalars(&self, before: &Snapshot, after: &Snapshot) -> Vec<Broken> {
        let [old, new] = [before, after].map(|state| {
            let mut scalars = Vec::new();
            state.own.snapshot().words(&mut Each(|name, value| {
                scalars.push((name, value));
                value
            }));
            scalars
        });
        let written = old.into_iter().zip(new).filter(|(old, new)| old != new);
        written
            .filter(|((name, _), _)| !self.0.iter().any(|entry| entry.0 == *name))
            .map(|((name, old), (_, new))| Broken::Scalar(name, old, new))
            .collect()
    }

    /// Leaves of maps that were written and are not in it.
    fn leaves(&self, start: &View<'_, Sim>, before: &View<'_, Sim>, after: &View<'_, Sim>) -> Vec<Broken> {
        struct Maps<'a>(Vec<&'a dyn Any>);
        impl<'a> Look<'a> for Maps<'a> {
            fn map<F: Field<Sim>>(&mut self, map: &'a Sparse<F>) {
                self.0.push(map);
            }
        }
        struct Compare<'a> {
            before: std::vec::IntoIter<&'a dyn Any>,
            frame: &'a Frame,
            start: &'a View<'a, Sim>,
            broken: Vec<Broken>,
        }
        impl Look<'_> for Compare<'_> {
            fn map<F: Field<Sim>>(&mut self, after: &Sparse<F>) {
                let Some(before) = self.before.next().and_then(|map| map.downcast_ref::<Sparse<F>>()) else { return };
                let mut keys = before.keys(Cells::Neighbours);
                keys.extend(after.keys(Cells::Neighbours));
                // Where everything was written: at the first key and the last.
                keys.push(F::Key::from_words(&vec![0; F::DIMS.len()]));
                keys.push(F::Key::from_words(&F::DIMS.iter().map(|bound| bound - 1).collect::<Vec<u32>>()));
                keys.sort_unstable_by(|one, other| one.words().cmp(other.words()));
                keys.dedup_by(|one, other| one.words() == other.words());
                let mut named = 0;
                for key in keys {
                    let (old, new) = (leaves(before.get(key)), leaves(after.get(key)));
                    if old == new || named == MOST {
                        continue;
                    }
                    let value = |of: &[(&'static str, u64)], leaf: &str| of.iter().find(|l| l.0 == leaf).map(|l| l.1);
                    for &(leaf, _) in new.iter().filter(|leaf| !old.contains(leaf)) {
                        if !self.frame.has(F::NAME, leaf, key.words(), self.start) {
                            let (key, values) = (key.words().to_vec(), [value(&old, leaf), value(&new, leaf)]);
                            self.broken.push(Broken::Leaf { field: F::NAME, key, leaf, values });
                            named += 1;
                        }
                    }
                }
            }
        }
        let mut maps = Maps(Vec::new());
        look(before, &mut maps);
        let mut compare = Compare { before: maps.0.into_iter(), frame: self, start, broken: Vec::new() };
        look(after, &mut compare);
        compare.broken
    }

    /// Whether it has this leaf.
    fn has(&self, field: &str, leaf: &str, key: &[u32], start: &View<'_, Sim>) -> bool {
        self.0.iter().filter(|entry| entry.0 == field).any(|(_, which, prefix)| match *which {
            "fresh" => matches!(start.ghost.pperm.get([key[0]]), FrameUse::Undef),
            "mine" => start.is_mine(key[0]),
            which => (which.is_empty() || which == leaf) && key.starts_with(prefix),
        })
    }
}
