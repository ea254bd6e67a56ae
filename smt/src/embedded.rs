//! The embedded solver, which needs no installation. It turns numbers into bits, bits into gates, and gates into
//! clauses of a SAT solver.
use crate::backend::{Backend, SolverError, Verdict};
use crate::term::{Arena, Name, Node, Term};
use batsat::Lit;
use circuit::Circuit;
use gates::Answer;
use rustc_hash::{FxHashMap, FxHashSet};

mod circuit;
mod gates;
mod linear;
mod word;

/// The assertions of a scope; closing the scope removes them.
struct Scope {
    /// A literal that is true while the scope is open.
    open: Lit,
    asserted: Vec<Term>,
    known: Vec<Term>,
    leaves: usize,
    /// Size of the circuit when the scope was opened.
    size: usize,
}

/// The circuit is rebuilt, without the gates of closed scopes, when more than half of its gates and this many
/// more belong to closed scopes.
const GARBAGE: usize = 4_000;

/// Number of steps that take about a millisecond.
const PER_MILLISECOND: u64 = 500;

/// A bit-blaster with a stack of assertions.
pub struct Embedded {
    circuit: Circuit,
    /// The open scopes; the outermost is never closed.
    scopes: Vec<Scope>,
    /// Terms of the open scopes, and their subterms.
    known: FxHashSet<Term>,
    /// Variables and applications of the open scopes, in the order of their definition.
    leaves: Vec<Term>,
    /// Size of the part of the circuit that belongs to closed scopes.
    garbage: usize,
    limit: u32,
    /// Upper bound of `limit`.
    most: u32,
}

impl Embedded {
    /// A solver without assertions, with a bound on each query: the number of steps that take about `timeout_ms`
    /// milliseconds.
    pub fn new(timeout_ms: u32) -> Embedded {
        let mut circuit = Circuit::new();
        let open = circuit.gates.fresh();
        Embedded {
            circuit,
            scopes: vec![Scope { open, asserted: Vec::new(), known: Vec::new(), leaves: 0, size: 0 }],
            known: FxHashSet::default(),
            leaves: Vec::new(),
            garbage: 0,
            limit: timeout_ms,
            most: timeout_ms,
        }
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("the outermost scope is never closed")
    }

    /// Records that `term` and its subterms are in the open scopes.
    fn know(&mut self, arena: &Arena, term: Term) {
        if matches!(arena.node(term), Node::Const(_) | Node::Bool(_)) || !self.known.insert(term) {
            return;
        }
        self.scope().known.push(term);
        let mut parts = Vec::new();
        arena.push_subterms(term, &mut parts);
        for part in parts {
            self.know(arena, part);
        }
        if matches!(arena.node(term), Node::Var(..) | Node::App(..)) {
            self.circuit.build(arena, term);
            self.leaves.push(term);
        }
    }

    /// Builds the circuit anew from the assertions of the open scopes.
    fn rebuild(&mut self, arena: &Arena) {
        self.circuit = Circuit::new();
        self.garbage = 0;
        let mut first = 0;
        for i in 0..self.scopes.len() {
            self.scopes[i].size = self.circuit.gates.size();
            let open = self.circuit.gates.fresh();
            self.scopes[i].open = open;
            let last = self.scopes.get(i + 1).map_or(self.leaves.len(), |next| next.leaves);
            for &leaf in &self.leaves[first..last] {
                self.circuit.build(arena, leaf);
            }
            first = last;
            for &term in &self.scopes[i].asserted {
                self.circuit.say(arena, open, term);
            }
        }
    }

    /// Congruence: for each pair of applications with equal arguments and different values in the last assignment, adds
    /// a clause that excludes this. Returns whether there was such a pair.
    fn say_congruence(&mut self, arena: &Arena) -> bool {
        let mut first: FxHashMap<(Name, Vec<Vec<bool>>), Term> = FxHashMap::default();
        let mut broken = Vec::new();
        for &leaf in &self.leaves {
            let Node::App(name, _, arguments) = arena.node(leaf) else { continue };
            let key = arguments.iter().map(|&argument| self.circuit.word_value(argument)).collect();
            let other = *first.entry((*name, key)).or_insert(leaf);
            if self.circuit.value(other) != self.circuit.value(leaf) {
                broken.push((other, leaf));
            }
        }
        for &(a, b) in &broken {
            self.say_congruent(arena, a, b);
        }
        !broken.is_empty()
    }

    /// Adds the clause that two applications of a function are equal if their arguments are.
    fn say_congruent(&mut self, arena: &Arena, a: Term, b: Term) {
        let (Node::App(_, range, x), Node::App(_, other, y)) = (arena.node(a), arena.node(b)) else { return };
        let same: Vec<Lit> = x.iter().zip(y).map(|(&x, &y)| self.circuit.equal(arena, x, y)).collect();
        let equal = self.circuit.equal(arena, a, b);
        let mut clause: Vec<Lit> = same.into_iter().map(|same| !same).chain([equal]).collect();
        // The applications have different ranges. A closed scope's narrower range must not constrain the open scopes.
        if range != other {
            clause.push(!self.scope().open);
        }
        self.circuit.gates.clause(&clause);
    }

    /// Decides whether the assertions have a model under `assumptions`, with small counters.
    fn solve(&mut self, arena: &Arena, assumptions: &[Lit]) -> Verdict {
        let small: Vec<Lit> = assumptions.iter().copied().chain([self.circuit.small()]).collect();
        loop {
            match self.circuit.gates.solve(&small) {
                Answer::Yes if self.say_congruence(arena) => {}
                Answer::Yes => return Verdict::Sat,
                Answer::No => break,
                Answer::GivenUp => return Verdict::Unknown,
            }
        }
        // The contradiction may depend on the assumption that counters are small; it counts only if it holds
        // without this assumption.
        let holds = !self.circuit.too_many_counters()
            && (!self.circuit.gates.blames(self.circuit.small())
                || self.circuit.gates.solve(assumptions) == Answer::No);
        if holds { Verdict::Unsat } else { Verdict::Unknown }
    }
}

impl Backend for Embedded {
    fn push(&mut self) {
        let size = self.circuit.gates.size();
        let open = self.circuit.gates.fresh();
        let leaves = self.leaves.len();
        self.scopes.push(Scope { open, asserted: Vec::new(), known: Vec::new(), leaves, size });
    }

    fn pop(&mut self, scopes: usize) {
        let mut size = self.circuit.gates.size();
        for _ in 0..scopes {
            let scope = self.scopes.pop().expect("as many scopes are closed as were opened");
            for term in scope.known {
                self.known.remove(&term);
            }
            self.leaves.truncate(scope.leaves);
            self.circuit.gates.clause(&[!scope.open]);
            self.garbage += size - scope.size;
            size = scope.size;
        }
    }

    fn assert(&mut self, arena: &Arena, term: Term) {
        self.know(arena, term);
        let scope = self.scope();
        scope.asserted.push(term);
        let open = scope.open;
        self.circuit.say(arena, open, term);
    }

    fn check(&mut self, arena: &Arena, extra: &[Term]) -> Result<Verdict, SolverError> {
        for &term in extra {
            self.know(arena, term);
        }
        if self.garbage > GARBAGE + self.circuit.gates.size() / 2 {
            self.rebuild(arena);
        }
        let extra: Vec<Lit> = extra.iter().map(|&term| self.circuit.literal(arena, term)).collect();
        let assumptions: Vec<Lit> = self.scopes.iter().map(|scope| scope.open).chain(extra).collect();
        self.circuit.gates.allow(u64::from(self.limit) * PER_MILLISECOND);
        Ok(self.solve(arena, &assumptions))
    }

    fn model(&mut self) -> Result<Option<Vec<(Term, i128)>>, SolverError> {
        Ok(Some(self.leaves.iter().map(|&leaf| (leaf, self.circuit.value(leaf))).collect()))
    }

    fn limit(&mut self, milliseconds: u32) {
        self.limit = milliseconds.min(self.most);
    }
}
