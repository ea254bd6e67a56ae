//! The value types of a [`Domain`](crate::Domain): words, wide words, counters, flags.
use core::fmt::Debug;
use core::ops::{Add, AddAssign, Div, Mul, Rem, Sub, SubAssign};

/// A 32-bit machine word.
///
/// Every `+`, `-` and `*` must be exact. A result out of range is a bug of the caller: a debug build panics, and the
/// prover proves at each operation that it cannot happen, so that words and mathematical integers coincide. Products
/// and quotients are by constants only.
pub trait Word:
    Copy
    + Debug
    + Ord
    + From<u32>
    + PartialEq<u32>
    + PartialOrd<u32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Add<u32, Output = Self>
    + Sub<u32, Output = Self>
    + Mul<u32, Output = Self>
    + Div<u32, Output = Self>
    + Rem<u32, Output = Self>
    + AddAssign
    + SubAssign
    + AddAssign<u32>
    + SubAssign<u32>
    + Send
    + Sync
    + 'static
{
    /// The bitwise or.
    fn or(self, other: Self) -> Self;
    /// The sum modulo 2^32, for counters that wrap around.
    fn wrapping_add(self, other: Self) -> Self;
}

/// A 64-bit machine word. It can be moved, compared and narrowed, but there is no arithmetic on it.
pub trait Wide<W>: Copy + Debug + Eq + From<W> + PartialEq<u64> + PartialOrd<u64> + Send + Sync + 'static {
    /// The constant `value`.
    fn constant(value: u64) -> Self;
    /// The word with these high and low 32 bits.
    fn join(high: W, low: W) -> Self;
    /// The low 32 bits.
    fn low(self) -> W;
    /// The high 32 bits.
    fn high(self) -> W;
    /// The value as a 32-bit word, if it fits.
    fn narrow(self) -> Option<W>;
}

/// An unbounded counter of ghost state; no operation can overflow.
pub trait Nat<W>:
    Copy + Debug + Ord + From<W> + PartialEq<u32> + Add<Output = Self> + Add<u32, Output = Self> + Send + Sync + 'static
{
    /// The constant 0.
    fn zero() -> Self;
}

/// A stored truth value.
pub trait Flag: Copy + Debug + From<bool> + Send + Sync + 'static {
    /// The flag as a `bool`. On the symbolic machine the path forks here.
    fn holds(self) -> bool;
}
