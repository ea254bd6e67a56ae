//! Pages of a program, by address.
use crate::failure::Failure;
use crate::system::System;
use crate::unchecked::Address;
use abi::Error;
use domain::{Ghost, Map};
use layer::core::constants::{MAGIC_NUMBER, PAGE_SIZE, perm};
use layer::core::fields::FrameUse;
use layer::core::state::Cpu;
use layer::core::stuck::{Stuck, require};
use layer::objects::page_table::{pt_read, pt_reserve};

/// A mapped page.
pub(crate) struct Page<M: System> {
    /// The frame, which is data of this CPU.
    pub frame: M::Word,
    /// The permission, a value of [`perm`](layer::core::constants::perm).
    pub permission: M::Word,
}

/// The page of thread `thread` at `address`, if it is mapped.
///
/// # Errors
/// The errors of [`pt_read`], and [`Stuck::FrameNotOwned`]: everything that is accessed through the page must be
/// this CPU's.
#[inline(always)]
pub(crate) fn page<M: System>(
    cpu: &Cpu<'_, M>,
    thread: M::Word,
    address: &Address<M>,
) -> Result<Option<Page<M>>, Stuck> {
    let entry = pt_read(cpu, thread, address.word())?;
    if entry == 0 {
        return Ok(None);
    }
    let frame = entry / PAGE_SIZE;
    // Never false: what a page map of this CPU maps is this CPU's data (D); entries are not proved from H alone.
    require(cpu.own.ghost.check(|g| matches!(g.pperm.get([frame]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;
    Ok(Some(Page { frame, permission: entry % PAGE_SIZE }))
}

/// The result of reserving a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserved {
    /// The page is mapped and filled with zeros.
    Fresh,
    /// A page was already mapped there.
    Mapped,
    /// Quota or memory is exhausted.
    Exhausted,
}

/// Maps a fresh page of zeros at `address` of thread `thread`, unless a page is mapped there.
///
/// # Errors
/// The errors of [`pt_read`] and [`pt_reserve`].
pub(crate) fn reserve<M: System>(
    cpu: &mut Cpu<'_, M>,
    thread: M::Word,
    address: &Address<M>,
    permission: u32,
) -> Result<Reserved, Stuck> {
    // pt_reserve is stuck on a mapped page (P41).
    if pt_read(cpu, thread, address.word())? != 0 {
        return Ok(Reserved::Mapped);
    }
    let result = pt_reserve(cpu, thread, address.word(), permission.into())?;
    Ok(if result == MAGIC_NUMBER { Reserved::Exhausted } else { Reserved::Fresh })
}

/// Maps a fresh page of zeros at `address` of thread `thread`, and returns it.
///
/// # Errors
/// [`Error::InvalAddr`] if a page was already mapped there, [`Error::Mem`] if quota or memory is exhausted, and the errors
/// of [`reserve`].
pub(crate) fn reserve_fresh<M: System>(
    cpu: &mut Cpu<'_, M>,
    thread: M::Word,
    address: &Address<M>,
    permission: u32,
) -> Result<Page<M>, Failure> {
    match reserve(cpu, thread, address, permission)? {
        Reserved::Fresh => Ok(page(cpu, thread, address)?.ok_or(Error::InvalAddr)?),
        Reserved::Mapped => Err(Error::InvalAddr.into()),
        Reserved::Exhausted => Err(Error::Mem.into()),
    }
}

/// The page of thread `thread` at `address`, as if the program had touched it: if it is not mapped, it is reserved.
///
/// # Errors
/// The errors of [`page`] and [`reserve_fresh`].
pub(crate) fn own_page<M: System>(
    cpu: &mut Cpu<'_, M>,
    thread: M::Word,
    address: &Address<M>,
) -> Result<Page<M>, Failure> {
    // Usually the page is mapped, and one walk is enough.
    if let Some(page) = page(cpu, thread, address)? {
        return Ok(page);
    }
    reserve_fresh(cpu, thread, address, perm::PTU)
}
