//! The contract of each primitive: what it requires, ensures and modifies.
//!
//! A [`Contract`] holds a primitive's code in a form that can be called with any arguments, its postcondition
//! (`promise`) and its modifies clause (`frame`): the cells that it may write. All other cells stay unchanged. One run
//! of the prover proves postcondition, modifies clause and invariant.
mod channel;
mod events;
mod machine;
mod memory;
mod page_copy;
mod page_table;
mod process;
mod serial;
mod vmx;

use crate::constants::{MAX_PAGE, NUM_ID, NUM_PROC};
use crate::fields::{Context, FrameUse};
use crate::invariant::View;
use crate::machine::{Machine, Spec};
use crate::memory::{Access, Bytes, Chunk};
use crate::state::Cpu;
use crate::stuck::Stuck;
use crate::vmx::SAVED;
use domain::{Flag, Map};
pub use events::{Logged, events};
pub use page_table::{NEW_FRAME, mapped};

/// Arguments for any primitive; each primitive takes those that it needs.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<M: Machine> {
    /// The words, in order.
    pub words: [M::Word; 4],
    /// A wide word: an entry point, an address.
    pub wide: M::Wide,
    /// Address of the instruction, for an accessor.
    pub place: M::Wide,
    /// A captured context.
    pub context: Context<M>,
    /// The registers of a trap.
    pub registers: M::Registers,
    /// The registers of a guest at an exit. At an entry, RDI and RBP of the host are in the same places.
    pub guest: [M::Wide; SAVED.len()],
    /// Size of an access.
    pub chunk: Chunk,
    /// The bytes of a store.
    pub bytes: Bytes<M>,
}

/// The result of a primitive.
#[derive(Clone, Copy, Debug)]
pub enum Answer<M: Machine> {
    /// Nothing.
    Unit,
    /// A word.
    Word(M::Word),
    /// A wide word.
    Wide(M::Wide),
    /// The context at which the CPU continues.
    Resume(Context<M>),
    /// The thread that continues in user mode.
    ToUser(M::Word),
    /// The registers with which the guest continues, and its instruction pointer.
    ToGuest([M::Wide; SAVED.len()], M::Wide),
    /// RDI and RBP with which the host continues.
    ToHost(M::Wide, M::Wide),
    /// The result of a load.
    Loaded(Access<Bytes<M>>),
    /// The result of a store.
    Stored(Access<()>),
}

impl<M: Machine> Answer<M> {
    /// The word of an answer; 0 if the answer has none.
    pub fn word(&self) -> M::Word {
        match self {
            Answer::Word(word) => *word,
            _ => 0.into(),
        }
    }

    /// The context of an answer; a context of zeros if the answer has none.
    pub fn context(&self) -> Context<M> {
        match self {
            Answer::Resume(context) => *context,
            _ => Context { esp: 0.into(), ra: 0.into() },
        }
    }
}

/// A completed call: the states before and after it.
pub struct Step<'a, M: Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after the call. A shared object is as it was when the call released its lock.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a Arguments<M>,
    /// The call's result.
    pub answer: &'a Answer<M>,
    /// Two arbitrary words. A postcondition that holds for all words is stated of these.
    pub any: [M::Word; 2],
}

/// Receives the cells that a primitive may write: field or scalar, leaf (empty: all leaves), key or prefix of a key.
///
/// Some words in place of a leaf select cells by the first word of the key: see [`covers`].
pub type Cells<'a, M> = &'a mut dyn FnMut(&'static str, &'static str, &[<M as domain::Domain>::Word]);

/// Whether a cell of a field with this leaf and key is covered by an entry of a modifies clause: a leaf and a key
/// prefix.
///
/// Some words in place of a leaf cover all cells whose key begins with certain frames or threads; `n` is the first word
/// of the entry's prefix:
/// - `fresh`: a frame that was not this CPU's at the start and is at the end. Frames of the kernel and of other CPUs
///   are not covered.
/// - `returned`: a frame that programs may use, that was not this CPU's at the start and is free at the end. It was
///   allocated and returned, or was free throughout.
/// - `mine`: a thread that was this CPU's.
/// - `table`: a frame that was a page table of thread `n`.
/// - `page`: a data frame of this CPU that was mapped for thread `n`.
/// - `paid`: a frame that was charged to container `n`.
/// - `ended`: a child of `n` whose process had ended.
/// - `child`: a child of `n`.
pub fn covers<M: Spec>(
    [start, end]: [&View<'_, M>; 2],
    (named, begin): (&str, &[M::Word]),
    leaf: &str,
    key: &[M::Word],
) -> bool {
    let first = |holds: &dyn Fn(M::Word) -> bool| key.first().is_some_and(|&first| holds(first));
    match named {
        "fresh" => first(&|frame| {
            let is_mine = |view: &View<'_, M>| !matches!(view.ghost.pperm.get([frame]), FrameUse::Undef);
            !is_mine(start) && is_mine(end)
        }),
        "returned" => first(&|frame| {
            matches!(start.ghost.pperm.get([frame]), FrameUse::Undef)
                && frame < MAX_PAGE
                && end.at.frames.get([frame]).is_free()
        }),
        "mine" => first(&|thread| start.is_mine(thread)),
        "table" => first(
            &|frame| matches!(start.ghost.pperm.get([frame]), FrameUse::Hide { thread, .. } if thread == begin[0]),
        ),
        "page" => first(&|frame| {
            let listed = start.ghost.lat.get([frame]).len > 0;
            matches!(start.ghost.pperm.get([frame]), FrameUse::Alloc)
                && listed
                && start.ghost.lat_entry.get([frame, 0.into()]).thread == begin[0]
        }),
        "paid" => first(&|frame| {
            !matches!(start.ghost.pperm.get([frame]), FrameUse::Undef) && start.ghost.lat.get([frame]).payer == begin[0]
        }),
        "ended" => first(&|thread| {
            thread < NUM_PROC
                && start.own.proc.get([thread]).state != crate::fields::process::LIVE
                && start.own.ac.get([thread]).parent == begin[0]
        }),
        "child" => first(&|thread| {
            thread < NUM_PROC
                && start.own.ac.get([thread]).used.holds()
                && start.own.ac.get([thread]).parent == begin[0]
        }),
        _ => {
            (named.is_empty() || named == leaf)
                && begin.len() <= key.len()
                && key.iter().zip(begin).all(|(word, expected)| word == expected)
        }
    }
}

/// Whether an entry of a modifies clause has one of these words, or nothing, in place of a leaf: then all leaves are
/// meant.
pub fn means_all(named: &str) -> bool {
    matches!(named, "" | "fresh" | "returned" | "mine" | "table" | "page" | "paid" | "ended" | "child")
}

/// A primitive's code and contract.
pub struct Contract<M: Spec> {
    /// Calls the primitive.
    pub run: fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Answer<M>, Stuck>,
    /// Assumes: what the reference grants about the arguments, beyond the precondition.
    pub premise: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// The reference's precondition. It holds whenever the call succeeds.
    pub guard: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Requires: what the call needs besides the invariant. If it holds, the call is not stuck.
    pub requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Ensures: the postcondition.
    pub promise: fn(&Step<'_, M>) -> bool,
    /// Modifies: the cells that the call may write.
    pub frame: fn(&Step<'_, M>, Cells<'_, M>),
}

impl<M: Spec> Clone for Contract<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Spec> Copy for Contract<M> {}

/// The states of a loop at two moments, each at the start of an iteration.
pub struct Rounds<'a, M: Spec> {
    /// The state at the start of the first iteration.
    pub entry: View<'a, M>,
    /// The state at the start of an arbitrary iteration.
    pub now: View<'a, M>,
    /// Two arbitrary words, the same for all iterations: those of the postcondition.
    pub any: [M::Word; 2],
}

/// The loop rule of one loop: its loop invariant, and what the loop modifies ([`Machine::repeat`]).
pub struct LoopRule<M: Spec> {
    /// The loop's name.
    pub name: &'static str,
    /// Fields and scalars that iterations may write.
    pub writes: &'static [&'static str],
    /// Numbers of the facts that are part of the loop invariant; those of class D only where they are assumed.
    pub facts: &'static [&'static str],
    /// The rest of the loop invariant, where the facts of class D are assumed.
    pub holds: fn(&Rounds<'_, M>) -> bool,
}

/// The loops of the layer.
pub fn loops<M: Spec>() -> [LoopRule<M>; 1] {
    [serial::drain()]
}

/// One contract for each primitive, under the primitive's name.
pub(crate) mod contracts {
    pub(crate) use super::channel::*;
    pub(crate) use super::machine::*;
    pub(crate) use super::memory::*;
    pub(crate) use super::page_copy::*;
    pub(crate) use super::page_table::*;
    pub(crate) use super::process::*;
    pub(crate) use super::serial::*;
    pub(crate) use super::vmx::*;
}

/// A contract of a primitive that only returns a value: it ensures `promise` and modifies nothing.
fn silent<M: Spec>(
    run: fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Answer<M>, Stuck>,
    guard: fn(&View<'_, M>, &Arguments<M>) -> bool,
    requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    promise: fn(&Step<'_, M>) -> bool,
) -> Contract<M> {
    Contract { run, premise: |_, _| true, guard, requires, promise, frame: |_, _| () }
}

/// HK: kernel mode.
fn hk<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.ikern.holds() && v.ghost.ihost.holds()
}

/// As [`hk`], after `sched_init`.
fn hk_init<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.init.holds()
}

/// HKP: kernel mode with paging on.
fn hkp<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.pg.holds()
}

/// HKPT: kernel mode with paging on, on the kernel's page map.
fn hkpt<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hk(v, a) && v.ghost.pg.holds() && v.ghost.ipt.holds()
}

/// As [`hkpt`], after `sched_init`.
fn hkpt_init<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkpt(v, a) && v.ghost.init.holds()
}

/// The first argument is a thread of this CPU.
fn is_my_thread<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    a.words[0] < NUM_PROC && v.is_mine(a.words[0])
}

/// The first argument is a container in use.
fn is_container<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    a.words[0] < NUM_ID && v.own.ac.get([a.words[0]]).used.holds()
}

/// The CPU is set up and executes the kernel. Nearly every primitive requires this.
fn in_kernel<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.init.holds() && v.ghost.ihost.holds() && v.ghost.ikern.holds()
}

/// The CPU is set up and executes a program.
fn in_program<M: Spec>(v: &View<'_, M>, _: &Arguments<M>) -> bool {
    v.ghost.init.holds() && v.ghost.ihost.holds() && !v.ghost.ikern.holds()
}

/// As [`in_kernel`], and the first argument is a thread of this CPU.
fn of_my_thread<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && is_my_thread(v, a)
}

/// As [`in_kernel`], and the first argument is a container in use.
fn of_container<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    in_kernel(v, a) && is_container(v, a)
}
