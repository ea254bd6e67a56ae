//! Saved user contexts: primitives 10 and 11.
pub mod spec;

use crate::core::constants::{NUM_PROC, UCTXT_SIZE, slot};
use crate::core::fields::{Slot, SlotKind, place};
use crate::core::machine::{Links, Machine};
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use domain::{Ghost, Map, Wide};

/// The checks of both: kernel map, a thread of this CPU, a slot that may not hold a pointer.
///
/// The check that the thread is this CPU's is an addition: contexts are partitioned by owner, and the reference relies
/// on the caller.
#[inline(always)]
#[track_caller]
fn slot_of<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word, k: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    require(i < NUM_PROC, Stuck::BadThread)?;
    require(is_mine(cpu, i), Stuck::NotMine)?;
    require(k < UCTXT_SIZE && k != slot::EBP && k != slot::OESP && k != slot::EIP, Stuck::BadSlot)
}

/// Ghost check: thread `i` is alive and belongs to this CPU.
#[inline(always)]
#[track_caller]
pub(crate) fn is_mine<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word) -> bool {
    let me = cpu.own.cpu;
    cpu.shared.links.check(|tcb| {
        let thread = tcb.get([i]);
        thread.place != place::DEAD && thread.home == me
    })
}

/// 10 `uctx_get(i, k) -> u32`: the low 32 bits of slot `k` of the saved user context of thread `i`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::BadThread`], [`Stuck::NotMine`], [`Stuck::BadSlot`] for the slots that may hold
/// pointers (2, 3, 12), [`Stuck::NotInt`] if the slot was never set.
#[inline(always)]
pub fn uctx_get<M: Machine>(cpu: &Cpu<'_, M>, i: M::Word, k: M::Word) -> Result<M::Word, Stuck> {
    slot_of(cpu, i, k)?;
    require(cpu.own.ghost.check(|g| matches!(g.uctxt_kind.get([i, k]), SlotKind::Int)), Stuck::NotInt)?;
    Ok(cpu.own.uctxt.get([i, k]).value.low())
}

/// 11 `uctx_set(i, k, v)`: sets slot `k` of the saved user context of thread `i` to `v`.
///
/// # Errors
/// As for [`uctx_get`], except [`Stuck::NotInt`].
#[inline(always)]
pub fn uctx_set<M: Machine>(cpu: &mut Cpu<'_, M>, i: M::Word, k: M::Word, v: M::Word) -> Result<(), Stuck> {
    slot_of(cpu, i, k)?;
    cpu.own.uctxt.set([i, k], Slot { value: v.into() });
    cpu.own.ghost.update(|g| g.uctxt_kind.set([i, k], SlotKind::Int));
    Ok(())
}
