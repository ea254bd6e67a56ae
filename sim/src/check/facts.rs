//! The runtime checker: evaluates every fact of the invariant on a quiescent machine.
//!
//! A fact holds for all keys of maps, which are too many to enumerate. It is evaluated where a value can differ from
//! the map's definition at boot: at the keys that were written in any map with such keys, at the ends of each range,
//! and at the boundaries in memory and page maps.
use crate::machine::Sim;
use crate::machine::sparse::{Cells, Sparse};
use crate::state::maps::{Look, look};
use domain::{Field, Key as _};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::keys::IGNORE;
use layer::core::state::Cpu;
use layer::invariant::facts;
use layer::spec::fact::{Class, Fact};
use layer::spec::view::View;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A violated fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The number of the fact.
    pub number: &'static str,
    /// The name of the fact.
    pub name: &'static str,
    /// The CPU in whose state it was evaluated.
    pub cpu: u32,
    /// The first keys at which it does not hold.
    pub keys: Vec<Vec<u32>>,
    /// The number of keys at which it does not hold.
    pub places: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { number, name, cpu, keys, places } = self;
        write!(formatter, "{number} ({name}) does not hold on CPU {cpu} at {:?}", keys[0])?;
        match places {
            1 => Ok(()),
            more => write!(formatter, " and {} other keys", more - 1),
        }
    }
}

/// The maximum number of keys that a violation names in one row, for at most [`MOST_ROWS`] rows.
const MOST_OF_A_ROW: usize = 8;
/// The most rows in a violation. A row has the keys with the same first coordinate.
const MOST_ROWS: usize = 16;

/// Evaluates the facts of all classes up to `most` on the state of the CPU `current`.
pub fn check(cpu: &Cpu<'_, Sim>, current: u32, cells: Cells, most: Class) -> Vec<Violation> {
    let (at, pending) = (cpu.shared.at.inspect(0), cpu.shared.pending.inspect(current));
    let (channels, threads) = (cpu.shared.channels.inspect(), cpu.shared.links.inspect());
    let view = View {
        own: &cpu.own,
        ghost: &cpu.own.ghost.0,
        at: &at,
        pending: &pending,
        channels: &channels,
        threads: &threads,
        boot: &cpu.shared.boot,
        current_cpu: current,
    };
    check_facts(&view, cells, most)
}

/// Evaluates the facts of all classes up to `most`.
pub fn check_facts(view: &View<'_, Sim>, cells: Cells, most: Class) -> Vec<Violation> {
    let universe = Universe::new(view, cells);
    facts::<Sim>().filter(|fact| fact.class <= most).filter_map(|fact| universe.refute(view, &fact)).collect()
}

/// A key of up to four coordinates. Unused coordinates are 0.
type Key = [u32; 4];

/// The keys to evaluate for each entry of a fact's list.
struct Universe(BTreeMap<Choice, Vec<Key>>);

/// The bounds of coordinates, and the field whose written keys are used, with its companion fields. Without a field,
/// the written keys of all fields are used.
///
/// A fact with a single entry is evaluated at the keys written in any map. A fact with several entries uses only the
/// keys written in each entry's own maps, because there would be too many combinations.
type Choice = (Vec<u32>, Option<&'static str>);

/// A coordinate with at most this many values is enumerated.
const SMALL: u32 = 32;

impl Universe {
    fn new(view: &View<'_, Sim>, cells: Cells) -> Self {
        let written = written(view, cells);
        let mut universe = BTreeMap::new();
        for fact in facts::<Sim>() {
            for &(field, coordinates) in fact.keys {
                let (kept, choice) = choice(&fact, field, coordinates);
                universe.entry(choice).or_insert_with_key(|choice| collect(view, &written, &kept, choice));
            }
        }
        Universe(universe)
    }

    /// Searches for keys at which `fact` does not hold.
    fn refute(&self, view: &View<'_, Sim>, fact: &Fact<Sim>) -> Option<Violation> {
        let candidates =
            fact.keys.iter().map(|&(field, coordinates)| &*self.0[&choice(fact, field, coordinates).1]).collect();
        let mut search = Search { candidates, view, fact, keys: [0; 8], found: None };
        search.slot(0);
        search.found
    }
}

/// The coordinates in an entry of a fact's list, and the source of their values.
fn choice(fact: &Fact<Sim>, field: &'static str, coordinates: &[usize]) -> (Vec<usize>, Choice) {
    let dims = bounds::<Sim>(field).expect("a fact names fields of the state");
    let kept: Vec<usize> = (0..dims.len()).filter(|&coordinate| coordinates[coordinate] != IGNORE).collect();
    let bounds = kept.iter().map(|&coordinate| dims[coordinate]).collect();
    (kept, (bounds, (fact.keys.len() > 1).then_some(field)))
}

/// The part of a field's name that its companion fields share.
fn stem(field: &str) -> &str {
    field.split('.').next().unwrap_or(field)
}

/// The keys of a choice, in order.
fn collect(view: &View<'_, Sim>, written: &[Written], kept: &[usize], (bounds, only): &Choice) -> Vec<Key> {
    let fields = || written.iter().filter(|written| only.is_none_or(|only| stem(only) == stem(written.field)));
    let mut found = corners_of_all(bounds, view);
    if let [bound] = bounds[..] {
        let mut values = FxHashSet::default();
        for Written { dims, keys, .. } in fields() {
            let of_its_kind = |&at: &usize| dims[at] == bound && (only.is_none() || kept == [at]);
            for at in (0..dims.len()).filter(of_its_kind) {
                // The keys are sorted, so that equal coordinates are adjacent.
                values.extend(keys.chunk_by(|one, next| one[at] == next[at]).map(|same| same[0][at]));
            }
        }
        found.extend(values.into_iter().map(|value| [value, 0, 0, 0]));
    } else {
        // No fact so far has several coordinates with larger bounds.
        found.extend(fields().filter(|written| written.dims == bounds).flat_map(|written| &written.keys));
    }
    // The concatenation of sorted lists, which a stable sort handles well.
    found.sort();
    found.dedup();
    found
}

/// The enumeration of a fact's keys.
struct Search<'a, 'v> {
    /// The keys for each entry of the fact's list.
    candidates: Vec<&'a [Key]>,
    view: &'a View<'v, Sim>,
    fact: &'a Fact<Sim>,
    keys: [u32; 8],
    found: Option<Violation>,
}

impl Search<'_, '_> {
    /// Enumerates the keys from entry `index` of the fact's list on.
    fn slot(&mut self, index: usize) {
        let Some((_, coordinates)) = self.fact.keys.get(index) else {
            // In an arbitrary state, a fact may go out of range. In that case it does not hold.
            let holds = || (self.fact.holds)(self.view, &self.keys);
            if !catch_unwind(AssertUnwindSafe(holds)).unwrap_or(false) {
                self.report();
            }
            return;
        };
        let candidates = self.candidates[index];
        for key in candidates {
            for (&position, &value) in coordinates.iter().filter(|&&position| position != IGNORE).zip(key) {
                self.keys[position] = value;
            }
            self.slot(index + 1);
        }
    }

    fn report(&mut self) {
        let positions = self.fact.keys.iter().flat_map(|(_, coordinates)| *coordinates);
        let count = positions.filter(|&&position| position != IGNORE).max().map_or(0, |&last| last + 1);
        let (keys, cpu) = (&self.keys[..count], self.view.current_cpu);
        let Fact { number, name, .. } = *self.fact;
        let new = || Violation { number, name, cpu, keys: Vec::new(), places: 0 };
        let found = self.found.get_or_insert_with(new);
        found.places += 1;
        // The reader of a violation can complete a row of which this many keys are known.
        let of_row = found.keys.iter().filter(|key| key.first() == keys.first()).count();
        let rows = found.keys.chunk_by(|one, next| one.first() == next.first()).count();
        if of_row < MOST_OF_A_ROW && (of_row > 0 || rows < MOST_ROWS) {
            found.keys.push(keys.to_vec());
        }
    }
}

/// The values of a coordinate with this bound that are always evaluated.
fn corners(bound: u32, view: &View<'_, Sim>) -> impl Iterator<Item = u32> + use<> {
    let directories = <Directories as Field<Sim>>::DIMS[1];
    let edges = match bound {
        MAX_PAGE => vec![KERN_LOW, KERN_HIGH, view.own.nps, view.boot.nps, view.at.cursor],
        NUM_PROC => vec![TOTAL_CPU, view.own.cpu + 1, view.own.cur],
        bound if bound == directories => {
            vec![KERN_LOW, KERN_HIGH].into_iter().map(|page| page / (MAX_PAGE / bound)).collect()
        }
        _ => Vec::new(),
    };
    let beside = edges.into_iter().flat_map(|edge| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)]);
    (0..bound.min(SMALL)).chain([bound / 2, bound - 1]).chain(beside).filter(move |&value| value < bound)
}

/// The keys with these bounds whose coordinates are all such values.
fn corners_of_all(dims: &[u32], view: &View<'_, Sim>) -> Vec<Key> {
    let mut keys = vec![[0; 4]];
    for (coordinate, &bound) in dims.iter().enumerate() {
        let with = |key: Key, value| {
            let mut key = key;
            key[coordinate] = value;
            key
        };
        keys = keys.iter().flat_map(|&key| corners(bound, view).map(move |value| with(key, value))).collect();
    }
    keys
}

/// The written keys of a field.
struct Written {
    field: &'static str,
    /// The bounds of its key.
    dims: &'static [u32],
    /// The keys, in order.
    keys: Vec<Key>,
}

/// The written keys of each field.
///
/// The contents of memory are left out: they belong to programs, no fact depends on them, and a write also sets the
/// ghost state that says that they are defined.
fn written(view: &View<'_, Sim>, cells: Cells) -> Vec<Written> {
    struct Collect(Vec<Written>, Cells);
    impl Look<'_> for Collect {
        fn map<F: Field<Sim>>(&mut self, map: &Sparse<F>) {
            if F::NAME == <PhysicalMemory as Field<Sim>>::NAME {
                return;
            }
            let pad = |key: F::Key| {
                let mut padded = [0; 4];
                padded[..F::DIMS.len()].copy_from_slice(key.words());
                padded
            };
            let keys = map.keys(self.1).into_iter().map(pad).collect();
            self.0.push(Written { field: F::NAME, dims: F::DIMS, keys });
        }
    }
    let mut collect = Collect(Vec::new(), cells);
    look(view, &mut collect);
    collect.0
}
