//! A model as a witness.
use super::cells::{cell_of, fits, is_of_a_row, rows};
use super::model::{Completion, Leaf};
use crate::state::record::{Answers, Locks, MachineAnswer};
use domain::Field;
use layer::core::fields::PhysicalMemory;
use sim::counterexample::answers::BYTES;
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use sim::state::snapshot::Snapshot;
use sim::state::values::{Cell, Values};
use smt::term::FRESH;
use std::collections::BTreeMap;

impl Completion<'_> {
    /// The answers of the machine on this path.
    pub fn answers(&mut self, cells: &[Leaf]) -> Result<Vec<Values>, String> {
        let said = self.e.path.data::<Answers>().0.clone();
        let mut answers = Vec::new();
        for MachineAnswer { values, page } in said {
            let mut answer = Values::default();
            for (name, term) in values {
                answer = answer.scalar(name, fits(self.value(term))?);
            }
            let page = page.map(|(frame, version)| (self.value(frame), version));
            for leaf in cells.iter().filter(|leaf| page == Some((leaf.key[0], leaf.version))) {
                if let Some(Cell { field, key, .. }) = cell_of(leaf)
                    && field == <PhysicalMemory as Field<Sim>>::NAME
                {
                    answer = answer.cell(BYTES, &key[1..], "value", fits(self.value(leaf.term))?);
                }
            }
            answer.scalars.retain(|_, value| *value != 0);
            answer.cells.retain(|_, value| *value != 0);
            answers.push(answer);
        }
        while answers.pop_if(|answer| answer.is_empty()).is_some() {}
        Ok(answers)
    }

    /// Copies the current model into `witness`.
    pub fn read(&mut self, witness: &mut Witness, boot: &Snapshot, cells: &[Leaf]) -> Result<(), String> {
        let there = boot.scalars();
        let taken = self.e.path.data::<Locks>().0.clone();
        let loaded: Vec<u32> =
            self.e.path.data::<Answers>().0.iter().filter_map(|said| said.page).map(|page| page.1).collect();
        let lock_of = |version: u32| taken.iter().position(|lock| lock.versions.contains(&version));
        witness.interference = vec![Values::default(); taken.len()];
        let mut scalars: Vec<Leaf> = self.leaves(true).into_iter().map(|term| self.leaf(term)).collect();
        scalars.sort_by_key(|leaf| leaf.version);
        let mut latest = BTreeMap::new();
        for leaf in &scalars {
            let value = fits(self.value(leaf.term))?;
            let name = &leaf.name;
            if name.contains(FRESH) || ["boot.nps", "boot.norm", "current_CPU_ID"].contains(&&**name) {
                continue;
            }
            if !there.contains_key(name) {
                if value != 0 {
                    witness.arguments.insert(name.clone(), value);
                }
                continue;
            }
            match (latest.insert(name, value), lock_of(leaf.version)) {
                (Some(old), _) if old == value && !is_of_a_row(name) => {}
                (Some(_), Some(lock)) => drop(witness.interference[lock].scalars.insert(name.clone(), value)),
                // The row is known when its lock is taken.
                (None, Some(lock)) if is_of_a_row(name) => {
                    witness.interference[lock].scalars.insert(name.clone(), value);
                }
                // If nothing is known of the value before, it was the same.
                _ => drop(witness.state.scalars.insert(name.clone(), value)),
            }
        }
        let mut ordered: Vec<&Leaf> = cells.iter().collect();
        ordered.sort_by_key(|leaf| leaf.version);
        let mut latest = BTreeMap::new();
        // The pages that the machine loads are in its answers.
        ordered.retain(|leaf| !loaded.contains(&leaf.version));
        for leaf in ordered {
            let Some(cell) = cell_of(leaf) else { continue };
            let value = fits(self.value(leaf.term))?;
            match (latest.insert(cell.clone(), value), lock_of(leaf.version)) {
                (Some(old), _) if old == value => {}
                (Some(_), Some(lock)) => drop(witness.interference[lock].cells.insert(cell, value)),
                _ => drop(witness.state.cells.insert(cell, value)),
            }
        }
        while witness.interference.pop_if(|values| values.is_empty()).is_some() {}
        let rows = rows(&witness.state, boot);
        witness.state = witness.state.differing(boot);
        witness.state.cells.extend(rows);
        let given = self.hosted.given();
        witness.arguments.extend(given.map(|(name, value)| (name.to_string(), value)));
        witness.answers = self.answers(cells)?;
        let any = self.e.path.free_words.clone();
        for (to, term) in witness.any.iter_mut().zip(any) {
            let value = self.e.model.as_mut().map_or(0, |model| model.value(&self.e.arena, term));
            *to = u32::try_from(value).unwrap_or(0);
        }
        Ok(())
    }
}
