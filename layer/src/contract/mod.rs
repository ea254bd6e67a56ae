//! What each primitive promises, and what it may change.
//!
//! A [`Contract`] holds a primitive's code in a form that can be called with any arguments, its postcondition
//! (`promise`) and its frame: the cells that it may write. Everything else stays as it is. Both are proved by the same
//! run that proves the invariant.
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

/// Arguments for any primitive; each takes what it needs.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<M: Machine> {
    /// The words, in order.
    pub words: [M::Word; 4],
    /// A wide word: an entry point, an address.
    pub wide: M::Wide,
    /// The place of the instruction, for an accessor.
    pub place: M::Wide,
    /// A captured context.
    pub context: Context<M>,
    /// The registers of a trap.
    pub registers: M::Registers,
    /// The registers of a guest at an exit; at an entry, RDI and RBP of the host are in the same places.
    pub guest: [M::Wide; SAVED.len()],
    /// Size of an access.
    pub chunk: Chunk,
    /// The bytes of a store.
    pub bytes: Bytes<M>,
}

/// What a primitive gave.
#[derive(Clone, Copy, Debug)]
pub enum Answer<M: Machine> {
    /// Nothing.
    Unit,
    /// A word.
    Word(M::Word),
    /// A wide word.
    Wide(M::Wide),
    /// The context to go on with.
    Resume(Context<M>),
    /// The thread that goes on in user mode.
    ToUser(M::Word),
    /// The registers with which the guest goes on, and where.
    ToGuest([M::Wide; SAVED.len()], M::Wide),
    /// RDI and RBP with which the host goes on.
    ToHost(M::Wide, M::Wide),
    /// The end of a load.
    Loaded(Access<Bytes<M>>),
    /// The end of a store.
    Stored(Access<()>),
}

impl<M: Machine> Answer<M> {
    /// The word that a primitive gave which gives one; 0 of others.
    pub fn word(&self) -> M::Word {
        match self {
            Answer::Word(word) => *word,
            _ => 0.into(),
        }
    }

    /// The context that a primitive gave which gives one; a context of zeros of others.
    pub fn context(&self) -> Context<M> {
        match self {
            Answer::Resume(context) => *context,
            _ => Context { esp: 0.into(), ra: 0.into() },
        }
    }
}

/// A call that was made: the state before and after it.
pub struct Step<'a, M: Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after; shared objects as they were when their lock was given back.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a Arguments<M>,
    /// What it gave.
    pub answer: &'a Answer<M>,
    /// Some words about which nothing is known, for promises that speak of all.
    pub any: [M::Word; 2],
}

/// Told the cells that a primitive may write: field (or scalar), leaf (empty for all), key (or the beginning of it).
///
/// Some words in place of a leaf say which first words of a key are meant: see [`covers`].
pub type Cells<'a, M> = &'a mut dyn FnMut(&'static str, &'static str, &[<M as domain::Domain>::Word]);

/// Whether the cells of a field that a frame calls by a leaf and the beginning of a key have this leaf and key.
///
/// `fresh`: all of a frame that was not this CPU's at the start and is at the end, so that frames of the kernel and of other
/// CPUs are none; `returned`: all of a frame that programs may use and that nobody has at the end, so that it was taken and given
/// back, or was free throughout; `mine`: all of a thread that was this CPU's; `table`: all of a frame that was a page table of the thread in
/// the key; `page`: all of a frame of this CPU's data that was mapped for that thread; `paid`: all of one that
/// was charged to it; `ended`: all of a child of it whose process had ended.
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

/// Whether a frame's word in place of a leaf is none of a field's: all leaves are meant.
pub fn means_all(named: &str) -> bool {
    matches!(named, "" | "fresh" | "returned" | "mine" | "table" | "page" | "paid" | "ended" | "child")
}

/// A primitive's code, promise and frame.
pub struct Contract<M: Spec> {
    /// Calls it.
    pub run: fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Answer<M>, Stuck>,
    /// Its premise: what the reference grants it of its arguments.
    pub premise: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Its precondition, as the reference has it: only where it holds does the call succeed.
    pub guard: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// What it counts on beside the invariant: where it holds, the call is not stuck.
    pub requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Its postcondition.
    pub promise: fn(&Step<'_, M>) -> bool,
    /// The cells that it may write.
    pub frame: fn(&Step<'_, M>, Cells<'_, M>),
}

impl<M: Spec> Clone for Contract<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Spec> Copy for Contract<M> {}

/// The state at two moments of a loop, both before a round.
pub struct Rounds<'a, M: Spec> {
    /// When the first round begins.
    pub entry: View<'a, M>,
    /// When any of them does.
    pub now: View<'a, M>,
    /// Some words about which nothing is known, the same each time: those of the promise.
    pub any: [M::Word; 2],
}

/// What holds whenever a round of a loop begins ([`Machine::repeat`]).
pub struct LoopRule<M: Spec> {
    /// The loop's name.
    pub name: &'static str,
    /// Fields and scalars that rounds may write.
    pub writes: &'static [&'static str],
    /// Facts of the invariant about them that hold, by number; those of D only where they are assumed.
    pub facts: &'static [&'static str],
    /// What holds besides, where the facts of D are assumed.
    pub holds: fn(&Rounds<'_, M>) -> bool,
}

/// The loops of the layer.
pub fn loops<M: Spec>() -> [LoopRule<M>; 1] {
    [serial::drain()]
}

/// One contract a primitive, by the primitive's name.
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

/// A contract of a primitive that only gives a value: `promise` of it, and the whole state unchanged.
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

/// The CPU is set up and executes the kernel: what nearly every primitive counts on.
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
