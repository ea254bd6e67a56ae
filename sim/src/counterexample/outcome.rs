//! The outcome of running a counterexample: the result, and the violated clauses.
use super::witness::WitnessError;
use crate::check::facts::Violation;
use crate::check::replay::Difference;
use crate::machine::panics::Panic;
use crate::state::values::NoSuch;
use layer::core::stuck::Stuck;
use std::fmt;

/// A clause that a call or an entry violates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A fact of the invariant does not hold afterwards.
    Fact(Violation),
    /// The call succeeds although the reference's precondition does not hold.
    ReferencePrecondition,
    /// The postcondition does not hold.
    Ensures,
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
    Assumes(&'static str),
    /// An entry calls a primitive where the contract's precondition does not hold.
    Requires(&'static str),
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

/// The result and the violated clauses of a call.
#[derive(Debug)]
pub struct Ending {
    /// A description of the result.
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
    #[error("the assumptions of the call do not hold")]
    Assumes,
    /// The interference violates the rely condition of the object.
    #[error("the interference violates the rely condition of {object} at {key}")]
    Interference {
        /// The object.
        object: &'static str,
        /// The key.
        key: u32,
    },
}

impl From<NoSuch> for Refused {
    fn from(name: NoSuch) -> Self {
        Refused::Witness(name.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Fact(violation) => write!(f, "{violation}"),
            Broken::ReferencePrecondition => {
                f.write_str("it succeeds although the reference's precondition does not hold")
            }
            Broken::Ensures => f.write_str("the postcondition does not hold"),
            Broken::Mode => f.write_str("kernel mode is not preserved"),
            Broken::Events(events) => write!(f, "its events are not those of the contract: {}", events.join(", ")),
            Broken::Effect(difference) => write!(f, "{difference}"),
            Broken::Scalar(name, before, after) => {
                write!(f, "{name}, which the modifies clause does not name, was {before} and is {after}")
            }
            Broken::Leaf { field, key, leaf, values } => {
                let [before, after] =
                    values.map(|value| value.map_or("nothing".to_string(), |value| value.to_string()));
                write!(f, "{field}{key:?}.{leaf}, which the modifies clause does not name, was {before} and is {after}")
            }
            Broken::Lock(object) => write!(f, "the lock of {object} is taken, which the modifies clause does not name"),
            Broken::Stuck(stuck) => write!(f, "it is stuck ({stuck:?}) although its precondition holds"),
            Broken::Next => f.write_str("its continuation cannot run"),
            Broken::Assumes(name) => write!(f, "the assumptions of {name} do not hold at the call"),
            Broken::Requires(name) => write!(f, "the precondition of {name} does not hold at the call"),
            Broken::Panic(panic) => write!(f, "{} at {}", panic.message, panic.at),
            Broken::Rely { object, cpu, key } => {
                write!(f, "the rely condition of CPU {cpu} is violated: {object} at {key}")
            }
            Broken::Unheld { object, key } => write!(f, "{object} is changed at {key} without its lock"),
            Broken::Own { object, key } => write!(f, "the lock invariant of {object} does not hold at {key}"),
        }
    }
}
