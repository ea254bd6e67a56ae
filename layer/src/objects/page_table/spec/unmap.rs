//! The contracts of the primitives that unmap pages and free page tables: 66 to 68.
use super::entries::{can_map, in_window, is_defined, is_pt_arg, is_table_of, mapped, pdx, ptx};
use crate::core::call::Answer;
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::log::Event;
use crate::core::machine::Spec;
use crate::objects::container::spec::is_accounted;
use crate::objects::page_alloc::spec::*;
use crate::objects::page_table;
use crate::spec::contract::{Contract, Region, Transition, silent};
use crate::spec::view::View;
use domain::{Flag, Map};

pub(crate) fn pt_rmv<M: Spec>() -> Contract<M> {
    Contract {
        run: |cpu, a| page_table::pt_rmv(cpu, a.words[0], a.words[1]).map(Answer::Word),
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

/// Thread `n` has the same page at `va` as before, and what releasing it writes was charged to `n`: the page, its page
/// table, and the frame that takes its seat.
///
/// The call rule havocs whole fields, also where a call has written nothing. A caller that releases the page needs this
/// to know which cells it writes.
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

/// The page table of thread `n` for `va` maps nothing from `va` up to `next`, and, if `next` is below `va`, nothing
/// from
/// `va` to its end and from its beginning up to `next`.
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
        run: |cpu, a| page_table::pt_free_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
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
                            && (s.any[0] >= M::Geometry::ENTRIES
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

pub(crate) fn pt_next_pde<M: Spec>() -> Contract<M> {
    silent(
        |cpu, a| page_table::pt_next_pde(cpu, a.words[0], a.words[1]).map(Answer::Word),
        |v, a| is_pt_arg(v, a) && v.ghost.init.holds(),
        can_map,
        |s| {
            let ([n, va, ..], next, any) = (s.arguments.words, s.answer.word(), s.any[0]);
            let has_table = |i| matches!(s.before.own.dirs.get([n, i]), Pde::Table { .. });
            let end = if next == 0 { M::Word::from(983_040 / M::Geometry::ENTRIES) } else { pdx::<M>(next) };
            // The address itself, or the start of a page table's region.
            let is_first = next == va || next % (4096 * M::Geometry::ENTRIES) == 0;
            (next == 0 || (next >= va && is_first && in_window::<M>(next) && has_table(pdx::<M>(next))))
                && (any < pdx::<M>(va) || any >= end || !has_table(any))
        },
    )
}
