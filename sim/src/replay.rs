//! Replays one call of a primitive, or one entry of the kernel, from a state given as data, and reports the violated
//! clauses.
mod entry;
mod frame;
mod others;

pub use entry::{Entry, LOAD, WAKE};

use crate::check::{Violation, check_facts};
use crate::history::Difference;
use crate::lock::watched;
use crate::machine::Sim;
use crate::snapshot::Snapshot;
use crate::sparse::Cells;
use crate::witness::{Witness, WitnessError};
use frame::Frame;
use layer::catalogue::{Primitive, primitives};
use layer::core::call::{Answer, Arguments};
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::spec::contract::{Contract, Transition};
use layer::spec::fact::Class;
use layer::spec::view::View;
use others::{Others, owed, unheld};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

/// A clause that a call or an entry violates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A fact of the invariant does not hold afterwards.
    Fact(Violation),
    /// The call succeeds although the reference's precondition does not hold.
    Guard,
    /// The postcondition does not hold.
    Promise,
    /// The call starts in kernel mode and does not end in it.
    Mode,
    /// The logged events are not those of the contract. The value has the events.
    Events(Vec<String>),
    /// A part of the state is not the result of the events.
    Effect(Difference),
    /// A scalar was written that the modifies clause does not name: its name, and its value before and after.
    Scalar(&'static str, u64, u64),
    /// A leaf was written that the modifies clause does not name.
    Leaf {
        /// The field.
        field: &'static str,
        /// The key.
        key: Vec<u32>,
        /// The leaf.
        leaf: &'static str,
        /// The values before and after. `None` if the variant has no such leaf.
        values: [Option<u64>; 2],
    },
    /// The lock of an object was taken that the modifies clause does not name.
    Lock(&'static str),
    /// The call gets stuck although the contract's precondition holds.
    Stuck(Stuck),
    /// The continuation of an entry cannot run.
    Next,
    /// An entry calls a primitive where the contract's assumptions do not hold.
    Premise(&'static str),
    /// An entry calls a primitive where the contract's precondition does not hold.
    Required(&'static str),
    /// The code panicked.
    Panic(Panic),
    /// The changes of an object violate the rely condition of another CPU.
    Rely {
        /// The object.
        object: &'static str,
        /// The other CPU.
        cpu: u32,
        /// The key.
        key: u32,
    },
    /// An object was changed without its lock.
    Unheld {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
    /// An object violates its own fact, which must hold whenever its lock is free.
    Own {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
}

/// A panic of the called code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Panic {
    /// The message.
    pub message: String,
    /// The place: file and line.
    pub at: String,
}

/// The ending of a call.
#[derive(Debug)]
pub struct Ending {
    /// The result, in words.
    pub answer: String,
    /// The violated clauses.
    pub broken: Vec<Broken>,
}

/// The state or the arguments do not admit the call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The state or the arguments are invalid.
    #[error(transparent)]
    Witness(#[from] WitnessError),
    /// The state violates the invariant.
    #[error("the state does not satisfy the invariant: {}", .0[0])]
    Facts(Vec<Violation>),
    /// The contract's assumptions, or the entry's condition, do not hold.
    #[error("the premise does not hold")]
    Premise,
    /// The interference violates the rely condition of the object.
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
            Broken::Events(events) => write!(f, "what it logs is not what it promises: {}", events.join(", ")),
            Broken::Effect(difference) => write!(f, "{difference}"),
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
            Broken::Next => f.write_str("what comes after cannot go on"),
            Broken::Premise(name) => write!(f, "the premise of {name} does not hold where it is called"),
            Broken::Required(name) => write!(f, "what {name} requires does not hold where it is called"),
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
    /// Whether panics of this thread are recorded instead of printed, and the last one.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs `work`. A panic is returned, instead of printed on the terminal.
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

/// Evaluates a condition. It is false if it goes out of range.
fn holds(condition: impl FnOnce() -> bool) -> bool {
    quietly(condition).unwrap_or(false)
}

/// A call to replay: the primitive with its contract, and the facts that the state satisfies.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The primitive.
    pub primitive: &'a Primitive,
    /// The contract.
    pub contract: &'a Contract<Sim>,
    /// Facts of the classes up to this one are assumed, and must be preserved.
    pub facts: Class,
}

impl Witness {
    /// Replays a call of the primitive `name`, from a state that satisfies the facts of all classes up to `facts`.
    ///
    /// # Errors
    /// If the state or the arguments do not admit the call, or if there is no such primitive.
    pub fn call(&self, name: &str, facts: Class) -> Result<Ending, Refused> {
        let rows = primitives::<Sim>();
        let row = rows.iter().find(|(primitive, _)| primitive.name == name);
        let (primitive, contract) = row.ok_or_else(|| WitnessError::NoSuch(name.to_string()))?;
        Subject { primitive, contract, facts }.call(self)
    }
}

impl Subject<'_> {
    /// Checks that the state and the arguments of `witness` admit the call. `boot` is the boot state of `witness`.
    ///
    /// # Errors
    /// If they do not.
    pub fn admits(&self, witness: &Witness, boot: &Snapshot) -> Result<(), Refused> {
        let state = witness.state_from(boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        satisfies(&state, self.facts)?;
        // In a proof from H and L, the facts of H are proved without the contract's assumptions. Those of L are not.
        if self.facts == Class::Derived && !self.has_premise(&state.view(), &arguments) {
            return Err(Refused::Premise);
        }
        Ok(())
    }

    fn has_premise(&self, before: &View<'_, Sim>, arguments: &Arguments<Sim>) -> bool {
        holds(|| (self.contract.assumes)(before, arguments))
    }

    /// Makes the call from the state of `witness`, with its arguments.
    ///
    /// # Errors
    /// If they do not admit the call.
    pub fn call(&self, witness: &Witness) -> Result<Ending, Refused> {
        let boot = witness.boot_state()?;
        self.admits(witness, &boot)?;
        let before = witness.state_from(&boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        let Made { result, after, others } = make(witness, &before, |cpu| (self.contract.run)(cpu, &arguments))?;
        let answer = told(&result, |answer| format!("{answer:?}"));
        let broken = match result {
            Ok(Ok(given)) => {
                // The final state contains the interference, which does not count as a write of the call.
                let mut moved = before.snapshot();
                others.moved.put(&mut moved)?;
                let step = Transition {
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

    /// The clauses that a successful call violates. `moved` is the state before the call, with the interference
    /// applied, and `after` the final state.
    fn broken(&self, step: &Transition<'_, Sim>, moved: &Snapshot, after: &Snapshot, others: &Others) -> Vec<Broken> {
        let mut broken = Vec::new();
        let requires = || holds(|| (self.contract.requires)(&step.before, step.arguments));
        let kept = |number: &str| self.facts != Class::Derived || self.primitive.keeps(number, requires);
        let facts = if self.has_premise(&step.before, step.arguments) { self.facts } else { Class::High };
        let violations = check_facts(&step.after, Cells::Neighbours, facts);
        broken.extend(violations.into_iter().filter(|violation| kept(violation.number)).map(Broken::Fact));
        if self.facts != Class::Derived {
            if !holds(|| (self.contract.reference_requires)(&step.before, step.arguments)) {
                broken.push(Broken::Guard);
            }
            let mode = |view: &View<'_, Sim>| view.ghost.ikern && view.ghost.ihost;
            let ends_there = self.primitive.keeps_mode();
            if ends_there && mode(&step.before) && !mode(&step.after) {
                broken.push(Broken::Mode);
            }
            return broken;
        }
        if !holds(|| (self.contract.ensures)(step)) {
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
        broken.extend(self.logged(step, moved, after));
        broken.extend(owed(moved, after));
        broken.extend(unheld(others.since.as_ref().unwrap_or(moved), after, &others.queues));
        broken
    }

    /// The violated clauses about the events of the call, and about their effects on `moved`.
    fn logged(&self, step: &Transition<'_, Sim>, moved: &Snapshot, after: &Snapshot) -> Vec<Broken> {
        let log = after.logged_since(moved);
        let shown = || Broken::Events(log.iter().map(|entry| format!("{:?}", entry.event)).collect());
        let replayed = quietly(|| {
            let mut replayed = moved.objects().replayed();
            (replayed.replay(&log), replayed)
        });
        match replayed {
            Ok((Ok(outs), replayed)) => {
                let logged: Vec<_> = log.iter().map(|entry| entry.event).zip(outs).collect();
                let mine = log.iter().all(|entry| entry.cpu == step.before.own.cpu);
                let promised = mine && holds(|| (self.contract.events)(step, &logged));
                let differences = replayed.differences(&after.objects(), &log).into_iter().map(Broken::Effect);
                (!promised).then(shown).into_iter().chain(differences).collect()
            }
            Ok((Err(difference), _)) => vec![shown(), Broken::Effect(difference)],
            Err(_) => vec![shown()],
        }
    }

    /// Whether the modifies clause names an object for any answer. A lock counts even if nothing is written.
    fn may_take(&self, step: &Transition<'_, Sim>, is_part: &dyn Fn(&str) -> bool) -> bool {
        let Answer::Word(_) = step.answer else { return false };
        [0, 1, u32::MAX].into_iter().any(|word| {
            let answer = Answer::Word(word);
            let after = View { ..step.before };
            Frame::of(self.contract, &Transition { after, answer: &answer, before: View { ..step.before }, ..*step })
                .0
                .iter()
                .any(|entry| is_part(entry.0))
        })
    }
}

/// A replayed call.
struct Made<R> {
    /// The result.
    result: Result<Result<R, Stuck>, Panic>,
    /// The final state.
    after: Snapshot,
    /// The interference, and the guarantees that were violated.
    others: Others,
}

/// Checks that `state` satisfies the facts of all classes up to `most`.
fn satisfies(state: &Snapshot, most: Class) -> Result<(), Refused> {
    match quietly(|| check_facts(&state.view(), Cells::Neighbours, most)) {
        Ok(violations) if violations.is_empty() => Ok(()),
        Ok(violations) => Err(Refused::Facts(violations)),
        Err(panic) => Err(WitnessError::NoSuch(panic.message).into()),
    }
}

/// Runs `call` on the CPU of `witness`, from the state `before`, with the interference of `witness`.
fn make<R>(
    witness: &Witness,
    before: &Snapshot,
    call: impl FnOnce(&mut Cpu<'_, Sim>) -> Result<R, Stuck>,
) -> Result<Made<R>, Refused> {
    let others = Rc::new(RefCell::new(Others::new(witness, before)));
    let (result, after) = witness.on_machine(|cpu, shared| {
        before.snapshot().restore(cpu);
        let (watching, shared) = (others.clone(), shared.clone());
        let watch = move |object, row| watching.borrow_mut().before_lock(object, row, &shared);
        let result = watched(watch, || quietly(|| call(cpu)));
        (result, Snapshot { boot: before.boot, current_cpu: before.current_cpu, ..Snapshot::take(cpu) })
    });
    let mut others = others.take();
    match others.refused.take() {
        Some(refused) => Err(refused),
        None => Ok(Made { result, after, others }),
    }
}

/// The result of a call, in words.
fn told<R>(result: &Result<Result<R, Stuck>, Panic>, shown: impl FnOnce(&R) -> String) -> String {
    match result {
        Ok(Ok(answer)) => shown(answer),
        Ok(Err(stuck)) => format!("stuck: {stuck:?}"),
        Err(panic) => format!("panic: {}", panic.message),
    }
}
