//! Page maps: primitives 3 to 5, 66 to 68, and 75, and their internal functions.
//!
//! A page map has two levels. A directory entry owns the frame of its page table ([`FrameUse::Hide`]). Page tables are
//! keyed by that frame, as on the hardware. Every access checks the ownership, so no page table can have two owners
//! unnoticed.
pub mod spec;

use crate::core::call::{Answer, Call};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::machine::Machine;
use crate::core::state::Cpu;
use crate::core::stuck::{Stuck, require};
use crate::objects::context::is_mine;
use crate::objects::page_alloc::{give_back, palloc, pfree};
use domain::{Domain, Flag, Ghost, Map};

/// Directory index of a virtual address (`PDX`).
#[inline(always)]
#[track_caller]
pub fn pdx<M: Machine>(va: M::Word) -> M::Word {
    va / M::Geometry::REGION
}

/// Page-table index of a virtual address (`PTX`).
#[inline(always)]
#[track_caller]
pub fn ptx<M: Machine>(va: M::Word) -> M::Word {
    va / PAGE_SIZE % M::Geometry::ENTRIES
}

/// Whether directory entry `i` is in the user part; all others belong to the kernel's identity map.
#[track_caller]
pub fn is_user_directory<M: Machine>(i: M::Word) -> bool {
    i >= KERN_LOW / M::Geometry::ENTRIES && i < KERN_HIGH / M::Geometry::ENTRIES
}

/// 3 `set_pt(n)`: makes the page map of thread `n` the current one.
///
/// No state that satisfies D2 admits the call: `proc_start_user` is the way to switch to a user's
/// map.
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::OnKernelMap`], [`Stuck::BadThread`].
#[inline]
pub fn set_pt<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word) -> Result<(), Stuck> {
    cpu.require_hk()?;
    require(cpu.own.ghost.check(|g| !g.ipt.holds()), Stuck::OnKernelMap)?;
    require(n < NUM_PROC, Stuck::BadThread)?;
    cpu.own.ghost.update(|g| g.pt = n);
    Ok(())
}

/// 4 `pt_read(n, va) -> u32`: the page of thread `n` at `va`: its frame times 4096 plus its permission code; 0 if
/// nothing is mapped (P8: also if there is no page table).
///
/// # Errors
/// [`Stuck::NotKernelMode`], [`Stuck::NotInit`], [`Stuck::NotKernelMap`], [`Stuck::BadThread`], [`Stuck::NotMine`] (an
/// addition: page maps are partitioned by owner), [`Stuck::NoTable`] for the identity map, [`Stuck::Undefined`],
/// [`Stuck::FrameNotTable`].
#[inline]
pub fn pt_read<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<M::Word, Stuck> {
    Ok(match mapping(cpu, n, va)? {
        Some((page, perm)) => page * PAGE_SIZE + perm,
        None => 0.into(),
    })
}

/// The result of [`pt_read`] as a pair of frame and permission; `None` if nothing is mapped.
#[inline(always)]
#[track_caller]
pub(crate) fn mapping<M: Machine>(
    cpu: &Cpu<'_, M>,
    n: M::Word,
    va: M::Word,
) -> Result<Option<(M::Word, M::Word)>, Stuck> {
    cpu.require_hk()?;
    cpu.require_init()?;
    require(cpu.own.ghost.check(|g| g.ipt.holds()), Stuck::NotKernelMap)?;
    require(n < NUM_PROC, Stuck::BadThread)?;
    require(is_mine(cpu, n), Stuck::NotMine)?;
    match walk(cpu, n, va)? {
        Walk::Identity => Err(Stuck::NoTable),
        Walk::Absent => Ok(None),
        Walk::Mapped { page, perm } => Ok(Some((page, perm))),
    }
}

/// The result of a walk for an address.
#[derive(Clone, Copy, Debug)]
pub enum Walk<M: Machine> {
    /// The address is in the kernel's identity map.
    Identity,
    /// Nothing is mapped.
    Absent,
    /// A page is mapped.
    Mapped {
        /// Its frame.
        page: M::Word,
        /// Its permission code.
        perm: M::Word,
    },
}

/// Walks the page map of thread `n` for the address `va`.
#[inline(always)]
#[track_caller]
pub(crate) fn walk<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<Walk<M>, Stuck> {
    let (i, j) = (pdx::<M>(va), ptx::<M>(va));
    Ok(match directory(cpu, n, i)? {
        Pde::Id => Walk::Identity,
        Pde::UnPresent => Walk::Absent,
        Pde::Table { frame } => match entry(cpu, n, i, frame, j)? {
            Pte::UnPresent => Walk::Absent,
            Pte::Valid { page, perm } => Walk::Mapped { page, perm },
        },
    })
}

/// Directory entry `i` of thread `n`, which must have been written: the first half of a walk.
///
/// # Errors
/// [`Stuck::Undefined`].
#[inline(always)]
#[track_caller]
pub fn directory<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, i: M::Word) -> Result<Pde<M>, Stuck> {
    require(cpu.own.ghost.check(|g| g.dirs_defined.get([n, i]).defined.holds()), Stuck::Undefined)?;
    Ok(cpu.own.dirs.get([n, i]))
}

/// Entry `j` of the page table in `frame`, which must be the page table of directory entry `i` of thread `n`: the
/// second half of a walk.
///
/// # Errors
/// [`Stuck::FrameNotTable`], [`Stuck::Undefined`].
#[inline(always)]
#[track_caller]
pub fn entry<M: Machine>(
    cpu: &Cpu<'_, M>,
    n: M::Word,
    i: M::Word,
    frame: M::Word,
    j: M::Word,
) -> Result<Pte<M>, Stuck> {
    require(
        cpu.own.ghost.check(|g| {
            // Equivalent mutants (`<`: true, off by one): a page table's frame is one of the machine's (H8.3).
            frame < MAX_PAGE
                && matches!(g.pperm.get([frame]), FrameUse::Hide { thread, index } if thread == n && index == i)
        }),
        Stuck::FrameNotTable,
    )?;
    // Equivalent mutants (flag: true): every entry of a page table that a directory names is defined (H8.3).
    require(cpu.own.ghost.check(|g| g.tables.get([frame, j]).defined.holds()), Stuck::Undefined)?;
    Ok(cpu.own.tables.get([frame, j]))
}

/// 5 `pt_resv(n, va, perm) -> u32`: maps a fresh page, filled with zeros (P37), at `va` of thread `n`.
///
/// As in the reference, every code is accepted. No caller in the kernel asks for a global page (259). The contract
/// assumes this, and it is proved for every call.
///
/// Returns 0; the frame number of the page table if it allocated one; [`MAGIC_NUMBER`] if quota or memory is exhausted.
/// If there was a page but none for its page table, the page stays charged and unmapped (P31).
///
/// # Errors
/// The errors of [`palloc`], and those of [`pt_insert`] once a page is allocated. If the quota is exhausted,
/// the result is [`MAGIC_NUMBER`] even for invalid arguments.
#[inline]
pub fn pt_resv<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word, perm: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("pt_resv", [n, va, perm]);
    M::call(cpu, call, Answer::word, |cpu| {
        let page = palloc(cpu, n)?;
        if page == 0 {
            return Ok(MAGIC_NUMBER.into());
        }
        fill_zero(cpu, page);
        pt_insert(cpu, n, va, page, perm)
    })
}

/// Sets every byte of a frame to 0; the frame must be data of this CPU.
#[inline(always)]
fn fill_zero<M: Machine>(cpu: &mut Cpu<'_, M>, page: M::Word) {
    cpu.own.hp.fill(&[page], Byte { value: 0.into() });
    cpu.own.ghost.update(|g| g.hp_defined.fill(&[page], Defined { defined: true.into() }));
}

/// Internal `ptInsert`: maps `page` at `va` of thread `n`; allocates a page table if there is none.
///
/// Returns 0, the frame of the new page table, or [`MAGIC_NUMBER`] if there was no frame for it.
///
/// # Errors
/// The errors of [`pt_insert_pte`]'s checks; [`Stuck::BadPermission`]; [`Stuck::NoTable`] for the identity map.
#[inline]
pub fn pt_insert<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    n: M::Word,
    va: M::Word,
    page: M::Word,
    perm: M::Word,
) -> Result<M::Word, Stuck> {
    // Equivalent mutants (`<=`: true): below the user window all directory entries are identity entries (H8.1), which
    // are refused at once.
    pt_arg(cpu, n, va)?;
    require(page > 0 && page < cpu.own.nps, Stuck::BadFrame)?;
    require(is_permission::<M>(perm), Stuck::BadPermission)?;
    match directory(cpu, n, pdx::<M>(va))? {
        Pde::Id => Err(Stuck::NoTable),
        Pde::Table { .. } => {
            pt_insert_pte(cpu, n, va, page, perm)?;
            Ok(0.into())
        }
        Pde::UnPresent => {
            let frame = pt_alloc_pde(cpu, n, va)?;
            if frame == 0 {
                return Ok(MAGIC_NUMBER.into());
            }
            pt_insert_pte(cpu, n, va, page, perm)?;
            Ok(frame)
        }
    }
}

/// `pt_arg1`: kernel map, a user thread of this CPU, an address of the user window.
///
/// No proof can tell whether thread 0 or the first address above the window is refused here: thread 0 is never alive
/// (D4.6), so the last check refuses it, and the directory entry of both is an identity entry (H8.1, H10), which every
/// caller refuses. A call that is refused has no outcome but that.
#[inline(always)]
#[track_caller]
fn pt_arg<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<(), Stuck> {
    cpu.require_hkpt()?;
    require(n > 0 && n < NUM_PROC, Stuck::BadThread)?;
    require(va >= ADR_LOW && va < ADR_HIGH, Stuck::BadAddress)?;
    require(is_mine(cpu, n), Stuck::NotMine)
}

/// Whether a number is a permission (reference, section 2, and P42).
#[inline(always)]
#[track_caller]
pub(crate) fn is_permission<M: Machine>(code: M::Word) -> bool {
    // Equivalent mutants (`==`: false): no caller asks for a global page, by assumption (a test of the
    // hosted machine asks for one).
    M::decide(|| is_users_permission::<M>(code) || code == perm::PTKG)
}

/// Whether a user's map may have the permission: all permissions except the global one. Global TLB entries survive a
/// change of page maps.
#[inline(always)]
#[track_caller]
pub(crate) fn is_users_permission<M: Machine>(code: M::Word) -> bool {
    code == perm::PTU || code == perm::PTUR || code == perm::PTP || code == perm::PTK
}

/// Whether programs may execute pages with this permission code. A user's page is writable or executable, never both.
/// Programs may not use the kernel's pages.
#[inline(always)]
pub fn is_executable<D: Domain>(code: D::Word) -> bool {
    code == perm::PTUR
}

/// Internal `ptAllocPDE`: allocates an empty page table for the directory entry of `va` of thread `n`.
///
/// Returns its frame, or 0 if there was none.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::BadThread`], [`Stuck::BadAddress`], [`Stuck::NotMine`], [`Stuck::TablePresent`],
/// and the errors of [`palloc`].
#[inline]
pub fn pt_alloc_pde<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<M::Word, Stuck> {
    // Equivalent mutants (`<=`: true): below the user window all directory entries are identity entries (H8.1), which
    // are refused at once.
    pt_arg(cpu, n, va)?;
    let i = pdx::<M>(va);
    require(matches!(directory(cpu, n, i)?, Pde::UnPresent), Stuck::TablePresent)?;
    let frame = palloc(cpu, n)?;
    if frame == 0 {
        return Ok(frame);
    }
    let own = &mut cpu.own;
    own.tables.fill(&[frame], Pte::UnPresent);
    own.dirs.set([n, i], Pde::Table { frame });
    own.ghost.update(|g| {
        // Equivalent mutants (write slot: lost): the slot of an entry that maps nothing has no
        // meaning.
        g.tables.fill(&[frame], PteGhost { defined: true.into(), slot: 0.into() });
        g.hp_defined.fill(&[frame], Defined { defined: false.into() });
        g.pperm.set([frame], FrameUse::Hide { thread: n, index: i });
        // Equivalent mutants (write defined: lost): the entry was read before, so it was already
        // defined.
        g.dirs_defined.set([n, i], Defined { defined: true.into() });
    });
    Ok(frame)
}

/// Internal `ptInsertPTE`: maps `page` at `va` of thread `n`, whose page table exists.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::BadThread`], [`Stuck::BadAddress`], [`Stuck::NotMine`], [`Stuck::BadFrame`],
/// [`Stuck::NoTable`], [`Stuck::FrameNotTable`], [`Stuck::AlreadyMapped`], [`Stuck::FrameNotOwned`],
/// [`Stuck::NoReverseMap`], [`Stuck::TooManyMappings`].
#[inline]
pub fn pt_insert_pte<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    n: M::Word,
    va: M::Word,
    page: M::Word,
    perm: M::Word,
) -> Result<(), Stuck> {
    // Equivalent mutants (`<=`: true): below the user window all directory entries are identity entries (H8.1), which
    // are refused at once.
    pt_arg(cpu, n, va)?;
    require(page > 0 && page < cpu.own.nps, Stuck::BadFrame)?;
    let (i, j) = (pdx::<M>(va), ptx::<M>(va));
    let Pde::Table { frame } = directory(cpu, n, i)? else {
        return Err(Stuck::NoTable);
    };
    require(matches!(entry(cpu, n, i, frame, j)?, Pte::UnPresent), Stuck::AlreadyMapped)?;
    let ghost = &mut cpu.own.ghost;
    require(ghost.check(|g| matches!(g.pperm.get([page]), FrameUse::Alloc)), Stuck::FrameNotOwned)?;
    require(ghost.check(|g| g.lat.get([page]).valid.holds()), Stuck::NoReverseMap)?;
    // Equivalent mutants (`<`: true, off by one): a frame is mapped at most once (D18); with H alone, the addition
    // that follows is stuck instead.
    require(ghost.check(|g| g.lat.get([page]).len < u32::MAX), Stuck::TooManyMappings)?;
    cpu.own.tables.set([frame, j], Pte::Valid { page, perm });
    cpu.own.ghost.update(|g| {
        let slot = g.lat.get([page]).len;
        // Equivalent mutants (write defined: lost): the entry was read before, so it was already
        // defined.
        g.tables.set([frame, j], PteGhost { defined: true.into(), slot });
        g.lat_entry.set([page, slot], ReverseEntry { thread: n, directory: i, index: j });
        g.lat.update([page], |lat| lat.len = slot + 1);
    });
    Ok(())
}

/// 66 `pt_rmv(n, va) -> page`: unmaps and releases the page of thread `n` at `va`; 0 if nothing is mapped.
///
/// An addition for the layer above: the inverse of [`pt_resv`], except that it keeps the page table. Appends
/// `PFREE(cur, page)`.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadThread`], [`Stuck::BadAddress`], [`Stuck::NotMine`],
/// [`Stuck::NoTable`] for the identity map, [`Stuck::BadFrame`], [`Stuck::FrameNotOwned`],
/// [`Stuck::TooManyMappings`] if it is mapped elsewhere too, [`Stuck::NotAccounted`].
#[inline]
pub fn pt_rmv<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("pt_rmv", [n, va]);
    M::call(cpu, call, Answer::word, |cpu| {
        // Equivalent mutants (`<=`: true): below the user window all directory entries are identity entries (H8.1),
        // which are refused at once.
        pt_arg(cpu, n, va)?;
        cpu.require_init()?;
        let (i, j) = (pdx::<M>(va), ptx::<M>(va));
        let frame = match directory(cpu, n, i)? {
            Pde::Id => return Err(Stuck::NoTable),
            Pde::UnPresent => return Ok(0.into()),
            Pde::Table { frame } => frame,
        };
        let Pte::Valid { page, .. } = entry(cpu, n, i, frame, j)? else {
            return Ok(0.into());
        };
        require(page > 0 && page < cpu.own.nps, Stuck::BadFrame)?;
        let ghost = &mut cpu.own.ghost;
        require(
            ghost.check(|g| matches!(g.pperm.get([page]), FrameUse::Alloc) && g.lat.get([page]).payer == n),
            Stuck::FrameNotOwned,
        )?;
        require(ghost.check(|g| g.lat.get([page]).len == 1), Stuck::TooManyMappings)?;
        cpu.own.tables.set([frame, j], Pte::UnPresent);
        cpu.own.ghost.update(|g| {
            g.lat.update([page], |lat| lat.len = 0.into());
        });
        M::unmapped(cpu, va);
        give_back(cpu, n, page)?;
        Ok(page)
    })
}

/// 75 `pt_reserve(n, va, perm) -> u32`: like [`pt_resv`], but if there is no frame for a page table, it releases
/// the page.
///
/// An addition for the layer above: if the result is [`MAGIC_NUMBER`], nothing has changed (P31). Appends
/// the events of [`pt_resv`], and `PFREE(cur, page)` if it releases the page.
///
/// # Errors
/// The errors of [`pt_resv`] and [`pfree`].
#[inline]
pub fn pt_reserve<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word, perm: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("pt_reserve", [n, va, perm]);
    M::call(cpu, call, Answer::word, |cpu| {
        let page = palloc(cpu, n)?;
        if page == 0 {
            return Ok(MAGIC_NUMBER.into());
        }
        fill_zero(cpu, page);
        let made = pt_insert(cpu, n, va, page, perm)?;
        if made == MAGIC_NUMBER {
            pfree(cpu, n, page)?;
        }
        Ok(made)
    })
}

/// 67 `pt_free_pde(n, va) -> va`: releases the page table of thread `n` for `va` if it maps nothing, and returns 0. It
/// also returns 0 if there is no page table. Otherwise it returns an address that the page table maps: the first at or
/// after `va`, or else the first of all.
///
/// An addition for the layer above: the inverse of [`pt_alloc_pde`]. Appends `PFREE(cur, frame)` if it releases the
/// page table.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadThread`], [`Stuck::BadAddress`], [`Stuck::NotMine`],
/// [`Stuck::NoTable`] for the identity map, [`Stuck::BadFrame`], [`Stuck::FrameNotTable`],
/// [`Stuck::NotAccounted`].
#[inline]
pub fn pt_free_pde<M: Machine>(cpu: &mut Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("pt_free_pde", [n, va]);
    M::call(cpu, call, Answer::word, |cpu| {
        // Equivalent mutants (`<=`: true): below the user window all directory entries are identity entries (H8.1),
        // which are refused at once.
        pt_arg(cpu, n, va)?;
        cpu.require_init()?;
        let i = pdx::<M>(va);
        let frame = match directory(cpu, n, i)? {
            Pde::Id => return Err(Stuck::NoTable),
            Pde::UnPresent => return Ok(0.into()),
            Pde::Table { frame } => frame,
        };
        require(frame > 0 && frame < cpu.own.nps, Stuck::BadFrame)?;
        require(cpu.own.ghost.check(|g| g.lat.get([frame]).payer == n), Stuck::FrameNotTable)?;
        let mapped = next_mapped(cpu, n, va, frame)?;
        if mapped != 0 {
            return Ok(mapped);
        }
        cpu.own.dirs.set([n, i], Pde::UnPresent);
        M::unmapped(cpu, va);
        give_back(cpu, n, frame)?;
        Ok(0.into())
    })
}

/// An address that the page table `frame` of thread `n` for `va` maps. It is the first at or after `va`, or else the
/// first of all; 0 if the table maps nothing.
#[inline(always)]
#[track_caller]
fn next_mapped<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word, frame: M::Word) -> Result<M::Word, Stuck> {
    let (i, j) = (pdx::<M>(va), ptx::<M>(va));
    let is_table = |use_| matches!(use_, FrameUse::Hide { thread, index } if thread == n && index == i);
    // Equivalent mutants (`<`: true, off by one): a page table's frame is one of the machine's (H8.3).
    require(cpu.own.ghost.check(|g| frame < MAX_PAGE && is_table(g.pperm.get([frame]))), Stuck::FrameNotTable)?;
    let tables = &cpu.own.tables;
    let behind = tables.first_of(frame, j, M::Geometry::ENTRIES.into(), Pte::is_present);
    let mapped = match behind {
        None => tables.first_of(frame, 0.into(), j, Pte::is_present),
        found => found,
    };
    Ok(mapped.map_or(0.into(), |j| i * M::Geometry::REGION + j * PAGE_SIZE))
}

impl<M: Machine> Pte<M> {
    /// Whether the entry maps a page.
    fn is_present(self) -> bool {
        matches!(self, Pte::Valid { .. })
    }
}

impl<M: Machine> Pde<M> {
    /// Whether the entry has a page table.
    fn is_table(self) -> bool {
        matches!(self, Pde::Table { .. })
    }
}

/// 68 `pt_next_pde(n, va) -> va`: the first address at or after `va` for which thread `n` has a page table; 0 if
/// there is none.
///
/// An addition for the layer above.
///
/// # Errors
/// [`Stuck::NotKernelMap`], [`Stuck::NotInit`], [`Stuck::BadThread`], [`Stuck::BadAddress`], [`Stuck::NotMine`].
#[inline]
pub fn pt_next_pde<M: Machine>(cpu: &Cpu<'_, M>, n: M::Word, va: M::Word) -> Result<M::Word, Stuck> {
    let call = || Call::new("pt_next_pde", [n, va]);
    M::ask(cpu, call, Answer::word, |cpu| {
        pt_arg(cpu, n, va)?;
        cpu.require_init()?;
        let from = pdx::<M>(va);
        let end = KERN_HIGH / M::Geometry::ENTRIES;
        Ok(match cpu.own.dirs.first_of(n, from, end.into(), Pde::is_table) {
            Some(i) if i == from => va,
            Some(i) => i * M::Geometry::REGION,
            None => 0.into(),
        })
    })
}
