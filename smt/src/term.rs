//! Terms: hash-consed, and lightly simplified as they are built.
//!
//! All numbers are mathematical integers. The values that a word, a wide word or a counter can have are the [`Range`]
//! of its variable or function. Each operation has an obligation that its result is in the range, so that integers and
//! machine words coincide.
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// A term: an index into its [`Arena`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Term(u32);

/// The values of a variable or of the result of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Range {
    /// A truth value.
    Bool,
    /// An integer from 0 to this one.
    UpTo(u64),
    /// An integer from 0.
    Nat,
}

impl Range {
    /// 32-bit words.
    pub const WORD: Range = Range::UpTo(u32::MAX as u64);
    /// 64-bit words.
    pub const WIDE: Range = Range::UpTo(u64::MAX);
}

/// A character in the name of every variable that is not part of the state.
pub const FRESH: char = '!';

/// A name, interned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(u32);

/// The operator and operands of a term.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "operators are what they are called")]
pub enum Node {
    Const(u64),
    Bool(bool),
    Var(Name, Range),
    /// An uninterpreted function: the unknown value of a map's leaf at a key.
    App(Name, Range, Vec<Term>),
    Add(Term, Term),
    Sub(Term, Term),
    MulC(Term, u64),
    DivC(Term, u64),
    RemC(Term, u64),
    Ite(Term, Term, Term),
    Eq(Term, Term),
    Lt(Term, Term),
    Not(Term),
    And(Term, Term),
}

impl Node {
    /// The immediate subterms.
    pub fn parts(&self) -> impl Iterator<Item = Term> {
        let (fixed, listed): ([Option<Term>; 3], &[Term]) = match self {
            Node::Const(_) | Node::Bool(_) | Node::Var(..) => ([None; 3], &[]),
            Node::App(_, _, arguments) => ([None; 3], arguments),
            &Node::MulC(a, _) | &Node::DivC(a, _) | &Node::RemC(a, _) | &Node::Not(a) => ([Some(a), None, None], &[]),
            &Node::Add(a, b) | &Node::Sub(a, b) | &Node::Eq(a, b) | &Node::Lt(a, b) | &Node::And(a, b) => {
                ([Some(a), Some(b), None], &[])
            }
            &Node::Ite(c, a, b) => ([Some(c), Some(a), Some(b)], &[]),
        };
        fixed.into_iter().flatten().chain(listed.iter().copied())
    }
}

/// All terms of one prover thread.
#[derive(Default)]
pub struct Arena {
    nodes: Vec<Node>,
    index: FxHashMap<Node, Term>,
    names: Vec<String>,
    name_index: FxHashMap<String, Name>,
    cells: FxHashMap<Term, Rc<[Term]>>,
}

impl Arena {
    /// The operator and operands of `term`.
    pub fn node(&self, term: Term) -> &Node {
        &self.nodes[term.0 as usize]
    }

    /// Interns a name.
    pub fn name(&mut self, text: &str) -> Name {
        if let Some(&name) = self.name_index.get(text) {
            return name;
        }
        let name = Name(self.names.len() as u32);
        self.names.push(text.to_string());
        self.name_index.insert(text.to_string(), name);
        name
    }

    /// The text of a name.
    pub fn text(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }

    fn make(&mut self, node: Node) -> Term {
        if let Some(&term) = self.index.get(&node) {
            return term;
        }
        let term = Term(self.nodes.len() as u32);
        self.nodes.push(node.clone());
        self.index.insert(node, term);
        term
    }

    /// A number.
    pub fn number(&mut self, value: u64) -> Term {
        self.make(Node::Const(value))
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) -> Term {
        self.make(Node::Bool(value))
    }

    /// A variable.
    pub fn var(&mut self, name: &str, range: Range) -> Term {
        let name = self.name(name);
        self.make(Node::Var(name, range))
    }

    /// The application of an uninterpreted function to arguments.
    pub fn app(&mut self, name: Name, range: Range, arguments: Vec<Term>) -> Term {
        self.make(Node::App(name, range, arguments))
    }

    /// The value of `term`, if it is a constant number.
    pub fn as_number(&self, term: Term) -> Option<u64> {
        if let Node::Const(value) = self.node(term) { Some(*value) } else { None }
    }

    /// The term and the number, if `term` is an equation of another term and a constant number.
    pub fn as_equation(&self, term: Term) -> Option<(Term, u64)> {
        let Node::Eq(a, b) = *self.node(term) else { return None };
        let of = |number, other| Some((other, self.as_number(number)?));
        of(a, b).or_else(|| of(b, a))
    }

    /// The value of `term`, if it is a constant truth value.
    pub fn as_bool(&self, term: Term) -> Option<bool> {
        if let Node::Bool(value) = self.node(term) { Some(*value) } else { None }
    }

    /// Whether `term` is a truth value.
    pub fn is_bool(&self, term: Term) -> bool {
        match self.node(term) {
            Node::Bool(_) | Node::Eq(..) | Node::Lt(..) | Node::Not(_) | Node::And(..) => true,
            Node::Var(_, range) | Node::App(_, range, _) => *range == Range::Bool,
            Node::Ite(_, a, _) => self.is_bool(*a),
            _ => false,
        }
    }

    /// `a + b`.
    pub fn add(&mut self, a: Term, b: Term) -> Term {
        match (self.as_number(a), self.as_number(b)) {
            (Some(x), Some(y)) if x.checked_add(y).is_some() => self.number(x + y),
            (Some(0), _) => b,
            (_, Some(0)) => a,
            (Some(_), None) => self.add(b, a),
            (None, Some(y)) => {
                if let Node::Add(x, k) = *self.node(a)
                    && let Some(k) = self.as_number(k)
                    && let Some(sum) = k.checked_add(y)
                {
                    let sum = self.number(sum);
                    return self.make(Node::Add(x, sum));
                }
                self.make(Node::Add(a, b))
            }
            _ => self.make(Node::Add(a, b)),
        }
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Term, b: Term) -> Term {
        match (self.as_number(a), self.as_number(b)) {
            (Some(x), Some(y)) if x >= y => self.number(x - y),
            (_, Some(0)) => a,
            (None, Some(y)) => {
                if let Node::Add(x, k) = *self.node(a)
                    && let Some(k) = self.as_number(k)
                    && k >= y
                {
                    let rest = self.number(k - y);
                    return self.add(x, rest);
                }
                self.make(Node::Sub(a, b))
            }
            _ => self.make(Node::Sub(a, b)),
        }
    }

    /// `a * c`.
    pub fn mul(&mut self, a: Term, c: u64) -> Term {
        match (self.as_number(a), c) {
            (Some(x), _) if x.checked_mul(c).is_some() => self.number(x * c),
            (_, 0) => self.number(0),
            (_, 1) => a,
            _ => self.make(Node::MulC(a, c)),
        }
    }

    /// `a / c`.
    pub fn div(&mut self, a: Term, c: u64) -> Term {
        match self.as_number(a) {
            Some(x) => self.number(x / c),
            None if c == 1 => a,
            None => self.make(Node::DivC(a, c)),
        }
    }

    /// `a % c`.
    pub fn rem(&mut self, a: Term, c: u64) -> Term {
        match self.as_number(a) {
            Some(x) => self.number(x % c),
            None => self.make(Node::RemC(a, c)),
        }
    }

    /// `a == b`, for numbers or truth values.
    pub fn eq(&mut self, a: Term, b: Term) -> Term {
        if a == b {
            return self.bool(true);
        }
        if let (Some(x), Some(y)) = (self.as_number(a), self.as_number(b)) {
            return self.bool(x == y);
        }
        match (self.as_bool(a), self.as_bool(b)) {
            (Some(true), _) => return b,
            (_, Some(true)) => return a,
            (Some(false), _) => return self.not(b),
            (_, Some(false)) => return self.not(a),
            _ => {}
        }
        // A choice between constants, compared with a constant: the tags of enums lead to such
        // comparisons.
        for (choice, other) in [(a, b), (b, a)] {
            if let Node::Ite(c, x, y) = *self.node(choice)
                && self.as_number(other).is_some()
                && (self.as_number(x).is_some() || self.as_number(y).is_some())
            {
                let (p, q) = (self.eq(x, other), self.eq(y, other));
                return self.ite(c, p, q);
            }
        }
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        self.make(Node::Eq(a, b))
    }

    /// `a < b`.
    pub fn lt(&mut self, a: Term, b: Term) -> Term {
        if a == b {
            return self.bool(false);
        }
        match (self.as_number(a), self.as_number(b)) {
            (Some(x), Some(y)) => return self.bool(x < y),
            (_, Some(0)) => return self.bool(false),
            (None, Some(y)) if self.range_of(a).is_some_and(|most| most < y) => return self.bool(true),
            (Some(x), None) if self.range_of(b).is_some_and(|most| most <= x) => return self.bool(false),
            _ => {}
        }
        self.make(Node::Lt(a, b))
    }

    /// The largest value that `term` can have, if its form determines one.
    fn range_of(&self, term: Term) -> Option<u64> {
        match self.node(term) {
            Node::Var(_, Range::UpTo(most)) | Node::App(_, Range::UpTo(most), _) => Some(*most),
            Node::RemC(_, c) => Some(c - 1),
            _ => None,
        }
    }

    /// `a <= b`.
    pub fn le(&mut self, a: Term, b: Term) -> Term {
        let greater = self.lt(b, a);
        self.not(greater)
    }

    /// Not `a`.
    pub fn not(&mut self, a: Term) -> Term {
        match *self.node(a) {
            Node::Bool(value) => self.bool(!value),
            Node::Not(inner) => inner,
            _ => self.make(Node::Not(a)),
        }
    }

    /// `a` and `b`.
    pub fn and(&mut self, a: Term, b: Term) -> Term {
        match (self.as_bool(a), self.as_bool(b)) {
            (Some(true), _) => b,
            (_, Some(true)) => a,
            (Some(false), _) | (_, Some(false)) => self.bool(false),
            _ if a == b => a,
            _ if self.not(a) == b => self.bool(false),
            _ => self.make(Node::And(a, b)),
        }
    }

    /// `a` or `b`.
    pub fn or(&mut self, a: Term, b: Term) -> Term {
        let (a, b) = (self.not(a), self.not(b));
        let neither = self.and(a, b);
        self.not(neither)
    }

    /// `a` implies `b`.
    pub fn implies(&mut self, a: Term, b: Term) -> Term {
        let a = self.not(a);
        self.or(a, b)
    }

    /// `if c { a } else { b }`.
    pub fn ite(&mut self, c: Term, a: Term, b: Term) -> Term {
        if a == b {
            return a;
        }
        match (self.as_bool(c), self.as_bool(a), self.as_bool(b)) {
            (Some(true), ..) => a,
            (Some(false), ..) => b,
            (_, Some(true), _) => self.or(c, b),
            (_, Some(false), _) => {
                let c = self.not(c);
                self.and(c, b)
            }
            (_, _, Some(true)) => self.implies(c, a),
            (_, _, Some(false)) => self.and(c, a),
            _ => self.make(Node::Ite(c, a, b)),
        }
    }

    /// The cells of the state in `term`: its applications, and its variables for arbitrary keys and results. The
    /// scalars of the state are left out, since they are in nearly every term.
    pub fn cells(&mut self, term: Term) -> Rc<[Term]> {
        if let Some(cells) = self.cells.get(&term) {
            return cells.clone();
        }
        let mut seen = rustc_hash::FxHashSet::default();
        let mut cells = Vec::new();
        let mut work = vec![term];
        while let Some(term) = work.pop() {
            if seen.insert(term) {
                let is_cell = match self.node(term) {
                    Node::App(..) => true,
                    Node::Var(name, _) => self.text(*name).contains(FRESH),
                    _ => false,
                };
                if is_cell {
                    cells.push(term);
                }
                self.push_subterms(term, &mut work);
            }
        }
        let cells: Rc<[Term]> = cells.into();
        self.cells.insert(term, cells.clone());
        cells
    }

    /// Whether a word of `key` is the result of arithmetic.
    pub fn is_computed(&self, key: &[Term]) -> bool {
        key.iter().any(|&word| {
            matches!(self.node(word), Node::Add(..) | Node::Sub(..) | Node::MulC(..) | Node::DivC(..) | Node::RemC(..))
        })
    }

    /// Appends the immediate subterms of `term` to `work`.
    pub fn push_subterms(&self, term: Term, work: &mut Vec<Term>) {
        match self.node(term) {
            Node::Const(_) | Node::Bool(_) | Node::Var(..) => {}
            Node::App(_, _, arguments) => work.extend(arguments),
            Node::MulC(a, _) | Node::DivC(a, _) | Node::RemC(a, _) | Node::Not(a) => work.push(*a),
            Node::Add(a, b) | Node::Sub(a, b) | Node::Eq(a, b) | Node::Lt(a, b) | Node::And(a, b) => {
                work.extend([*a, *b])
            }
            Node::Ite(c, a, b) => work.extend([*c, *a, *b]),
        }
    }

    /// Whether `term` has more than `most` different subterms.
    pub fn is_larger(&self, term: Term, most: usize) -> bool {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut work = vec![term];
        while let Some(term) = work.pop() {
            if !seen.insert(term) {
                continue;
            }
            if seen.len() > most {
                return true;
            }
            self.push_subterms(term, &mut work);
        }
        false
    }

    /// The term in the notation of reports.
    pub fn show(&self, term: Term) -> String {
        let show = |t: &Term| self.show(*t);
        match self.node(term) {
            Node::Const(value) if *value > 0xffff => format!("{value:#x}"),
            Node::Const(value) => value.to_string(),
            Node::Bool(value) => value.to_string(),
            Node::Var(name, _) => self.text(*name).to_string(),
            Node::App(name, _, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(show).collect();
                show_cell(self.text(*name), &arguments)
            }
            Node::Add(a, b) => format!("({} + {})", show(a), show(b)),
            Node::Sub(a, b) => format!("({} - {})", show(a), show(b)),
            Node::MulC(a, c) => format!("{} * {c}", show(a)),
            Node::DivC(a, c) => format!("{} / {c}", show(a)),
            Node::RemC(a, c) => format!("{} % {c}", show(a)),
            Node::Ite(c, a, b) => format!("(if {} {{ {} }} else {{ {} }})", show(c), show(a), show(b)),
            Node::Eq(a, b) => format!("{} == {}", show(a), show(b)),
            Node::Lt(a, b) => format!("{} < {}", show(a), show(b)),
            Node::And(a, b) => format!("({} && {})", show(a), show(b)),
            Node::Not(a) => match self.node(*a) {
                Node::Eq(x, y) => format!("{} != {}", show(x), show(y)),
                Node::Lt(x, y) => format!("{} >= {}", show(x), show(y)),
                _ => format!("!{}", show(a)),
            },
        }
    }
}

/// Shows `field:leaf` at a key as `field[key].leaf`.
pub fn show_cell(function: &str, key: &[String]) -> String {
    let key = key.join(", ");
    match function.split_once(':') {
        Some((field, "")) => format!("{field}[{key}]"),
        Some((field, leaf)) => format!("{field}[{key}].{leaf}"),
        None => format!("{function}({key})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_terms_are_one_term() {
        let mut arena = Arena::default();
        let x = arena.var("x", Range::WORD);
        let one = arena.number(1);
        let a = arena.add(x, one);
        let b = arena.add(one, x);
        assert_eq!(a, b);
        let two = arena.add(a, one);
        assert_eq!(arena.show(two), "(x + 2)");
        assert_eq!(arena.sub(two, one), a);
    }

    #[test]
    fn ranges_decide_comparisons() {
        let mut arena = Arena::default();
        let x = arena.var("x", Range::WORD);
        let big = arena.number(1 << 32);
        let t = arena.lt(x, big);
        assert_eq!(arena.as_bool(t), Some(true));
        let rem = arena.rem(x, 8);
        let eight = arena.number(8);
        let t = arena.lt(rem, eight);
        assert_eq!(arena.as_bool(t), Some(true));
    }

    #[test]
    fn a_choice_between_tags_is_decided_by_its_condition() {
        let mut arena = Arena::default();
        let c = arena.var("c", Range::Bool);
        let (one, two) = (arena.number(1), arena.number(2));
        let tag = arena.ite(c, one, two);
        assert_eq!(arena.eq(tag, one), c);
    }
}
