//! Runs one call of a primitive from a state given as data, and reports the violated clauses.
use super::execution::{Made, describe, make, satisfies};
use super::interference::{Interference, changed_without_lock, violated_guarantees};
use super::modifies::Modifies;
use super::outcome::{Broken, Ending, Refused};
use super::witness::Witness;
use crate::check::facts::check_facts;
use crate::machine::Sim;
use crate::machine::panics::{holds, quietly};
use crate::machine::sparse::Cells;
use crate::state::snapshot::Snapshot;
use crate::state::values::NoSuch;
use layer::catalogue::{Primitive, primitives};
use layer::core::call::{Answer, Arguments};
use layer::spec::contract::{Contract, Transition};
use layer::spec::fact::Class;
use layer::spec::view::View;

/// A call to run: the primitive with its contract, and the facts that the state satisfies.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The primitive.
    pub primitive: &'a Primitive,
    /// The contract.
    pub contract: &'a Contract<Sim>,
    /// Facts of the classes up to this one are assumed, and must be preserved.
    pub facts: Class,
}

impl Witness {
    /// Runs a call of the primitive `name`, from a state that satisfies the facts of all classes up to `facts`.
    ///
    /// # Errors
    /// If the state or the arguments do not admit the call, or if there is no such primitive.
    pub fn call(&self, name: &str, facts: Class) -> Result<Ending, Refused> {
        let rows = primitives::<Sim>();
        let row = rows.iter().find(|(primitive, _)| primitive.name == name);
        let (primitive, contract) = row.ok_or_else(|| NoSuch(name.to_string()))?;
        Subject { primitive, contract, facts }.call(self)
    }
}

impl Subject<'_> {
    /// Checks that the state and the arguments of `witness` admit the call. `boot` is the boot state of `witness`.
    ///
    /// # Errors
    /// If the state or the arguments do not admit the call.
    pub fn admits(&self, witness: &Witness, boot: &Snapshot) -> Result<(), Refused> {
        let state = witness.state_from(boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        satisfies(&state, self.facts)?;
        // In a proof from H and L, the facts of H are proved without the contract's assumptions. The facts of L need
        // these assumptions.
        if self.facts == Class::Derived && !self.assumptions_hold(&state.view(), &arguments) {
            return Err(Refused::Assumes);
        }
        Ok(())
    }

    fn assumptions_hold(&self, before: &View<'_, Sim>, arguments: &Arguments<Sim>) -> bool {
        holds(|| (self.contract.assumes)(before, arguments))
    }

    /// Makes the call from the state of `witness`, with its arguments.
    ///
    /// # Errors
    /// If the state or the arguments do not admit the call.
    pub fn call(&self, witness: &Witness) -> Result<Ending, Refused> {
        let boot = witness.boot_state()?;
        self.admits(witness, &boot)?;
        let before = witness.state_from(&boot)?;
        let arguments = witness.arguments_of(self.primitive)?;
        let Made { result, after, interference, .. } =
            make(witness, &before, |cpu| (self.contract.run)(cpu, &arguments))?;
        let answer = describe(&result, |answer| format!("{answer:?}"));
        let broken = match result {
            Ok(Ok(given)) => {
                // The final state contains the interference, which does not count as a write of the call.
                let mut disturbed = before.snapshot();
                interference.changed.put(&mut disturbed)?;
                let step = Transition {
                    before: before.view(),
                    after: after.view(),
                    arguments: &arguments,
                    answer: &given,
                    any: witness.any,
                };
                let mut broken = self.broken(&step, &disturbed, &after, &interference);
                broken.extend(interference.broken);
                broken
            }
            Ok(Err(stuck)) => {
                let required = holds(|| (self.contract.requires)(&before.view(), &arguments));
                if required && self.facts == Class::Derived { vec![Broken::Stuck(stuck)] } else { Vec::new() }
            }
            Err(panic) => vec![Broken::Panic(panic)],
        };
        Ok(Ending { answer, broken })
    }

    /// The clauses that a successful call violates. `disturbed` is the state before the call, with the interference
    /// applied, and `after` the final state.
    fn broken(
        &self,
        step: &Transition<'_, Sim>,
        disturbed: &Snapshot,
        after: &Snapshot,
        interference: &Interference,
    ) -> Vec<Broken> {
        let mut broken = Vec::new();
        let requires = || holds(|| (self.contract.requires)(&step.before, step.arguments));
        let kept = |number: &str| self.facts != Class::Derived || self.primitive.keeps(number, requires);
        let facts = if self.assumptions_hold(&step.before, step.arguments) { self.facts } else { Class::High };
        let violations = check_facts(&step.after, Cells::Neighbours, facts);
        broken.extend(violations.into_iter().filter(|violation| kept(violation.number)).map(Broken::Fact));
        if self.facts != Class::Derived {
            if !holds(|| (self.contract.reference_requires)(&step.before, step.arguments)) {
                broken.push(Broken::ReferencePrecondition);
            }
            let mode = |view: &View<'_, Sim>| view.ghost.ikern && view.ghost.ihost;
            let ends_there = self.primitive.keeps_mode();
            if ends_there && mode(&step.before) && !mode(&step.after) {
                broken.push(Broken::Mode);
            }
            return broken;
        }
        if !holds(|| (self.contract.ensures)(step)) {
            broken.push(Broken::Ensures);
        }
        let modifies = Modifies::of(self.contract, step);
        broken.extend(modifies.scalars(disturbed, after));
        broken.extend(modifies.leaves(&step.before, &disturbed.view(), &step.after));
        for &object in &interference.taken {
            let is_part =
                |name: &str| name.strip_prefix(object).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if !modifies.0.iter().any(|entry| is_part(entry.0)) && !self.may_take(step, &is_part) {
                broken.push(Broken::Lock(object));
            }
        }
        broken.extend(self.logged(step, disturbed, after));
        broken.extend(violated_guarantees(disturbed, after));
        broken.extend(changed_without_lock(
            interference.since.as_ref().unwrap_or(disturbed),
            after,
            &interference.queues,
        ));
        broken
    }

    /// The violated clauses about the events of the call, and about their effects on `disturbed`.
    fn logged(&self, step: &Transition<'_, Sim>, disturbed: &Snapshot, after: &Snapshot) -> Vec<Broken> {
        let log = after.logged_since(disturbed);
        let shown = || Broken::Events(log.iter().map(|entry| format!("{:?}", entry.event)).collect());
        let replayed = quietly(|| {
            let mut replayed = disturbed.objects().replayed();
            (replayed.replay(&log), replayed)
        });
        match replayed {
            Ok((Ok(outs), replayed)) => {
                let logged: Vec<_> = log.iter().map(|entry| entry.event).zip(outs).collect();
                let mine = log.iter().all(|entry| entry.cpu == step.before.own.cpu);
                let allowed = mine && holds(|| (self.contract.events)(step, &logged));
                let differences = replayed.differences(&after.objects(), &log).into_iter().map(Broken::Effect);
                (!allowed).then(shown).into_iter().chain(differences).collect()
            }
            Ok((Err(difference), _)) => vec![shown(), Broken::Effect(difference)],
            Err(_) => vec![shown()],
        }
    }

    /// Whether the modifies clause names an object, whatever the call's result is. A lock counts even if
    /// nothing is written.
    fn may_take(&self, step: &Transition<'_, Sim>, is_part: &dyn Fn(&str) -> bool) -> bool {
        let Answer::Word(_) = step.answer else { return false };
        [0, 1, u32::MAX].into_iter().any(|word| {
            let answer = Answer::Word(word);
            let after = View { ..step.before };
            Modifies::of(self.contract, &Transition { after, answer: &answer, before: View { ..step.before }, ..*step })
                .0
                .iter()
                .any(|entry| is_part(entry.0))
        })
    }
}
