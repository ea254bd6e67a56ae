//! Bits of words, by the arithmetic operations of words.
use crate::core::machine::Machine;

/// Bit `k` of `word`: 0 or 1.
#[inline(always)]
#[track_caller]
pub fn bit<M: Machine>(word: M::Word, k: u32) -> M::Word {
    (word / (1 << k)) % 2
}

/// `word` with bit `k` set or cleared.
#[inline(always)]
#[track_caller]
pub fn with_bit<M: Machine>(word: M::Word, k: u32, set: bool) -> M::Word {
    match (bit::<M>(word, k) == 1, set) {
        (false, true) => word + (1 << k),
        (true, false) => word - (1 << k),
        _ => word,
    }
}
