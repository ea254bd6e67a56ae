//! Differences of terms: parts that both sides of a comparison have in common cancel.
use crate::term::{Arena, Node, Term};

/// A linear sum: terms with factors, and a constant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Linear {
    /// Distinct terms, with factors that are not 0.
    parts: Vec<(Term, i128)>,
    constant: i128,
}

/// A sum with more terms is not simplified.
const MOST_PARTS: usize = 64;

impl Linear {
    /// Simplifies `a - b`: if the sides have a part in common, returns the remaining parts; otherwise the two terms
    /// `a` and `b`. In the second form, comparisons with the same sum on one side share the gates of the sum.
    pub fn difference(arena: &Arena, a: Term, b: Term) -> Linear {
        let mut sum = Sum { linear: Linear { parts: Vec::new(), constant: 0 }, common: false };
        if sum.add(arena, a, 1).and_then(|()| sum.add(arena, b, -1)).is_none() || !sum.common {
            return Linear { parts: vec![(a, 1), (b, -1)], constant: 0 };
        }
        sum.linear.parts.retain(|part| part.1 != 0);
        sum.linear
    }

    /// The same difference with its terms sorted and its first factor positive; and whether its signs were changed
    /// for this.
    pub fn ordered(mut self) -> (Linear, bool) {
        self.parts.sort_unstable_by_key(|part| part.0);
        let turned = self.parts.first().is_some_and(|part| part.1 < 0);
        if turned {
            self.parts.iter_mut().for_each(|part| part.1 = -part.1);
            self.constant = -self.constant;
        }
        (self, turned)
    }

    /// The terms with positive factors or those with negative factors, and the part of the constant with the same
    /// sign, all as magnitudes.
    pub fn side(&self, positive: bool) -> (impl Iterator<Item = (Term, u64)>, u64) {
        // No value is larger than a `u64` ([`is_small`]).
        let magnitude = move |value: i128| u64::try_from(if positive { value } else { -value }).unwrap_or(0);
        let parts = self.parts.iter().map(move |&(term, factor)| (term, magnitude(factor)));
        (parts.filter(|part| part.1 > 0), magnitude(self.constant))
    }
}

/// A difference under construction.
struct Sum {
    linear: Linear,
    /// Whether a term occurred twice.
    common: bool,
}

impl Sum {
    /// Adds `factor * term`; `None` if the sum becomes too large.
    fn add(&mut self, arena: &Arena, term: Term, factor: i128) -> Option<()> {
        match *arena.node(term) {
            Node::Const(value) => {
                let value = i128::from(value).checked_mul(factor)?;
                let constant = &mut self.linear.constant;
                *constant = constant.checked_add(value).filter(|&sum| is_small(sum))?;
            }
            Node::Add(a, b) => {
                self.add(arena, a, factor)?;
                self.add(arena, b, factor)?;
            }
            Node::Sub(a, b) => {
                self.add(arena, a, factor)?;
                self.add(arena, b, -factor)?;
            }
            Node::MulC(a, c) => {
                let factor = factor.checked_mul(c.into()).filter(|&factor| is_small(factor))?;
                self.add(arena, a, factor)?;
            }
            _ => {
                let parts = &mut self.linear.parts;
                match parts.iter_mut().find(|part| part.0 == term) {
                    Some(part) => {
                        part.1 = Some(part.1 + factor).filter(|&sum| is_small(sum))?;
                        self.common = true;
                    }
                    None => parts.push((term, factor)),
                }
                if self.linear.parts.len() > MOST_PARTS {
                    return None;
                }
            }
        }
        Some(())
    }
}

/// Whether a factor or constant is small enough: its magnitude fits 64 bits.
fn is_small(value: i128) -> bool {
    u64::try_from(value.unsigned_abs()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::term::Range;

    #[test]
    fn what_is_on_both_sides_does_not_count() {
        let mut arena = Arena::default();
        let [x, y, z] = ["x", "y", "z"].map(|name| arena.var(name, Range::WORD));
        let (five, two) = (arena.number(5), arena.number(2));
        let left = arena.add(z, x);
        let left = arena.mul(left, 3);
        let left = arena.add(left, five);
        let right = arena.mul(x, 3);
        let right = arena.add(y, right);
        let right = arena.add(right, two);
        let difference = Linear::difference(&arena, right, left);
        assert_eq!(difference, Linear { parts: vec![(y, 1), (z, -3)], constant: -3 });
        let (parts, constant) = difference.side(false);
        assert_eq!((parts.collect::<Vec<_>>(), constant), (vec![(z, 3)], 3));
        let other = Linear::difference(&arena, left, right);
        assert_eq!(other.ordered(), (difference.clone(), true));
        assert_eq!(difference.clone().ordered(), (difference, false));
    }
}
