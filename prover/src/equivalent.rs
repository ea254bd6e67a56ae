//! Mutants that survive, each with the reason why that is right.
use crate::mutant::{Change, Operator};

/// Mutants of one operator that survive.
#[derive(Debug, serde::Serialize)]
pub struct Equivalent {
    /// The file, from the root of the tree.
    pub file: &'static str,
    /// The line of the source, without white space around it.
    pub line: &'static str,
    /// The operator.
    pub operator: Operator,
    /// What may be wrong with it.
    pub changes: &'static [Change],
    /// Why nobody can tell.
    pub reason: &'static str,
}

/// All of them.
pub const EQUIVALENT: &[Equivalent] = &[];
