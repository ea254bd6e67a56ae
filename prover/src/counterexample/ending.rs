//! How a call ends on the hosted machine, compared with the prediction of the proof.
use crate::clause;
use sim::check::replay::Difference;
use sim::counterexample::outcome::{Broken, Ending};

/// Whether the call violated `clause`, under the name that the proof uses.
pub(crate) fn breaks(ending: &Ending, clause: &str) -> bool {
    ending.broken.iter().any(|broken| match broken {
        Broken::Fact(violation) => clause == clause::fact(violation.number, violation.name),
        Broken::ReferencePrecondition => clause == clause::REFERENCE_REQUIRES,
        Broken::Ensures => clause == clause::ENSURES,
        Broken::Mode => clause == clause::MODE,
        Broken::Events(_) => clause == clause::EVENTS,
        // If the log cannot be replayed, the events have the wrong effects too.
        Broken::Effect(Difference::Entry { .. }) => clause == clause::EVENTS || clause::is_effect(clause),
        Broken::Effect(Difference::End { .. }) => clause::is_effect(clause),
        Broken::Scalar(name, ..) => clause == clause::scalar(name),
        Broken::Leaf { field, leaf, .. } => {
            [leaf, ""].iter().any(|leaf| clause::is_of(clause, &clause::leaf(field, leaf)))
        }
        Broken::Lock(object) => clause == clause::lock(object),
        Broken::Stuck(stuck) => clause == clause::free_of(*stuck) || clause == clause::stuck(*stuck),
        Broken::Next => clause == clause::NEXT,
        Broken::Assumes(name) => clause == clause::assumed_by(name),
        Broken::Requires(name) => clause == clause::required_by(name),
        Broken::Panic(panic) => clause.ends_with(&format!(" at {}", panic.at)),
        Broken::Rely { object, .. } => clause::is_of(clause, &clause::guarantee(object)),
        Broken::Unheld { object, .. } => clause::is_of(clause, &clause::unheld(object)),
        Broken::Own { object, .. } => clause::is_of(clause, &clause::by_itself(object)),
    })
}

/// A description of how a call ended.
pub(crate) fn description(ending: &Ending) -> String {
    let broken: Vec<String> = ending.broken.iter().map(Broken::to_string).collect();
    let broken = if broken.is_empty() { "no clause is violated".to_string() } else { broken.join("; ") };
    format!("it returns {}; {broken}", ending.answer)
}
