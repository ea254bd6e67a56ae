//! Fields of the state and the maps that hold them.
use crate::{Data, Domain};

/// The key of a field: one or more words.
pub trait Key<D: Domain>: Copy + 'static {
    /// Its words, first coordinate first.
    fn words(&self) -> &[D::Word];
    /// The key with these words.
    ///
    /// # Panics
    /// If the number of words is not the key's own.
    fn from_words(words: &[D::Word]) -> Self;
}

impl<D: Domain, const N: usize> Key<D> for [D::Word; N] {
    #[inline(always)]
    fn words(&self) -> &[D::Word] {
        self
    }
    #[inline(always)]
    fn from_words(words: &[D::Word]) -> Self {
        core::array::from_fn(|i| words[i])
    }
}

/// A field of the state: its key, value and bounds, independent of its storage. Declared with
/// [`fields!`](crate::fields).
pub trait Field<D: Domain>: 'static {
    /// The key.
    type Key: Key<D>;
    /// The value.
    type Val: Data<D>;
    /// The field's name in the reference.
    const NAME: &'static str;
    /// Exclusive bound of each coordinate of the key.
    const DIMS: &'static [u32];
}

/// A total map from the keys of `F` to its values. Values go in and out by copy.
pub trait Map<D: Domain, F: Field<D>> {
    /// The value at `key`.
    fn get(&self, key: F::Key) -> F::Val;
    /// Replaces the value at `key`.
    fn set(&mut self, key: F::Key, value: F::Val);
    /// Changes the value at `key` in place.
    #[inline(always)]
    #[track_caller]
    fn update<R>(&mut self, key: F::Key, change: impl FnOnce(&mut F::Val) -> R) -> R {
        let mut value = self.get(key);
        let result = change(&mut value);
        self.set(key, value);
        result
    }
    /// Sets every entry whose key starts with `row` to `value`.
    fn fill(&mut self, row: &[D::Word], value: F::Val);
    /// Sets every entry to the value of `make` at its key. A machine may store `make` and call it later, on another
    /// thread.
    fn define(&mut self, make: impl Fn(F::Key) -> F::Val + Send + Sync + 'static);
    /// Copies the first `length` entries of row `from` of `source` to row `row`.
    fn copy_first<S, M>(&mut self, row: D::Word, length: D::Word, source: &M, from: D::Word)
    where
        M: Map<D, S> + 'static,
        S: Field<D, Key = [D::Word; 2], Val = F::Val>,
        F: Field<D, Key = [D::Word; 2]>;
    /// Copies the first `length` entries of row `from` of this map to row `row`.
    fn copy_within(&mut self, row: D::Word, length: D::Word, from: D::Word)
    where
        F: Field<D, Key = [D::Word; 2]>;
    /// The least `i` in `from..to` whose value satisfies `wanted`, if any.
    fn first(&self, from: D::Word, to: D::Word, wanted: fn(F::Val) -> bool) -> Option<D::Word>
    where
        F: Field<D, Key = [D::Word; 1]>;
    /// The least `i` in `from..to` whose value in row `row` satisfies `wanted`, if any.
    fn first_of(&self, row: D::Word, from: D::Word, to: D::Word, wanted: fn(F::Val) -> bool) -> Option<D::Word>
    where
        F: Field<D, Key = [D::Word; 2]>;
}

/// Storage: the map type that a machine gives to a field. One blanket implementation covers all fields of the hosted
/// machine, and one all fields of the symbolic machine. The kernel has an implementation for each field. There, two
/// fields must not share memory, since the prover takes them for distinct.
pub trait Storage<F: Field<Self>>: Domain {
    /// The map type.
    type Map: Map<Self, F>;
    /// The map of this field at `place`.
    fn at(place: Self::Place) -> Self::Map;
}

/// Declares fields: `Name "reference's name" [bound, …] => Value`. They are fields of every domain `D`, or, after
/// `for D: Trait;`, of those with this trait. A bound may use `D`.
#[macro_export]
macro_rules! fields {
    (for D: $domain:path; $($(#[$meta:meta])* $name:ident $text:literal [$($dim:expr),+] => $value:ident;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;
            impl<D: $domain> $crate::Field<D> for $name {
                type Key = [D::Word; [$($crate::fields!(@one $dim)),+].len()];
                type Val = $value<D>;
                const NAME: &'static str = $text;
                const DIMS: &'static [u32] = &[$($dim),+];
            }
        )*
    };
    (@one $dim:expr) => { () };
    ($(#[$meta:meta])* $name:ident $text:literal $($rest:tt)*) => {
        $crate::fields! { for D: $crate::Domain; $(#[$meta])* $name $text $($rest)* }
    };
}
