//! Each fact of the invariant can be violated: none is true by mistake.
use crate::state::parts::State;
use crate::state::sym::Sym;
use crate::state::unknown::key_bounds;
use layer::core::geometry::Geometry;
use layer::spec::fact::Fact;
use smt::solver::Verdict;
use std::cell::RefCell;
use symbolic::engine::engine;
use symbolic::failure::Failure;
use symbolic::merge::goal;
use symbolic::proof::{Outcome, any_keys, note, run_paths};
use symbolic::query::{Aim, check, in_scope};

/// For each fact, there is a state that violates it.
pub(super) fn facts_can_fail<G: Geometry>(facts: &[Fact<Sym<G>>]) -> Outcome {
    let always = RefCell::new(Vec::new());
    let mut outcome = run_paths(true, &|outcome| {
        let state = State::<G>::unknown();
        for fact in facts {
            let clause = format!("{} can be violated", crate::clause::fact(fact.number, fact.name));
            let broken = in_scope(|| {
                let keys = any_keys(&key_bounds::<G>(fact.keys));
                let holds = goal(&|| (fact.holds)(&state.view(), &keys));
                engine(|e| e.results.counts.obligations += 1);
                check(&[engine(|e| e.arena.not(holds))], Aim::Witness)
            });
            match broken {
                Verdict::Sat => note(&mut outcome.clauses, clause),
                _ => always.borrow_mut().push(Failure::vacuous(&clause)),
            }
        }
        outcome.successful_paths += 1;
    });
    outcome.failures.extend(always.into_inner());
    outcome
}

#[cfg(test)]
mod tests {
    use super::super::theorem::tests::proved;
    use super::*;
    use domain::Map;
    use layer::core::geometry::X64;
    use layer::invariant::facts;
    use layer::spec::fact::Class;
    use layer::spec::view::View;
    use symbolic::failure::Reason;
    use symbolic::word::SymWord;

    type X64Facts = Vec<Fact<Sym<X64>>>;

    fn mistaken(holds: fn(&View<'_, Sym<X64>>, &[SymWord]) -> bool) -> Fact<Sym<X64>> {
        Fact { number: "H0", name: "mistaken", class: Class::High, keys: &[("AC", &[0])], holds }
    }

    #[test]
    fn a_fact_that_is_true_by_mistake_is_vacuous() {
        let mut all: X64Facts = facts().collect();
        all.push(mistaken(|_, _| true));
        // `or` in place of `and`, which is a less obvious mistake.
        all.push(mistaken(|v, k| {
            let container = v.own.ac.get([k[0]]);
            container.usage <= container.quota || container.usage > 0
        }));
        let outcome = proved(|| facts_can_fail(&all));
        let failures: Vec<_> = outcome.failures.iter().map(|failure| (&*failure.clause, failure.reason)).collect();
        assert_eq!(failures, [("H0 mistaken can be violated", Reason::Vacuous); 2]);
        assert_eq!(outcome.clauses.len(), all.len() - 2);
    }
}
