//! A theorem, and the proof of its clauses.
use symbolic::proof::{Outcome, feasible, note, prove_for_all};
use symbolic::word::SymWord;

/// A theorem about the layer.
pub struct Theorem {
    /// The name of the theorem.
    pub name: &'static str,
    /// The statement of the theorem.
    pub description: &'static str,
    /// Runs the proof.
    pub prove: fn() -> Outcome,
}

/// Proves one clause of a theorem, for all keys below `bounds`.
pub(super) fn clause(outcome: &mut Outcome, description: &str, bounds: &[u64], holds: &dyn Fn(&[SymWord]) -> bool) {
    if prove_for_all(description, bounds, holds) {
        note(&mut outcome.clauses, description.to_string());
    }
}

/// Checks that the premises of the theorem are not a contradiction on this path.
pub(super) fn premises_hold(outcome: &mut Outcome) -> bool {
    let feasible = feasible();
    if feasible {
        outcome.succeed("");
    }
    feasible
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::facts::invariant_set::InvariantSet;
    use crate::proof::obligations::run_proof;
    use crate::sources::with_engine;
    use layer::core::geometry::X64;
    use smt::solver::Solver;
    use symbolic::branch::decide;
    use symbolic::explore::catch_panics;
    use symbolic::failure::Reason;

    /// The outcome of a theorem, by the embedded solver.
    pub fn proved(theorem: impl FnOnce() -> Outcome) -> Outcome {
        catch_panics();
        with_engine(Solver::embedded(10_000), theorem)
    }

    #[test]
    #[allow(clippy::impossible_comparisons, reason = "that is the point")]
    fn an_assumption_that_cannot_hold_is_vacuous() {
        let outcome = proved(|| {
            let mut outcome = run_proof::<X64>(InvariantSet::Derived, &|state, _, outcome| {
                let cur = state.own.cur;
                if decide(&|| cur < 1 && cur > 1) {
                    premises_hold(outcome);
                }
            });
            outcome.require_success();
            outcome
        });
        assert_eq!(outcome.failures[0].reason, Reason::Vacuous);
    }
}
