//! The path that is explored: its decisions, its knowledge, and the effects of the code so far.
use crate::coverage::Coverage;
use crate::trace::Trace;
use rustc_hash::FxHashMap;
use smt::term::Term;
use std::any::{Any, TypeId};
use std::panic::Location;

/// The state of one path.
#[derive(Default)]
pub struct Path {
    /// The decisions that this path repeats from an earlier one, and one more. The last of them is
    /// new.
    pub(crate) prefix: Vec<Decision>,
    /// The decisions so far.
    pub(crate) decisions: Vec<Decision>,
    /// The decisions so far, with their source lines.
    pub steps: Vec<Step>,
    /// The conditions with a known value.
    pub(crate) known: FxHashMap<Term, bool>,
    /// The terms that are known to equal a number.
    pub(crate) numbers: FxHashMap<Term, u64>,
    /// Whether the knowledge of the path is not used at the moment.
    pub(crate) is_hidden: bool,
    /// Assertions besides the decisions.
    pub assumed: Vec<Term>,
    /// The closures whose paths are being merged, the innermost last.
    pub(crate) merges: Vec<Merge>,
    /// The branches taken.
    pub sides: Coverage,
    /// The branches taken outside of called functions, so that the path can be walked again.
    pub trace: Trace,
    /// Whether the code of a called function is running.
    pub is_called: bool,
    /// The arguments of the code under proof, for reports.
    pub arguments: Vec<(String, Term)>,
    /// The free words of the postcondition: it is proved for all their values.
    pub free_words: Vec<Term>,
    /// The writes of the code under proof.
    pub writes: Vec<Write>,
    /// The searches of maps: the field, and the index that was found.
    pub searches: Vec<(&'static str, Option<Term>)>,
    /// The number of the last fresh variable or version.
    pub fresh: u32,
    /// What a client records about the path, by type.
    data: FxHashMap<TypeId, Box<dyn Any>>,
}

impl Path {
    /// A path that begins with the decisions `prefix`.
    pub(crate) fn beginning(prefix: Vec<Decision>) -> Path {
        Path { prefix, ..Path::default() }
    }

    /// Whether the path up to this point was walked before, so that the solver still has its
    /// assertions.
    pub fn is_repeated(&self) -> bool {
        self.decisions.len() < self.prefix.len()
    }

    /// Whether the next decision repeats an earlier one. The last decision of the prefix is new.
    pub(crate) fn is_repeated_but_last(&self) -> bool {
        self.decisions.len() + 1 < self.prefix.len()
    }

    /// What a client records about this path in a value of type `T`. Each path begins with the default value.
    ///
    /// # Panics
    /// Never panics: the value under the type's key has this type.
    pub fn data<T: Default + 'static>(&mut self) -> &mut T {
        let data = self.data.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        data.downcast_mut().expect("the key is the type")
    }
}

/// A decision of the path.
#[derive(Clone, Copy)]
pub(crate) struct Decision {
    pub value: bool,
    /// Whether the other answer is feasible too. If so, this decision has a solver scope of its own.
    pub forked: bool,
}

/// A decision of the path, with its source line.
#[derive(Clone, Copy)]
pub struct Step {
    /// Where the decision was made.
    pub at: &'static Location<'static>,
    /// The condition that holds after the decision.
    pub holds: Term,
}

/// A closure whose paths are being merged into one term: the decisions of the current path.
pub(crate) struct Merge {
    pub prefix: Vec<bool>,
    pub taken: Vec<(Term, bool)>,
}

/// A write of the code under proof. It is compared with the contract's modifies clause.
#[derive(Clone)]
pub struct Write {
    /// The name of the field or scalar.
    pub field: &'static str,
    /// The key. If a whole row was written, only the first words of the key.
    pub key: Vec<Term>,
    /// The leaf, or the empty string for all leaves.
    pub leaf: &'static str,
    /// The condition under which the write changes the value; true if that is not known.
    pub changes: Term,
    /// The source line of the write.
    pub at: &'static Location<'static>,
}

/// The payload that unwinds a path which ends early: the path is infeasible, an obligation failed, or its fuel is used
/// up.
pub struct Abandon;
