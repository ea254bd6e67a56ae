//! The invariant: a conjunction of named, numbered facts about the state, in the same Rust as the primitives.
//!
//! A [`Fact`] is universally quantified over its keys. The runtime checker evaluates it for concrete keys. The prover
//! assumes it before a call for the keys that the run touches, and proves it afterwards for a fresh key.
mod container;
mod derived;
mod entry;
mod high;
mod low;
mod serial;
mod vmx;

pub(crate) use entry::is_unmapped;
pub use entry::{Read, read};

use crate::channel::Channels;
use crate::constants::TOTAL_CPU;
use crate::machine::Spec;
use crate::page_alloc::AllocTable;
use crate::queue::{Queue, Threads};
use crate::state::{Boot, Own, OwnGhost};
use domain::Map;

/// The keys at which a fact is instantiated: for each field, which coordinate of its keys is which key of the fact.
///
/// `&[("ptpool", &[0, 1]), ("pt", &[IGNORE, 2])]` says: keys 0 and 1 range over the keys of `ptpool`, key 2 over the
/// second coordinate of `pt`.
pub type Keys = &'static [(&'static str, &'static [usize])];

/// A coordinate that is not a key of the fact.
pub const IGNORE: usize = usize::MAX;

/// The part of the invariant to which a fact belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// H1 to H20, the reference's record.
    High,
    /// L1 to L7, the typing of stored machine values.
    Low,
    /// D1 and following: derived facts that hold as well, and facts that are needed to prove that no call is stuck.
    Derived,
    /// E1 and following: facts that hold whenever the kernel is entered or left. A single primitive may break them.
    Entry,
}

/// One quantified fact.
pub struct Fact<M: Spec> {
    /// Its number, such as "H6.4" or "D9".
    pub number: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its class.
    pub class: Class,
    /// The keys at which it is instantiated.
    pub keys: Keys,
    /// Whether it holds for these keys.
    pub holds: fn(&View<'_, M>, &[M::Word]) -> bool,
}

impl<M: Spec> Clone for Fact<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Spec> Copy for Fact<M> {}

/// All that a fact can read: every part of the state, as plain references.
pub struct View<'a, M: Spec> {
    /// The CPU's own state.
    pub own: &'a Own<M>,
    /// The CPU's ghost state.
    pub ghost: &'a OwnGhost<M>,
    /// The allocation table.
    pub at: &'a AllocTable<M>,
    /// The CPU's own pending queue.
    pub pending: &'a Queue<M>,
    /// The channels.
    pub channels: &'a Channels<M>,
    /// Links and ghost state of the threads.
    pub threads: &'a Threads<M>,
    /// Constants fixed at boot.
    pub boot: &'a Boot<M>,
    /// `current_CPU_ID`.
    pub current_cpu: M::Word,
}

impl<M: Spec> View<'_, M> {
    /// The id of this CPU's ready queue (`rdy_q_id`).
    pub fn ready_id(&self) -> M::Word {
        self.own.cpu
    }

    /// The thread is alive and belongs to this CPU.
    pub fn is_mine(&self, thread: M::Word) -> bool {
        let tcb = self.threads.tcb.get([thread]);
        tcb.place != crate::fields::place::DEAD && tcb.home == self.own.cpu
    }

    /// The thread is this CPU's main thread, or its number is above those of the main threads.
    pub fn is_local(&self, thread: M::Word) -> bool {
        thread > TOTAL_CPU || thread == self.own.cpu + 1
    }
}

/// Every fact, in the order of the reference.
pub fn facts<M: Spec>() -> impl Iterator<Item = Fact<M>> {
    high::facts()
        .into_iter()
        .chain(container::facts())
        .chain(low::facts())
        .chain(derived::facts())
        .chain(vmx::facts())
        .chain(serial::facts())
        .chain(entry::facts())
}

/// Clauses that are about the other CPUs and not about a state: number, name, and the theorems that prove them.
pub const BY_THEOREMS: &[(&str, &str, &str)] = &[(
    "H20",
    "valid_big_oracle",
    "what the other CPUs do is what a CPU may count on: of each shared object that is its relation `rely`, which is \
     reflexive and transitive (theorems `rely_*`) and keeps the invariant (theorems `stable_*`); every critical section of \
     every primitive is within it (clauses `guarantee of …`, `only what is held is touched of …`), and every event of one \
     has a meaning in the replay and the effect that it has there (clauses `events`, `effect of each event on …`); a lock \
     that is asked for is free some day because critical sections end and are within their budgets (theorem `budgets`)",
)];

/// Clauses that the representation makes true, by number and name. Reports print them as such.
pub fn by_construction() -> impl Iterator<Item = (&'static str, &'static str)> {
    container::BY_CONSTRUCTION.iter().chain(low::BY_CONSTRUCTION).chain(derived::BY_CONSTRUCTION).copied()
}
