//! The nested page tables of this CPU's guest: primitive 46.
//!
//! A 32-bit guest-physical address has index 0 at level 4 and an index below 4 at level 3; `vmx_init` makes all
//! tables of levels 4 to 2 at once. So the upper 11 bits of the address identify a level-2 entry (`eptdir`). If a
//! level-2 entry is present, so are those above it.
use crate::core::constants::*;
use crate::core::fields::{Cell, Defined};
use crate::core::machine::Machine;
use crate::core::state::{Cpu, Own};
use crate::core::stuck::{Stuck, require};
use domain::{Flag, Ghost, Map};

/// Memory types are below this (P13).
pub const MEMORY_TYPES: u32 = 8;
/// The bits of every entry: read, write, execute, and the entry's own memory type instead of the guest's.
pub const MAPPED: u32 = 0x47;

/// Directory entry and index of a guest-physical address.
#[inline(always)]
#[track_caller]
pub fn nested<M: Machine>(gpa: M::Word) -> [M::Word; 2] {
    [gpa / (EPT_ENTRIES * PAGE_SIZE), gpa / PAGE_SIZE % EPT_ENTRIES]
}

/// The entry that maps to `hpa` with a memory type.
#[inline(always)]
#[track_caller]
fn entry<M: Machine>(hpa: M::Word, memtype: M::Word) -> M::Word {
    hpa + memtype * 8 + MAPPED
}

/// Removes every entry.
#[inline(always)]
#[track_caller]
pub(crate) fn unmap_all<M: Machine>(own: &mut Own<M>) {
    own.ept.define(|_| Cell { value: 0.into() });
    own.ghost.update(|g| {
        g.ept_defined.define(|_| Defined { defined: false.into() });
        g.guest_frames.define(|_| Defined { defined: false.into() });
    });
}

/// 46 `vmx_set_mmap(gpa, hpa, memtype) -> u32`: maps the page at `hpa` at the guest-physical address `gpa`; returns 0.
///
/// It replaces an earlier mapping of `gpa`. P13: both are byte addresses of pages, and memory types are 0 to 7. The
/// caller ensures that `hpa` belongs to the guest.
///
/// # Errors
/// [`Stuck::NotPaging`], [`Stuck::Misaligned`], [`Stuck::BadMemoryType`], [`Stuck::NoTable`] before `vmx_init`.
#[inline]
pub fn vmx_set_mmap<M: Machine>(
    cpu: &mut Cpu<'_, M>,
    gpa: M::Word,
    hpa: M::Word,
    memtype: M::Word,
) -> Result<M::Word, Stuck> {
    cpu.require_hkp()?;
    require(gpa % PAGE_SIZE == 0 && hpa % PAGE_SIZE == 0, Stuck::Misaligned)?;
    require(memtype < MEMORY_TYPES, Stuck::BadMemoryType)?;
    let [directory, index] = nested::<M>(gpa);
    require(cpu.own.ghost.check(|g| g.ept_dirs.get([directory]).defined.holds()), Stuck::NoTable)?;
    cpu.own.ept.set([directory, index], Cell { value: entry::<M>(hpa, memtype) });
    cpu.own.ghost.update(|g| {
        g.ept_defined.set([directory, index], Defined { defined: true.into() });
        g.guest_frames.set([hpa / PAGE_SIZE], Defined { defined: true.into() });
    });
    Ok(0.into())
}
