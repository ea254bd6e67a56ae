//! The storage of a field, entry by entry, and the map that is built on it.
use core::any::Any;
use core::ops::Range;
use domain::{Domain, Field, Map};

/// A key: `N` coordinates.
pub trait Coordinates: Copy {
    /// A range for each coordinate.
    type Ranges;
    /// Restricts `ranges` to the keys that begin with `row`.
    fn row(ranges: Self::Ranges, row: &[u32]) -> Self::Ranges;
    /// Visits every key in `ranges`, in order.
    fn each(ranges: Self::Ranges, visit: impl FnMut(Self));
}

impl<const N: usize> Coordinates for [u32; N] {
    type Ranges = [Range<u32>; N];

    fn row(mut ranges: Self::Ranges, row: &[u32]) -> Self::Ranges {
        for (range, &coordinate) in ranges.iter_mut().zip(row) {
            *range = coordinate..coordinate + 1;
        }
        ranges
    }

    fn each(ranges: Self::Ranges, mut visit: impl FnMut(Self)) {
        if ranges.iter().any(Range::is_empty) {
            return;
        }
        let mut key = ranges.each_ref().map(|range| range.start);
        loop {
            visit(key);
            let mut at = N;
            loop {
                let Some(before) = at.checked_sub(1) else { return };
                at = before;
                key[at] += 1;
                if key[at] < ranges[at].end {
                    break;
                }
                key[at] = ranges[at].start;
            }
        }
    }
}

/// The storage of a field: how one entry is loaded and stored.
///
/// # Panics
/// Every method panics if it is given a key outside [`keys`](Entries::keys). Such a key is a bug of the layer, which
/// the proofs exclude. It must not become an access to other memory.
pub trait Entries<K: Coordinates, V: Copy> {
    /// The range of each coordinate.
    fn keys(&self) -> K::Ranges;
    /// The entry at `key`.
    fn load(&self, key: K) -> V;
    /// Replaces the entry at `key`.
    fn store(&mut self, key: K, value: V);

    /// The least key in `from..to` whose value `wanted` accepts. `None` if the storage has no faster way than to
    /// read each entry.
    #[inline(always)]
    fn search(&self, _from: u32, _to: u32, _wanted: fn(V) -> bool) -> Option<Option<u32>> {
        None
    }

    /// Like `search`, within one row.
    #[inline(always)]
    fn search_row(&self, _row: u32, _from: u32, _to: u32, _wanted: fn(V) -> bool) -> Option<Option<u32>> {
        None
    }

    /// Replaces every entry whose key starts with `row`.
    fn fill(&mut self, row: &[u32], value: V) {
        fill_each(self, row, value);
    }

    /// Copies the first `length` entries of row `from` of `source` to `row` at once. Returns false, and does nothing,
    /// if the storage cannot do this.
    fn copy_row(&mut self, _row: u32, _length: u32, _source: &dyn Any, _from: u32) -> bool {
        false
    }

    /// Copies the first `length` entries of row `from` to `row` at once. Returns false, and does nothing, if the
    /// storage cannot do this.
    fn copy_own_row(&mut self, _row: u32, _length: u32, _from: u32) -> bool {
        false
    }

    /// Replaces every entry by `make` of its key.
    fn define(&mut self, make: impl Fn(K) -> V) {
        K::each(self.keys(), |key| self.store(key, make(key)));
    }
}

/// Stores `value` at every key that starts with `row`, one after the other.
pub fn fill_each<K: Coordinates, V: Copy>(entries: &mut (impl Entries<K, V> + ?Sized), row: &[u32], value: V) {
    K::each(K::row(entries.keys(), row), |key| entries.store(key, value));
}

/// The map that is built on a storage.
#[derive(Debug)]
pub struct Of<H>(pub H);

impl<D, F, H> Map<D, F> for Of<H>
where
    D: Domain<Word = u32>,
    F: Field<D>,
    F::Key: Coordinates,
    H: Entries<F::Key, F::Val>,
{
    #[inline(always)]
    fn get(&self, key: F::Key) -> F::Val {
        self.0.load(key)
    }

    #[inline(always)]
    fn set(&mut self, key: F::Key, value: F::Val) {
        self.0.store(key, value);
    }

    fn fill(&mut self, row: &[u32], value: F::Val) {
        self.0.fill(row, value);
    }

    fn define(&mut self, make: impl Fn(F::Key) -> F::Val + Send + Sync + 'static) {
        self.0.define(make);
    }

    #[inline(always)]
    fn copy_first<S, M>(&mut self, row: u32, length: u32, source: &M, from: u32)
    where
        M: Map<D, S> + 'static,
        S: Field<D, Key = [u32; 2], Val = F::Val>,
        F: Field<D, Key = [u32; 2]>,
    {
        if !self.0.copy_row(row, length, source, from) {
            for at in 0..length {
                self.0.store([row, at], source.get([from, at]));
            }
        }
    }

    #[inline(always)]
    fn copy_within(&mut self, row: u32, length: u32, from: u32)
    where
        F: Field<D, Key = [u32; 2]>,
    {
        if !self.0.copy_own_row(row, length, from) {
            for at in 0..length {
                self.0.store([row, at], self.0.load([from, at]));
            }
        }
    }

    #[inline(always)]
    fn first(&self, from: u32, to: u32, wanted: fn(F::Val) -> bool) -> Option<u32>
    where
        F: Field<D, Key = [u32; 1]>,
    {
        if let Some(found) = self.0.search(from, to, wanted) {
            return found;
        }
        (from..to).find(|&key| wanted(self.0.load([key])))
    }

    fn first_of(&self, row: u32, from: u32, to: u32, wanted: fn(F::Val) -> bool) -> Option<u32>
    where
        F: Field<D, Key = [u32; 2]>,
    {
        if let Some(found) = self.0.search_row(row, from, to, wanted) {
            return found;
        }
        (from..to).find(|&key| wanted(self.0.load([row, key])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    /// A storage that records the values that were stored.
    #[derive(Default)]
    struct Remembers(BTreeMap<[u32; 2], u32>);

    impl Entries<[u32; 2], u32> for Remembers {
        fn keys(&self) -> [Range<u32>; 2] {
            [1..4, 0..3]
        }
        fn load(&self, key: [u32; 2]) -> u32 {
            self.0[&key]
        }
        fn store(&mut self, key: [u32; 2], value: u32) {
            self.0.insert(key, value);
        }
    }

    #[test]
    fn a_definition_reaches_every_key_and_a_row_its_own() {
        let mut entries = Remembers::default();
        entries.define(|[i, j]| 10 * i + j);
        assert_eq!(entries.0.len(), 9);
        assert_eq!([entries.load([1, 0]), entries.load([3, 2])], [10, 32]);
        entries.fill(&[2], 7);
        let sevens: Vec<_> = entries.0.iter().filter(|(_, value)| **value == 7).map(|(key, _)| *key).collect();
        assert_eq!(sevens, [[2, 0], [2, 1], [2, 2]]);
        entries.fill(&[3, 1], 8);
        assert_eq!(entries.0.iter().filter(|(_, value)| **value == 8).count(), 1);
        entries.fill(&[], 9);
        assert!(entries.0.len() == 9 && entries.0.values().all(|&value| value == 9));
    }

    #[test]
    fn nothing_is_visited_where_a_range_is_empty() {
        <[u32; 2]>::each([0..2, 5..5], |_| panic!("no key is there"));
    }
}
