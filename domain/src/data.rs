//! The values of maps: `Copy` structs and enums made of words and flags. A value can be taken apart into its leaves.
use crate::Domain;
use core::fmt::Debug;

/// A value that a [`Map`](crate::Map) can hold. Declared with [`data!`](crate::data).
pub trait Data<D: Domain>: Copy + Debug + 'static {
    /// The names of the enum's variants, in the order of their tags; empty for a struct.
    const VARIANTS: &'static [&'static str];
    /// Passes every leaf to `out`, in the order of declaration.
    fn encode(self, out: &mut impl Sink<D>);
    /// Builds the value from its leaves, which it takes in the same order.
    fn decode(from: &mut impl Source<D>) -> Self;
}

/// Receives the leaves of a value.
pub trait Sink<D: Domain> {
    /// A word named `leaf`.
    fn word(&mut self, leaf: &'static str, value: D::Word);
    /// A wide word.
    fn wide(&mut self, leaf: &'static str, value: D::Wide);
    /// A counter.
    fn nat(&mut self, leaf: &'static str, value: D::Nat);
    /// A flag.
    fn flag(&mut self, leaf: &'static str, value: D::Flag);
    /// The index of an enum's variant, counted from 0.
    fn tag(&mut self, leaf: &'static str, variant: u32);
}

/// Supplies the leaves of a value.
pub trait Source<D: Domain> {
    /// The word named `leaf`.
    fn word(&mut self, leaf: &'static str) -> D::Word;
    /// A wide word.
    fn wide(&mut self, leaf: &'static str) -> D::Wide;
    /// A counter.
    fn nat(&mut self, leaf: &'static str) -> D::Nat;
    /// A flag.
    fn flag(&mut self, leaf: &'static str) -> D::Flag;
    /// The index of one of `variants` variants. On the symbolic machine the path forks over them.
    fn tag(&mut self, leaf: &'static str, variants: u32) -> u32;
}

/// Declares structs and enums over a domain and implements [`Data`] for them.
///
/// ```
/// domain::data! {
///     /// A resource container.
///     pub struct Container { /** Pages granted. */ quota: Word, /** In use. */ used: Flag }
///     /// A directory entry.
///     pub enum Pde { /** Absent. */ UnPresent, /** A table in a frame. */ Table { frame: Word } }
/// }
/// ```
#[macro_export]
macro_rules! data {
    () => {};
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fm:meta])* $field:ident : $type:ident),* $(,)? } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<D: $crate::Domain> { $($(#[$fm])* pub $field: D::$type),* }
        impl<D: $crate::Domain> $crate::Data<D> for $name<D> {
            const VARIANTS: &'static [&'static str] = &[];
            #[inline(always)]
            #[track_caller]
            fn encode(self, out: &mut impl $crate::Sink<D>) { $($crate::data!(@put out, $type, stringify!($field), self.$field);)* }
            #[inline(always)]
            #[track_caller]
            fn decode(from: &mut impl $crate::Source<D>) -> Self { $name { $($field: $crate::data!(@take from, $type, stringify!($field))),* } }
        }
        $crate::data!{ $($rest)* }
    };
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vm:meta])* $variant:ident $({ $($field:ident : $type:ident),* $(,)? })?),* $(,)? } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs, reason = "the fields of a variant are explained with the variant")]
        pub enum $name<D: $crate::Domain> {
            $($(#[$vm])* $variant $({ $($field: D::$type),* })?,)*
            #[doc(hidden)]
            __Domain(core::convert::Infallible, core::marker::PhantomData<D>),
        }
        impl<D: $crate::Domain> $crate::Data<D> for $name<D> {
            const VARIANTS: &'static [&'static str] = &[$(stringify!($variant)),*];
            #[inline(always)]
            #[track_caller]
            #[allow(unused_assignments, reason = "the counter runs on after the last variant")]
            fn encode(self, out: &mut impl $crate::Sink<D>) {
                let mut variant = 0;
                $(
                    if let $name::$variant $({ $($field),* })? = self {
                        out.tag("tag", variant);
                        $($($crate::data!(@put out, $type, concat!(stringify!($variant), ".", stringify!($field)), $field);)*)?
                    }
                    variant += 1;
                )*
            }
            #[inline(always)]
            #[track_caller]
            #[allow(unused_assignments, reason = "the counter runs on after the last variant")]
            fn decode(from: &mut impl $crate::Source<D>) -> Self {
                let tag = from.tag("tag", [$(stringify!($variant)),*].len() as u32);
                let mut variant = 0;
                $(
                    if tag == variant {
                        return $name::$variant $({ $($field: $crate::data!(@take from, $type, concat!(stringify!($variant), ".", stringify!($field)))),* })?;
                    }
                    variant += 1;
                )*
                unreachable!("a source answers with one of the variants it was asked for")
            }
        }
        $crate::data!{ $($rest)* }
    };
    (@put $out:ident, Word, $leaf:expr, $value:expr) => { $out.word($leaf, $value) };
    (@put $out:ident, Wide, $leaf:expr, $value:expr) => { $out.wide($leaf, $value) };
    (@put $out:ident, Nat, $leaf:expr, $value:expr) => { $out.nat($leaf, $value) };
    (@put $out:ident, Flag, $leaf:expr, $value:expr) => { $out.flag($leaf, $value) };
    (@take $from:ident, Word, $leaf:expr) => { $from.word($leaf) };
    (@take $from:ident, Wide, $leaf:expr) => { $from.wide($leaf) };
    (@take $from:ident, Nat, $leaf:expr) => { $from.nat($leaf) };
    (@take $from:ident, Flag, $leaf:expr) => { $from.flag($leaf) };
}
