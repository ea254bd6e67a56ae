//! The circuit: gates for terms. Each term gets its gates only once.
//!
//! Counters are unbounded, but words have a fixed number of bits. Consider a comparison of numbers, each of which is at
//! most a fixed distance from a counter or from 0. It holds for some numbers if and only if it holds for small ones: a
//! large gap between the counters of a model can be narrowed, as long as it stays larger than the sum of all distances.
//! So [`COUNTER`] bits are enough as long as the distances have [`DISTANCE`] bits and there are at most [`COUNTERS`]
//! counters. Any other comparison of numbers that depend on counters gets an arbitrary value, unless *counters are
//! small* is assumed. A contradiction that needs this assumption does not count.
use super::gates::Gates;
use super::linear::Linear;
use super::word::Word;
use crate::term::{Arena, Node, Range, Term};
use batsat::Lit;
use rustc_hash::FxHashMap;

/// Number of bits of a counter.
const COUNTER: usize = 72;

/// Maximum number of bits of a distance between counters.
const DISTANCE: usize = 56;

/// Maximum number of counters.
const COUNTERS: usize = 1 << (COUNTER - DISTANCE - 2);

/// How a number depends on counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It does not depend on a counter.
    Bounded,
    /// It is a counter, or at most `2^distance` from a counter or from 0.
    Counter { distance: usize },
    /// It depends on counters in another way.
    Mixed,
}

/// A number.
#[derive(Clone, Debug)]
struct Number {
    word: Word,
    kind: Kind,
}

impl Number {
    fn bounded(word: Word) -> Number {
        Number { word, kind: Kind::Bounded }
    }

    /// Number of bits of its maximum distance from a counter or from 0.
    fn distance(&self) -> Option<usize> {
        match self.kind {
            Kind::Bounded => Some(self.word.width()),
            Kind::Counter { distance } => Some(distance),
            Kind::Mixed => None,
        }
    }

    fn is_bounded(&self) -> bool {
        self.kind == Kind::Bounded
    }

    /// The kind of the sum with `other`, or of the difference if `subtracted`.
    fn moved(&self, other: &Number, subtracted: bool) -> Kind {
        match (self.kind, other.kind) {
            (Kind::Bounded, Kind::Bounded) => Kind::Bounded,
            (Kind::Counter { distance }, Kind::Bounded) => {
                Kind::Counter { distance: distance.max(other.word.width()) + 1 }
            }
            (Kind::Bounded, Kind::Counter { .. }) if !subtracted => other.moved(self, false),
            _ => Kind::Mixed,
        }
    }

    /// The kind of a choice between this number and `other`.
    fn or(&self, other: &Number) -> Kind {
        match (self.distance(), other.distance()) {
            _ if self.is_bounded() && other.is_bounded() => Kind::Bounded,
            (Some(a), Some(b)) => Kind::Counter { distance: a.max(b) },
            _ => Kind::Mixed,
        }
    }

    /// The kind of the result of any other operation.
    fn changed(&self) -> Kind {
        if self.is_bounded() { Kind::Bounded } else { Kind::Mixed }
    }
}

/// The comparisons of a difference with 0 that have been built.
#[derive(Clone, Copy, Default)]
struct Order {
    less: Option<Lit>,
    equal: Option<Lit>,
    greater: Option<Lit>,
}

/// All gates, and the terms that they represent.
pub struct Circuit {
    /// The gates.
    pub gates: Gates,
    literals: FxHashMap<Term, Lit>,
    numbers: FxHashMap<Term, Number>,
    /// Quotients and remainders of division by constants.
    quotients: FxHashMap<(Term, u64), (Word, Word)>,
    orders: FxHashMap<Linear, Order>,
    counters: usize,
    /// The literal for "counters are small".
    small: Lit,
}

impl Circuit {
    /// An empty circuit.
    pub fn new() -> Circuit {
        let mut gates = Gates::new();
        let small = gates.fresh();
        Circuit {
            gates,
            literals: FxHashMap::default(),
            numbers: FxHashMap::default(),
            quotients: FxHashMap::default(),
            orders: FxHashMap::default(),
            counters: 0,
            small,
        }
    }

    /// The assumption that counters are small.
    pub fn small(&self) -> Lit {
        self.small
    }

    /// Whether there are more counters than the argument for small counters allows.
    pub fn too_many_counters(&self) -> bool {
        self.counters > COUNTERS
    }

    /// The value of a leaf in the last assignment.
    pub fn value(&self, leaf: Term) -> i128 {
        match self.literals.get(&leaf) {
            Some(&literal) => self.gates.holds(literal).into(),
            None => self.word_value(leaf).iter().rev().fold(0, |value, &bit| value << 1 | i128::from(bit)),
        }
    }

    /// The bits of a number in the last assignment, without redundant sign bits.
    pub fn word_value(&self, number: Term) -> Vec<bool> {
        let bits = self.numbers.get(&number).map_or(&[][..], |number| number.word.bits());
        let mut bits: Vec<bool> = bits.iter().map(|&bit| self.gates.holds(bit)).collect();
        while let [.., a, b] = bits[..]
            && a == b
        {
            bits.pop();
        }
        bits
    }

    /// Builds the gates of `term`; for an application, also those of its arguments.
    pub fn build(&mut self, arena: &Arena, term: Term) {
        if let Node::App(_, _, arguments) = arena.node(term) {
            for &argument in arguments {
                self.build(arena, argument);
            }
        }
        if arena.is_bool(term) {
            self.literal(arena, term);
        } else {
            self.number(arena, term);
        }
    }

    /// The literal of the truth value `term`.
    pub fn literal(&mut self, arena: &Arena, term: Term) -> Lit {
        if let Some(&literal) = self.literals.get(&term) {
            return literal;
        }
        let literal = match *arena.node(term) {
            Node::Bool(value) => return self.gates.constant(value),
            Node::Not(a) => return !self.literal(arena, a),
            Node::And(..) => {
                let mut parts = Vec::new();
                self.conjuncts(arena, term, &mut parts);
                self.gates.all(parts)
            }
            Node::Ite(c, a, b) => {
                let [c, a, b] = [c, a, b].map(|part| self.literal(arena, part));
                self.gates.choose(c, a, b)
            }
            Node::Eq(a, b) => self.equal(arena, a, b),
            Node::Lt(a, b) => self.less(arena, a, b),
            // A leaf: no other node is a truth value.
            _ => self.gates.fresh(),
        };
        self.literals.insert(term, literal);
        literal
    }

    fn conjuncts(&mut self, arena: &Arena, term: Term, parts: &mut Vec<Lit>) {
        match *arena.node(term) {
            Node::And(a, b) if !self.literals.contains_key(&term) => {
                self.conjuncts(arena, a, parts);
                self.conjuncts(arena, b, parts);
            }
            _ => parts.push(self.literal(arena, term)),
        }
    }

    /// Asserts `term` under the condition `given`.
    pub fn say(&mut self, arena: &Arena, given: Lit, term: Term) {
        match *arena.node(term) {
            Node::And(a, b) => {
                self.say(arena, given, a);
                self.say(arena, given, b);
            }
            Node::Not(inner) if matches!(arena.node(inner), Node::And(..)) => {
                let mut parts = Vec::new();
                self.conjuncts(arena, inner, &mut parts);
                let clause: Vec<Lit> = parts.into_iter().chain([given]).map(|part| !part).collect();
                self.gates.clause(&clause);
            }
            _ => {
                let literal = self.literal(arena, term);
                self.gates.clause(&[!given, literal]);
            }
        }
    }

    /// `a == b`, for numbers or truth values.
    pub fn equal(&mut self, arena: &Arena, a: Term, b: Term) -> Lit {
        if arena.is_bool(a) {
            let (a, b) = (self.literal(arena, a), self.literal(arena, b));
            return !self.gates.xor(a, b);
        }
        let difference = Linear::difference(arena, a, b);
        let (key, _) = difference.clone().ordered();
        if let Some(equal) = self.orders.get(&key).and_then(|order| order.equal) {
            return equal;
        }
        let (a, b) = (self.side(arena, &difference, true), self.side(arena, &difference, false));
        let equal = self.gates.equal(&a.word, &b.word);
        let equal = self.honest(&a, &b, equal);
        self.compared(key, |order| order.equal = Some(equal));
        equal
    }

    /// `a < b`.
    fn less(&mut self, arena: &Arena, a: Term, b: Term) -> Lit {
        let difference = Linear::difference(arena, a, b);
        let (key, turned) = difference.clone().ordered();
        let order = self.orders.get(&key).copied().unwrap_or_default();
        if let Some(less) = if turned { order.greater } else { order.less } {
            return less;
        }
        let (a, b) = (self.side(arena, &difference, true), self.side(arena, &difference, false));
        let less = self.gates.less(&a.word, &b.word);
        let less = self.honest(&a, &b, less);
        self.compared(key, |order| *(if turned { &mut order.greater } else { &mut order.less }) = Some(less));
        less
    }

    /// The sum of the parts with positive factors, or the negated sum of those with negative factors.
    fn side(&mut self, arena: &Arena, difference: &Linear, positive: bool) -> Number {
        let (parts, constant) = difference.side(positive);
        let mut sum: Option<Number> = None;
        for (term, factor) in parts {
            let part = self.number(arena, term);
            let part = if factor == 1 { part } else { self.multiple(&part, factor) };
            sum = Some(match sum {
                Some(sum) => self.sum(&sum, &part),
                None => part,
            });
        }
        let constant = Number::bounded(self.gates.number(constant));
        sum.map_or(constant.clone(), |sum| self.sum(&sum, &constant))
    }

    fn sum(&mut self, a: &Number, b: &Number) -> Number {
        Number { word: self.gates.add(&a.word, &b.word), kind: a.moved(b, false) }
    }

    fn multiple(&mut self, a: &Number, c: u64) -> Number {
        Number { word: self.gates.mul(&a.word, c), kind: a.changed() }
    }

    /// Records a comparison of a difference with 0. Asserts that at most one of the three possible comparisons holds
    /// and, once all three are built, that one holds.
    fn compared(&mut self, difference: Linear, note: impl FnOnce(&mut Order)) {
        let order = self.orders.entry(difference).or_default();
        note(order);
        let Order { less, equal, greater } = *order;
        for (one, other) in [(less, equal), (less, greater), (equal, greater)] {
            if let (Some(one), Some(other)) = (one, other) {
                self.gates.clause(&[!one, !other]);
            }
        }
        if let (Some(less), Some(equal), Some(greater)) = (less, equal, greater) {
            self.gates.clause(&[less, equal, greater]);
        }
    }

    /// A sound literal for a comparison of `a` and `b`. If the comparison could differ for large counters, the literal
    /// equals `compared` only if counters are small.
    fn honest(&mut self, a: &Number, b: &Number, compared: Lit) -> Lit {
        let near = |number: &Number| number.distance().is_some_and(|distance| distance <= DISTANCE);
        if a.is_bounded() && b.is_bounded() || near(a) && near(b) {
            return compared;
        }
        let worth = self.gates.fresh();
        self.gates.clause(&[!self.small, !worth, compared]);
        self.gates.clause(&[!self.small, worth, !compared]);
        worth
    }

    fn number(&mut self, arena: &Arena, term: Term) -> Number {
        if let Some(number) = self.numbers.get(&term) {
            return number.clone();
        }
        let number = self.make_number(arena, term);
        self.numbers.insert(term, number.clone());
        number
    }

    fn make_number(&mut self, arena: &Arena, term: Term) -> Number {
        match *arena.node(term) {
            Node::Const(value) => Number::bounded(self.gates.number(value)),
            Node::Var(_, range) | Node::App(_, range, _) => self.leaf(range),
            Node::Add(a, b) => {
                let (a, b) = (self.number(arena, a), self.number(arena, b));
                self.sum(&a, &b)
            }
            Node::Sub(a, b) => {
                let (a, b) = (self.number(arena, a), self.number(arena, b));
                Number { word: self.gates.sub(&a.word, &b.word), kind: a.moved(&b, true) }
            }
            Node::MulC(a, c) => {
                let a = self.number(arena, a);
                self.multiple(&a, c)
            }
            Node::DivC(a, c) => {
                let (quotient, _, kind) = self.quotient(arena, a, c);
                Number { word: quotient, kind }
            }
            Node::RemC(a, c) => {
                let (_, remainder, kind) = self.quotient(arena, a, c);
                Number { word: remainder, kind }
            }
            Node::Ite(c, a, b) => {
                let c = self.literal(arena, c);
                let (a, b) = (self.number(arena, a), self.number(arena, b));
                Number { word: self.gates.either(c, &a.word, &b.word), kind: a.or(&b) }
            }
            Node::Bool(_) | Node::Eq(..) | Node::Lt(..) | Node::Not(_) | Node::And(..) => {
                unreachable!("truth values are no numbers")
            }
        }
    }

    fn quotient(&mut self, arena: &Arena, a: Term, c: u64) -> (Word, Word, Kind) {
        let number = self.number(arena, a);
        let kind = number.changed();
        if let Some((quotient, remainder)) = self.quotients.get(&(a, c)) {
            return (quotient.clone(), remainder.clone(), kind);
        }
        let (quotient, remainder) = self.gates.div_rem(&number.word, c);
        self.quotients.insert((a, c), (quotient.clone(), remainder.clone()));
        (quotient, remainder, kind)
    }

    /// A leaf: an arbitrary number of its range.
    fn leaf(&mut self, range: Range) -> Number {
        match range {
            Range::UpTo(most) => {
                let word = self.gates.unknown((u64::BITS - most.leading_zeros()) as usize);
                if !(most.wrapping_add(1)).is_power_of_two() && most != u64::MAX {
                    let most = self.gates.number(most);
                    let more = self.gates.less(&most, &word);
                    self.gates.clause(&[!more]);
                }
                Number::bounded(word)
            }
            // A truth value has a literal and no number.
            Range::Nat | Range::Bool => {
                self.counters += 1;
                Number { word: self.gates.unknown(COUNTER), kind: Kind::Counter { distance: 1 } }
            }
        }
    }
}
