//! The names of the clauses of proofs. When a counterexample is run, the violated clause is found by its name.
use layer::core::stuck::Stuck;

/// A call succeeds only if the reference's precondition holds.
pub(crate) const REFERENCE_REQUIRES: &str = "precondition: the call succeeds only if it holds";
/// The postcondition holds.
pub(crate) const ENSURES: &str = "postcondition";
/// Each write is within the contract's modifies clause.
pub(crate) const MODIFIES: &str = "modifies";
/// A call that starts in kernel mode ends in it.
pub(crate) const MODE: &str = "mode: kernel mode is preserved";
/// A call logs exactly the events of its contract, tagged with its CPU.
pub(crate) const EVENTS: &str = "events: those of the contract and no others";
/// This CPU's part of the scheduler's state is the result of replaying the events.
pub(crate) const EFFECT_OWN: &str = "effect of each event on the running and the ready threads";
/// The common prefix of the clauses about the effects of events.
const EFFECT: &str = "effect of each event on";
/// On every path, the modifies clause is empty, no lock is taken and no event is logged. Then the proof of the modifies
/// clause shows that the whole state is unchanged.
pub(crate) const UNCHANGED: &str = "modifies: the whole state is unchanged";
/// A call cannot get stuck if the contract's precondition holds.
pub(crate) const FREE: &str = "never stuck if the precondition holds";

/// A fact of the invariant.
pub(crate) fn fact(number: &str, name: &str) -> String {
    format!("{number} {name}")
}

/// [`FREE`], for one way to get stuck.
pub(crate) fn free_of(stuck: Stuck) -> String {
    format!("{FREE}: {stuck:?}")
}

/// The state that E is about is not written. So E still holds at the next entry of the kernel.
pub(crate) const ENTRY_FACTS: &str = "modifies: no state that E reads";

/// The continuation of an entry can run.
pub(crate) const NEXT: &str = "the continuation can run";

/// An entry cannot get stuck.
pub(crate) const NEVER_STUCK: &str = "never stuck";

/// An entry cannot get stuck in this way.
pub(crate) fn stuck(stuck: Stuck) -> String {
    format!("{NEVER_STUCK}: {stuck:?}")
}

/// The contract's assumptions hold where an entry calls the primitive.
pub(crate) fn assumed_by(name: &str) -> String {
    format!("the assumptions of {name} hold at the call")
}

/// The contract's precondition holds where an entry calls the primitive.
pub(crate) fn required_by(name: &str) -> String {
    format!("the precondition of {name} holds at the call")
}

/// The modifies clause names the scalar `name`.
pub(crate) fn scalar(name: &str) -> String {
    format!("modifies: {name} is written")
}

/// The modifies clause names a leaf. The source line of the write is appended.
pub(crate) fn leaf(field: &str, leaf: &str) -> String {
    scalar(&format!("{field}.{leaf}"))
}

/// The modifies clause names an object whose lock is taken.
pub(crate) fn lock(object: &str) -> String {
    format!("modifies: the lock of {object} is taken")
}

/// The changes of an object satisfy the rely conditions of the other CPUs. The moment of the check
/// is appended.
pub(crate) fn guarantee(object: &str) -> String {
    format!("guarantee of {object}")
}

/// No part of an object is changed without its lock. The moment of the check is appended.
pub(crate) fn unheld(object: &str) -> String {
    format!("changed only under its lock: {object}")
}

/// The object's own lock invariant holds, as it must whenever the lock is free. The moment of the
/// check is appended.
pub(crate) fn by_itself(object: &str) -> String {
    format!("lock invariant of {object}")
}

/// An object is the result of replaying the events. The moment of the check is appended.
pub(crate) fn effect(object: &str) -> String {
    format!("{EFFECT} {object}")
}

/// Whether `clause` is about the effects of events.
pub(crate) fn is_effect(clause: &str) -> bool {
    is_of(clause, EFFECT)
}

/// Whether `clause` has the name `name`, followed by a place or a moment.
pub(crate) fn is_of(clause: &str, name: &str) -> bool {
    clause.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))
}
