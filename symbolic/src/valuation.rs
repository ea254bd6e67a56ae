//! Concrete runs of symbolic code, for tests: every unknown has a value, and no solver is asked.
use smt::solver::Verdict;
use smt::term::Term;

/// The values of all unknowns.
pub trait Valuation {
    /// Whether all of `extra` hold.
    fn check(&self, extra: &[Term]) -> Verdict;
    /// Sets the result of a search for the least index in `from..to` that is `wanted`: whether one is found, and which
    /// one.
    fn search(&self, result: (Term, Term), range: (Term, Term), wanted: &dyn Fn(Term) -> bool);
}
