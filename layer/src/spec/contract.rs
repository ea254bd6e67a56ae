//! The contract of a primitive: what it requires, ensures and modifies.
//!
//! A [`Contract`] holds a primitive's code in a form that can be called with any arguments, what it requires and
//! ensures, the events that it logs, and the cells that it may write. All other cells stay unchanged. One run of the
//! prover proves all of this and the invariant. The contracts themselves are in the files beside the code:
//! `objects/<object>/spec.rs`.
use crate::core::call::{Answer, Arguments};
use crate::core::constants::{MAX_PAGE, NUM_PROC};
use crate::core::fields::{FrameUse, kind, process};
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::core::replay::Out;
use crate::core::state::Cpu;
use crate::core::stuck::Stuck;
use crate::spec::view::View;
use domain::{Flag, Map};

/// A completed call: the states before and after it.
pub struct Transition<'a, M: Spec> {
    /// The state before.
    pub before: View<'a, M>,
    /// The state after the call. A shared object is taken as it was when the call released its
    /// lock.
    pub after: View<'a, M>,
    /// The arguments.
    pub arguments: &'a Arguments<M>,
    /// The call's result.
    pub answer: &'a Answer<M>,
    /// Two arbitrary words. A postcondition that holds for all words is stated about these words.
    pub any: [M::Word; 2],
}

/// Receives the entries of a modifies clause: a field or scalar, a region of it, and a key or a prefix of a key.
pub type Cells<'a, M> = &'a mut dyn FnMut(&'static str, Region, &[<M as domain::Domain>::Word]);

/// The part of a field that an entry of a modifies clause covers.
///
/// [`All`](Region::All) and [`Leaf`](Region::Leaf) cover the cells whose key begins with the entry's prefix. All other
/// regions cover all leaves of the cells whose key begins with certain frames or threads; `n` is the first word of the
/// entry's prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Region {
    /// All leaves.
    All,
    /// One leaf.
    Leaf(&'static str),
    /// A frame that was not this CPU's at the start and is at the end. Frames of the kernel and of other CPUs are not
    /// covered.
    Fresh,
    /// A frame that programs may use, that was not this CPU's at the start and is free at the end. The frame was
    /// allocated and returned, or was free throughout.
    Returned,
    /// A thread that was this CPU's.
    Mine,
    /// A frame that was a page table of thread `n`.
    Table,
    /// A data frame of this CPU that was mapped for thread `n`.
    Page,
    /// A frame that was charged to container `n`.
    Paid,
    /// A child of `n` whose process had ended.
    Ended,
    /// A child of `n`.
    Child,
}

impl Region {
    /// The leaf that is covered; the empty string if all are.
    pub fn leaf(self) -> &'static str {
        if let Region::Leaf(leaf) = self { leaf } else { "" }
    }
}

/// Whether an entry of a modifies clause covers a cell of a field with this leaf and key; the entry consists of a
/// region and a key prefix.
pub fn covers<M: Spec>(
    [start, end]: [&View<'_, M>; 2],
    (region, begin): (Region, &[M::Word]),
    leaf: &str,
    key: &[M::Word],
) -> bool {
    let first = |holds: &dyn Fn(M::Word) -> bool| key.first().is_some_and(|&first| holds(first));
    let begins = || begin.len() <= key.len() && key.iter().zip(begin).all(|(word, expected)| word == expected);
    match region {
        Region::All => begins(),
        Region::Leaf(named) => named == leaf && begins(),
        Region::Fresh => first(&|frame| {
            let is_mine = |view: &View<'_, M>| !matches!(view.ghost.pperm.get([frame]), FrameUse::Undef);
            !is_mine(start) && is_mine(end)
        }),
        Region::Returned => first(&|frame| {
            matches!(start.ghost.pperm.get([frame]), FrameUse::Undef) && frame < MAX_PAGE && {
                let entry = end.at.frames.get([frame]);
                entry.kind == kind::NORM && !entry.alloc.holds()
            }
        }),
        Region::Mine => first(&|thread| start.is_mine(thread)),
        Region::Table => first(
            &|frame| matches!(start.ghost.pperm.get([frame]), FrameUse::Hide { thread, .. } if thread == begin[0]),
        ),
        Region::Page => first(&|frame| {
            let listed = start.ghost.lat.get([frame]).len > 0;
            matches!(start.ghost.pperm.get([frame]), FrameUse::Alloc)
                && listed
                && start.ghost.lat_entry.get([frame, 0.into()]).thread == begin[0]
        }),
        Region::Paid => first(&|frame| {
            !matches!(start.ghost.pperm.get([frame]), FrameUse::Undef) && start.ghost.lat.get([frame]).payer == begin[0]
        }),
        Region::Ended => first(&|thread| {
            thread < NUM_PROC
                && start.own.proc.get([thread]).state != process::LIVE
                && start.own.ac.get([thread]).parent == begin[0]
        }),
        Region::Child => first(&|thread| {
            thread < NUM_PROC
                && start.own.ac.get([thread]).used.holds()
                && start.own.ac.get([thread]).parent == begin[0]
        }),
    }
}

/// A primitive's code and contract.
pub struct Contract<M: Spec> {
    /// Calls the primitive.
    pub run: fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Answer<M>, Stuck>,
    /// Assumes: what the reference takes for granted about the arguments, beyond the precondition.
    pub assumes: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// The reference's precondition. It holds whenever the call succeeds.
    pub reference_requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Requires: what the call needs besides the invariant. If it holds, the call is not stuck.
    pub requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    /// Ensures: the postcondition.
    pub ensures: fn(&Transition<'_, M>) -> bool,
    /// Whether the call appended the events that it ensures, and no others. The tag of the events, the CPU of the
    /// caller, is checked for all primitives in the same way.
    pub events: Events<M>,
    /// Modifies: the cells that the call may write.
    pub modifies: fn(&Transition<'_, M>, Cells<'_, M>),
}

impl<M: Spec> Clone for Contract<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Spec> Copy for Contract<M> {}

/// The states of a loop at two moments, each at the start of an iteration.
pub struct Iterations<'a, M: Spec> {
    /// The state at the start of the first iteration.
    pub entry: View<'a, M>,
    /// The state at the start of an arbitrary iteration, or after the last one.
    pub now: View<'a, M>,
    /// The number of iterations before this moment.
    pub count: M::Word,
    /// Two arbitrary words, the same for all iterations: those of the postcondition.
    pub any: [M::Word; 2],
}

/// The loop rule of one loop: its loop invariant, and what the loop modifies
/// ([`Machine::bounded_loop`](crate::core::machine::Machine::bounded_loop)).
pub struct LoopRule<M: Spec> {
    /// The loop's name.
    pub name: &'static str,
    /// Fields and scalars that iterations may write.
    pub writes: &'static [&'static str],
    /// Numbers of the facts that are part of the loop invariant; those of class D only where they are assumed.
    pub facts: &'static [&'static str],
    /// The rest of the loop invariant, where the facts of class D are assumed.
    pub holds: fn(&Iterations<'_, M>) -> bool,
}

/// The contract of a primitive that only returns a value: it modifies nothing.
pub(crate) fn silent<M: Spec>(
    run: fn(&mut Cpu<'_, M>, &Arguments<M>) -> Result<Answer<M>, Stuck>,
    reference_requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    requires: fn(&View<'_, M>, &Arguments<M>) -> bool,
    ensures: fn(&Transition<'_, M>) -> bool,
) -> Contract<M> {
    Contract {
        run,
        assumes: |_, _| true,
        reference_requires,
        requires,
        ensures,
        events: no_events,
        modifies: |_, _| (),
    }
}

/// The events that a call has appended, oldest first, each with its result in the replay.
pub type Logged<M> = [(Event<M>, Out<M>)];

/// Whether a call of a primitive appended the events that it ensures, and no others.
pub type Events<M> = fn(&Transition<'_, M>, &Logged<M>) -> bool;

/// No event: the meaning of the events of a primitive that logs nothing (reference, section 4.1.1).
pub fn no_events<M: Spec>(_: &Transition<'_, M>, log: &Logged<M>) -> bool {
    log.is_empty()
}
