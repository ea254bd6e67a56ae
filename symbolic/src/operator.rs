//! Operators of the code under proof, original or mutated.
use crate::branch::branch;
use crate::engine::engine;
use crate::mutant::{Change, Operator};
use crate::mutation::change;
use smt::term::{Arena, Term};
use std::panic::Location;

/// The result of a comparison or another operator that returns a `bool`, original or mutated.
/// `make` makes the term of the condition.
pub fn ask(operator: Operator, make: impl Fn(&mut Arena, Operator) -> Term, at: &'static Location<'static>) -> bool {
    let term = |operator| engine(|e| make(&mut e.arena, operator));
    match change(operator, at) {
        Some(Change::Yes) => true,
        Some(Change::No) => false,
        Some(Change::Opposite) => !branch(term(operator), at),
        Some(Change::Boundary) if operator == Operator::Less => branch(term(Operator::AtMost), at),
        Some(Change::Boundary) => branch(term(Operator::Less), at),
        _ => branch(term(operator), at),
    }
}

/// The result of an operator on `first` and another operand.
pub fn compute(operator: Operator, first: Term, result: impl FnOnce() -> Term, at: &'static Location<'static>) -> Term {
    match change(operator, at) {
        Some(Change::FirstOperand) => first,
        Some(Change::OneMore) => {
            let result = result();
            engine(|e| {
                let one = e.arena.number(1);
                e.arena.add(result, one)
            })
        }
        _ => result(),
    }
}
