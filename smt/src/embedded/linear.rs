//! Differences of terms as sums: what is on both sides of a comparison does not count.
use crate::term::{Arena, Node, Term};

/// A sum of terms with factors, and a constant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Linear {
    /// Different terms, in their order, and factors that are not 0.
    parts: Vec<(Term, i128)>,
    constant: i128,
}

/// Sums of more terms are left as they are.
const MOST_PARTS: usize = 64;

impl Linear {
    /// `a - b`, whether it is the negation that is given: the first factor is positive.
    pub fn difference(arena: &Arena, a: Term, b: Term) -> (Linear, bool) {
        let mut linear = Linear { parts: Vec::new(), constant: 0 };
        if linear.add(arena, a, 1).and_then(|()| linear.add(arena, b, -1)).is_none() {
            linear = Linear { parts: vec![(a, 1), (b, -1)], constant: 0 };
        }
        linear.parts.sort_unstable_by_key(|part| part.0);
        linear.parts.dedup_by(|part, kept| {
            let same = part.0 == kept.0;
            if same {
                kept.1 += part.1;
            }
            same
        });
        linear.parts.retain(|part| part.1 != 0);
        let negated = linear.parts.first().is_some_and(|part| part.1 < 0);
        if negated {
            linear.parts.iter_mut().for_each(|part| part.1 = -part.1);
            linear.constant = -linear.constant;
        }
        (linear, negated)
    }

    /// The terms with positive factors, or those with negative ones, and the part of the constant: all positive.
    pub fn side(&self, positive: bool) -> (impl Iterator<Item = (Term, u64)>, u64) {
        let here = move |value: i128| if positive { value } else { -value };
        // None is larger.
        let magnitude = move |value: i128| u64::try_from(here(value)).unwrap_or(0);
        let parts = self.parts.iter().map(move |&(term, factor)| (term, magnitude(factor)));
        (parts.filter(|part| part.1 > 0), magnitude(self.constant))
    }

    /// Adds `factor * term`, unless it becomes too large.
    fn add(&mut self, arena: &Arena, term: Term, factor: i128) -> Option<()> {
        match *arena.node(term) {
            Node::Const(value) => {
                let value = i128::from(value).checked_mul(factor)?;
                self.constant = self.constant.checked_add(value).filter(|&sum| is_small(sum))?;
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
                self.parts.push((term, factor));
                let sum = self.parts.iter().map(|part| part.1.abs()).sum::<i128>();
                if self.parts.len() > MOST_PARTS || !is_small(sum) {
                    return None;
                }
            }
        }
        Some(())
    }
}

/// Whether a factor or constant of this size is worth it.
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
        let (difference, negated) = Linear::difference(&arena, right, left);
        assert_eq!(difference, Linear { parts: vec![(y, 1), (z, -3)], constant: -3 });
        assert!(!negated);
        let (other, negated) = Linear::difference(&arena, left, right);
        assert_eq!(other, difference);
        assert!(negated);
        let (parts, constant) = difference.side(false);
        assert_eq!((parts.collect::<Vec<_>>(), constant), (vec![(z, 3)], 3));
    }
}
