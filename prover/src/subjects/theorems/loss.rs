//! No page of a process is lost.
use super::theorem::{clause, premises_hold};
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::run_proof;
use crate::state::sym::Sym;
use domain::{Flag, Map};
use layer::core::constants::NUM_PROC;
use layer::core::fields::{FrameUse, Pde};
use layer::core::geometry::Geometry;
use layer::objects::page_table::is_user_directory;
use layer::spec::view::View;
use symbolic::branch::decide;
use symbolic::proof::Outcome;
use symbolic::word::SymWord;

pub(super) fn nothing_is_lost<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Entry, &|state, _, outcome| {
        let view = state.view();
        if !decide(&|| view.ghost.init.holds()) || !premises_hold(outcome) {
            return;
        }
        clause(outcome, "a process that is charged a page has a page table", &[NUM_PROC.into()], &|k| {
            let n = k[0];
            !view.is_mine(n)
                || view.ghost.charged.get([n]).pages == 0
                || has_table(&view, n, view.ghost.seats.get([n, 0.into()]).frame)
        });
    });
    outcome.require_success();
    outcome
}

/// The page map of thread `n` has the page table that `frame` is, or the one that maps `frame`.
fn has_table<G: Geometry>(view: &View<'_, Sym<G>>, n: SymWord, frame: SymWord) -> bool {
    let has = |i| is_user_directory::<Sym<G>>(i) && matches!(view.own.dirs.get([n, i]), Pde::Table { .. });
    match view.ghost.pperm.get([frame]) {
        FrameUse::Hide { index, .. } => has(index),
        FrameUse::Alloc => has(view.ghost.lat_entry.get([frame, 0.into()]).directory),
        FrameUse::Undef => false,
    }
}
