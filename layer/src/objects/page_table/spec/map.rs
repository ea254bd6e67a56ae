//! The contracts of the primitives that map pages: 5, 75 and the internal functions of 5.
use super::entries::{
    can_map, is_defined, is_permission, is_pt_arg, is_unmapped, is_users_permission, mapped, pdx, ptx,
};
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::objects::page_alloc::spec::*;
use crate::objects::page_table;
use crate::spec::contract::{Contract, Region, Transition, no_events};
use domain::{Flag, Map};

/// The frame of the page table that a call returns; 0 for [`MAGIC_NUMBER`].
fn frame_of<M: Spec>(s: &Transition<'_, M>) -> M::Word {
    if s.answer.word() == MAGIC_NUMBER { 0.into() } else { s.answer.word() }
}

pub(crate) fn pt_resv<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| page_table::pt_resv(cpu, a.words[0], a.words[1], a.words[2]).map(Answer::Word),
        // A deviation: the reference grants nothing about the permission, and accepts all of them. H and L hold for all
        // of them too. For D7, which says that no user page is global, every caller shows that it does not ask for a
        // global page.
        assumes: |_, a| a.words[2] != perm::PTKG,
        // Whether the page can be mapped is checked only after it has been allocated.
        reference_requires: can_allocate,
        requires: |v, a| {
            let [n, va, perm, _] = a.words;
            can_map(v, a) && is_permission::<M>(perm) && mapped(v, n, va).is_none()
        },
        ensures: |s| {
            let [n, va, perm, _] = s.arguments.words;
            let (before, after) = (s.before.own.ac.get([n]).usage, s.after.own.ac.get([n]).usage);
            if s.answer.word() == MAGIC_NUMBER {
                // No page was left; or the page was allocated, and no page was left for its page table (P31).
                return (after == before || after == before + 1) && is_exhausted(s, n);
            }
            let Some((page, got)) = mapped(&s.after, n, va) else { return false };
            let table = s.answer.word();
            mapped(&s.before, n, va).is_none()
                && got == perm
                && matches!(s.before.ghost.pperm.get([page]), FrameUse::Undef)
                && matches!(s.after.ghost.pperm.get([page]), FrameUse::Alloc)
                && (s.any[0] >= PAGE_SIZE || s.after.own.hp.get([page, s.any[0]]).value == 0)
                && if table == 0 {
                    after == before + 1
                } else {
                    after == before + 2
                        && matches!(s.before.own.dirs.get([n, pdx::<M>(va)]), Pde::UnPresent)
                        && matches!(s.after.own.dirs.get([n, pdx::<M>(va)]), Pde::Table { frame } if frame == table)
                }
        },
        events: |s, log| {
            let [n, va, ..] = s.arguments.words;
            let is_page = |page| match mapped(&s.after, n, va) {
                Some((mapped, _)) => mapped == page,
                None => false,
            };
            match log {
                // No page, or a page for which there was a page table.
                [(Event::Palloc { tid, page }, _)] => {
                    *tid == s.before.own.cur
                        && if s.answer.word() == MAGIC_NUMBER {
                            *page == 0
                        } else {
                            s.answer.word() == 0 && is_page(*page)
                        }
                }
                // The page, and a page table or 0 if none is left (P31).
                [(Event::Palloc { tid, page }, _), table] => {
                    *tid == s.before.own.cur
                        && *page != 0
                        && s.answer.word() != 0
                        && (s.answer.word() == MAGIC_NUMBER || is_page(*page))
                        && hands_out(s, table, frame_of(s))
                }
                _ => false,
            }
        },
        modifies: |s, may| {
            let [n, va, ..] = s.arguments.words;
            may("AC", Region::Leaf("usage"), &[n]);
            may("AC.charged", Region::All, &[n]);
            may("AC.seats", Region::All, &[n]);
            may("ptpool", Region::All, &[n, pdx::<M>(va)]);
            may("ptpool.defined", Region::All, &[n, pdx::<M>(va)]);
            // Frames that this CPU did not own before and owns now: nobody could read them.
            for field in NEW_FRAME {
                may(field, Region::Fresh, &[]);
            }
            // In an existing page table, one entry.
            if let Pde::Table { frame } = s.before.own.dirs.get([n, pdx::<M>(va)]) {
                may("pt", Region::All, &[frame, ptx::<M>(va)]);
                may("pt.ghost", Region::All, &[frame, ptx::<M>(va)]);
            }
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn ptInsertPTE<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            let [n, va, page, perm] = a.words;
            page_table::pt_insert_pte(cpu, n, va, page, perm).map(|()| Answer::Unit)
        },
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, page, _] = a.words;
            is_pt_arg(v, a)
                && page > 0
                && page < v.own.nps
                && is_defined(v, n, va)
                && matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::Table { .. })
                && mapped(v, n, va).is_none()
                && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc)
                && v.ghost.lat.get([page]).valid.holds()
        },
        requires: |v, a| {
            let [n, va, page, perm] = a.words;
            can_map(v, a)
                && is_data(v, page)
                && is_users_permission::<M>(perm)
                && matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::Table { .. })
                && mapped(v, n, va).is_none()
        },
        ensures: |s| {
            let [n, va, page, perm] = s.arguments.words;
            matches!(mapped(&s.after, n, va), Some((p, c)) if p == page && c == perm)
                && mapped(&s.before, n, va).is_none()
        },
        events: no_events,
        modifies: |s, may| {
            let [n, va, page, _] = s.arguments.words;
            if let Pde::Table { frame } = s.before.own.dirs.get([n, pdx::<M>(va)]) {
                may("pt", Region::All, &[frame, ptx::<M>(va)]);
                may("pt.ghost", Region::All, &[frame, ptx::<M>(va)]);
            }
            may("LAT", Region::All, &[page]);
            may("LAT.entry", Region::All, &[page]);
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn ptAllocPDE<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| page_table::pt_alloc_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, ..] = a.words;
            is_pt_arg(v, a)
                && can_allocate(v, a)
                && is_defined(v, n, va)
                && matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::UnPresent)
        },
        requires: |v, a| {
            let [n, va, ..] = a.words;
            can_map(v, a) && matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::UnPresent)
        },
        ensures: |s| {
            let ([n, va, ..], frame) = (s.arguments.words, s.answer.word());
            allocated(s, n, frame)
                && (frame == 0
                    || (matches!(s.after.own.dirs.get([n, pdx::<M>(va)]), Pde::Table { frame: f } if f == frame)
                        && (s.any[0] >= M::Geometry::ENTRIES
                            || matches!(s.after.own.tables.get([frame, s.any[0]]), Pte::UnPresent))))
        },
        events: |s, log| match log {
            [one] => hands_out(s, one, s.answer.word()),
            _ => false,
        },
        modifies: |s, may| {
            let ([n, va, ..], frame) = (s.arguments.words, s.answer.word());
            if frame != 0 {
                allocation::<M>(n, frame, may);
                may("ptpool", Region::All, &[n, pdx::<M>(va)]);
                may("ptpool.defined", Region::All, &[n, pdx::<M>(va)]);
                for field in ["pt", "pt.ghost", "HP.defined"] {
                    may(field, Region::All, &[frame]);
                }
            }
        },
    }
}

#[allow(non_snake_case, reason = "the reference's name")]
pub(crate) fn ptInsert<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| {
            let [n, va, page, perm] = a.words;
            page_table::pt_insert(cpu, n, va, page, perm).map(Answer::Word)
        },
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, page, perm] = a.words;
            is_pt_arg(v, a)
                && page > 0
                && page < v.own.nps
                && is_permission::<M>(perm)
                && v.ghost.dirs_defined.get([n, pdx::<M>(va)]).defined.holds()
                && !matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::Id)
        },
        requires: |v, a| {
            let [n, va, page, perm] = a.words;
            can_map(v, a) && is_data(v, page) && is_users_permission::<M>(perm) && mapped(v, n, va).is_none()
        },
        ensures: |s| {
            let [n, va, page, perm] = s.arguments.words;
            if s.answer.word() == MAGIC_NUMBER {
                is_exhausted(s, n)
            } else {
                matches!(mapped(&s.after, n, va), Some((p, c)) if p == page && c == perm)
            }
        },
        events: |s, log| match log {
            [] => s.answer.word() == 0,
            [table] => s.answer.word() != 0 && hands_out(s, table, frame_of(s)),
            _ => false,
        },
        modifies: |s, may| {
            let [n, va, page, _] = s.arguments.words;
            may("AC", Region::Leaf("usage"), &[n]);
            may("AC.charged", Region::All, &[n]);
            may("AC.seats", Region::All, &[n]);
            may("ptpool", Region::All, &[n, pdx::<M>(va)]);
            may("ptpool.defined", Region::All, &[n, pdx::<M>(va)]);
            for field in ["AT", "AT.owner", "pperm", "LAT", "pt", "pt.ghost", "HP.defined"] {
                may(field, Region::Fresh, &[]);
            }
            may("LAT", Region::All, &[page]);
            may("LAT.entry", Region::All, &[page]);
            if let Pde::Table { frame } = s.before.own.dirs.get([n, pdx::<M>(va)]) {
                may("pt", Region::All, &[frame, ptx::<M>(va)]);
                may("pt.ghost", Region::All, &[frame, ptx::<M>(va)]);
            }
        },
    }
}

/// Fields that are written for a frame that becomes a page or a page table.
pub const NEW_FRAME: [&str; 9] = ["AT", "AT.owner", "pperm", "LAT", "LAT.entry", "pt", "pt.ghost", "HP", "HP.defined"];

pub(crate) fn pt_reserve<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| page_table::pt_reserve(cpu, a.words[0], a.words[1], a.words[2]).map(Answer::Word),
        ensures: |s| {
            let frame = s.any[0];
            let unmaps_none = frame >= MAX_PAGE || !is_unmapped(&s.after, frame) || is_unmapped(&s.before, frame);
            unmaps_none
                && if s.answer.word() == MAGIC_NUMBER {
                    // Nothing is mapped or charged.
                    let [n, va, ..] = s.arguments.words;
                    (mapped(&s.before, n, va).is_some() || mapped(&s.after, n, va).is_none())
                        && s.after.own.ac.get([n]).usage == s.before.own.ac.get([n]).usage
                } else {
                    (pt_resv::<M>().ensures)(s)
                }
        },
        events: |s, log| match log {
            // The page, no page table, and the release of the page.
            [
                (Event::Palloc { tid, page }, _),
                (Event::Palloc { page: table, .. }, _),
                (Event::Pfree { page: back, .. }, _),
            ] => {
                *tid == s.before.own.cur && s.answer.word() == MAGIC_NUMBER && *page != 0 && *table == 0 && page == back
            }
            _ => (pt_resv::<M>().events)(s, log),
        },
        modifies: |s, may| {
            (pt_resv::<M>().modifies)(s, &mut *may);
            // If the page is released again, the search for its page table may have moved the cursor past free frames.
            may("AT.cursor", Region::All, &[]);
            for field in NEW_FRAME {
                may(field, Region::Returned, &[]);
            }
        },
        ..pt_resv()
    }
}
