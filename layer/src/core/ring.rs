//! Rings: buffers of received entries that wait to be taken. If a ring is full, a new entry replaces the oldest.
use domain::Domain;

/// The position of a ring's entries in its map: `len` entries from `start` on, wrapping around the end of the map.
#[derive(Clone, Copy, Debug)]
pub struct Ring<D: Domain> {
    /// Index of the oldest entry.
    pub start: D::Word,
    /// Number of entries.
    pub len: D::Word,
}

impl<D: Domain> Ring<D> {
    /// An empty ring at the beginning of the map.
    pub fn empty() -> Self {
        Ring { start: 0.into(), len: 0.into() }
    }

    /// The key of entry `k`, counted from the oldest, in a map of `size` entries. The next new entry has `k` = `len`.
    #[inline(always)]
    #[track_caller]
    pub fn key(self, k: D::Word, size: u32) -> D::Word {
        (self.start + k) % size
    }

    /// The ring with `many` more entries after the newest; if there are more than `most`, the oldest are dropped.
    #[inline(always)]
    #[track_caller]
    pub fn grown(self, many: D::Word, size: u32, most: u32) -> Self {
        let all = self.len + many;
        let dropped = all.max(most.into()) - most;
        Ring { start: self.key(dropped, size), len: all - dropped }
    }
}
