//! The symbolic values of the domain: terms.
use crate::engine::engine;
use crate::explore::oblige;
use crate::mutant::Operator;
use crate::operator::{ask, compute};
use domain::{Flag, Nat, Wide, Word};
use smt::term::{Arena, Term};
use std::cmp::Ordering;
use std::ops::{Add, AddAssign, Div, Mul, Rem, Sub, SubAssign};
use std::panic::Location;

/// A symbolic 32-bit word.
#[derive(Clone, Copy)]
pub struct SymWord(pub Term);
/// A symbolic 64-bit word.
#[derive(Clone, Copy)]
pub struct SymWide(pub Term);
/// A symbolic counter.
#[derive(Clone, Copy)]
pub struct SymNat(pub Term);
/// A symbolic Boolean value.
#[derive(Clone, Copy)]
pub struct SymFlag(pub Term);

/// A number as a term.
fn number(value: u64) -> Term {
    engine(|e| e.arena.number(value))
}

/// A term made by the arena.
fn make(build: impl FnOnce(&mut Arena) -> Term) -> Term {
    engine(|e| build(&mut e.arena))
}

/// Decides `a < b` or `a <= b`.
#[track_caller]
fn order(operator: Operator, a: Term, b: Term) -> bool {
    let make = |arena: &mut Arena, operator| if operator == Operator::Less { arena.lt(a, b) } else { arena.le(a, b) };
    ask(operator, make, Location::caller())
}

/// The operations of all numbers: equality, order, constants. `$constant` is the type of constants in comparisons.
macro_rules! number {
    ($name:ident, $constant:ty) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&engine(|e| e.arena.show(self.0)))
            }
        }
        impl PartialEq for $name {
            #[track_caller]
            fn eq(&self, other: &$name) -> bool {
                ask(Operator::Equal, |a, _| a.eq(self.0, other.0), Location::caller())
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            #[track_caller]
            fn partial_cmp(&self, other: &$name) -> Option<Ordering> {
                Some(self.cmp(other))
            }
            #[track_caller]
            fn lt(&self, other: &$name) -> bool {
                order(Operator::Less, self.0, other.0)
            }
            #[track_caller]
            fn le(&self, other: &$name) -> bool {
                order(Operator::AtMost, self.0, other.0)
            }
            #[track_caller]
            fn gt(&self, other: &$name) -> bool {
                other.lt(self)
            }
            #[track_caller]
            fn ge(&self, other: &$name) -> bool {
                other.le(self)
            }
        }
        impl Ord for $name {
            #[track_caller]
            fn cmp(&self, other: &$name) -> Ordering {
                if self == other {
                    Ordering::Equal
                } else if self < other {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            // A term, not a decision.
            fn max(self, other: $name) -> $name {
                $name(make(|a| {
                    let less = a.lt(self.0, other.0);
                    a.ite(less, other.0, self.0)
                }))
            }
            fn min(self, other: $name) -> $name {
                $name(make(|a| {
                    let less = a.lt(other.0, self.0);
                    a.ite(less, other.0, self.0)
                }))
            }
        }
        impl PartialEq<$constant> for $name {
            #[track_caller]
            fn eq(&self, other: &$constant) -> bool {
                *self == $name(number(u64::from(*other)))
            }
        }
        impl PartialOrd<$constant> for $name {
            #[track_caller]
            fn partial_cmp(&self, other: &$constant) -> Option<Ordering> {
                self.partial_cmp(&$name(number(u64::from(*other))))
            }
            #[track_caller]
            fn lt(&self, other: &$constant) -> bool {
                *self < $name(number(u64::from(*other)))
            }
            #[track_caller]
            fn le(&self, other: &$constant) -> bool {
                *self <= $name(number(u64::from(*other)))
            }
            #[track_caller]
            fn gt(&self, other: &$constant) -> bool {
                *self > $name(number(u64::from(*other)))
            }
            #[track_caller]
            fn ge(&self, other: &$constant) -> bool {
                *self >= $name(number(u64::from(*other)))
            }
        }
    };
}

number!(SymWord, u32);
number!(SymWide, u64);
number!(SymNat, u32);

impl From<u32> for SymWord {
    fn from(value: u32) -> Self {
        SymWord(number(value.into()))
    }
}

#[track_caller]
fn add(a: Term, b: Term) -> SymWord {
    let at = Location::caller();
    let sum = || {
        let most = number(u32::MAX.into());
        let fits = make(|arena| {
            let rest = arena.sub(most, b);
            arena.le(a, rest)
        });
        oblige(fits, format_args!("addition overflows"), at);
        make(|arena| arena.add(a, b))
    };
    SymWord(compute(Operator::Add, a, sum, at))
}

#[track_caller]
fn sub(a: Term, b: Term) -> SymWord {
    let at = Location::caller();
    let difference = || {
        oblige(make(|arena| arena.le(b, a)), format_args!("subtraction underflows"), at);
        make(|arena| arena.sub(a, b))
    };
    SymWord(compute(Operator::Subtract, a, difference, at))
}

macro_rules! operator {
    ($trait:ident $method:ident $assign:ident $assign_method:ident $function:ident) => {
        impl $trait for SymWord {
            type Output = SymWord;
            #[track_caller]
            fn $method(self, other: SymWord) -> SymWord {
                $function(self.0, other.0)
            }
        }
        impl $trait<u32> for SymWord {
            type Output = SymWord;
            #[track_caller]
            fn $method(self, other: u32) -> SymWord {
                $function(self.0, number(other.into()))
            }
        }
        impl $assign for SymWord {
            #[track_caller]
            fn $assign_method(&mut self, other: SymWord) {
                *self = $function(self.0, other.0);
            }
        }
        impl $assign<u32> for SymWord {
            #[track_caller]
            fn $assign_method(&mut self, other: u32) {
                *self = $function(self.0, number(other.into()));
            }
        }
    };
}

operator!(Add add AddAssign add_assign add);
operator!(Sub sub SubAssign sub_assign sub);

impl Mul<u32> for SymWord {
    type Output = SymWord;
    #[track_caller]
    fn mul(self, factor: u32) -> SymWord {
        let at = Location::caller();
        let product = || {
            if let Some(most) = u32::MAX.checked_div(factor) {
                let most = number(most.into());
                oblige(make(|arena| arena.le(self.0, most)), format_args!("product overflows"), at);
            }
            make(|arena| arena.mul(self.0, factor.into()))
        };
        SymWord(compute(Operator::Multiply, self.0, product, at))
    }
}

impl Div<u32> for SymWord {
    type Output = SymWord;
    #[track_caller]
    fn div(self, divisor: u32) -> SymWord {
        assert!(divisor != 0, "division by zero");
        let quotient = || make(|arena| arena.div(self.0, divisor.into()));
        SymWord(compute(Operator::Divide, self.0, quotient, Location::caller()))
    }
}

impl Rem<u32> for SymWord {
    type Output = SymWord;
    #[track_caller]
    fn rem(self, divisor: u32) -> SymWord {
        assert!(divisor != 0, "division by zero");
        let remainder = || make(|arena| arena.rem(self.0, divisor.into()));
        SymWord(compute(Operator::Remainder, self.0, remainder, Location::caller()))
    }
}

impl Word for SymWord {
    #[track_caller]
    fn wrapping_add(self, other: SymWord) -> SymWord {
        let sum = || {
            make(|a| {
                let (sum, words) = (a.add(self.0, other.0), a.number(1 << 32));
                let (fits, rest) = (a.lt(sum, words), a.sub(sum, words));
                a.ite(fits, sum, rest)
            })
        };
        SymWord(compute(Operator::Add, self.0, sum, Location::caller()))
    }
    // The sum of the 32 bits.
    fn or(self, other: SymWord) -> SymWord {
        SymWord(make(|a| {
            (0..32).fold(a.number(0), |sum, k| {
                let [one, two] = [self.0, other.0].map(|word| {
                    let rest = a.div(word, 1 << k);
                    a.rem(rest, 2)
                });
                let less = a.lt(one, two);
                let either = a.ite(less, two, one);
                let either = a.mul(either, 1 << k);
                a.add(sum, either)
            })
        }))
    }
}

impl From<SymWord> for SymWide {
    fn from(word: SymWord) -> Self {
        SymWide(word.0)
    }
}

impl Wide<SymWord> for SymWide {
    fn constant(value: u64) -> Self {
        SymWide(number(value))
    }
    fn join(high: SymWord, low: SymWord) -> Self {
        SymWide(make(|arena| {
            let high = arena.mul(high.0, 1 << 32);
            arena.add(high, low.0)
        }))
    }
    fn high(self) -> SymWord {
        SymWord(make(|arena| arena.div(self.0, 1 << 32)))
    }
    fn low(self) -> SymWord {
        SymWord(make(|arena| {
            let most = arena.number(u32::MAX.into());
            let fits = arena.le(self.0, most);
            if arena.as_bool(fits) == Some(true) { self.0 } else { arena.rem(self.0, 1 << 32) }
        }))
    }
    #[track_caller]
    fn narrow(self) -> Option<SymWord> {
        let most = number(u32::MAX.into());
        order(Operator::AtMost, self.0, most).then_some(SymWord(self.0))
    }
}

impl From<SymWord> for SymNat {
    fn from(word: SymWord) -> Self {
        SymNat(word.0)
    }
}

impl Add for SymNat {
    type Output = SymNat;
    fn add(self, other: SymNat) -> SymNat {
        SymNat(make(|arena| arena.add(self.0, other.0)))
    }
}

impl Add<u32> for SymNat {
    type Output = SymNat;
    fn add(self, other: u32) -> SymNat {
        SymNat(make(|arena| {
            let other = arena.number(other.into());
            arena.add(self.0, other)
        }))
    }
}

impl Nat<SymWord> for SymNat {
    fn zero() -> Self {
        SymNat(number(0))
    }
}

impl std::fmt::Debug for SymFlag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&engine(|e| e.arena.show(self.0)))
    }
}

impl From<bool> for SymFlag {
    fn from(value: bool) -> Self {
        SymFlag(make(|arena| arena.bool(value)))
    }
}

impl Flag for SymFlag {
    #[track_caller]
    fn holds(self) -> bool {
        ask(Operator::Flag, |_, _| self.0, Location::caller())
    }
}
