//! The values of a state by name: scalars, and the leaves of maps.
use super::maps::{Change, Look, change, look};
use super::snapshot::Snapshot;
use crate::machine::Sim;
use crate::machine::sparse::Sparse;
use domain::{Count, Data, Field, Key, Map, Sink, Source};
use layer::core::fields::bounds;
use layer::core::machine::{Object, Visit};
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Pending, Sleeping};
use std::collections::BTreeMap;

/// The prefixes of the machine's answers in a witness, where they look like fields: VMX capabilities, host-state
/// fields of a VM control structure, model-specific registers, and events of the UART.
pub const MACHINE: [&str; 7] = [
    "machine.vmxinfo",
    "machine.vmcs_host",
    "machine.rdmsr",
    "machine.serial.kind",
    "machine.serial.count",
    "machine.serial.byte",
    "machine.serial.sent",
];

/// The prefix of the names of words in another CPU's pending queue.
pub const OTHER_PENDING: &str = "other.msg";

/// A leaf of a map at one key, or at all keys that begin with `key`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    /// The field's name.
    pub field: String,
    /// The key, or its first words.
    pub key: Vec<u32>,
    /// The leaf. Flags and variants are numbers as well.
    pub leaf: String,
}

/// The values of scalars and of leaves of maps, by name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Values {
    /// The values in no map.
    pub scalars: BTreeMap<String, u64>,
    /// The values in maps. A row is ordered before the keys in it.
    pub cells: BTreeMap<Cell, u64>,
}

/// A name that the state or the call does not have, a key that is out of bounds, or a value that is out of range. The
/// name is that of a field, leaf, scalar or argument.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no {0}")]
pub struct NoSuch(pub String);

impl Cell {
    /// The leaf `leaf` of `field` at `key`.
    pub fn new(field: &str, key: &[u32], leaf: &str) -> Self {
        Cell { field: field.to_string(), key: key.to_vec(), leaf: leaf.to_string() }
    }
}

impl Values {
    /// Sets the scalar `name`.
    pub fn scalar(mut self, name: &str, value: u64) -> Self {
        self.scalars.insert(name.to_string(), value);
        self
    }

    /// Sets a leaf at one key, or at all keys that begin with `key`.
    pub fn cell(mut self, field: &str, key: &[u32], leaf: &str, value: u64) -> Self {
        self.cells.insert(Cell::new(field, key, leaf), value);
        self
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.cells.is_empty()
    }

    /// The values that differ from those of `state`, if they have a place there.
    pub fn differing(&self, state: &Snapshot) -> Values {
        let there = state.scalars();
        let scalars = self.scalars.iter().filter(|(name, value)| there.get(*name) != Some(value));
        let cells = self.cells.iter().filter(|(cell, value)| {
            let whole = bounds::<Sim>(&cell.field).is_some_and(|dims| dims.len() == cell.key.len());
            !whole || !state.leaves(&cell.field, &cell.key).contains(&(&*cell.leaf, **value))
        });
        Values {
            scalars: scalars.map(|(name, &value)| (name.clone(), value)).collect(),
            cells: cells.map(|(cell, &value)| (cell.clone(), value)).collect(),
        }
    }

    /// Writes the values into `state`.
    ///
    /// # Errors
    /// If a value has no place there.
    pub fn put(&self, state: &mut Snapshot) -> Result<(), NoSuch> {
        let mut missing: Vec<&str> = self.scalars.keys().map(String::as_str).collect();
        visit_scalars(state, &mut |name, old| {
            let value = self.scalars.get(name).copied();
            if value.is_some() {
                missing.retain(|other| *other != name);
            }
            value.unwrap_or(old)
        });
        if let Some(name) = missing.first() {
            return Err(NoSuch(name.to_string()));
        }
        for cell in self.cells.keys().filter(|cell| !MACHINE.contains(&&*cell.field)) {
            let dims = bounds::<Sim>(&cell.field).unwrap_or(&[]);
            let in_bounds = cell.key.iter().zip(dims).all(|(word, bound)| word < bound);
            if dims.is_empty() || cell.key.is_empty() || cell.key.len() > dims.len() || !in_bounds {
                return Err(NoSuch(format!("{}{:?}", cell.field, cell.key)));
            }
        }
        change(state, &mut Put(self));
        Ok(())
    }
}

/// A visitor that replaces every value by the result of `F`, which gets its name and value.
pub(crate) struct Each<F>(pub F);

impl<F: FnMut(&'static str, u64) -> u64> Visit<Sim> for Each<F> {
    fn word(&mut self, name: &'static str, word: &mut u32) {
        *word = (self.0)(name, (*word).into()) as u32;
    }
    fn wide(&mut self, name: &'static str, wide: &mut u64) {
        *wide = (self.0)(name, *wide);
    }
    fn nat(&mut self, name: &'static str, nat: &mut Count) {
        nat.0 = (self.0)(name, nat.0);
    }
    fn flag(&mut self, name: &'static str, flag: &mut bool) {
        *flag = (self.0)(name, (*flag).into()) != 0;
    }
}

/// Replaces every value of `state` that is in no map by the result of `change`.
fn visit_scalars(state: &mut Snapshot, change: &mut dyn FnMut(&str, u64) -> u64) {
    state.own.words(&mut Each(&mut *change));
    let mut of = |object: &str, name: &str, old| change(&format!("{object}.{name}"), old);
    state.at.words(&mut Each(|name, old| of(<AllocTable<Sim> as Object<Sim>>::NAME, name, old)));
    if let Some(pending) = state.pending.get_mut(state.current_cpu as usize) {
        pending.words(&mut Each(|name, old| of(Pending::NAME, name, old)));
    }
    // For the queues of other CPUs, only the rows that are read by name are visited.
    let (other, sleep) = (state.looked_at.pending, state.looked_at.sleep);
    if let Some(pending) = state.pending.get_mut(other as usize).filter(|_| other != state.current_cpu) {
        pending.words(&mut Each(|name, old| of(OTHER_PENDING, name, old)));
    }
    if let Some(sleepers) = state.sleep.get_mut(sleep as usize) {
        sleepers.words(&mut Each(|name, old| of(Sleeping::NAME, name, old)));
    }
}

impl Snapshot {
    /// The values that are in no map, by name.
    pub fn scalars(&self) -> BTreeMap<String, u64> {
        let mut scalars = BTreeMap::new();
        visit_scalars(&mut self.snapshot(), &mut |name, value| {
            scalars.insert(name.to_string(), value);
            value
        });
        scalars
    }

    /// The leaves of the value of a field at a key within its bounds.
    pub fn leaves(&self, field: &str, key: &[u32]) -> Vec<(&'static str, u64)> {
        self.find(field, key).0
    }

    /// The value of a field at a key within its bounds, as text.
    pub fn show(&self, field: &str, key: &[u32]) -> String {
        self.find(field, key).1
    }

    fn find(&self, field: &str, key: &[u32]) -> (Vec<(&'static str, u64)>, String) {
        struct Find<'k>(&'k str, &'k [u32], (Vec<(&'static str, u64)>, String));
        impl Look<'_> for Find<'_> {
            fn map<F: Field<Sim>>(&mut self, map: &Sparse<F>) {
                if F::NAME == self.0 {
                    let value = map.get(F::Key::from_words(self.1));
                    self.2 = (leaves(value), format!("{value:?}"));
                }
            }
        }
        let mut find = Find(field, key, Default::default());
        look(&self.view(), &mut find);
        find.2
    }
}

/// The leaves of a value.
pub(crate) fn leaves<V: Data<Sim>>(value: V) -> Vec<(&'static str, u64)> {
    struct Leaves(Vec<(&'static str, u64)>);
    impl Sink<Sim> for Leaves {
        fn word(&mut self, leaf: &'static str, value: u32) {
            self.0.push((leaf, value.into()));
        }
        fn wide(&mut self, leaf: &'static str, value: u64) {
            self.0.push((leaf, value));
        }
        fn nat(&mut self, leaf: &'static str, value: Count) {
            self.0.push((leaf, value.0));
        }
        fn flag(&mut self, leaf: &'static str, value: bool) {
            self.0.push((leaf, value.into()));
        }
        fn tag(&mut self, leaf: &'static str, variant: u32) {
            self.0.push((leaf, variant.into()));
        }
    }
    let mut leaves = Leaves(Vec::new());
    value.encode(&mut leaves);
    leaves.0
}

/// Writes cells of `Values` into maps.
struct Put<'a>(&'a Values);

impl Change for Put<'_> {
    fn map<F: Field<Sim>>(&mut self, map: &mut Sparse<F>) {
        let of_field: Vec<_> = self.0.cells.iter().filter(|(cell, _)| cell.field == F::NAME).collect();
        for of_key in of_field.chunk_by(|one, next| one.0.key == next.0.key) {
            let first = &of_key[0].0.key;
            let put = |map: &mut Sparse<F>, key: &[u32]| {
                map.update(F::Key::from_words(key), |value| {
                    let now = leaves(*value);
                    *value = F::Val::decode(&mut Overlay { now: &now, new: of_key });
                });
            };
            match F::DIMS[first.len()..] {
                [] => put(map, first),
                [last] => (0..last).for_each(|word| put(map, &[first, &[word][..]].concat())),
                // No field has keys of more than two words.
                _ => {}
            }
        }
    }
}

/// A source of leaves: the new ones, then the present ones, and 0 for all others.
struct Overlay<'a> {
    now: &'a [(&'static str, u64)],
    new: &'a [(&'a Cell, &'a u64)],
}

impl Overlay<'_> {
    fn leaf(&self, leaf: &str) -> u64 {
        let new = self.new.iter().find(|(cell, _)| cell.leaf == leaf).map(|(_, value)| **value);
        new.or_else(|| self.now.iter().find(|(name, _)| *name == leaf).map(|(_, value)| *value)).unwrap_or(0)
    }
}

impl Source<Sim> for Overlay<'_> {
    fn word(&mut self, leaf: &'static str) -> u32 {
        self.leaf(leaf) as u32
    }
    fn wide(&mut self, leaf: &'static str) -> u64 {
        self.leaf(leaf)
    }
    fn nat(&mut self, leaf: &'static str) -> Count {
        Count(self.leaf(leaf))
    }
    fn flag(&mut self, leaf: &'static str) -> bool {
        self.leaf(leaf) != 0
    }
    fn tag(&mut self, leaf: &'static str, variants: u32) -> u32 {
        (self.leaf(leaf) as u32).min(variants - 1)
    }
}
