//! The differences between two states of a machine, cell by cell. Adjacent cells with the same change are one
//! difference.
use super::show::{self, Scalars, Shown};
use crate::machine::Sim;
use crate::machine::sparse::{Sparse, Unlike};
use crate::state::maps::{Look, look};
use crate::state::snapshot::Snapshot;
use domain::{Count, Data, Field, Key, Map, Sink};
use layer::core::machine::Object;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Queue, Sleeping};
use serde::Serialize;
use std::any::Any;
use std::fmt::Write;
use std::ops::Range;

/// A field, scalar or part of one whose value changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// The name. `[4..7]` stands for the keys 4, 5 and 6.
    pub field: String,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Shown>,
    /// The value after. Both values are missing if a map with too many keys to compare was redefined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Shown>,
}

/// A redefined map with at most this many keys is compared completely.
const MOST_KEYS: u64 = 1 << 22;

/// The differences of `after` from `before`: scalars first, then maps in the order of the state.
pub fn difference(before: &mut Snapshot, after: &mut Snapshot) -> Vec<Difference> {
    let scalars = scalars(before).into_iter().zip(scalars(after));
    let mut found: Vec<Difference> = scalars
        .filter(|((_, old), (_, new))| old != new)
        .map(|((field, old), (_, new))| Difference { field, old: Some(old), new: Some(new) })
        .collect();
    let mut maps = Maps(Vec::new());
    look(&before.view(), &mut maps);
    let mut compare = Compare { before: maps.0.into_iter(), found: Vec::new() };
    look(&after.view(), &mut compare);
    found.append(&mut compare.found);
    found
}

/// The values of a state that are in no map, by name.
pub fn scalars(state: &mut Snapshot) -> Vec<(String, Shown)> {
    let mut scalars = Scalars { prefix: String::new(), found: Vec::new() };
    state.own.words(&mut scalars);
    scalars.prefix = format!("{}.", <AllocTable<Sim> as Object<Sim>>::NAME);
    state.at.words(&mut scalars);
    let name = <Queue<Sim> as Object<Sim>>::NAME;
    for (row, pending) in (0..).zip(&mut state.pending) {
        scalars.prefix = if row == state.current_cpu { format!("{name}.") } else { format!("{name}[{row}].") };
        pending.words(&mut scalars);
    }
    for (row, sleepers) in (0u32..).zip(&mut state.sleep) {
        scalars.prefix = format!("{}[{row}].", Sleeping::NAME);
        sleepers.words(&mut scalars);
    }
    let boot = [("boot.nps", state.boot.nps), ("boot.norm", state.boot.norm)];
    scalars.found.extend(boot.map(|(name, value)| (name.to_string(), Shown::Number(value.into()))));
    scalars.found
}

struct Maps<'a>(Vec<&'a dyn Any>);

impl<'a> Look<'a> for Maps<'a> {
    fn map<F: Field<Sim>>(&mut self, map: &'a Sparse<F>) {
        self.0.push(map);
    }
}

struct Compare<'a> {
    before: std::vec::IntoIter<&'a dyn Any>,
    found: Vec<Difference>,
}

impl Look<'_> for Compare<'_> {
    fn map<F: Field<Sim>>(&mut self, after: &Sparse<F>) {
        let Some(before) = self.before.next().and_then(|map| map.downcast_ref::<Sparse<F>>()) else { return };
        let ranges = match before.unlike(after) {
            Unlike::At(ranges) => ranges,
            Unlike::Anywhere if Sparse::<F>::size() <= MOST_KEYS => {
                Vec::from([Range { start: 0, end: Sparse::<F>::size() }])
            }
            Unlike::Anywhere => {
                self.found.push(Difference { field: F::NAME.to_string(), old: None, new: None });
                return;
            }
        };
        let mut blocks = Blocks::default();
        for key in ranges.into_iter().flatten().filter_map(Sparse::<F>::key) {
            let (old, new) = (before.get(key), after.get(key));
            let change = (bits(old), bits(new));
            if change.0 == change.1 || blocks.goes_on(key.words(), change) {
                continue;
            }
            // A different variant is a new value. The fields of a struct change separately.
            let parts = show::changing_parts(old).into_iter().zip(show::changing_parts(new));
            for ((leaf, old), (_, new)) in parts.filter(|(old, new)| old != new) {
                blocks.add(key.words(), leaf, old, new);
            }
        }
        self.found.extend(blocks.finish().into_iter().map(|block| block.named(F::NAME)));
    }
}

/// The leaves of a value, for comparison with values of the same type. No type has more leaves.
fn bits<V: Data<Sim>>(value: V) -> [u64; 8] {
    struct Bits([u64; 8], usize);
    impl Bits {
        fn put(&mut self, value: u64) {
            self.0[self.1] = value;
            self.1 += 1;
        }
    }
    impl Sink<Sim> for Bits {
        fn word(&mut self, _: &'static str, value: u32) {
            self.put(value.into());
        }
        fn wide(&mut self, _: &'static str, value: u64) {
            self.put(value);
        }
        fn nat(&mut self, _: &'static str, value: Count) {
            self.put(value.0);
        }
        fn flag(&mut self, _: &'static str, value: bool) {
            self.put(value.into());
        }
        fn tag(&mut self, _: &'static str, variant: u32) {
            self.put(variant.into());
        }
    }
    let mut bits = Bits([0; 8], 0);
    value.encode(&mut bits);
    bits.0
}

/// Adjacent keys with the same change: a range in each coordinate.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Block {
    keys: Vec<Range<u32>>,
    leaf: Option<&'static str>,
    old: Shown,
    new: Shown,
}

impl Block {
    fn named(self, field: &str) -> Difference {
        let mut name = field.to_string();
        for Range { start, end } in &self.keys {
            // Writing to a string cannot fail.
            let _ = if end - start == 1 { write!(name, "[{start}]") } else { write!(name, "[{start}..{end}]") };
        }
        if let Some(leaf) = self.leaf {
            let _ = write!(name, ".{leaf}");
        }
        Difference { field: name, old: Some(self.old), new: Some(self.new) }
    }

    /// Extends this block by `next`, if that follows it in the coordinate `at` and is equal otherwise. Returns whether
    /// it was extended.
    fn extend(&mut self, next: &Block, at: usize) -> bool {
        let alike = self.leaf == next.leaf && self.old == next.old && self.new == next.new;
        let others = (0..self.keys.len()).filter(|&other| other != at).all(|k| self.keys[k] == next.keys[k]);
        let goes_on = alike && others && self.keys[at].end == next.keys[at].start;
        if goes_on {
            self.keys[at].end = next.keys[at].end;
        }
        goes_on
    }
}

/// Collects blocks from cells in the order of their keys.
#[derive(Default)]
struct Blocks {
    /// The blocks of earlier rows, merged where possible.
    done: Vec<Block>,
    /// The blocks of the current row.
    row: Vec<Block>,
    /// The last cell, with its values before and after.
    last: Option<(Vec<u32>, ([u64; 8], [u64; 8]))>,
}

impl Blocks {
    /// Whether the cell at `key` follows the last one and has the same change. If so, it extends the blocks of that
    /// cell.
    fn goes_on(&mut self, key: &[u32], change: ([u64; 8], [u64; 8])) -> bool {
        let at = key.len() - 1;
        if let Some((last, as_it)) = &mut self.last
            && *as_it == change
            && last[..at] == key[..at]
            && last[at] + 1 == key[at]
        {
            last[at] += 1;
            let open = self.row.iter_mut().filter(|block| block.keys[at].end == key[at]);
            open.for_each(|block| block.keys[at].end += 1);
            return true;
        }
        self.last = Some((key.to_vec(), change));
        false
    }

    fn add(&mut self, key: &[u32], leaf: Option<&'static str>, old: Shown, new: Shown) {
        let keys: Vec<Range<u32>> = key.iter().map(|&word| word..word + 1).collect();
        let last = keys.len() - 1;
        if self.row.first().is_some_and(|block| block.keys[..last] != keys[..last]) {
            self.end_row();
        }
        let block = Block { keys, leaf, old, new };
        // A cell has several blocks, one for each changed field.
        let open = self.row.iter_mut().rev().take(8);
        if !open.into_iter().any(|earlier| earlier.extend(&block, last)) {
            self.row.push(block);
        }
    }

    fn end_row(&mut self) {
        for block in std::mem::take(&mut self.row) {
            let many = block.keys.len() > 1;
            let open = self.done.iter_mut().rev().take(64);
            if !(many && open.into_iter().any(|earlier| earlier.extend(&block, 0))) {
                self.done.push(block);
            }
        }
    }

    fn finish(mut self) -> Vec<Block> {
        self.end_row();
        self.done
    }
}
