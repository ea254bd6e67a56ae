//! Models: the value of every term, from the values of the leaves that the solver returned.
use crate::term::{Arena, FRESH, Name, Node, Term};
use rustc_hash::FxHashMap;

/// A model of the assertions. Leaves without a value from the solver are 0, and functions are 0 at all other arguments.
pub struct Model {
    leaves: FxHashMap<Term, i128>,
    table: FxHashMap<(Name, Vec<i128>), i128>,
    memo: FxHashMap<Term, i128>,
}

impl Model {
    /// The model with these leaves, in the order of their definition.
    pub fn new(arena: &Arena, leaves: Vec<(Term, i128)>) -> Model {
        let mut model =
            Model { leaves: leaves.iter().copied().collect(), table: FxHashMap::default(), memo: FxHashMap::default() };
        for (term, value) in leaves {
            if let Node::App(name, _, arguments) = arena.node(term) {
                let key = arguments.iter().map(|&a| model.value(arena, a)).collect();
                model.table.entry((*name, key)).or_insert(value);
            }
        }
        model
    }

    /// Sets the value of `leaf`. No value of a term with this leaf may have been computed before.
    pub fn set(&mut self, leaf: Term, value: i128) {
        self.leaves.insert(leaf, value);
    }

    /// The value of `term`; truth values are 0 and 1.
    pub fn value(&mut self, arena: &Arena, term: Term) -> i128 {
        match arena.node(term) {
            Node::Const(value) => return (*value).into(),
            Node::Bool(value) => return (*value).into(),
            _ => {}
        }
        if let Some(&value) = self.memo.get(&term) {
            return value;
        }
        let value = match *arena.node(term) {
            Node::Const(_) | Node::Bool(_) => unreachable!("answered above"),
            Node::Var(..) => self.leaves.get(&term).copied().unwrap_or(0),
            Node::App(name, _, ref arguments) => match self.leaves.get(&term) {
                Some(&value) => value,
                None => {
                    let key = arguments.iter().map(|&a| self.value(arena, a)).collect();
                    self.table.get(&(name, key)).copied().unwrap_or(0)
                }
            },
            Node::Add(a, b) => self.value(arena, a) + self.value(arena, b),
            Node::Sub(a, b) => self.value(arena, a) - self.value(arena, b),
            Node::MulC(a, c) => self.value(arena, a) * i128::from(c),
            Node::DivC(a, c) => self.value(arena, a).div_euclid(c.into()),
            Node::RemC(a, c) => self.value(arena, a).rem_euclid(c.into()),
            Node::Ite(c, a, b) => {
                let chosen = if self.holds(arena, c) { a } else { b };
                self.value(arena, chosen)
            }
            Node::Eq(a, b) => (self.value(arena, a) == self.value(arena, b)).into(),
            Node::Lt(a, b) => (self.value(arena, a) < self.value(arena, b)).into(),
            Node::Not(a) => (!self.holds(arena, a)).into(),
            Node::And(a, b) => (self.holds(arena, a) && self.holds(arena, b)).into(),
        };
        self.memo.insert(term, value);
        value
    }

    /// Whether the truth value `term` holds.
    pub fn holds(&mut self, arena: &Arena, term: Term) -> bool {
        self.value(arena, term) != 0
    }

    /// The variables and applications with a value from the solver, oldest first.
    pub fn leaves(&self) -> Vec<Term> {
        let mut leaves: Vec<Term> = self.leaves.keys().copied().collect();
        leaves.sort_unstable();
        leaves
    }

    /// The scalars of the state with a value from the solver.
    pub fn scalars(&self, arena: &Arena) -> Vec<Term> {
        let is_scalar =
            |term: &Term| matches!(arena.node(*term), Node::Var(name, _) if !arena.text(*name).contains(FRESH));
        self.leaves().into_iter().filter(is_scalar).collect()
    }

    /// Whether the solver returned a value for this leaf.
    pub fn knows(&self, leaf: Term) -> bool {
        self.leaves.contains_key(&leaf)
    }
}
