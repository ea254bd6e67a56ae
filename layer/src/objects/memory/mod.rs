//! The memory accessors `exec_load` and `exec_store` (reference, section 7): the meaning of a load or store instruction
//! of a user program and, in guest mode, of a guest.
//!
//! The reference has one accessor that checks the CPU's mode. The mode is ghost state, on which code cannot branch,
//! so [`guest_load`] and [`guest_store`] are separate functions.
//!
//! The reference has no accessor for instruction fetches; [`exec_fetch`] is an addition. On the hosted machine, every
//! fetch, load and store of the interpreter calls one of these accessors. In the kernel, the MMU has the same effect.
//! An access is naturally aligned and stays in its page: the interpreter splits all other accesses first.
//!
//! Each accessor of programs walks the page map, as a processor with an empty TLB does. A variant with `_by` takes the
//! translation as an argument: the hosted machine passes one that looks into its processor's TLB.
pub mod spec;

use crate::core::call::{Access, Bytes, Chunk};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::machine::Machine;
use crate::core::state::{Cpu, TrapInfo};
use crate::core::stuck::{Stuck, require};
use crate::objects::page_table::{Walk, is_executable, walk};
use crate::objects::vmx::ept::nested;
use domain::{Flag, Ghost, Map, Wide};

/// How a program uses a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Intent {
    Load,
    Store,
    Fetch,
}

/// Loads `chunk` bytes at address `a`; `ra` is the address of the instruction.
///
/// # Errors
/// [`Stuck::NotUserMode`]; [`Stuck::Misaligned`]; the ownership checks of page tables.
#[inline]
pub fn exec_load<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    ra: M::Wide,
) -> Result<Access<Bytes<M>>, Stuck> {
    exec_load_by(cpu, chunk, a, ra, walk)
}

/// [`exec_load`] with the translation that `walk` returns for an address.
///
/// # Errors
/// The same as for [`exec_load`], and the errors of `walk`.
#[inline]
pub fn exec_load_by<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    ra: M::Wide,
    walk: impl FnOnce(&Cpu<'_, M>, M::Word, M::Word) -> Result<Walk<M>, Stuck>,
) -> Result<Access<Bytes<M>>, Stuck> {
    read(cpu, chunk, a, ra, Intent::Load, walk)
}

/// Fetches `chunk` bytes at address `a` to execute them: [`exec_load`], but only from an executable page. This is the
/// only difference in what is checked.
///
/// # Errors
/// As for [`exec_load`].
#[inline]
pub fn exec_fetch<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    ra: M::Wide,
) -> Result<Access<Bytes<M>>, Stuck> {
    exec_fetch_by(cpu, chunk, a, ra, walk)
}

/// [`exec_fetch`] with the translation that `walk` returns for an address.
///
/// # Errors
/// The same as for [`exec_fetch`], and the errors of `walk`.
#[inline]
pub fn exec_fetch_by<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    ra: M::Wide,
    walk: impl FnOnce(&Cpu<'_, M>, M::Word, M::Word) -> Result<Walk<M>, Stuck>,
) -> Result<Access<Bytes<M>>, Stuck> {
    read(cpu, chunk, a, ra, Intent::Fetch, walk)
}

/// A load or a fetch.
#[inline(always)]
fn read<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    ra: M::Wide,
    intent: Intent,
    walk: impl FnOnce(&Cpu<'_, M>, M::Word, M::Word) -> Result<Walk<M>, Stuck>,
) -> Result<Access<Bytes<M>>, Stuck> {
    let Some((page, offset)) = translate(cpu, chunk, a, intent, walk)? else {
        return Ok(page_fault(cpu, a, ra));
    };
    Ok(Access::Done(load(cpu, chunk, page, offset)))
}

/// Stores the first `chunk` bytes of `bytes` at address `a`; `ra` is the address of the instruction.
///
/// # Errors
/// As for [`exec_load`], and [`Stuck::FrameNotOwned`]: only data frames of this CPU may be written.
#[inline]
pub fn exec_store<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    bytes: Bytes<M>,
    ra: M::Wide,
) -> Result<Access<()>, Stuck> {
    exec_store_by(cpu, chunk, a, bytes, ra, walk)
}

/// [`exec_store`] with the translation that `walk` returns for an address.
///
/// # Errors
/// The same as for [`exec_store`], and the errors of `walk`.
#[inline]
pub fn exec_store_by<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    bytes: Bytes<M>,
    ra: M::Wide,
    walk: impl FnOnce(&Cpu<'_, M>, M::Word, M::Word) -> Result<Walk<M>, Stuck>,
) -> Result<Access<()>, Stuck> {
    let Some((page, offset)) = translate(cpu, chunk, a, Intent::Store, walk)? else {
        return Ok(page_fault(cpu, a, ra));
    };
    store(cpu, chunk, page, offset, bytes).map(Access::Done)
}

/// The first `chunk` bytes of physical memory from `offset` in frame `page` on.
#[inline(always)]
#[track_caller]
fn load<M: Machine>(cpu: &Cpu<'_, M>, chunk: Chunk, page: M::Word, offset: M::Word) -> Bytes<M> {
    let mut bytes: Bytes<M> = [0.into(); 8];
    for (k, byte) in (0..chunk as u32).zip(&mut bytes) {
        *byte = cpu.own.hp.get([page, offset + k]).value;
    }
    bytes
}

/// Writes the first `chunk` bytes of `bytes` from `offset` in frame `page` on; the frame must be data of this CPU.
#[inline(always)]
#[track_caller]
fn store<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    chunk: Chunk,
    page: M::Word,
    offset: M::Word,
    bytes: Bytes<M>,
) -> Result<(), Stuck> {
    require(cpu.own.ghost.check(|g| matches!(g.pperm.get([page]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;
    for (k, &value) in (0..chunk as u32).zip(&bytes) {
        cpu.own.hp.set([page, offset + k], Byte { value });
        cpu.own.ghost.update(|g| g.hp_defined.set([page, offset + k], Defined { defined: true.into() }));
    }
    Ok(())
}

/// Frame and offset of an access of the running program, or `None` if it faults.
///
/// As on the hardware, an access faults if no page is mapped (P20: also if there is no page table), on the kernel's
/// identity map, and on a kernel page. A store faults on a read-only page (P21, P42), a fetch on a page that is not
/// executable.
#[inline(always)]
fn translate<M: Machine>(
    cpu: &Cpu<'_, M>,
    chunk: Chunk,
    a: M::Wide,
    intent: Intent,
    walk: impl FnOnce(&Cpu<'_, M>, M::Word, M::Word) -> Result<Walk<M>, Stuck>,
) -> Result<Option<(M::Word, M::Word)>, Stuck> {
    let own = &cpu.own;
    // Equivalent mutants (flag: true): outside the kernel, the CPU is in root operation (H5) with paging on (H2
    // and H4).
    require(own.ghost.check(|g| g.ihost.holds() && g.pg.holds() && !g.ikern.holds()), Stuck::NotUserMode)?;
    require(own.ghost.check(|g| g.pt == own.cur), Stuck::NotUserMode)?;
    let Some(a) = a.narrow() else { return Ok(None) };
    let offset = aligned::<M>(chunk, a)?;
    let Walk::Mapped { page, perm } = walk(cpu, own.cur, a)? else {
        return Ok(None);
    };
    let allowed = match intent {
        Intent::Load => perm == perm::PTU || perm == perm::PTUR,
        Intent::Store => perm == perm::PTU,
        Intent::Fetch => is_executable::<M>(perm),
    };
    Ok(allowed.then_some((page, offset)))
}

/// The offset of an access in its page; the access must be aligned and stay in the page.
#[inline(always)]
fn aligned<M: Machine>(chunk: Chunk, a: M::Word) -> Result<M::Word, Stuck> {
    let (offset, size) = (a % PAGE_SIZE, chunk as u32);
    // Equivalent mutants (`<=`: true): an aligned access always stays in its page, because the size of a page is a
    // multiple of every access size.
    require(offset <= PAGE_SIZE - size && offset % size == 0, Stuck::Misaligned)?;
    Ok(offset)
}

/// The page fault: sets `ti` to the address and the instruction. The rest of the state is unchanged; the CPU stays in
/// user mode until `proc_exit_user`.
#[inline(always)]
fn page_fault<M: Machine, T>(cpu: &mut Cpu<'_, M>, addr: M::Wide, ra: M::Wide) -> Access<T> {
    cpu.own.ti = TrapInfo { addr, ra };
    Access::Fault
}

/// `exec_load` in guest mode: `chunk` bytes at the guest-physical address `a`.
///
/// # Errors
/// [`Stuck::NotGuestMode`]; [`Stuck::Misaligned`]; [`Stuck::NoTable`] before `vmx_init`; [`Stuck::NotMapped`] if the
/// guest has no memory there. In that case the processor would exit the guest by itself, which the layer does not model
/// (P14).
#[inline]
pub fn guest_load<M: Machine>(cpu: &Cpu<'_, M>, chunk: Chunk, a: M::Wide) -> Result<Bytes<M>, Stuck> {
    let (page, offset) = translate_nested(cpu, chunk, a)?;
    Ok(load(cpu, chunk, page, offset))
}

/// `exec_store` in guest mode: stores the first `chunk` bytes of `bytes` at the guest-physical address `a`.
///
/// # Errors
/// As for [`guest_load`], and [`Stuck::FrameNotOwned`]: only data frames of this CPU may be written.
#[inline]
pub fn guest_store<M: Machine>(cpu: &mut Cpu<'_, M>, chunk: Chunk, a: M::Wide, bytes: Bytes<M>) -> Result<(), Stuck> {
    let (page, offset) = translate_nested(cpu, chunk, a)?;
    store(cpu, chunk, page, offset, bytes)
}

/// Frame and offset of an access of the guest, by the nested tables; the low 12 bits of their entries are ignored.
#[inline(always)]
#[track_caller]
fn translate_nested<M: Machine>(cpu: &Cpu<'_, M>, chunk: Chunk, a: M::Wide) -> Result<(M::Word, M::Word), Stuck> {
    let ghost = &cpu.own.ghost;
    require(ghost.check(|g| !g.ihost.holds()), Stuck::NotGuestMode)?;
    let a = a.narrow().ok_or(Stuck::NotMapped)?;
    let (offset, [directory, index]) = (aligned::<M>(chunk, a)?, nested::<M>(a));
    require(ghost.check(|g| g.ept_dirs.get([directory]).defined.holds()), Stuck::NoTable)?;
    require(ghost.check(|g| g.ept_defined.get([directory, index]).defined.holds()), Stuck::NotMapped)?;
    Ok((cpu.own.ept.get([directory, index]).value / PAGE_SIZE, offset))
}
