//! Copies of pages from one thread's page map to another's.
pub mod spec;

use crate::core::constants::PAGE_SIZE;
use crate::core::fields::FrameUse;
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::page_table::mapping;
use domain::{Ghost, Map};

/// The frame and permission of thread `n`'s page at `va`, which must be page-aligned; the frame must be data of this
/// CPU.
#[inline(always)]
#[track_caller]
pub(crate) fn data_frame<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<(M::Word, M::Word), Stuck> {
    let (frame, perm) = mapping(cpu, n, va)?.ok_or(Stuck::NotMapped)?;
    require(va % PAGE_SIZE == 0, Stuck::Misaligned)?;
    require(cpu.own.ghost.check(|g| matches!(g.pperm.get([frame]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;
    Ok((frame, perm))
}

/// 76 `page_copy_to(n, va, from)`: copies the running thread's page at `from` to the page of thread `n` at `va`.
///
/// An addition for the layer above, which uses it to pass arguments to programs. The page of thread `n` may
/// be read-only.
///
/// # Errors
/// [`Stuck::NotMapped`], [`Stuck::Misaligned`], [`Stuck::FrameNotOwned`], and the errors of
/// [`pt_read`](crate::objects::page_table::pt_read), for either page.
#[inline]
pub fn page_copy_to<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word, from: M::Word) -> Result<(), Stuck> {
    let (target, _) = data_frame(cpu, n, va)?;
    // Equivalent mutants (`<`: true, off by one): the running thread's number is in range (H18).
    let (source, _) = data_frame(cpu, cpu.own.cur, from)?;
    cpu.own.hp.copy_within(target, PAGE_SIZE.into(), source);
    // Equivalent mutants (write: lost): a page that is mapped is defined already (D17).
    cpu.own.ghost.update(|g| g.hp_defined.copy_within(target, PAGE_SIZE.into(), source));
    Ok(())
}
