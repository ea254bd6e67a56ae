//! Mutants: what the code under proof would do if one operator in it were wrong.
//!
//! Each operator knows its source line, so a mutant needs no other source and no other compilation. A proof that still
//! goes through has not looked at that operator.
use crate::engine::engine;
use crate::explore::branch;
use smt::term::{Arena, Term};
use std::collections::BTreeSet;
use std::panic::Location;

/// What an operator does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// `==`.
    Equal,
    /// `<`, or `>` the other way round.
    Less,
    /// `<=`, or `>=` the other way round.
    AtMost,
    /// A flag is looked at.
    Flag,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Remainder,
    /// A leaf of a map is written, or, without a name, all leaves are.
    Write(&'static str),
    /// The first key is looked for whose value satisfies a condition.
    First,
}

/// What goes wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The answer is the opposite.
    Opposite,
    /// The answer is yes, whatever is asked.
    Yes,
    /// The answer is no, whatever is asked.
    No,
    /// `<` for `<=`, or the other way round.
    Boundary,
    /// The result is one more.
    OneMore,
    /// The result is the first operand.
    FirstOperand,
    /// Nothing is written.
    Lost,
    /// It begins at the next key.
    Later,
}

impl Operator {
    /// What can go wrong with it.
    fn changes(self) -> &'static [Change] {
        match self {
            Operator::Equal | Operator::Flag => &[Change::Opposite, Change::Yes, Change::No],
            Operator::Less | Operator::AtMost => &[Change::Opposite, Change::Yes, Change::No, Change::Boundary],
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                &[Change::OneMore, Change::FirstOperand]
            }
            Operator::Write(_) => &[Change::Lost],
            Operator::First => &[Change::Later],
        }
    }
}

/// An operator in the source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Site {
    /// The file, from the root of the tree.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// What it does.
    pub operator: Operator,
}

/// One operator, and what is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mutant {
    /// Where.
    pub site: Site,
    /// What.
    pub change: Change,
}

/// What is done about mutants on this thread.
#[derive(Default)]
pub(crate) struct Mutation {
    /// The code under proof is running: not a fact, a goal or a contract.
    running: bool,
    /// Operators that were met, if they are wanted.
    met: Option<BTreeSet<Site>>,
    planted: Option<Planted>,
}

/// What is wrong with the code under proof, and how long one question about it may take, in milliseconds.
#[derive(Clone, Copy)]
struct Planted {
    mutant: Mutant,
    limit: u32,
}

impl Mutation {
    /// The operators that are met are recorded.
    pub fn recording() -> Mutation {
        Mutation { met: Some(BTreeSet::new()), ..Mutation::default() }
    }

    /// The code behaves like this mutant of it; one question about it takes at most so many milliseconds.
    pub fn planted(mutant: Mutant, limit: u32) -> Mutation {
        Mutation { planted: Some(Planted { mutant, limit }), ..Mutation::default() }
    }

    /// Whether the code behaves like a mutant of it.
    pub fn is_planted(&self) -> bool {
        self.planted.is_some()
    }

    /// How long one question may take, in milliseconds, if the code behaves like a mutant of it.
    pub fn limit(&self) -> Option<u32> {
        self.planted.map(|planted| planted.limit)
    }

    /// Every mutant of the operators that were met, in the order of the source.
    pub fn mutants(&self) -> Vec<Mutant> {
        let of = |&site: &Site| site.operator.changes().iter().map(move |&change| Mutant { site, change });
        self.met.iter().flatten().flat_map(of).collect()
    }

    fn at(&mut self, operator: Operator, at: &'static Location<'static>) -> Option<Change> {
        if !self.running || (self.met.is_none() && self.planted.is_none()) || !is_proved(at.file()) {
            return None;
        }
        let site = Site { file: at.file(), line: at.line(), column: at.column(), operator };
        if let Some(met) = &mut self.met {
            met.insert(site);
        }
        self.planted.map(|planted| planted.mutant).filter(|mutant| mutant.site == site).map(|mutant| mutant.change)
    }
}

/// Whether a primitive is in this file, rather than what it is proved against. Of the entries of the kernel it is not proved
/// yet what they give, so that there mutants would survive rightly.
fn is_proved(file: &str) -> bool {
    file.starts_with("layer/") && !file.contains("/invariant/") && !file.contains("/contract/")
}

/// Runs `work` as code under proof, or as what it is proved against.
pub(crate) fn running<R>(is_running: bool, work: impl FnOnce() -> R) -> R {
    struct Outer(bool);
    // Paths end by unwinding.
    impl Drop for Outer {
        fn drop(&mut self) {
            engine(|e| e.mutation.running = self.0);
        }
    }
    let _outer = Outer(engine(|e| std::mem::replace(&mut e.mutation.running, is_running)));
    work()
}

/// Whether code under proof is running.
pub(crate) fn is_running() -> bool {
    engine(|e| e.mutation.running)
}

/// What is wrong with this operator.
pub(crate) fn change(operator: Operator, at: &'static Location<'static>) -> Option<Change> {
    engine(|e| e.mutation.at(operator, at))
}

/// The real `bool` behind an operator that asks something, which `make` makes a term of.
pub(crate) fn ask(
    operator: Operator,
    make: impl Fn(&mut Arena, Operator) -> Term,
    at: &'static Location<'static>,
) -> bool {
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

/// The result of an operator that computes something of `first` and another operand.
pub(crate) fn compute(
    operator: Operator,
    first: Term,
    result: impl FnOnce() -> Term,
    at: &'static Location<'static>,
) -> Term {
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
