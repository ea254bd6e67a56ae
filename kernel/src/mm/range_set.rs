//! A set of addresses, kept as sorted ranges that neither overlap nor touch.

use core::ops::Range;

/// A set of addresses in at most `N` pieces.
#[derive(Clone, Debug)]
pub struct RangeSet<const N: usize> {
    ranges: [Range<u64>; N],
    count: usize,
}

/// The change would leave the set in more than `N` pieces, so the set was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

impl<const N: usize> RangeSet<N> {
    /// The empty set.
    pub const EMPTY: Self = RangeSet { ranges: [const { 0..0 }; N], count: 0 };

    /// The pieces, in the order of their addresses.
    pub fn pieces(&self) -> &[Range<u64>] {
        &self.ranges[..self.count]
    }

    /// Number of addresses.
    pub fn len(&self) -> u64 {
        // The pieces are disjoint, and none ends after `u64::MAX`, so the sum cannot overflow.
        self.pieces().iter().map(|piece| piece.end - piece.start).sum()
    }

    /// Whether the set has no address.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether any address of `range` is in the set.
    pub fn meets(&self, range: &Range<u64>) -> bool {
        let after = self.pieces().partition_point(|piece| piece.end <= range.start);
        !range.is_empty() && self.pieces().get(after).is_some_and(|piece| piece.start < range.end)
    }

    /// Adds the addresses of `range`.
    ///
    /// # Errors
    /// [`Full`]; the set is unchanged.
    pub fn insert(&mut self, range: Range<u64>) -> Result<(), Full> {
        if range.is_empty() {
            return Ok(());
        }
        // Pieces that touch the range are merged with it, too.
        let first = self.pieces().partition_point(|piece| piece.end < range.start);
        let last = self.pieces().partition_point(|piece| piece.start <= range.end);
        let merged = self.ranges[first..last]
            .iter()
            .fold(range, |all, piece| all.start.min(piece.start)..all.end.max(piece.end));
        self.replace(first..last, [merged])
    }

    /// Removes the addresses of `range`.
    ///
    /// # Errors
    /// [`Full`] if removing the middle of a piece would leave one piece too many. The set is unchanged.
    pub fn remove(&mut self, range: Range<u64>) -> Result<(), Full> {
        if range.is_empty() {
            return Ok(());
        }
        let first = self.pieces().partition_point(|piece| piece.end <= range.start);
        let last = self.pieces().partition_point(|piece| piece.start < range.end);
        match &self.ranges[first..last] {
            [] => Ok(()),
            [one] | [one, .., _] => {
                let end = self.ranges[last - 1].end;
                let rest = [one.start..range.start, range.end..end];
                self.replace(first..last, rest)
            }
        }
    }

    /// Replaces some pieces by `others`, without those that are empty.
    fn replace<const M: usize>(&mut self, old: Range<usize>, others: [Range<u64>; M]) -> Result<(), Full> {
        let new = others.iter().filter(|range| !range.is_empty()).count();
        let count = self.count - old.len() + new;
        if count > N {
            return Err(Full);
        }
        // If pieces move up, the last one is moved first, so that none is overwritten before it has moved.
        let behind = old.end..self.count;
        let shift = |set: &mut Self, from: usize| set.ranges[from - old.len() + new] = set.ranges[from].clone();
        if new > old.len() {
            behind.rev().for_each(|from| shift(self, from));
        } else {
            behind.for_each(|from| shift(self, from));
        }
        let places = &mut self.ranges[old.start..old.start + new];
        places
            .iter_mut()
            .zip(others.into_iter().filter(|range| !range.is_empty()))
            .for_each(|(place, range)| *place = range);
        self.count = count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// The pieces of a set of numbers, found by looking at each number.
    fn pieces_of(numbers: &BTreeSet<u64>) -> Vec<Range<u64>> {
        let mut pieces: Vec<Range<u64>> = Vec::new();
        for &number in numbers {
            match pieces.last_mut().filter(|piece| piece.end == number) {
                Some(piece) => piece.end += 1,
                None => pieces.push(number..number + 1),
            }
        }
        pieces
    }

    #[test]
    fn the_ends_of_all_addresses_are_addresses() {
        let mut set = RangeSet::<2>::EMPTY;
        assert_eq!(set.insert(0..u64::MAX), Ok(()));
        assert_eq!(set.insert(0..u64::MAX), Ok(()));
        assert_eq!(set.len(), u64::MAX);
        assert_eq!(set.remove(1..u64::MAX - 1), Ok(()));
        assert_eq!(set.pieces(), [0..1, u64::MAX - 1..u64::MAX]);
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_the_numbers_that_it_should_have(
            steps in proptest::collection::vec((any::<bool>(), 0u64..40, 0u64..12), 0..40),
        ) {
            let mut set = RangeSet::<4>::EMPTY;
            let mut model = BTreeSet::new();
            for (adds, start, bytes) in steps {
                let range = start..start + bytes;
                let mut next = model.clone();
                if adds {
                    next.extend(range.clone());
                } else {
                    next.retain(|number| !range.contains(number));
                }
                let changed = if adds { set.insert(range.clone()) } else { set.remove(range.clone()) };
                prop_assert_eq!(changed.is_ok(), pieces_of(&next).len() <= 4);
                if changed.is_ok() {
                    model = next;
                }
                prop_assert_eq!(set.pieces(), &pieces_of(&model)[..]);
                prop_assert_eq!((set.len(), set.is_empty()), (model.len() as u64, model.is_empty()));
                prop_assert_eq!(set.meets(&range), range.clone().any(|number| model.contains(&number)));
            }
        }
    }
}
