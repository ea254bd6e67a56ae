//! The cells of the hosted machine for the leaves of a model.
use super::model::Leaf;
use layer::core::fields::bounds;
use layer::objects::queue::{Family, Sleeping};
use sim::machine::Sim;
use sim::state::snapshot::Snapshot;
use sim::state::values::{Cell, OTHER_PENDING, Values};
use std::collections::BTreeMap;

/// If this many keys of a row are known, and all have one value, the whole row gets that value.
const MANY: usize = 8;

/// Whether `name` is a word in a row of a lock array that is not part of the state.
pub(super) fn is_of_a_row(name: &str) -> bool {
    [Sleeping::NAME, OTHER_PENDING]
        .iter()
        .any(|family| name.strip_prefix(family).is_some_and(|rest| rest.starts_with('.')))
}

/// Converts the solver's number to a number of the hosted machine.
pub(super) fn fits(value: i128) -> Result<u64, String> {
    u64::try_from(value).map_err(|_| "a number has more than 64 bits".to_string())
}

/// The cell of the hosted machine for a leaf, if there is one.
pub(super) fn cell_of(leaf: &Leaf) -> Option<Cell> {
    let (field, name) = leaf.name.split_once(':').unwrap_or((&leaf.name, "value"));
    let key: Vec<u32> = leaf.key.iter().map(|&word| u32::try_from(word).ok()).collect::<Option<_>>()?;
    let in_bounds = match bounds::<Sim>(field) {
        Some(dims) => dims.len() == key.len() && key.iter().zip(dims).all(|(word, bound)| word < bound),
        None => sim::state::values::MACHINE.contains(&field),
    };
    in_bounds.then(|| Cell::new(field, &key, name))
}

/// The boot value of a leaf.
pub(super) fn at_boot(boot: &Snapshot, leaf: &Leaf) -> Option<i128> {
    let cell = cell_of(leaf).filter(|cell| !sim::state::values::MACHINE.contains(&&*cell.field))?;
    boot.leaves(&cell.field, &cell.key).into_iter().find(|l| l.0 == cell.leaf).map(|l| l.1.into())
}

/// The rows with many known keys that all have one value, different from boot: a defined page of memory, or the entries
/// of a page table.
pub(super) fn rows(values: &Values, boot: &Snapshot) -> BTreeMap<Cell, u64> {
    let mut known: BTreeMap<Cell, Vec<u64>> = BTreeMap::new();
    for (cell, &value) in values.cells.iter().filter(|(cell, _)| cell.key.len() == 2) {
        known.entry(Cell::new(&cell.field, &cell.key[..1], &cell.leaf)).or_default().push(value);
    }
    known.retain(|row, values| {
        let dims = bounds::<Sim>(&row.field).unwrap_or(&[]);
        let differs = |value: u64| !boot.leaves(&row.field, &[row.key[0], 0]).contains(&(&*row.leaf, value));
        dims.get(1).is_some_and(|&bound| bound != u32::MAX)
            && values.len() >= MANY
            && values.iter().all(|value| *value == values[0])
            && differs(values[0])
    });
    known.into_iter().map(|(row, values)| (row, values[0])).collect()
}
