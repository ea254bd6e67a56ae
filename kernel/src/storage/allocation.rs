//! The storage of the allocation table: an array, and a bit for each frame that says whether the frame is free.
//!
//! The bits have three levels, so the lowest free frame is found in a few steps wherever it is. They repeat
//! information of the array: storing an entry also stores its bit, and nothing else changes a bit.
use super::{Array, Entries};
use core::ops::Range;
use domain::Domain;
use layer::core::constants::MAX_PAGE;
use layer::core::fields::{Frame, kind};

/// Bits of a word.
const BITS: u32 = u64::BITS;
/// Words of each level.
const FRAME_WORDS: usize = (MAX_PAGE / BITS) as usize;
const MIDDLE_WORDS: usize = FRAME_WORDS / BITS as usize;
const TOP_WORDS: usize = MIDDLE_WORDS / BITS as usize;

const _: () =
    assert!(TOP_WORDS * (BITS * BITS * BITS) as usize == MAX_PAGE as usize, "each level is made of whole words");

/// Which frames are free: a bit for each frame, a bit for each word of these that is not 0, and a bit for each word of
/// those.
#[derive(Debug)]
pub struct FreeFrames {
    frames: [u64; FRAME_WORDS],
    middle: [u64; MIDDLE_WORDS],
    top: [u64; TOP_WORDS],
}

/// `word` with bit `bit` set if `to` is true, else cleared.
#[inline(always)]
fn with(word: u64, bit: usize, to: bool) -> u64 {
    let mask = 1 << (bit % BITS as usize);
    if to { word | mask } else { word & !mask }
}

/// The first bit that is set in `words`, from bit `from` on.
#[inline(always)]
fn first_in(words: &[u64], from: usize) -> Option<usize> {
    let at = from / BITS as usize;
    let rest = words.get(at)? & (!0 << (from % BITS as usize));
    (rest != 0).then(|| at * BITS as usize + rest.trailing_zeros() as usize)
}

impl FreeFrames {
    /// No frame is free.
    pub const NONE: FreeFrames =
        FreeFrames { frames: [0; FRAME_WORDS], middle: [0; MIDDLE_WORDS], top: [0; TOP_WORDS] };

    /// Records whether frame `p` is free.
    #[inline(always)]
    fn set(&mut self, p: u32, free: bool) {
        let word = (p / BITS) as usize;
        let before = self.frames[word];
        let after = with(before, p as usize, free);
        self.frames[word] = after;
        if (before == 0) != (after == 0) {
            self.carry(word);
        }
    }

    /// Updates the levels above the word `word` of the frames, which has become 0 or is no longer 0.
    #[cold]
    fn carry(&mut self, word: usize) {
        let middle = word / BITS as usize;
        self.middle[middle] = with(self.middle[middle], word, self.frames[word] != 0);
        let top = middle / BITS as usize;
        self.top[top] = with(self.top[top], middle, self.middle[middle] != 0);
    }

    /// The lowest free frame from `from` on.
    #[inline(always)]
    fn first(&self, from: u32) -> Option<u32> {
        let found = match first_in(&self.frames, from as usize) {
            Some(frame) => frame,
            None => self.first_behind((from / BITS) as usize)?,
        };
        Some(found as u32)
    }

    /// The lowest free frame in the words after `word`.
    fn first_behind(&self, word: usize) -> Option<usize> {
        let down = |words: &[u64], at: usize| at * BITS as usize + words[at].trailing_zeros() as usize;
        let word = first_in(&self.middle, word + 1).or_else(|| {
            let behind = (word + 1) / BITS as usize + 1;
            let place = first_in(&self.top, behind).or_else(|| {
                let top = (behind / BITS as usize + 1..TOP_WORDS).find(|&top| self.top[top] != 0)?;
                Some(down(&self.top, top))
            })?;
            Some(down(&self.middle, place))
        })?;
        Some(down(&self.frames, word))
    }
}

/// The allocation table.
#[derive(Debug)]
pub struct Allocation<D: Domain + 'static> {
    table: Array<Frame<D>, { MAX_PAGE as usize }>,
    free: &'static mut FreeFrames,
}

impl<D: Domain> Allocation<D> {
    /// A table in this memory, which nothing else uses. The bits agree with the array once every entry is defined.
    pub fn new(table: Array<Frame<D>, { MAX_PAGE as usize }>, free: &'static mut FreeFrames) -> Self {
        Allocation { table, free }
    }
}

/// A frame that can be handed out.
#[inline(always)]
fn is_free<D: Domain<Word = u32, Flag = bool>>(frame: Frame<D>) -> bool {
    frame.kind == kind::NORM && !frame.alloc
}

impl<D: Domain<Word = u32, Flag = bool>> Entries<[u32; 1], Frame<D>> for Allocation<D> {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..MAX_PAGE]
    }

    #[inline(always)]
    fn load(&self, key: [u32; 1]) -> Frame<D> {
        self.table.load(key)
    }

    #[inline(always)]
    fn store(&mut self, key: [u32; 1], value: Frame<D>) {
        self.table.store(key, value);
        self.free.set(key[0], is_free(value));
    }

    #[inline(always)]
    fn search(&self, from: u32, to: u32, wanted: fn(Frame<D>) -> bool) -> Option<Option<u32>> {
        let wants = |kind, alloc| wanted(Frame { kind, alloc });
        // The bits only record which frames are free, so only a search for free frames can use
        // them.
        let wants_free = wants(kind::NORM, false)
            && ![(kind::NORM, true), (kind::KERN, false), (kind::RESV, false)]
                .iter()
                .any(|&(kind, alloc)| wants(kind, alloc));
        wants_free.then(|| self.free.first(from).filter(|&p| p < to))
    }

    // Stores the bits one word at a time.
    fn define(&mut self, make: impl Fn([u32; 1]) -> Frame<D>) {
        (self.free.middle, self.free.top) = ([0; MIDDLE_WORDS], [0; TOP_WORDS]);
        for word in 0..FRAME_WORDS {
            let mut bits = 0;
            for bit in 0..BITS {
                let key = [word as u32 * BITS + bit];
                let frame = make(key);
                self.table.store(key, frame);
                bits = with(bits, bit as usize, is_free(frame));
            }
            self.free.frames[word] = bits;
            if bits != 0 {
                self.free.carry(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::host::Host;
    use crate::storage::{Of, zero};
    use domain::Map;
    use layer::core::fields::Frames;
    use proptest::prelude::*;
    use std::boxed::Box;
    use std::collections::BTreeSet;
    use std::vec;

    type Table = Of<Allocation<Host>>;

    fn table(make: impl Fn([u32; 1]) -> Frame<Host> + Send + Sync + 'static) -> Table {
        let array = Array::new(vec![zero::<Host, _>(); MAX_PAGE as usize].leak());
        let mut table = Of(Allocation::new(array, Box::leak(Box::new(FreeFrames::NONE))));
        Map::<Host, Frames>::define(&mut table, make);
        table
    }

    fn first(table: &Table, from: u32, to: u32) -> Option<u32> {
        Map::<Host, Frames>::first(table, from, to, is_free)
    }

    #[test]
    fn a_definition_defines_the_bits() {
        let is = |p: u32| p % 100_000 == 77;
        let table = table(move |[p]| Frame { kind: if is(p) { kind::NORM } else { kind::RESV }, alloc: false });
        for from in [0, 77, 78, 100_077, 100_078, 900_000, 999_999, 1_000_078] {
            assert_eq!(first(&table, from, MAX_PAGE), (from..MAX_PAGE).find(|&p| is(p)), "from {from}");
        }
        let taken = Map::<Host, Frames>::first(&table, 0, 10, |frame| frame.kind == kind::RESV);
        assert_eq!(taken, Some(0), "what is not about free frames is looked for in the table");
    }

    /// Frames near the ends of words of each level, and any other frames.
    fn a_frame() -> impl Strategy<Value = u32> {
        let edge =
            (0..MAX_PAGE / 64, 0_u32..3).prop_map(|(word, off)| (word * 64 + off).saturating_sub(1).min(MAX_PAGE - 1));
        let far =
            (0_u32..5, 0_u32..3).prop_map(|(top, off)| (top * 64 * 64 * 64 + off).saturating_sub(1).min(MAX_PAGE - 1));
        prop_oneof![0..MAX_PAGE, edge, far]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The first free frame is the one that a search through a sorted set finds.
        #[test]
        fn the_lowest_free_frame_is_found(steps in prop::collection::vec((a_frame(), any::<bool>(), a_frame(), a_frame()), 1..100)) {
            let mut table = table(|_| Frame { kind: kind::NORM, alloc: true });
            let mut free = BTreeSet::new();
            for (p, is_free, from, to) in steps {
                Map::<Host, Frames>::set(&mut table, [p], Frame { kind: kind::NORM, alloc: !is_free });
                if is_free { free.insert(p); } else { free.remove(&p); }
                let expected = free.range(from..).next().copied().filter(|&p| p < to);
                prop_assert_eq!(first(&table, from, to), expected);
            }
        }
    }
}
