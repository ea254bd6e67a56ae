//! The native domain: words are `u32`, wide words and counters `u64`, flags `bool`.
use crate::{Flag, Nat, Wide, Word};

impl Word for u32 {
    #[inline(always)]
    fn or(self, other: u32) -> u32 {
        self | other
    }
    #[inline(always)]
    fn wrapping_add(self, other: u32) -> u32 {
        u32::wrapping_add(self, other)
    }
}

impl Wide<u32> for u64 {
    #[inline(always)]
    fn constant(value: u64) -> Self {
        value
    }
    #[inline(always)]
    fn join(high: u32, low: u32) -> u64 {
        u64::from(high) << 32 | u64::from(low)
    }
    #[inline(always)]
    fn low(self) -> u32 {
        self as u32
    }
    #[inline(always)]
    fn high(self) -> u32 {
        (self >> 32) as u32
    }
    #[inline(always)]
    fn narrow(self) -> Option<u32> {
        u32::try_from(self).ok()
    }
}

/// A native counter. A `u64` stands for the unbounded counter, because 2^64 events do not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Count(pub u64);

impl From<u32> for Count {
    #[inline(always)]
    fn from(value: u32) -> Self {
        Count(value.into())
    }
}

impl PartialEq<u32> for Count {
    #[inline(always)]
    fn eq(&self, other: &u32) -> bool {
        self.0 == u64::from(*other)
    }
}

impl core::ops::Add for Count {
    type Output = Count;
    #[inline(always)]
    fn add(self, other: Count) -> Count {
        Count(self.0 + other.0)
    }
}

impl core::ops::Add<u32> for Count {
    type Output = Count;
    #[inline(always)]
    fn add(self, other: u32) -> Count {
        Count(self.0 + u64::from(other))
    }
}

impl Nat<u32> for Count {
    #[inline(always)]
    fn zero() -> Self {
        Count(0)
    }
}

impl Flag for bool {
    #[inline(always)]
    fn holds(self) -> bool {
        self
    }
}
