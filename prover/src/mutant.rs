//! Mutants: the code under proof with one wrong operator.
//!
//! Each operator knows its source line, so a mutant needs no source of its own and no compilation. If a proof still
//! succeeds with the mutant, it does not depend on that operator.
use crate::engine::engine;
use crate::explore::branch;
use smt::term::{Arena, Term};
use std::collections::BTreeSet;
use std::panic::Location;

/// A kind of operator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// `==`.
    Equal,
    /// `<`, or `>` with its operands exchanged.
    Less,
    /// `<=`, or `>=` with its operands exchanged.
    AtMost,
    /// The value of a flag.
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
    /// A write of one leaf of a map. Without a name, a write of all leaves.
    Write(&'static str),
    /// A search for the first key whose value satisfies a condition.
    First,
}

/// A way in which an operator can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The negated answer.
    Opposite,
    /// Always true.
    Yes,
    /// Always false.
    No,
    /// `<` for `<=`, or the reverse.
    Boundary,
    /// The result plus one.
    OneMore,
    /// The first operand as the result.
    FirstOperand,
    /// The write is lost.
    Lost,
    /// The search begins at the next key.
    Later,
}

impl Operator {
    /// The ways in which this operator can be wrong.
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
    /// The file, relative to the root of the tree.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The kind of operator.
    pub operator: Operator,
}

/// A mutant: one operator and its change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mutant {
    /// The operator.
    pub site: Site,
    /// The change.
    pub change: Change,
}

/// The setting for mutants on this thread.
#[derive(Default)]
pub(crate) struct Mutation {
    /// Whether the code under proof is running, and not a fact, a goal or a contract.
    running: bool,
    /// The operators that were executed, if they are recorded.
    met: Option<BTreeSet<Site>>,
    planted: Option<Planted>,
}

/// The active mutant, and the time limit of one query, in milliseconds.
#[derive(Clone, Copy)]
struct Planted {
    mutant: Mutant,
    limit: u32,
}

impl Mutation {
    /// Records the operators that are executed.
    pub fn recording() -> Mutation {
        Mutation { met: Some(BTreeSet::new()), ..Mutation::default() }
    }

    /// Activates `mutant`. One query may take at most `limit` milliseconds.
    pub fn planted(mutant: Mutant, limit: u32) -> Mutation {
        Mutation { planted: Some(Planted { mutant, limit }), ..Mutation::default() }
    }

    /// Whether a mutant is active.
    pub fn is_planted(&self) -> bool {
        self.planted.is_some()
    }

    /// The time limit of one query in milliseconds, if a mutant is active.
    pub fn limit(&self) -> Option<u32> {
        self.planted.map(|planted| planted.limit)
    }

    /// All mutants of the recorded operators, in source order; of an entry those of its own code, since the primitives
    /// that it executes have proofs of their own.
    pub fn mutants(&self, of_entry: bool) -> Vec<Mutant> {
        let sites = self.met.iter().flatten().filter(|site| is_entry(site.file) == of_entry);
        let of = |&site: &Site| site.operator.changes().iter().map(move |&change| Mutant { site, change });
        sites.flat_map(of).collect()
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

/// Whether this file has code of primitives or entries, and not specification.
fn is_proved(file: &str) -> bool {
    let is_primitive = file.starts_with("layer/") && !layer::spec::is_specification(file);
    is_primitive || is_entry(file)
}

/// Whether this file has code of entries of the kernel.
pub(crate) fn is_entry(file: &str) -> bool {
    file.starts_with("syscall/src/") && !file.starts_with("syscall/src/effect")
}

/// Runs `work` as code under proof, or as specification.
pub(crate) fn running<R>(is_running: bool, work: impl FnOnce() -> R) -> R {
    struct Outer(bool);
    // A path can end by unwinding.
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

/// The change of this operator, if it is the active mutant's.
pub(crate) fn change(operator: Operator, at: &'static Location<'static>) -> Option<Change> {
    engine(|e| e.mutation.at(operator, at))
}

/// The `bool` of an operator that asks a question. `make` makes the term of the question.
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

/// The result of an operator on `first` and another operand.
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
