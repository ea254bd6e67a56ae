//! The postcondition of `palloc`, clause by clause: the reference's lemma about it (section 10.1).
use super::theorem::{clause, premises_hold};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::run_proof;
use crate::state::parts::State;
use domain::{Flag, Map};
use layer::core::constants::{MAX_PAGE, NUM_PROC};
use layer::core::fields::{FrameUse, Pde, Pte};
use layer::core::geometry::Geometry;
use layer::objects::page_alloc::palloc;
use smt::term::Range;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::proof::{Outcome, note, prove_once};
use symbolic::word::SymWord;

/// The clauses that are proved for every successful call.
pub(crate) const ALLOCATED: [&str; 5] = [
    "ptpool is unchanged",
    "a returned page is data",
    "nothing maps a returned page",
    "a returned page lies between 0 and nps",
    "paging is on",
];

/// Proves the clauses for every container, in every state that satisfies H, L and D.
pub(super) fn palloc_inv_prop<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Derived, &path);
    outcome.require_success();
    outcome
}

fn path<G: Geometry>(state: &Rc<State<G>>, assumed: &Rc<Assumed>, outcome: &mut Outcome) {
    let n = SymWord(engine(|e| e.arena.var("n", Range::WORD)));
    engine(|e| e.path.arguments.push(("n".to_string(), n.0)));
    let interference = Interference::new(state, assumed);
    let (result, after) = state.run(&interference, |cpu| palloc(cpu, n));
    let Ok(page) = result else { return };
    if !premises_hold(outcome) {
        return;
    }
    let [maps, data, unmapped, range, paging] = ALLOCATED;
    let (frames, entries, dirs) = (MAX_PAGE.into(), G::ENTRIES.into(), G::DIRS.into());
    clause(outcome, maps, &[NUM_PROC.into(), dirs, frames, entries], &|k| {
        let both = [state, &after].map(|state| (state.own.dirs.get([k[0], k[1]]), state.own.tables.get([k[2], k[3]])));
        let [(old_pde, old_pte), (pde, pte)] = both;
        let same_pde = match (old_pde, pde) {
            (Pde::Id, Pde::Id) | (Pde::UnPresent, Pde::UnPresent) => true,
            (Pde::Table { frame: old }, Pde::Table { frame }) => old == frame,
            _ => false,
        };
        same_pde
            && match (old_pte, pte) {
                (Pte::UnPresent, Pte::UnPresent) => true,
                (Pte::Valid { page: old, perm: old_perm }, Pte::Valid { page, perm }) => {
                    old == page && old_perm == perm
                }
                _ => false,
            }
    });
    let ghost = after.view().ghost;
    let mut prove = |description: &str, holds: &dyn Fn() -> bool| {
        if prove_once(|| description.to_string(), holds) {
            note(&mut outcome.clauses, description.to_string());
        }
    };
    prove(data, &|| page == 0 || matches!(ghost.pperm.get([page]), FrameUse::Alloc));
    prove(unmapped, &|| {
        let places = ghost.lat.get([page]);
        page == 0 || (places.valid.holds() && places.len == 0)
    });
    prove(range, &|| page < after.own.nps || page == 0);
    prove(paging, &|| ghost.pg.holds());
}
