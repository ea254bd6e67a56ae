//! Gates over a SAT solver. Equal gates are shared, and constants are folded.
use batsat::{Callbacks, ClauseKind, Lit, Solver, SolverInterface, lbool};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// The remaining effort for a query, in steps: unlike time, steps are the same in every run.
#[derive(Default)]
struct Effort {
    left: Cell<u64>,
}

impl Effort {
    /// A conflict takes about as long as this number of decisions.
    const CONFLICT: u64 = 30;

    fn spend(&self, steps: u64) {
        self.left.set(self.left.get().saturating_sub(steps));
    }
}

impl Callbacks for Effort {
    fn on_new_clause(&mut self, clause: &[Lit], kind: ClauseKind) {
        if kind == ClauseKind::Learnt {
            self.spend(Effort::CONFLICT + clause.len() as u64);
        }
    }

    // The SAT solver calls this once for each decision.
    fn stop(&self) -> bool {
        self.spend(1);
        self.left.get() == 0
    }
}

/// A gate with its inputs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Gate {
    And(Lit, Lit),
    Xor(Lit, Lit),
    Xor3(Lit, Lit, Lit),
    Choose(Lit, Lit, Lit),
    Majority(Lit, Lit, Lit),
}

/// The SAT solver's answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There is a satisfying assignment.
    Yes,
    /// There is no satisfying assignment.
    No,
    /// The effort is used up.
    GivenUp,
}

/// Gates, and the SAT solver that decides them.
pub struct Gates {
    sat: Solver<Effort>,
    truth: Lit,
    gates: FxHashMap<Gate, Lit>,
    conjunctions: FxHashMap<Vec<Lit>, Lit>,
    clause: Vec<Lit>,
}

impl Gates {
    /// No gates.
    pub fn new() -> Gates {
        let mut sat = Solver::new(Default::default(), Effort::default());
        let truth = Lit::new(sat.new_var_default(), true);
        sat.add_clause_reuse(&mut vec![truth]);
        Gates { sat, truth, gates: FxHashMap::default(), conjunctions: FxHashMap::default(), clause: Vec::new() }
    }

    /// Number of variables of the SAT solver.
    pub fn size(&self) -> usize {
        self.sat.num_vars() as usize
    }

    /// The literal of a constant.
    pub fn constant(&self, value: bool) -> Lit {
        if value { self.truth } else { !self.truth }
    }

    /// The value of `a`, if it is a constant.
    pub fn value_of(&self, a: Lit) -> Option<bool> {
        (a.var() == self.truth.var()).then_some(a == self.truth)
    }

    /// A new, unconstrained literal.
    pub fn fresh(&mut self) -> Lit {
        Lit::new(self.sat.new_var_default(), true)
    }

    /// Adds a clause: at least one of the literals holds.
    pub fn clause(&mut self, literals: &[Lit]) {
        self.clause.clear();
        self.clause.extend_from_slice(literals);
        self.sat.add_clause_reuse(&mut self.clause);
    }

    fn gate(&mut self, gate: Gate, clauses: impl FnOnce(&mut Gates, Lit)) -> Lit {
        if let Some(&out) = self.gates.get(&gate) {
            return out;
        }
        let out = self.fresh();
        clauses(self, out);
        self.gates.insert(gate, out);
        out
    }

    /// The conjunction of `a` and `b`.
    pub fn and(&mut self, a: Lit, b: Lit) -> Lit {
        match (self.value_of(a), self.value_of(b)) {
            (Some(true), _) => return b,
            (_, Some(true)) => return a,
            (Some(false), _) | (_, Some(false)) => return self.constant(false),
            _ if a == b => return a,
            _ if a == !b => return self.constant(false),
            _ => {}
        }
        let (a, b) = (a.min(b), a.max(b));
        self.gate(Gate::And(a, b), |gates, out| {
            gates.clause(&[!out, a]);
            gates.clause(&[!out, b]);
            gates.clause(&[out, !a, !b]);
        })
    }

    /// The disjunction of `a` and `b`.
    pub fn or(&mut self, a: Lit, b: Lit) -> Lit {
        !self.and(!a, !b)
    }

    /// The conjunction of all `literals`.
    pub fn all(&mut self, mut literals: Vec<Lit>) -> Lit {
        literals.retain(|&literal| self.value_of(literal) != Some(true));
        literals.sort_unstable();
        literals.dedup();
        // After sorting, a literal is next to its negation.
        if literals.iter().any(|&l| self.value_of(l).is_some()) || literals.windows(2).any(|pair| pair[0] == !pair[1]) {
            return self.constant(false);
        }
        match literals[..] {
            [] => return self.constant(true),
            [a] => return a,
            [a, b] => return self.and(a, b),
            _ => {}
        }
        if let Some(&out) = self.conjunctions.get(&literals) {
            return out;
        }
        let out = self.fresh();
        for &literal in &literals {
            self.clause(&[!out, literal]);
        }
        let unless: Vec<Lit> = literals.iter().map(|&literal| !literal).chain([out]).collect();
        self.clause(&unless);
        self.conjunctions.insert(literals, out);
        out
    }

    /// The exclusive or of `a` and `b`.
    pub fn xor(&mut self, a: Lit, b: Lit) -> Lit {
        match (self.value_of(a), self.value_of(b)) {
            (Some(x), _) => return b ^ x,
            (_, Some(y)) => return a ^ y,
            _ if a == b => return self.constant(false),
            _ if a == !b => return self.constant(true),
            _ => {}
        }
        // Negated inputs only negate the output.
        let negated = !a.sign() ^ !b.sign();
        let (a, b) = (a.apply_sign(a.sign()), b.apply_sign(b.sign()));
        let (a, b) = (a.min(b), a.max(b));
        let out = self.gate(Gate::Xor(a, b), |gates, out| {
            for (x, y) in [(a, b), (!a, !b)] {
                gates.clause(&[!out, x, y]);
                gates.clause(&[out, x, !y]);
            }
        });
        out ^ negated
    }

    /// The exclusive or of three literals: the sum of a full adder.
    pub fn xor3(&mut self, a: Lit, b: Lit, c: Lit) -> Lit {
        let mut inputs = [a, b, c];
        let constant = inputs.iter().any(|&input| self.value_of(input).is_some());
        inputs.sort_unstable();
        let [x, y, z] = inputs;
        if constant || x.var() == y.var() || y.var() == z.var() {
            // After sorting, equal inputs are neighbours: they are combined first.
            let (x, z) = if y.var() == z.var() { (z, x) } else { (x, z) };
            let two = self.xor(x, y);
            return self.xor(two, z);
        }
        let negated = inputs.iter().filter(|input| !input.sign()).count() % 2 == 1;
        let [a, b, c] = inputs.map(|input| input.apply_sign(input.sign()));
        let out = self.gate(Gate::Xor3(a, b, c), |gates, out| {
            for (x, y) in [(a, b), (!a, !b)] {
                gates.clause(&[!out, x, y, c]);
                gates.clause(&[!out, x, !y, !c]);
                gates.clause(&[out, x, y, !c]);
                gates.clause(&[out, x, !y, c]);
            }
        });
        out ^ negated
    }

    /// `if c { a } else { b }`.
    pub fn choose(&mut self, c: Lit, a: Lit, b: Lit) -> Lit {
        if a == b {
            return a;
        }
        match (self.value_of(c), self.value_of(a), self.value_of(b)) {
            (Some(true), ..) => return a,
            (Some(false), ..) => return b,
            (_, Some(true), _) => return self.or(c, b),
            (_, Some(false), _) => return self.and(!c, b),
            (_, _, Some(true)) => return self.or(!c, a),
            (_, _, Some(false)) => return self.and(c, a),
            _ if a == !b => return self.xor(c, b),
            _ if c.var() == a.var() => return if c == a { self.or(c, b) } else { self.and(!c, b) },
            _ if c.var() == b.var() => return if c == b { self.and(c, a) } else { self.or(!c, a) },
            _ => {}
        }
        let (c, a, b) = if c.sign() { (c, a, b) } else { (!c, b, a) };
        self.gate(Gate::Choose(c, a, b), |gates, out| {
            gates.clause(&[!c, !a, out]);
            gates.clause(&[!c, a, !out]);
            gates.clause(&[c, !b, out]);
            gates.clause(&[c, b, !out]);
            gates.clause(&[!a, !b, out]);
            gates.clause(&[a, b, !out]);
        })
    }

    /// Whether at least two of the literals hold: the carry of a full adder, and a step of a comparison.
    pub fn majority(&mut self, a: Lit, b: Lit, c: Lit) -> Lit {
        for [x, y, z] in [[a, b, c], [b, c, a], [c, a, b]] {
            match self.value_of(x) {
                Some(true) => return self.or(y, z),
                Some(false) => return self.and(y, z),
                None if x == y => return x,
                None if x == !y => return z,
                None => {}
            }
        }
        let mut inputs = [a, b, c];
        inputs.sort_unstable();
        let [a, b, c] = inputs;
        self.gate(Gate::Majority(a, b, c), |gates, out| {
            for (x, y) in [(a, b), (a, c), (b, c)] {
                gates.clause(&[!x, !y, out]);
                gates.clause(&[x, y, !out]);
            }
        })
    }

    /// Allows this number of `steps` for the next queries.
    pub fn allow(&mut self, steps: u64) {
        self.sat.cb_mut().left.set(steps);
    }

    /// Decides whether all clauses have an assignment under `assumptions`.
    pub fn solve(&mut self, assumptions: &[Lit]) -> Answer {
        let answer = self.sat.solve_limited(assumptions);
        if answer == lbool::TRUE {
            Answer::Yes
        } else if answer == lbool::FALSE {
            Answer::No
        } else {
            Answer::GivenUp
        }
    }

    /// Whether `assumption` is part of the reason why the last query had no assignment.
    pub fn blames(&self, assumption: Lit) -> bool {
        self.sat.unsat_core_contains_var(assumption.var())
    }

    /// The value of `a` in the last assignment.
    pub fn holds(&self, a: Lit) -> bool {
        self.sat.value_lit(a) == lbool::TRUE
    }
}
