//! The names of clauses: under the one that a proof gives it, a clause is looked for when a counterexample is run.
use layer::stuck::Stuck;

/// A call succeeds only where its precondition holds.
pub(crate) const GUARD: &str = "precondition: succeeds only where it holds";
/// The postcondition holds.
pub(crate) const PROMISE: &str = "postcondition";
/// A call that starts in kernel mode ends in it.
pub(crate) const MODE: &str = "mode: kernel mode is kept";
/// A call appends the events that it promises, tagged with its CPU, and no others.
pub(crate) const EVENTS: &str = "events: those that are promised and no others";
/// What this CPU owns of the scheduler is what the replay of the events says.
pub(crate) const EFFECT_OWN: &str = "effect of each event on who runs and who is ready";
/// How clauses about the effect of events begin.
const EFFECT: &str = "effect of each event on";
/// The frame of the call names nothing, and no lock is taken, on any path: what the frame proves is that all is as it was.
pub(crate) const UNCHANGED: &str = "frame: the whole state is unchanged";
/// No call is stuck where what it requires holds.
pub(crate) const FREE: &str = "never stuck where what it requires holds";

/// A fact of the invariant.
pub(crate) fn fact(number: &str, name: &str) -> String {
    format!("{number} {name}")
}

/// [`FREE`], of one way to be stuck.
pub(crate) fn free_of(stuck: Stuck) -> String {
    format!("{FREE}: {stuck:?}")
}

/// What an entry ends in can go on.
pub(crate) const NEXT: &str = "what comes after can go on";

/// No entry is stuck in this way.
pub(crate) fn stuck(stuck: Stuck) -> String {
    format!("never stuck: {stuck:?}")
}

/// The premise of a primitive holds where an entry calls it.
pub(crate) fn premise_of(name: &str) -> String {
    format!("the premise holds where {name} is called")
}

/// What a primitive requires holds where an entry calls it.
pub(crate) fn required_by(name: &str) -> String {
    format!("what is required holds where {name} is called")
}

/// The frame names the scalar `name`.
pub(crate) fn scalar(name: &str) -> String {
    format!("frame: {name} is written")
}

/// The frame names a leaf; where it is written follows.
pub(crate) fn leaf(field: &str, leaf: &str) -> String {
    scalar(&format!("{field}.{leaf}"))
}

/// The frame speaks of an object whose lock is taken.
pub(crate) fn lock(object: &str) -> String {
    format!("frame: the lock of {object} is taken")
}

/// What the other CPUs count on of an object holds; when follows.
pub(crate) fn guarantee(object: &str) -> String {
    format!("guarantee of {object}")
}

/// Nothing is touched of an object whose lock is not held; when follows.
pub(crate) fn unheld(object: &str) -> String {
    format!("only what is held is touched of {object}")
}

/// What holds of an object whenever its lock is free; when follows.
pub(crate) fn by_itself(object: &str) -> String {
    format!("{object} by itself")
}

/// An object is what the replay of the events says; when follows.
pub(crate) fn effect(object: &str) -> String {
    format!("{EFFECT} {object}")
}

/// Whether `clause` is about the effect of events.
pub(crate) fn is_effect(clause: &str) -> bool {
    is_of(clause, EFFECT)
}

/// Whether `clause` is the one called `name`, with a place or a time behind it.
pub(crate) fn is_of(clause: &str, name: &str) -> bool {
    clause.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))
}
