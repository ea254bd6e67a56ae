//! How a proof is done.
use crate::counterexample::{NO_CALL, Runner};
use crate::inlining::Inlining;
use crate::mutant::Mutation;
use crate::valuation::Valuation;
use smt::term::Term;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The settings of a proof.
pub struct Settings {
    /// Whether going out of range is a failure. Otherwise it is one more way to get stuck.
    pub strict: bool,
    /// The maximum number of paths.
    pub fuel: u64,
    /// The most decisions of one path.
    pub most_decisions: usize,
    /// The depth to which facts are instantiated for a goal.
    pub goal_depth: u32,
    /// Whether a source file contains code under proof, as opposed to specification. Branches and operators of
    /// other files are neither counted nor mutated.
    pub is_code: fn(&str) -> bool,
    /// The setting for mutants.
    pub mutation: Mutation,
    /// The function under proof. Calls of it run its code.
    pub proving: Option<&'static str>,
    /// The failure whose path is being walked again, if any.
    pub inlining: Option<Rc<Inlining>>,
    /// Runs counterexamples; or the reason for which they are not run.
    pub runner: Result<Rc<dyn Runner>, &'static str>,
    /// The reads of the code under proof, if they are recorded.
    pub reads: Option<BTreeSet<Term>>,
    /// The values of all unknowns, in a concrete run.
    pub valuation: Option<Rc<dyn Valuation>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            strict: true,
            fuel: 4000,
            most_decisions: 200,
            goal_depth: 3,
            is_code: |_| true,
            mutation: Mutation::default(),
            proving: None,
            inlining: None,
            runner: Err(NO_CALL),
            reads: None,
            valuation: None,
        }
    }
}
