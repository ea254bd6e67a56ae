//! Mutants: the code under proof with one wrong operator.
//!
//! Each operator knows its source line, so a mutant needs no source of its own and no compilation. If a proof still
//! succeeds with the mutant, the proof does not depend on that operator.
use std::collections::BTreeSet;
use std::fmt;
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
    /// An event that is logged.
    Event,
    /// The answer of the call under proof.
    Answer,
    /// A value in no map that the call under proof has changed, by its name.
    Scalar(&'static str),
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
    /// The write or the event is lost.
    Lost,
    /// The search begins at the next key.
    Later,
    /// Any value instead of the right one.
    Other,
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
            Operator::Write(_) | Operator::Event => &[Change::Lost],
            Operator::First => &[Change::Later],
            Operator::Answer | Operator::Scalar(_) => &[],
        }
    }

    /// Whether its value is an outcome of the call, which a specification should determine.
    fn is_outcome(self) -> bool {
        match self {
            // A variant and its parts are written together.
            Operator::Write(leaf) => is_alone(leaf),
            _ => false,
        }
    }
}

/// Whether a leaf is written for itself, and not as a part of a variant.
pub(crate) fn is_alone(leaf: &str) -> bool {
    !leaf.is_empty() && leaf != "tag" && !leaf.contains('.')
}

/// The file of the outcomes of a call, which have no place in the source.
const END: &str = "the end of the call";

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

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { file, line, column, operator } = self.site;
        write!(f, "{operator:?} as {:?} at {file}:{line}:{column}", self.change)
    }
}

/// A specification that says less than it should.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weakening {
    /// One comparison in the named clause of the specification is always true.
    Operator(&'static str, Site),
    /// The named clause is always true.
    Clause(&'static str),
}

impl Weakening {
    /// The clause that says less.
    pub fn clause(self) -> &'static str {
        match self {
            Weakening::Operator(clause, _) | Weakening::Clause(clause) => clause,
        }
    }
}

/// The mutant, the weakening and the recording of operators on this thread.
#[derive(Default)]
pub struct Mutation {
    /// Whether the code under proof is running, as opposed to a fact, a goal or a contract.
    pub(crate) running: bool,
    /// The clause of the specification that is being evaluated, if it may be weakened.
    pub(crate) specifying: Option<&'static str>,
    /// The operators that were executed, if they are recorded.
    met: Option<BTreeSet<Site>>,
    /// The weakenings of the specification that were met, if they are recorded.
    weaker: BTreeSet<Weakening>,
    mutant: Option<Mutant>,
    /// The weakening that is active.
    pub(crate) weakening: Option<Weakening>,
    /// The weakenings to try at the end of each path, if any.
    probes: Option<BTreeSet<Weakening>>,
    /// Those that this run notices.
    noticed: BTreeSet<Weakening>,
    /// Whether a clause failed on a path.
    killed: bool,
    /// The time limit of one query in milliseconds, if a mutant or a weakening is active.
    limit: Option<u32>,
}

impl Mutation {
    /// Records the operators that are executed.
    pub fn recording() -> Mutation {
        Mutation { met: Some(BTreeSet::new()), ..Mutation::default() }
    }

    /// Activates `mutant`. One query may take at most `limit` milliseconds.
    pub fn planted(mutant: Mutant, limit: u32) -> Mutation {
        Mutation { mutant: Some(mutant), limit: Some(limit), ..Mutation::default() }
    }

    /// Activates a mutant of the code, if there is one, and tries the weakenings `probes` at the end of each path. One
    /// query may take at most `limit` milliseconds.
    pub fn probing(mutant: Option<Mutant>, probes: BTreeSet<Weakening>, limit: u32) -> Mutation {
        Mutation { mutant, probes: Some(probes), limit: Some(limit), ..Mutation::default() }
    }

    /// The weakenings that the run has noticed, of those that it has tried.
    pub fn noticed(&self) -> &BTreeSet<Weakening> {
        &self.noticed
    }

    /// Whether some clause failed while weakenings were tried.
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Whether weakenings are tried. Then a failure does not end the proof.
    pub(crate) fn is_probing(&self) -> bool {
        self.probes.is_some()
    }

    /// Records whether a clause failed on the path that has ended.
    pub(crate) fn ended(&mut self, has_failed: bool) {
        self.killed |= has_failed;
    }

    /// Whether a mutant of the code is active.
    pub(crate) fn has_mutant(&self) -> bool {
        self.mutant.is_some()
    }

    /// The weakenings of `clause` that are still to be tried.
    pub(crate) fn probes_of(&self, clause: &str) -> Vec<Weakening> {
        let probes = self.probes.iter().flatten();
        probes.filter(|probe| probe.clause() == clause && !self.noticed.contains(probe)).copied().collect()
    }

    /// Records that the run notices `weakening`.
    pub(crate) fn notice(&mut self, weakening: Weakening) {
        self.noticed.insert(weakening);
    }

    /// Whether a mutant or a weakening is active.
    pub fn is_planted(&self) -> bool {
        self.limit.is_some()
    }

    /// The time limit of one query in milliseconds, if a mutant or a weakening is active.
    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// All mutants of the recorded operators in the files that `wanted` accepts, in source order.
    pub fn mutants(&self, wanted: impl Fn(&str) -> bool) -> Vec<Mutant> {
        let sites = self.met.iter().flatten().filter(|site| wanted(site.file));
        let of = |&site: &Site| site.operator.changes().iter().map(move |&change| Mutant { site, change });
        sites.flat_map(of).collect()
    }

    /// The recorded outcomes, each with any value instead of the right one.
    pub fn outcomes(&self) -> Vec<Mutant> {
        let sites = self.met.iter().flatten().filter(|site| site.file == END || site.operator.is_outcome());
        sites.map(|&site| Mutant { site, change: Change::Other }).collect()
    }

    /// Whether this outcome of the call is any value instead of the right one.
    pub(crate) fn is_wrong(&mut self, outcome: Operator) -> bool {
        let site = Site { file: END, line: 0, column: 0, operator: outcome };
        if let Some(met) = &mut self.met {
            met.insert(site);
        }
        self.mutant == Some(Mutant { site, change: Change::Other })
    }

    /// All weakenings of the recorded specification.
    pub fn weakenings(&self) -> &BTreeSet<Weakening> {
        &self.weaker
    }

    /// Whether the clause that is being evaluated is always true.
    pub(crate) fn drops(&mut self, clause: &'static str) -> bool {
        if self.met.is_some() {
            self.weaker.insert(Weakening::Clause(clause));
        }
        self.weakening == Some(Weakening::Clause(clause))
    }

    pub(crate) fn at(
        &mut self,
        operator: Operator,
        at: &'static Location<'static>,
        is_code: fn(&str) -> bool,
    ) -> Option<Change> {
        let site = Site { file: at.file(), line: at.line(), column: at.column(), operator };
        if let (false, Some(clause)) = (self.running, self.specifying) {
            let is_condition = matches!(operator, Operator::Equal | Operator::Less | Operator::AtMost | Operator::Flag);
            if !is_condition || is_code(at.file()) {
                return None;
            }
            let weakening = Weakening::Operator(clause, site);
            if self.met.is_some() {
                self.weaker.insert(weakening);
            }
            return (self.weakening == Some(weakening)).then_some(Change::Yes);
        }
        if !self.running || (self.met.is_none() && self.mutant.is_none()) || !is_code(at.file()) {
            return None;
        }
        if let Some(met) = &mut self.met {
            met.insert(site);
        }
        self.mutant.filter(|mutant| mutant.site == site).map(|mutant| mutant.change)
    }
}
