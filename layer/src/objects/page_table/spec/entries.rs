//! What contracts say of the entries of page maps.
use crate::core::call::Arguments;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::machine::Spec;
use crate::objects::context::spec::{is_my_thread, of_my_thread};
use crate::objects::mode::spec::hkpt;
use crate::spec::view::View;
use domain::{Flag, Map};

/// The directory index of a virtual address (`PDX`): a page table maps as many pages of 4096 bytes as it has entries.
#[track_caller]
pub(crate) fn pdx<M: Spec>(va: M::Word) -> M::Word {
    va / (4096 * M::Geometry::ENTRIES)
}

/// The page-table index of a virtual address (`PTX`).
#[track_caller]
pub(crate) fn ptx<M: Spec>(va: M::Word) -> M::Word {
    va / 4096 % M::Geometry::ENTRIES
}

/// Directory entry `i` is in the user part (reference, section 5.3): its pages have numbers from `kern_low` on and below
/// `kern_high`.
#[track_caller]
pub(crate) fn is_user_directory<M: Spec>(i: M::Word) -> bool {
    i >= 262_144 / M::Geometry::ENTRIES && i < 983_040 / M::Geometry::ENTRIES
}

/// The number is a permission (reference, section 2, and P42).
pub(super) fn is_permission<M: Spec>(code: M::Word) -> bool {
    is_users_permission::<M>(code) || code == 259
}

/// The number is a permission other than the global one.
pub(super) fn is_users_permission<M: Spec>(code: M::Word) -> bool {
    code == 1 || code == 3 || code == 5 || code == 7
}

/// The frame is data of this CPU, and no page map maps it.
pub(crate) fn is_unmapped<M: Spec>(v: &View<'_, M>, frame: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Alloc) && v.ghost.lat.get([frame]).len == 0
}

/// The frame and permission at `va` in the page map of `n`, in the state `v`.
pub fn mapped<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> Option<(M::Word, M::Word)> {
    match v.own.dirs.get([n, pdx::<M>(va)]) {
        Pde::Table { frame } => match v.own.tables.get([frame, ptx::<M>(va)]) {
            Pte::Valid { page, perm } => Some((page, perm)),
            Pte::UnPresent => None,
        },
        _ => None,
    }
}

/// The frame is the page table of directory entry `i` of thread `n`.
pub(super) fn is_table_of<M: Spec>(v: &View<'_, M>, frame: M::Word, n: M::Word, i: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Hide { thread, index } if thread == n && index == i)
}

/// The entries for `va` in the page map of `n` are defined: the directory entry is, and if it names a page table, the
/// frame is the page table of this directory entry and its entry is defined.
pub(super) fn is_defined<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> bool {
    let i = pdx::<M>(va);
    v.ghost.dirs_defined.get([n, i]).defined.holds()
        && match v.own.dirs.get([n, i]) {
            Pde::Table { frame } => {
                frame < MAX_PAGE
                    && is_table_of(v, frame, n, i)
                    && v.ghost.tables.get([frame, ptx::<M>(va)]).defined.holds()
            }
            _ => true,
        }
}

/// The page map of thread `n`, a thread of this CPU, can be read at `va`, with the kernel's page map in CR3.
pub(crate) fn can_read<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> bool {
    v.ghost.ipt.holds()
        && n < NUM_PROC
        && v.is_mine(n)
        && is_defined(v, n, va)
        && !matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::Id)
}

/// An address of the user window.
pub fn in_window<M: Spec>(va: M::Word) -> bool {
    va >= 0x4000_0000 && va < 0xF000_0000
}

/// A page can be mapped: the thread is a user thread of this CPU, and the address is in the user window.
pub(super) fn can_map<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    of_my_thread(v, a) && a.words[0] > 0 && in_window::<M>(a.words[1])
}

/// The reference's precondition for mapping a page (`pt_arg`).
pub(super) fn is_pt_arg<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkpt(v, a) && a.words[0] > 0 && is_my_thread(v, a) && in_window::<M>(a.words[1])
}
