//! Runs one entry of the kernel, or one continuation, from a state given as data, and reports the violated clauses.
use super::answers::ScriptedAnswers;
use super::execution::{Made, describe, make, satisfies};
use super::interference::violated_guarantees;
use super::modifies::Modifies;
use super::outcome::{Broken, Ending, Refused};
use super::witness::{Witness, WitnessError};
use crate::check::facts::check_facts;
use crate::machine::Sim;
use crate::machine::instance::at_calls;
use crate::machine::panics::{holds, quietly};
use crate::machine::sparse::Cells;
use crate::state::snapshot::Snapshot;
use crate::state::values::NoSuch;
use abi::Reason;
use layer::catalogue::primitives;
use layer::core::call;
use layer::core::call::{Call, Chunk};
use layer::core::constants::{SAVED, UCTXT_SIZE};
use layer::core::fields::Context;
use layer::core::state::Cpu;
use layer::spec::fact::Class;
use std::cell::RefCell;
use std::rc::Rc;
use syscall::effect;
use syscall::effect::{EntryArguments, Interaction};
use syscall::next::{Next, Parent};
use syscall::table::{KernelEntry, rows};

/// The names of a context's words.
pub const CONTEXT: [&str; 2] = ["esp", "ra"];
/// The names of a load's arguments.
pub const LOAD: [&str; 3] = ["child", "image", "page"];
/// The names of a wake-up's arguments.
pub const WAKE: [&str; 3] = ["cv", "left", "then"];

/// An entry to run. It assumes the whole invariant, and must preserve it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The row of the table of entries.
    pub row: &'a KernelEntry<Sim>,
}

impl Witness {
    /// Enters the kernel as in the row `name` of the table of entries, from a state that satisfies the invariant.
    ///
    /// # Errors
    /// If the state, the arguments or the machine's answers do not admit the entry, or if there is no such row.
    pub fn enter(&self, name: &str) -> Result<Ending, Refused> {
        let rows = rows::<Sim>();
        let row = rows.iter().find(|row| row.name == name);
        Entry { row: row.ok_or_else(|| NoSuch(name.to_string()))? }.enter(self)
    }

    /// The arguments of an entry.
    fn arguments_of_entry(&self) -> Result<EntryArguments<Sim>, WitnessError> {
        let mut arguments: EntryArguments<Sim> = EntryArguments {
            registers: [0; UCTXT_SIZE as usize],
            context: Context { esp: 0, ra: 0 },
            // The reason goes only into a report, so its value does not matter.
            reason: Reason::DivideError,
            parent: Parent::Program,
            load: [0; 3],
            wake: [0; 3],
            guest: [0; SAVED.len()],
        };
        for (name, &value) in &self.arguments {
            let none = || NoSuch(name.clone());
            let register = name.strip_prefix("register").and_then(|k| k.parse::<usize>().ok());
            let of_guest = name.strip_prefix("guest").and_then(|slot| slot.parse::<u32>().ok());
            if let Some(k) = of_guest.and_then(|slot| SAVED.iter().position(|&other| other == slot)) {
                arguments.guest[k] = value;
                continue;
            }
            let EntryArguments { context: Context { esp, ra }, load, wake, parent, registers, .. } = &mut arguments;
            let word = CONTEXT.iter().zip([esp, ra]).chain(LOAD.iter().zip(load)).chain(WAKE.iter().zip(wake));
            match (word.into_iter().find(|(other, _)| *other == name), name.as_str(), value) {
                (Some((_, word)), ..) => *word = u32::try_from(value).map_err(|_| none())?,
                (_, "parent", 0) => {}
                (_, "parent", 1) => *parent = Parent::Main,
                _ => *register.and_then(|k| registers.get_mut(k)).ok_or_else(none)? = value,
            }
        }
        Ok(arguments)
    }
}

impl Entry<'_> {
    /// Enters the kernel from the state of `witness`, with its arguments and its answers of the machine.
    ///
    /// # Errors
    /// If the state, the arguments or the answers do not admit the entry.
    pub fn enter(&self, witness: &Witness) -> Result<Ending, Refused> {
        let boot = witness.boot_state()?;
        let before = witness.state_from(&boot)?;
        let arguments = witness.arguments_of_entry()?;
        ScriptedAnswers::check(&witness.answers)?;
        satisfies(&before, Class::Entry)?;
        if !holds(|| (self.row.ready)(&before.view(), &arguments)) {
            return Err(Refused::Assumes);
        }
        let at_call: Rc<RefCell<Vec<Broken>>> = Rc::default();
        let (noted, constant) = (at_call.clone(), (before.boot, before.current_cpu));
        let watch = move |cpu: &Cpu<'_, Sim>, call: &Call<Sim>| {
            let (boot, current_cpu) = constant;
            let state = Snapshot { boot, current_cpu, ..Snapshot::take(cpu) };
            noted.borrow_mut().extend(broken_at(&state, call));
        };
        let Made { result, after, interference, interactions } =
            make(witness, &before, |cpu| at_calls(watch, || (self.row.run)(cpu, &arguments)))?;
        let answer = describe(&result, |next| format!("{next:?}"));
        let mut broken = at_call.take();
        match result {
            Ok(Ok(next)) => {
                if !holds(|| next.holds(&after.view())) {
                    broken.push(Broken::Next);
                }
                broken.extend(broken_facts(&after, Class::Entry));
                broken.extend(interference.broken);
                let mut disturbed = before.snapshot();
                interference.changed.put(&mut disturbed)?;
                let answer = (&next, &*interactions);
                broken.extend(self.broken_effect(witness, &arguments, answer, [&before, &disturbed, &after]));
                broken.extend(violated_guarantees(&disturbed, &after));
            }
            Ok(Err(stuck)) => broken.push(Broken::Stuck(stuck)),
            Err(panic) => broken.push(Broken::Panic(panic)),
        }
        Ok(Ending { answer, broken })
    }
}

impl Entry<'_> {
    /// The violations of the entry's postcondition and modifies clause. `disturbed` is the state before the entry, with the
    /// interference applied.
    fn broken_effect(
        &self,
        witness: &Witness,
        arguments: &EntryArguments<Sim>,
        (next, interactions): (&Next<Sim>, &[Interaction<Sim>]),
        [before, disturbed, after]: [&Snapshot; 3],
    ) -> Vec<Broken> {
        let any = witness.any[0];
        let made = effect::Made { before: before.view(), after: after.view(), arguments, next, interactions, any };
        let mut broken = Vec::new();
        if !holds(|| (self.row.effect.ensures)(&made)) {
            broken.push(Broken::Ensures);
        }
        let modifies = Modifies::named_by(|may| (self.row.effect.modifies)(&made, may));
        broken.extend(modifies.scalars(disturbed, after));
        broken.extend(modifies.leaves(&made.before, &disturbed.view(), &made.after));
        broken
    }
}

/// The facts of all classes up to `most` that `state` violates.
fn broken_facts(state: &Snapshot, most: Class) -> Vec<Broken> {
    match quietly(|| check_facts(&state.view(), Cells::Neighbours, most)) {
        Ok(violations) => violations.into_iter().map(Broken::Fact).collect(),
        Err(panic) => vec![Broken::Panic(panic)],
    }
}

/// The requirements of `call` that `state`, in which it is made, violates.
fn broken_at(state: &Snapshot, call: &Call<Sim>) -> Vec<Broken> {
    let mut broken = broken_facts(state, Class::Derived);
    let rows = primitives::<Sim>();
    let Some((primitive, contract)) = rows.iter().find(|(primitive, _)| primitive.name == call.name) else {
        return broken;
    };
    let arguments = call::Arguments {
        words: call.words,
        wide: call.wide,
        place: 0,
        context: call.context,
        registers: [0; UCTXT_SIZE as usize],
        guest: [0; SAVED.len()],
        chunk: Chunk::One,
        bytes: [0; 8],
    };
    if !holds(|| (contract.assumes)(&state.view(), &arguments)) {
        broken.push(Broken::Assumes(primitive.name));
    }
    if !holds(|| (contract.requires)(&state.view(), &arguments)) {
        broken.push(Broken::Requires(primitive.name));
    }
    broken
}
