//! The specification of page maps: contracts of 3 to 5, 66 to 68, 75 and of the internal functions of 5, with the facts
//! beside them.
pub(crate) mod facts;

use crate::core::call::{Answer, Arguments};
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::objects::container::is_accounted;
use crate::objects::context::spec::{is_my_thread, of_my_thread};
use crate::objects::mode::spec::{hk, hk_init, hkpt};
use crate::objects::page_alloc::spec::*;
use crate::objects::page_table::{is_permission, is_users_permission, pdx, ptx};
use crate::spec::contract::{Contract, Region, Transition, no_events, silent};
use crate::spec::view::View;
use domain::{Flag, Geometry, Map};

/// The frame of the page table that a call returns; 0 for [`MAGIC_NUMBER`].
fn frame_of<M: Spec>(s: &Transition<'_, M>) -> M::Word {
    if s.answer.word() == MAGIC_NUMBER { 0.into() } else { s.answer.word() }
}

/// The frame is data of this CPU, and no page map maps it.
pub(crate) fn is_unmapped<M: Spec>(v: &View<'_, M>, frame: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Alloc) && v.ghost.lat.get([frame]).len == 0
}

pub(crate) fn set_pt<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::set_pt(cpu, a.words[0]).map(|()| Answer::Unit),
        assumes: |_, _| true,
        reference_requires: |v, a| hk(v, a) && !v.ghost.ipt.holds() && a.words[0] < NUM_PROC,
        requires: |_, _| false,
        ensures: |s| s.after.ghost.pt == s.arguments.words[0],
        events: no_events,
        modifies: |_, may| may("PT", Region::All, &[]),
    }
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
fn is_table_of<M: Spec>(v: &View<'_, M>, frame: M::Word, n: M::Word, i: M::Word) -> bool {
    matches!(v.ghost.pperm.get([frame]), FrameUse::Hide { thread, index } if thread == n && index == i)
}

/// The entries for `va` in the page map of `n` are defined. The directory entry is defined. If it names a page table,
/// the frame is the page table of this directory entry, and the table's entry is defined.
fn is_defined<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> bool {
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

pub(crate) fn pt_read<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::pt_read(cpu, a.words[0], a.words[1]).map(Answer::Word),
        |v, a| hk_init(v, a) && can_read(v, a.words[0], a.words[1]),
        |v, a| of_my_thread(v, a) && a.words[0] > 0 && in_window::<M>(a.words[1]),
        |s| match mapped(&s.before, s.arguments.words[0], s.arguments.words[1]) {
            Some((page, perm)) => s.answer.word() == page * PAGE_SIZE + perm && s.answer.word() != 0,
            None => s.answer.word() == 0,
        },
    )
}

/// An address of the user window.
fn in_window<M: Spec>(va: M::Word) -> bool {
    va >= ADR_LOW && va < ADR_HIGH
}

/// A page can be mapped: the thread is a user thread of this CPU, and the address is in the user window.
fn can_map<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    of_my_thread(v, a) && a.words[0] > 0 && in_window::<M>(a.words[1])
}

/// The reference's precondition for mapping a page (`pt_arg`).
fn is_pt_arg<M: Spec>(v: &View<'_, M>, a: &Arguments<M>) -> bool {
    hkpt(v, a) && a.words[0] > 0 && is_my_thread(v, a) && in_window::<M>(a.words[1])
}

pub(crate) fn pt_resv<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::pt_resv(cpu, a.words[0], a.words[1], a.words[2]).map(Answer::Word),
        // A deviation: the reference does not restrict the permission, and accepts all of them. H and L hold for all
        // permissions. D7 states that no user page is global. Therefore every caller has to show that it does not ask
        // for a global page.
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
            // Frames that this CPU did not own before and owns now: no program could read them
            // before.
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
            super::pt_insert_pte(cpu, n, va, page, perm).map(|()| Answer::Unit)
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
        run: |cpu, a| super::pt_alloc_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
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
                        && (s.any[0] >= <M::Geometry as domain::Geometry>::ENTRIES
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
            super::pt_insert(cpu, n, va, page, perm).map(Answer::Word)
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

pub(crate) fn pt_rmv<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::pt_rmv(cpu, a.words[0], a.words[1]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, ..] = a.words;
            is_pt_arg(v, a)
                && v.ghost.init.holds()
                && is_defined(v, n, va)
                && !matches!(v.own.dirs.get([n, pdx::<M>(va)]), Pde::Id)
                && mapped(v, n, va).is_none_or(|(page, _)| {
                    page > 0
                        && page < v.own.nps
                        && matches!(v.ghost.pperm.get([page]), FrameUse::Alloc)
                        && v.ghost.lat.get([page]).payer == n
                        && v.ghost.lat.get([page]).len == 1
                        && is_accounted::<M>(&v.own.ac, n, v.ghost.charged.get([n]))
                })
        },
        requires: can_map,
        ensures: |s| {
            let [n, va, ..] = s.arguments.words;
            mapped(&s.after, n, va).is_none()
                && match mapped(&s.before, n, va) {
                    Some((page, _)) => {
                        s.answer.word() == page
                            && page != 0
                            && given_back(s, n, page)
                            && match s.before.own.dirs.get([n, pdx::<M>(va)]) {
                                Pde::Table { frame } => is_paid(&s.before, n, frame),
                                _ => false,
                            }
                    }
                    None => s.answer.word() == 0,
                }
        },
        events: |s, log| match log {
            [] => s.answer.word() == 0,
            [(Event::Pfree { tid, page }, _)] => {
                *tid == s.before.own.cur && *page == s.answer.word() && s.answer.word() != 0
            }
            _ => false,
        },
        modifies: |s, may| {
            let [n, va, ..] = s.arguments.words;
            if let (Some((page, _)), Pde::Table { frame }) =
                (mapped(&s.before, n, va), s.before.own.dirs.get([n, pdx::<M>(va)]))
            {
                return_of(s, n, page, &mut *may);
                may("pt", Region::All, &[frame, ptx::<M>(va)]);
                may("pt.ghost", Region::All, &[frame, ptx::<M>(va)]);
            }
        },
    }
}

/// `va` is the page-aligned address of a mapped page of thread `n` in the user window.
fn is_mapped_page<M: Spec>(v: &View<'_, M>, n: M::Word, va: M::Word) -> bool {
    va % PAGE_SIZE == 0 && in_window::<M>(va) && mapped(v, n, va).is_some()
}

/// Thread `n` has the same page at `va` as before, and all that its release writes was charged to `n`: the page, its
/// page table, and the frame that takes its seat.
///
/// The call rule havocs whole fields, even where a call has written nothing. A caller that releases the page needs this
/// clause to know which cells it writes.
fn is_still_mapped<M: Spec>(s: &Transition<'_, M>, n: M::Word, va: M::Word) -> bool {
    let table = |v: &View<'_, M>| match v.own.dirs.get([n, pdx::<M>(va)]) {
        Pde::Table { frame } => Some(frame),
        Pde::Id | Pde::UnPresent => None,
    };
    let written = |v: &View<'_, M>| [mapped(v, n, va).map(|(page, _)| page), table(v), takes_seat(v, n)];
    let is_same = |(before, after): (Option<M::Word>, Option<M::Word>)| match (before, after) {
        (Some(frame), Some(same)) => frame == same && is_paid(&s.before, n, frame),
        _ => false,
    };
    s.before.ghost.charged.get([n]).pages == s.after.ghost.charged.get([n]).pages
        && written(&s.before).into_iter().zip(written(&s.after)).all(is_same)
}

/// The page table of thread `n` for `va` maps nothing from `va` up to `next`. If `next` is below `va`, it maps
/// nothing from `va` to its end and from its beginning up to `next`.
fn is_next<M: Spec>(s: &Transition<'_, M>, n: M::Word, va: M::Word, next: M::Word) -> bool {
    let (j, found, any) = (ptx::<M>(va), ptx::<M>(next), s.any[0]);
    let is_passed = if found >= j { any >= j && any < found } else { any >= j || any < found };
    !(is_passed && any < M::Geometry::ENTRIES)
        || match s.before.own.dirs.get([n, pdx::<M>(va)]) {
            Pde::Table { frame } => matches!(s.before.own.tables.get([frame, any]), Pte::UnPresent),
            Pde::Id | Pde::UnPresent => false,
        }
}

pub(crate) fn pt_free_pde<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::pt_free_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
        assumes: |_, _| true,
        reference_requires: |v, a| {
            let [n, va, ..] = a.words;
            let i = pdx::<M>(va);
            is_pt_arg(v, a)
                && v.ghost.init.holds()
                && v.ghost.dirs_defined.get([n, i]).defined.holds()
                && match v.own.dirs.get([n, i]) {
                    Pde::Id => false,
                    Pde::UnPresent => true,
                    Pde::Table { frame } => {
                        frame > 0
                            && frame < v.own.nps
                            && is_table_of(v, frame, n, i)
                            && v.ghost.lat.get([frame]).payer == n
                    }
                }
        },
        requires: can_map,
        ensures: |s| {
            let ([n, va, ..], left) = (s.arguments.words, s.answer.word());
            let i = pdx::<M>(va);
            if left != 0 {
                let [usage, now] = [&s.before, &s.after].map(|v| v.own.ac.get([n]).usage);
                return is_mapped_page(&s.before, n, left)
                    && pdx::<M>(left) == i
                    && is_next(s, n, va, left)
                    && usage == now
                    && is_still_mapped(s, n, left);
            }
            matches!(s.after.own.dirs.get([n, i]), Pde::UnPresent)
                && match s.before.own.dirs.get([n, i]) {
                    Pde::Table { frame } => {
                        given_back(s, n, frame)
                            && (s.any[0] >= <M::Geometry as domain::Geometry>::ENTRIES
                                || matches!(s.before.own.tables.get([frame, s.any[0]]), Pte::UnPresent))
                    }
                    _ => true,
                }
        },
        events: |s, log| {
            let [n, va, ..] = s.arguments.words;
            match (log, s.before.own.dirs.get([n, pdx::<M>(va)])) {
                ([], Pde::Table { .. }) => s.answer.word() != 0,
                ([], _) => true,
                ([(Event::Pfree { tid, page }, _)], Pde::Table { frame }) => {
                    *tid == s.before.own.cur && *page == frame && s.answer.word() == 0
                }
                _ => false,
            }
        },
        modifies: |s, may| {
            let [n, va, ..] = s.arguments.words;
            if let (Pde::Table { frame }, true) = (s.before.own.dirs.get([n, pdx::<M>(va)]), s.answer.word() == 0) {
                return_of(s, n, frame, &mut *may);
                may("ptpool", Region::All, &[n, pdx::<M>(va)]);
            }
        },
    }
}

/// Fields that are written for a frame that becomes a page or a page table.
pub const NEW_FRAME: [&str; 9] = ["AT", "AT.owner", "pperm", "LAT", "LAT.entry", "pt", "pt.ghost", "HP", "HP.defined"];

pub(crate) fn pt_reserve<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| super::pt_reserve(cpu, a.words[0], a.words[1], a.words[2]).map(Answer::Word),
        ensures: |s| {
            let frame = s.any[0];
            let unmaps_none = frame >= MAX_PAGE || !is_unmapped(&s.after, frame) || is_unmapped(&s.before, frame);
            unmaps_none
                && if s.answer.word() == MAGIC_NUMBER {
                    // Nothing is charged.
                    let n = s.arguments.words[0];
                    s.after.own.ac.get([n]).usage == s.before.own.ac.get([n]).usage
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

pub(crate) fn pt_next_pde<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| super::pt_next_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
        |v, a| is_pt_arg(v, a) && v.ghost.init.holds(),
        can_map,
        |s| {
            let ([n, va, ..], next, any) = (s.arguments.words, s.answer.word(), s.any[0]);
            let has_table = |i| matches!(s.before.own.dirs.get([n, i]), Pde::Table { .. });
            let end = if next == 0 { M::Word::from(KERN_HIGH / M::Geometry::ENTRIES) } else { pdx::<M>(next) };
            // The address itself, or the start of a page table's region.
            let is_first = next == va || next % M::Geometry::REGION == 0;
            (next == 0 || (next >= va && is_first && in_window::<M>(next) && has_table(pdx::<M>(next))))
                && (any < pdx::<M>(va) || any >= end || !has_table(any))
        },
    )
}
