//! Isolation: of frames, and of the stores of programs and guests.
use super::theorem::{clause, premises_hold};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::run_proof;
use crate::state::parts::State;
use crate::state::sym::Sym;
use domain::{Flag, Map};
use layer::core::call::{Access, Chunk};
use layer::core::constants::{EPT_DIRS, EPT_ENTRIES, KERN_HIGH, KERN_LOW, MAX_PAGE, NUM_PROC, PAGE_SIZE};
use layer::core::fields::{FrameUse, Pde, Pte, process};
use layer::core::geometry::Geometry;
use layer::core::machine::Spec;
use layer::objects::memory::{exec_store, guest_store};
use layer::objects::page_table::is_user_directory;
use layer::spec::view::View;
use smt::term::Range;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::engine::engine;
use symbolic::proof::{Outcome, note, prove_once};
use symbolic::word::{SymWide, SymWord};

/// The bounds of a place in a page map: thread, directory index, page-table index.
fn place_bounds<G: Geometry>() -> [u64; 3] {
    [NUM_PROC.into(), G::DIRS.into(), G::ENTRIES.into()]
}

/// The entry of the user part of a page map at a place: the frame of its page table, and the mapped frame if there is
/// one.
fn at_place<G: Geometry>(view: &View<'_, Sym<G>>, place: &[SymWord]) -> Option<(SymWord, Option<SymWord>)> {
    if place[0] == 0 || !is_user_directory::<Sym<G>>(place[1]) {
        return None;
    }
    let Pde::Table { frame } = view.own.dirs.get([place[0], place[1]]) else { return None };
    match view.own.tables.get([frame, place[2]]) {
        Pte::Valid { page, .. } => Some((frame, Some(page))),
        Pte::UnPresent => Some((frame, None)),
    }
}

pub(super) fn isolation_of_frames<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Derived, &|state, _, outcome| {
        if !decide(&|| state.view().ghost.init.holds()) || !premises_hold(outcome) {
            return;
        }
        let [n, d, e] = place_bounds::<G>();
        let mapped = |place: &[SymWord]| at_place(&state.view(), place).and_then(|(_, page)| page);
        clause(outcome, "no frame is at two places of user maps", &[n, d, e, n, d, e], &|k| match (
            mapped(&k[..3]),
            mapped(&k[3..]),
        ) {
            (Some(one), Some(other)) => one != other || (k[0] == k[3] && k[1] == k[4] && k[2] == k[5]),
            _ => true,
        });
        clause(outcome, "no frame is both mapped and a page table", &[n, d, e, n, d, e], &|k| match (
            mapped(&k[..3]),
            at_place(&state.view(), &k[3..]),
        ) {
            (Some(page), Some((table, _))) => page != table,
            _ => true,
        });
        clause(outcome, "no page table serves two directory entries", &[n, d, e, n, d, e], &|k| match (
            at_place(&state.view(), &k[..3]),
            at_place(&state.view(), &k[3..]),
        ) {
            (Some((one, _)), Some((other, _))) => one != other || (k[0] == k[3] && k[1] == k[4]),
            _ => true,
        });
        clause(outcome, "mapped frames and page tables are allocated to this CPU alone", &[n, d, e], &|k| {
            let owner = |frame| Sym::<G>::present(&state.at.owner).owners.get([frame]).cpu;
            at_place(&state.view(), k).is_none_or(|(table, page)| {
                owner(table) == state.own.cpu && page.is_none_or(|page| owner(page) == state.own.cpu)
            })
        });
        clause(outcome, "mapped frames and page tables lie in the user area", &[n, d, e], &|k| {
            let in_area = |frame: SymWord| frame >= KERN_LOW && frame < KERN_HIGH;
            at_place(&state.view(), k).is_none_or(|(table, page)| in_area(table) && page.is_none_or(in_area))
        });
    });
    outcome.require_success();
    outcome
}

/// What a guest reaches, by the bits of the nested page tables that the processor walks.
pub(super) fn isolation_of_guest_memory<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Entry, &|state, _, outcome| {
        let [x, y] = [EPT_DIRS.into(), EPT_ENTRIES.into()];
        let [n, d, e] = place_bounds::<G>();
        let owner = state.own.vm.owner;
        // No guest runs before its virtual machine is set up. An entry of 0 has none of the bits that allow an access.
        if !decide(&|| state.own.vm.set_up.holds()) || !premises_hold(outcome) {
            return;
        }
        let mapped = |k: &[SymWord]| {
            let entry = state.own.ept.get([k[0], k[1]]).value;
            (entry != 0).then(|| entry / PAGE_SIZE)
        };
        let is_listed = |frame| state.view().ghost.guest_frames.get([frame]).defined.holds();
        let is_charged = |frame| {
            let ghost = state.view().ghost;
            owner != 0 && matches!(ghost.pperm.get([frame]), FrameUse::Alloc) && ghost.lat.get([frame]).payer == owner
        };
        clause(outcome, "it is listed", &[x, y], &|k| mapped(k).is_none_or(is_listed));
        clause(outcome, "it is data that is charged to the guest's monitor", &[x, y], &|k| {
            mapped(k).is_none_or(|frame| !is_listed(frame) || is_charged(frame))
        });
        // The other clauses are about what these two have shown: the facts about such a frame are assumed.
        let reached = |k: &[SymWord]| mapped(k).filter(|&frame| is_listed(frame) && is_charged(frame));
        clause(outcome, "the monitor has not ended", &[x, y], &|k| {
            reached(k).is_none() || state.own.proc.get([owner]).state == process::LIVE
        });
        clause(outcome, "it is allocated to this CPU, and lies in the user area", &[x, y], &|k| {
            reached(k).is_none_or(|frame| {
                Sym::<G>::present(&state.at.owner).owners.get([frame]).cpu == state.own.cpu
                    && frame >= KERN_LOW
                    && frame < KERN_HIGH
            })
        });
        clause(outcome, "it is no page table", &[x, y, n, d, e], &|k| match (
            reached(k),
            at_place(&state.view(), &k[2..]),
        ) {
            (Some(frame), Some((table, _))) => frame != table,
            _ => true,
        });
        clause(outcome, "no other process maps it", &[x, y, n, d, e], &|k| match (
            reached(k),
            at_place(&state.view(), &k[2..]),
        ) {
            (Some(frame), Some((_, Some(page)))) => frame != page || k[2] == owner,
            _ => true,
        });
    });
    outcome.require_success();
    outcome
}

/// What a store by a program, or by a guest, can change.
pub(super) fn isolation_of_stores<G: Geometry>(of_guest: bool) -> Outcome {
    let mut whole = Outcome::default();
    for chunk in Chunk::ALL {
        let mut outcome = run_proof::<G>(InvariantSet::Derived, &|state, assumed, outcome| {
            path_of_store(state, assumed, of_guest, chunk, outcome);
        });
        outcome.require_success();
        whole.add(outcome);
    }
    whole
}

fn path_of_store<G: Geometry>(
    state: &Rc<State<G>>,
    assumed: &Rc<Assumed>,
    of_guest: bool,
    chunk: Chunk,
    outcome: &mut Outcome,
) {
    let wide = |name: &str| SymWide(engine(|e| e.arena.var(name, Range::WIDE)));
    let bytes = std::array::from_fn(|k| SymWord(engine(|e| e.arena.var(&format!("byte{k}"), Range::UpTo(255)))));
    let (address, rip) = (wide("address"), wide("place"));
    engine(|e| e.path.arguments.push(("address".to_string(), address.0)));
    if !decide(&|| state.view().ghost.init.holds()) {
        return;
    }
    let interference = Interference::new(state, assumed);
    let (result, after) = state.run(&interference, |cpu| {
        if of_guest {
            guest_store(cpu, chunk, address, bytes).map(Access::Done)
        } else {
            exec_store(cpu, chunk, address, bytes, rip)
        }
    });
    // By its contract, a call that gets stuck or faults changes nothing.
    if !matches!(result, Ok(Access::Done(()))) || !premises_hold(outcome) {
        return;
    }
    let byte_is_kept = |frame: SymWord, offset: SymWord| {
        after.own.hp.get([frame, offset]).value == state.own.hp.get([frame, offset]).value
    };
    let [n, d, e] = place_bounds::<G>();
    let (frames, offsets) = (MAX_PAGE.into(), PAGE_SIZE.into());
    if !of_guest {
        clause(outcome, "no byte that another program can read is changed", &[n, d, e, offsets], &|k| {
            let page = at_place(&state.view(), &k[..3]).and_then(|(_, page)| page);
            k[0] == state.own.cur || page.is_none_or(|page| byte_is_kept(page, k[3]))
        });
    }
    clause(outcome, "no byte of a page table is changed", &[n, d, e, offsets], &|k| {
        at_place(&state.view(), &k[..3]).is_none_or(|(table, _)| byte_is_kept(table, k[3]))
    });
    clause(outcome, "no byte of another CPU's frames is changed", &[frames, offsets], &|k| {
        Sym::<G>::present(&state.at.owner).owners.get([k[0]]).cpu == state.own.cpu || byte_is_kept(k[0], k[1])
    });
    clause(
        outcome,
        "no byte of the kernel, nor of a frame that is allocated to no CPU, is changed",
        &[frames, offsets],
        &|k| {
            let given = state.at.frames.get([k[0]]).alloc.holds();
            (given && k[0] >= KERN_LOW && k[0] < KERN_HIGH) || byte_is_kept(k[0], k[1])
        },
    );
    clause(outcome, "no page map is changed", &[n, d, e], &|k| {
        let (before, after) = (at_place(&state.view(), k), at_place(&after.view(), k));
        match (before, after) {
            (None, None) => true,
            (Some((a, None)), Some((b, None))) => a == b,
            (Some((a, Some(p))), Some((b, Some(q)))) => a == b && p == q,
            _ => false,
        }
    });
    let same_mode = || {
        let (before, after) = (state.view().ghost.pt, after.view().ghost.pt);
        before == after
    };
    if prove_once(|| "the page map in use is unchanged".to_string(), &same_mode) {
        note(&mut outcome.clauses, "the page map in use is unchanged".to_string());
    }
}
