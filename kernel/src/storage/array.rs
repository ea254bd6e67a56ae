//! Arrays: the storage of fields that only the kernel reads, not the hardware.
use super::entries::Entries;
use core::ops::Range;
use domain::{Data, Domain, Source};

/// An array of `N` values in kernel memory.
///
/// Different keys are different elements. The array owns its memory: its maker gives up the only reference. An index
/// out of bounds is a panic, never an access to other memory.
#[derive(Debug)]
pub struct Array<V: 'static, const N: usize>(&'static mut [V; N]);

impl<V, const N: usize> Array<V, N> {
    /// An array in this memory.
    ///
    /// # Panics
    /// If the memory does not have exactly `N` elements: a bug.
    pub fn new(entries: &'static mut [V]) -> Self {
        Array(entries.try_into().expect("as many elements as the array has"))
    }
}

impl<V: Copy, const N: usize> Entries<[u32; 1], V> for Array<V, N> {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..N as u32]
    }

    #[inline(always)]
    fn load(&self, [key]: [u32; 1]) -> V {
        self.0[key as usize]
    }

    #[inline(always)]
    fn store(&mut self, [key]: [u32; 1], value: V) {
        self.0[key as usize] = value;
    }
}

/// Gives the fields of a machine that are arrays their storage, which `$array` makes at a place.
#[macro_export]
macro_rules! arrays {
    ($machine:ty, $array:ident) => {
        $crate::arrays!($machine, $array,
            Containers => Container,
            KernelContexts => Context,
            Processes => Process,
            VmxInfo => Cell,
            Received => Cell,
            ConsoleInput => Cell,
            VmxSlots => Slot
        );
    };
    ($machine:ty, $array:ident, $($field:ident => $value:ident),*) => {
        $(impl ::domain::Storage<::layer::core::fields::$field> for $machine {
            type Map = $crate::storage::Of<$crate::storage::Array<
                ::layer::core::fields::$value<$machine>,
                { <::layer::core::fields::$field as ::domain::Field<$machine>>::DIMS[0] as usize },
            >>;
            fn at(place: <$machine as ::domain::Domain>::Place) -> Self::Map {
                $crate::storage::Of($array::<::layer::core::fields::$field, _, _>(place))
            }
        })*
    };
}

/// The value whose leaves are all 0, with which arrays begin: no entry counts as written.
pub fn zero<D: Domain<Word = u32, Wide = u64, Flag = bool>, V: Data<D>>() -> V {
    V::decode(&mut Zeros)
}

/// A source that yields 0 for everything.
struct Zeros;

impl<D: Domain<Word = u32, Wide = u64, Flag = bool>> Source<D> for Zeros {
    fn word(&mut self, _: &'static str) -> u32 {
        0
    }
    fn wide(&mut self, _: &'static str) -> u64 {
        0
    }
    fn nat(&mut self, _: &'static str) -> D::Nat {
        0.into()
    }
    fn flag(&mut self, _: &'static str) -> bool {
        false
    }
    fn tag(&mut self, _: &'static str, _: u32) -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Of;
    use crate::storage::host::Host;
    use domain::Map;
    use layer::core::constants::NUM_ID;
    use layer::core::fields::{Container, Containers};
    use std::vec;

    fn array<const N: usize>() -> Of<Array<Container<Host>, N>> {
        Of(Array::new(vec![zero::<Host, _>(); N].leak()))
    }

    fn get<const N: usize>(map: &Of<Array<Container<Host>, N>>, key: u32) -> (u32, bool) {
        let value = Map::<Host, Containers>::get(map, [key]);
        (value.quota, value.used)
    }

    #[test]
    fn entries_are_distinct() {
        let mut map = array::<{ NUM_ID as usize }>();
        Map::<Host, Containers>::define(&mut map, |[key]| Container { quota: key, ..zero::<Host, _>() });
        Map::<Host, Containers>::update(&mut map, [5], |container| container.used = true);
        assert!((0..NUM_ID).all(|key| get(&map, key) == (key, key == 5)));
        Map::<Host, Containers>::fill(&mut map, &[6], zero::<Host, _>());
        assert_eq!([get(&map, 5), get(&map, 6), get(&map, 7)], [(5, true), (0, false), (7, false)]);
    }

    #[test]
    fn the_first_is_the_least() {
        let mut map = array::<10>();
        Map::<Host, Containers>::define(&mut map, |[key]| Container { used: key % 4 == 3, ..zero::<Host, _>() });
        let first = |from, to| Map::<Host, Containers>::first(&map, from, to, |container| container.used);
        assert_eq!([first(0, 10), first(4, 10), first(8, 10), first(0, 3)], [Some(3), Some(7), None, None]);
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn what_is_beyond_is_not_there() {
        get(&array::<3>(), 3);
    }
}
