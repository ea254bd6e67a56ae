//! The maps of the hosted machine: total and sparse. They have chunks of cells, which are created by the first write.
use super::Sim;
use domain::{Data, Field, Key, Map, Source, Storage};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of cells in a chunk, as many as a page table has entries.
const CHUNK: u64 = 512;
/// A fill of more cells than this is recorded, instead of written to each cell.
const LARGEST_FILL: u64 = 1 << 16;

/// The place of no chunk.
const NOWHERE: (u64, usize) = (u64::MAX, 0);

/// A total map: the written cells, and a definition of all others.
pub struct Sparse<F: Field<Sim>> {
    /// The chunks. Copies of the map share a chunk until one of them writes to it.
    chunks: Vec<Arc<Chunk<F::Val>>>,
    /// The index in `chunks` of each chunk, by its number.
    places: FxHashMap<u64, usize>,
    /// The last used chunk and its place, because programs use the same page for a while.
    last: Cell<(u64, usize)>,
    rest: Rest<F>,
    /// Long rows that were filled since the definition, by position, the latest last. They define cells that have no
    /// chunks.
    fills: Vec<(Range<u64>, F::Val)>,
    clock: Clock,
}

/// Numbers the changes of a map. No two changes of any maps have the same number.
///
/// The upper half of a number identifies the clock, and the lower half is a count. A copy of a map gets a clock of its
/// own, because it changes differently.
struct Clock(u64);

impl Clock {
    /// A new clock, with a unique upper half.
    fn new() -> Self {
        static CLOCKS: AtomicU64 = AtomicU64::new(1);
        Clock(CLOCKS.fetch_add(1, Ordering::Relaxed) << 32)
    }

    /// The number of a new change.
    fn tick(&mut self) -> u64 {
        // When the count is used up, a new clock replaces this one.
        if self.0 as u32 == u32::MAX {
            *self = Clock::new();
        }
        self.0 += 1;
        self.0
    }
}

/// The definition of the cells that were not written.
enum Rest<F: Field<Sim>> {
    /// All leaves are 0, as in unwritten memory.
    Zero,
    /// A function of the key.
    Defined(Arc<dyn Fn(F::Key) -> F::Val + Send + Sync>),
}

/// A chunk: adjacent cells in the order of keys.
#[derive(Clone)]
struct Chunk<V> {
    number: u64,
    /// The number of the last change of its cells, or of its creation.
    stamp: u64,
    cells: Box<[V]>,
    /// A bit for each cell that was written alone, or is at the end of a filled row.
    written: [u64; CHUNK as usize / 64],
}

/// Selects cells of a map to enumerate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cells {
    /// The cells that were written alone, and the ends of filled rows.
    Written,
    /// The same, and all other cells in their chunks.
    Neighbours,
}

/// Where two states of a map may differ.
pub(crate) enum Unlike {
    /// In these ranges of positions, in order.
    At(Vec<Range<u64>>),
    /// Anywhere, because the map was redefined or a long row was filled.
    Anywhere,
}

impl<F: Field<Sim>> Storage<F> for Sim {
    type Map = Sparse<F>;
    fn at((): ()) -> Sparse<F> {
        Sparse::new()
    }
}

impl<F: Field<Sim>> Clone for Sparse<F> {
    fn clone(&self) -> Self {
        Sparse {
            chunks: self.chunks.clone(),
            places: self.places.clone(),
            last: self.last.clone(),
            rest: self.rest.clone(),
            fills: self.fills.clone(),
            clock: Clock::new(),
        }
    }
}

impl<F: Field<Sim>> Clone for Rest<F> {
    fn clone(&self) -> Self {
        match self {
            Rest::Zero => Rest::Zero,
            Rest::Defined(make) => Rest::Defined(Arc::clone(make)),
        }
    }
}

/// A source whose leaves are all 0.
struct Zero;

impl Source<Sim> for Zero {
    fn word(&mut self, _: &'static str) -> u32 {
        0
    }
    fn wide(&mut self, _: &'static str) -> u64 {
        0
    }
    fn nat(&mut self, _: &'static str) -> domain::Count {
        domain::Count(0)
    }
    fn flag(&mut self, _: &'static str) -> bool {
        false
    }
    fn tag(&mut self, _: &'static str, _: u32) -> u32 {
        0
    }
}

impl<F: Field<Sim>> Sparse<F> {
    /// A map of zeros.
    pub(crate) fn new() -> Self {
        Sparse {
            chunks: Vec::new(),
            places: FxHashMap::default(),
            last: Cell::new(NOWHERE),
            rest: Rest::Zero,
            fills: Vec::new(),
            clock: Clock::new(),
        }
    }

    /// The keys of the selected cells, in order.
    pub fn keys(&self, which: Cells) -> Vec<F::Key> {
        let mut chunks: Vec<_> = self.chunks.iter().collect();
        chunks.sort_unstable_by_key(|chunk| chunk.number);
        let mut keys = Vec::new();
        for chunk in chunks {
            for at in 0..CHUNK as usize {
                let wanted = which == Cells::Neighbours || chunk.written[at / 64] & 1 << (at % 64) != 0;
                if wanted && let Some(key) = Self::key(chunk.number * CHUNK + at as u64) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// The number of keys.
    pub(crate) fn size() -> u64 {
        Self::row_length(0)
    }

    /// Where this map and `other` may differ. One of the two must be a later state of the other.
    pub(crate) fn unlike(&self, other: &Self) -> Unlike {
        let same_rest = match (&self.rest, &other.rest) {
            (Rest::Zero, Rest::Zero) => true,
            (Rest::Defined(one), Rest::Defined(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        if !same_rest || self.fills.len() != other.fills.len() {
            return Unlike::Anywhere;
        }
        // The place of a chunk never changes.
        let common = self.chunks.iter().zip(&other.chunks).filter(|(one, other)| !Arc::ptr_eq(one, other));
        let rest = self.chunks.iter().skip(other.chunks.len()).chain(other.chunks.iter().skip(self.chunks.len()));
        let mut numbers: Vec<u64> = common.map(|(chunk, _)| chunk).chain(rest).map(|chunk| chunk.number).collect();
        numbers.sort_unstable();
        Unlike::At(numbers.into_iter().map(|number| number * CHUNK..((number + 1) * CHUNK).min(Self::size())).collect())
    }

    /// The position of a key, or of the first key of a row, in the order of keys.
    #[track_caller]
    fn position(words: &[u32]) -> u64 {
        let mut position = 0;
        for (&dim, &word) in F::DIMS.iter().zip(words) {
            assert!(word < dim, "{}: key {words:?} is out of bounds", F::NAME);
            position = position * u64::from(dim) + u64::from(word);
        }
        position * Self::row_length(words.len())
    }

    /// The number of keys that begin with the same `coordinates` coordinates.
    fn row_length(coordinates: usize) -> u64 {
        F::DIMS[coordinates..].iter().map(|&dim| u64::from(dim)).product()
    }

    /// The key at a position, if there is one.
    pub(crate) fn key(position: u64) -> Option<F::Key> {
        let mut rest = position;
        let mut words = [0; 8];
        let words = &mut words[..F::DIMS.len()];
        for (word, &dim) in words.iter_mut().zip(F::DIMS).rev() {
            *word = (rest % u64::from(dim)) as u32;
            rest /= u64::from(dim);
        }
        (rest == 0).then(|| F::Key::from_words(words))
    }

    /// The value of a cell without a chunk.
    fn unwritten(&self, position: u64, key: F::Key) -> F::Val {
        match self.fills.iter().rev().find(|(row, _)| row.contains(&position)) {
            Some(&(_, value)) => value,
            None => match &self.rest {
                Rest::Zero => F::Val::decode(&mut Zero),
                Rest::Defined(make) => make(key),
            },
        }
    }

    /// The place of the chunk with this number, if there is one.
    fn place(&self, number: u64) -> Option<usize> {
        let (last, place) = self.last.get();
        if last == number {
            return Some(place);
        }
        let place = *self.places.get(&number)?;
        self.last.set((number, place));
        Some(place)
    }

    /// The chunk with this number, created if necessary.
    fn chunk(&mut self, number: u64) -> &mut Chunk<F::Val> {
        let place = self.place(number).unwrap_or_else(|| {
            let value = |position| match Self::key(position) {
                Some(key) => self.unwritten(position, key),
                // The last chunk may have more cells than there are keys.
                None => F::Val::decode(&mut Zero),
            };
            let cells = (number * CHUNK..(number + 1) * CHUNK).map(value).collect();
            self.chunks.push(Arc::new(Chunk { number, stamp: 0, cells, written: Default::default() }));
            let place = self.chunks.len() - 1;
            self.places.insert(number, place);
            place
        });
        let chunk = Arc::make_mut(&mut self.chunks[place]);
        chunk.stamp = self.clock.tick();
        chunk
    }

    /// A number that changes with every change of the chunk that contains `position`.
    ///
    /// `None` if there is no chunk, because none of its cells was ever written.
    fn chunk_stamp(&self, position: u64) -> Option<u64> {
        self.place(position / CHUNK).map(|place| self.chunks[place].stamp)
    }

    /// Two numbers, at least one of which changes with any change of the `length` cells from `key` on, at most
    /// [`CHUNK`] of them. `None` if some of them were never written, so that nothing is known.
    ///
    /// A copy of the map has the same numbers as long as the cells are unchanged.
    #[track_caller]
    pub(crate) fn stamps(&self, key: F::Key, length: u64) -> Option<[u64; 2]> {
        assert!(1 <= length && length <= CHUNK, "{length} cells have more than two stamps");
        let first = Self::position(key.words());
        Some([self.chunk_stamp(first)?, self.chunk_stamp(first + length - 1)?])
    }

    /// Drops all chunks.
    fn clear(&mut self) {
        self.chunks.clear();
        self.places.clear();
        self.last.set(NOWHERE);
    }

    /// Sets the cell at a position.
    fn write(&mut self, position: u64, value: F::Val) {
        let chunk = self.chunk(position / CHUNK);
        let at = (position % CHUNK) as usize;
        chunk.cells[at] = value;
        chunk.written[at / 64] |= 1 << (at % 64);
    }
}

impl<F: Field<Sim>> Map<Sim, F> for Sparse<F> {
    #[track_caller]
    fn get(&self, key: F::Key) -> F::Val {
        let position = Self::position(key.words());
        match self.place(position / CHUNK) {
            Some(place) => self.chunks[place].cells[(position % CHUNK) as usize],
            None => self.unwritten(position, key),
        }
    }

    #[track_caller]
    fn set(&mut self, key: F::Key, value: F::Val) {
        self.write(Self::position(key.words()), value);
    }

    #[track_caller]
    fn update<R>(&mut self, key: F::Key, change: impl FnOnce(&mut F::Val) -> R) -> R {
        let position = Self::position(key.words());
        let chunk = self.chunk(position / CHUNK);
        let at = (position % CHUNK) as usize;
        chunk.written[at / 64] |= 1 << (at % 64);
        change(&mut chunk.cells[at])
    }

    #[track_caller]
    fn fill(&mut self, row: &[u32], value: F::Val) {
        let start = Self::position(row);
        let end = start + Self::row_length(row.len());
        let long = end - start > LARGEST_FILL;
        let mut numbers: Vec<u64> = if long {
            self.fills.push((start..end, value));
            self.chunks.iter().map(|chunk| chunk.number).collect()
        } else {
            (start / CHUNK..end.div_ceil(CHUNK)).collect()
        };
        numbers.retain(|number| number * CHUNK < end && (number + 1) * CHUNK > start);
        for number in numbers {
            let first = number * CHUNK;
            let cells = start.max(first) - first..end.min(first + CHUNK) - first;
            self.chunk(number).cells[cells.start as usize..cells.end as usize].fill(value);
        }
        if !long {
            self.write(start, value);
            self.write(end - 1, value);
        }
    }

    fn define(&mut self, make: impl Fn(F::Key) -> F::Val + Send + Sync + 'static) {
        self.clear();
        self.fills.clear();
        self.rest = Rest::Defined(Arc::new(make));
    }

    #[track_caller]
    fn copy_first<S, M>(&mut self, row: u32, length: u32, source: &M, from: u32)
    where
        M: Map<Sim, S> + 'static,
        S: Field<Sim, Key = [u32; 2], Val = F::Val>,
        F: Field<Sim, Key = [u32; 2]>,
    {
        for at in 0..length {
            self.set([row, at], source.get([from, at]));
        }
    }

    #[track_caller]
    fn copy_within(&mut self, row: u32, length: u32, from: u32)
    where
        F: Field<Sim, Key = [u32; 2]>,
    {
        for at in 0..length {
            self.set([row, at], self.get([from, at]));
        }
    }

    fn first(&self, from: u32, to: u32, wanted: fn(F::Val) -> bool) -> Option<u32>
    where
        F: Field<Sim, Key = [u32; 1]>,
    {
        (from..to).find(|&i| wanted(self.get([i])))
    }

    fn first_of(&self, row: u32, from: u32, to: u32, wanted: fn(F::Val) -> bool) -> Option<u32>
    where
        F: Field<Sim, Key = [u32; 2]>,
    {
        (from..to).find(|&i| wanted(self.get([row, i])))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cells, Sparse};
    use domain::Map;
    use layer::core::fields::{Byte, Frame, Frames, PhysicalMemory, ReverseEntries, ReverseEntry, Slot, UserContexts};

    #[test]
    fn what_was_not_written_is_zero_or_as_defined() {
        let mut frames = Sparse::<Frames>::new();
        assert_eq!(frames.get([5]).kind, 0);
        frames.set([5], Frame { kind: 2, alloc: true });
        frames.define(|[p]| Frame { kind: p % 3, alloc: false });
        assert_eq!([4, 5, (1 << 20) - 1].map(|p| frames.get([p]).kind), [1, 2, ((1 << 20) - 1) % 3]);
        assert!(!frames.get([5]).alloc);
        frames.update([5], |frame| frame.alloc = true);
        let copy = frames.clone();
        frames.set([5], Frame { kind: 0, alloc: false });
        assert!(copy.get([5]).alloc && copy.get([5]).kind == 2 && frames.get([5]).kind == 0);
        assert_eq!(frames.get([6]).kind, 0);
        assert_eq!(frames.first(0, 9, |frame| frame.kind == 2), Some(2));
        assert_eq!(frames.first(3, 5, |frame| frame.kind == 2), None);
    }

    #[test]
    fn every_change_of_a_cell_changes_its_stamps() {
        type Change = fn(&mut Sparse<PhysicalMemory>);
        let changes: [(&str, Change); 6] = [
            ("set", |memory| memory.set([7, 511], Byte { value: 1 })),
            ("update", |memory| memory.update([7, 512], |byte| byte.value = 1)),
            ("fill", |memory| memory.fill(&[7], Byte { value: 0 })),
            ("long fill", |memory| memory.fill(&[], Byte { value: 0 })),
            ("define", |memory| memory.define(|_| Byte { value: 1 })),
            ("copy", |memory| {
                let source = memory.clone();
                memory.copy_first::<PhysicalMemory, _>(7, 1024, &source, 8)
            }),
        ];
        let stamps = |memory: &Sparse<PhysicalMemory>| memory.stamps([7, 505], 15);
        for (name, change) in changes {
            let mut memory = Sparse::<PhysicalMemory>::new();
            assert_eq!(stamps(&memory), None);
            memory.fill(&[7], Byte { value: 0 });
            let mut copy = memory.clone();
            let before = stamps(&memory);
            assert!(before.is_some() && before == stamps(&copy), "{name}");
            memory.set([7, 1024], Byte { value: 1 });
            memory.set([8, 0], Byte { value: 1 });
            assert_eq!(stamps(&memory), before, "{name}: cells elsewhere do not matter");
            change(&mut memory);
            change(&mut copy);
            assert!(stamps(&memory) != before && stamps(&copy) != before, "{name}");
            // The maps may be different from now on, so their stamps must be different too.
            assert!(stamps(&memory).is_none() || stamps(&memory) != stamps(&copy), "{name}");
        }
    }

    #[test]
    fn a_fill_changes_its_row_and_nothing_else() {
        let mut memory = Sparse::<PhysicalMemory>::new();
        memory.set([7, 4095], Byte { value: 9 });
        memory.fill(&[8], Byte { value: 1 });
        memory.set([9, 0], Byte { value: 9 });
        let bytes = [[7, 4095], [8, 0], [8, 2000], [8, 4095], [9, 0], [9, 1]].map(|key| memory.get(key).value);
        assert_eq!(bytes, [9, 1, 1, 1, 9, 0]);
        let mut contexts = Sparse::<UserContexts>::new();
        contexts.fill(&[20], Slot { value: 5 });
        let slots = [[19, 24], [20, 0], [20, 24], [21, 0]].map(|key| contexts.get(key).value);
        assert_eq!(slots, [0, 5, 5, 0]);
    }

    #[test]
    fn a_long_row_is_filled_too() {
        let place = |thread| ReverseEntry { thread, directory: 0, index: 0 };
        let mut places = Sparse::<ReverseEntries>::new();
        for key in [[2, u32::MAX - 1], [3, 0], [3, 70_000], [4, 0]] {
            places.set(key, place(1));
        }
        places.fill(&[3], place(2));
        places.set([3, 9], place(3));
        let keys = [[2, u32::MAX - 1], [3, 0], [3, 9], [3, 70_000], [3, 1 << 30], [3, u32::MAX - 1], [4, 0]];
        assert_eq!(keys.map(|key| places.get(key).thread), [1, 2, 3, 2, 2, 2, 1]);
    }

    #[test]
    fn written_keys_come_in_order_and_with_their_neighbours() {
        let mut contexts = Sparse::<UserContexts>::new();
        assert_eq!(contexts.keys(Cells::Neighbours), Vec::<[u32; 2]>::new());
        for key in [[1023, 24], [0, 3], [1023, 2]] {
            contexts.set(key, Slot { value: 1 });
        }
        contexts.fill(&[5], Slot { value: 1 });
        assert_eq!(contexts.keys(Cells::Written), [[0, 3], [5, 0], [5, 24], [1023, 2], [1023, 24]]);
        let neighbours = contexts.keys(Cells::Neighbours);
        assert!(neighbours.is_sorted() && neighbours.contains(&[0, 0]));
        assert_eq!(neighbours.last(), Some(&[1023, 24]));
    }
}
