//! Compares the writes of a call with the modifies clause of its contract.
use super::outcome::Broken;
use crate::machine::Sim;
use crate::machine::panics::quietly;
use crate::machine::sparse::{self, Sparse};
use crate::state::maps::{Look, look};
use crate::state::snapshot::Snapshot;
use crate::state::values::{Each, leaves};
use domain::{Field, Key, Map};
use layer::spec::contract::{Cells, Contract, Region, Transition, covers};
use layer::spec::view::View;
use std::any::Any;

/// The maximum number of cells that are reported for one field.
const MOST: usize = 8;

/// The modifies clause of a call: field or scalar, leaf, and the first words of the key.
pub(super) struct Modifies(pub Vec<(&'static str, Region, Vec<u32>)>);

impl Modifies {
    pub fn of(contract: &Contract<Sim>, step: &Transition<'_, Sim>) -> Modifies {
        Modifies::named_by(|may| (contract.modifies)(step, may))
    }

    /// The modifies clause with the cells that `name` passes to its argument.
    pub fn named_by(name: impl FnOnce(Cells<'_, Sim>)) -> Modifies {
        let mut entries = Vec::new();
        // If the clause goes out of range, it has no further cells.
        let _ = quietly(|| name(&mut |name, leaf, key| entries.push((name, leaf, key.to_vec()))));
        Modifies(entries)
    }

    /// The scalars that were written and are not in the clause.
    pub fn scalars(&self, before: &Snapshot, after: &Snapshot) -> Vec<Broken> {
        let [old, new] = [before, after].map(|state| {
            let mut scalars = Vec::new();
            state.own.snapshot().words(&mut Each(|name, value| {
                scalars.push((name, value));
                value
            }));
            scalars
        });
        let written = old.into_iter().zip(new).filter(|(old, new)| old != new);
        written
            .filter(|((name, _), _)| !self.0.iter().any(|entry| entry.0 == *name))
            .map(|((name, old), (_, new))| Broken::Scalar(name, old, new))
            .collect()
    }

    /// The leaves of maps that were written and are not in the clause.
    pub fn leaves(&self, start: &View<'_, Sim>, before: &View<'_, Sim>, after: &View<'_, Sim>) -> Vec<Broken> {
        struct Maps<'a>(Vec<&'a dyn Any>);
        impl<'a> Look<'a> for Maps<'a> {
            fn map<F: Field<Sim>>(&mut self, map: &'a Sparse<F>) {
                self.0.push(map);
            }
        }
        struct Compare<'a> {
            before: std::vec::IntoIter<&'a dyn Any>,
            modifies: &'a Modifies,
            ends: [&'a View<'a, Sim>; 2],
            broken: Vec<Broken>,
        }
        impl Look<'_> for Compare<'_> {
            fn map<F: Field<Sim>>(&mut self, after: &Sparse<F>) {
                let Some(before) = self.before.next().and_then(|map| map.downcast_ref::<Sparse<F>>()) else { return };
                let mut keys = before.keys(sparse::Cells::Neighbours);
                keys.extend(after.keys(sparse::Cells::Neighbours));
                // If the whole map was redefined, the first and the last key show it.
                keys.push(F::Key::from_words(&vec![0; F::DIMS.len()]));
                keys.push(F::Key::from_words(&F::DIMS.iter().map(|bound| bound - 1).collect::<Vec<u32>>()));
                keys.sort_unstable_by(|one, other| one.words().cmp(other.words()));
                keys.dedup_by(|one, other| one.words() == other.words());
                let mut named = 0;
                for key in keys {
                    let (old, new) = (leaves(before.get(key)), leaves(after.get(key)));
                    if old == new || named == MOST {
                        continue;
                    }
                    let value = |of: &[(&'static str, u64)], leaf: &str| of.iter().find(|l| l.0 == leaf).map(|l| l.1);
                    for &(leaf, _) in new.iter().filter(|leaf| !old.contains(leaf)) {
                        if !self.modifies.has(F::NAME, leaf, key.words(), self.ends) {
                            let (key, values) = (key.words().to_vec(), [value(&old, leaf), value(&new, leaf)]);
                            self.broken.push(Broken::Leaf { field: F::NAME, key, leaf, values });
                            named += 1;
                        }
                    }
                }
            }
        }
        let mut maps = Maps(Vec::new());
        look(before, &mut maps);
        let mut compare =
            Compare { before: maps.0.into_iter(), modifies: self, ends: [start, after], broken: Vec::new() };
        look(after, &mut compare);
        compare.broken
    }

    /// Whether the clause covers this leaf.
    fn has(&self, field: &str, leaf: &str, key: &[u32], ends: [&View<'_, Sim>; 2]) -> bool {
        let cells = self.0.iter().filter(|entry| entry.0 == field);
        cells.into_iter().any(|(_, region, begin)| covers(ends, (*region, begin), leaf, key))
    }
}
