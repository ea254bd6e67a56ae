//! Rings: what is received waits in one until it is taken, and the oldest gives way to the newest.
use crate::machine::Machine;

/// Where the entries of a ring are in its map: `len` of them from `start` on, round the end of the map.
#[derive(Clone, Copy, Debug)]
pub struct Ring<M: Machine> {
    /// Where the oldest is.
    pub start: M::Word,
    /// How many there are.
    pub len: M::Word,
}

impl<M: Machine> Ring<M> {
    /// Nothing, at the beginning of the map.
    pub fn empty() -> Self {
        Ring { start: 0.into(), len: 0.into() }
    }

    /// The key of entry `k`, counted from the oldest, in a map of `size` entries; the next one comes at `k` = `len`.
    #[inline(always)]
    #[track_caller]
    pub fn key(self, k: M::Word, size: u32) -> M::Word {
        (self.start + k) % size
    }

    /// With `many` more behind the newest; of more than `most` the oldest are dropped.
    #[inline(always)]
    #[track_caller]
    pub fn grown(self, many: M::Word, size: u32, most: u32) -> Self {
        let all = self.len + many;
        let dropped = all.max(most.into()) - most;
        Ring { start: self.key(dropped, size), len: all - dropped }
    }
}
