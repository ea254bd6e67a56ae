//! Minimising counterexamples: looks for few differences from boot, and shows them by name.
use crate::counterexample::call::HostedCall;
use crate::counterexample::ending::breaks;
use layer::core::fields::bounds;
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use sim::state::snapshot::Snapshot;
use sim::state::values::{Cell, Values};
use smt::term::show_cell;

/// The most calls that are made to find the differences that matter.
const TRIES: u32 = 400;

/// A difference of a witness from boot, or an argument that is not 0.
enum Difference {
    Scalar(String),
    Cell(Cell),
    MovedScalar(usize, String),
    MovedCell(usize, Cell),
    SaidScalar(usize, String),
    SaidCell(usize, Cell),
    Argument(String),
    Any(usize),
}

impl Difference {
    /// All differences of `witness`.
    fn all(witness: &Witness) -> Vec<Difference> {
        let mut all = Vec::new();
        for (lock, values) in witness.interference.iter().enumerate() {
            all.extend(values.cells.keys().map(|cell| Difference::MovedCell(lock, cell.clone())));
            all.extend(values.scalars.keys().map(|name| Difference::MovedScalar(lock, name.clone())));
        }
        for (question, values) in witness.answers.iter().enumerate() {
            all.extend(values.cells.keys().map(|cell| Difference::SaidCell(question, cell.clone())));
            all.extend(values.scalars.keys().map(|name| Difference::SaidScalar(question, name.clone())));
        }
        all.extend(witness.state.cells.keys().map(|cell| Difference::Cell(cell.clone())));
        all.extend(witness.state.scalars.keys().map(|name| Difference::Scalar(name.clone())));
        all.extend((0..witness.any.len()).filter(|&i| witness.any[i] != 0).map(Difference::Any));
        all.extend(witness.arguments.keys().map(|name| Difference::Argument(name.clone())));
        all
    }

    /// `witness` without this difference.
    fn put_back(&self, witness: &Witness) -> Witness {
        let mut witness = witness.clone();
        match self {
            Difference::Scalar(name) => drop(witness.state.scalars.remove(name)),
            Difference::Cell(cell) => drop(witness.state.cells.remove(cell)),
            Difference::MovedScalar(lock, name) => drop(witness.interference[*lock].scalars.remove(name)),
            Difference::MovedCell(lock, cell) => drop(witness.interference[*lock].cells.remove(cell)),
            Difference::SaidScalar(question, name) => drop(witness.answers[*question].scalars.remove(name)),
            Difference::SaidCell(question, cell) => drop(witness.answers[*question].cells.remove(cell)),
            Difference::Argument(name) => drop(witness.arguments.remove(name)),
            Difference::Any(i) => witness.any[*i] = 0,
        }
        witness
    }
}

/// Removes differences from boot as long as the call still violates `clause`.
pub(super) fn minimised(hosted: &HostedCall, mut witness: Witness, clause: &str) -> Witness {
    let mut tries = 0;
    loop {
        let mut put_back = false;
        for difference in Difference::all(&witness) {
            tries += 1;
            let smaller = difference.put_back(&witness);
            if tries <= TRIES && hosted.call(&smaller).is_ok_and(|ending| breaks(&ending, clause)) {
                (witness, put_back) = (smaller, true);
            }
        }
        if !put_back {
            while witness.interference.pop_if(|values| values.is_empty()).is_some() {}
            while witness.answers.pop_if(|values| values.is_empty()).is_some() {}
            return witness;
        }
    }
}

/// The arguments and the differences from boot, by name.
pub(super) fn shown(witness: &Witness) -> Result<Vec<(String, String)>, String> {
    let boot = witness.boot_state().map_err(|error| error.to_string())?;
    let mut lines: Vec<(String, String)> =
        witness.arguments.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    let plain = Witness::boot(0);
    let mut machine = |name: &str, value: String, at_boot: String| {
        if value != at_boot {
            lines.push((name.to_string(), value));
        }
    };
    machine("CPU_ID", witness.cpu.to_string(), plain.cpu.to_string());
    machine("init", witness.booted.to_string(), plain.booted.to_string());
    machine("vmx.set_up", witness.set_up.to_string(), plain.set_up.to_string());
    machine("boot.nps", witness.memory.frames.to_string(), plain.memory.frames.to_string());
    machine("boot.norm", witness.norm.to_string(), plain.norm.to_string());
    let all = 0..witness.memory.frames;
    machine("usable frames", format!("{:?}", witness.memory.usable), format!("{:?}", [all]));
    for (question, values) in witness.answers.iter().enumerate() {
        let prefix = format!("answer {} of the machine: ", question + 1);
        lines.extend(values.scalars.iter().map(|(name, value)| (format!("{prefix}{name}"), value.to_string())));
        let byte = |cell: &Cell| show_cell(&format!("{}:", cell.field), &[cell.key[0].to_string()]);
        lines.extend(values.cells.iter().map(|(cell, value)| (format!("{prefix}{}", byte(cell)), value.to_string())));
    }
    for (name, &value) in ["x", "y"].iter().zip(&witness.any) {
        if value != 0 {
            lines.push((format!("for all {name}, at"), value.to_string()));
        }
    }
    let mut state = boot;
    lines.extend(shown_values(&witness.state, &mut state, "")?);
    for (lock, values) in witness.interference.iter().enumerate() {
        lines.extend(shown_values(values, &mut state, &format!("when lock {} is taken: ", lock + 1))?);
    }
    Ok(lines)
}

/// `values` with their names in the state that they make of `state`.
fn shown_values(values: &Values, state: &mut Snapshot, prefix: &str) -> Result<Vec<(String, String)>, String> {
    values.put(state).map_err(|error| error.to_string())?;
    let scalars = values.scalars.iter().map(|(name, value)| (format!("{prefix}{name}"), value.to_string()));
    let mut lines: Vec<(String, String)> = scalars.collect();
    for (cell, value) in &values.cells {
        let mut key: Vec<String> = cell.key.iter().map(u32::to_string).collect();
        let whole = bounds::<Sim>(&cell.field).map_or(key.len(), <[u32]>::len);
        let first = [&cell.key[..], &vec![0; whole - key.len()]].concat();
        key.resize(whole, "..".to_string());
        // A variant is shown once, with its contents.
        let (leaf, value) = match cell.leaf.split_once('.').map_or(&*cell.leaf, |(variant, _)| variant) {
            leaf if leaf == cell.leaf && leaf != "tag" => (leaf, value.to_string()),
            _ => ("", state.show(&cell.field, &first)),
        };
        let line = (format!("{prefix}{}", show_cell(&format!("{}:{leaf}", cell.field), &key)), value);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    Ok(lines)
}
