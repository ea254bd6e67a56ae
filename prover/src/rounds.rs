//! The loop rule: we prove the loop invariant on entry, havoc what the loop modifies, run one iteration, and prove the
//! invariant again.
//!
//! A [`LoopRule`] gives the loop invariant and the fields and scalars that an iteration may write. After the havoc, the
//! invariant is the only knowledge of them. If the iteration breaks, the path continues after the loop. If it does not,
//! the invariant must hold again, and the iteration must have written nothing else. Then the path also continues after
//! the loop, because the iteration may have been the last one.
use crate::assumed::Assumed;
use crate::clause;
use crate::engine::{Abandon, Write, engine};
use crate::explore::{apart, condition, goal, prove, refuted};
use crate::machine::{Sym, key_bounds, next_version};
use crate::mutant::running;
use crate::prove::{Ground, any, any_keys, prove_once};
use crate::state::State;
use crate::word::SymWord;
use domain::Geometry;
use layer::core::fields::FIELDS;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use layer::invariant::facts;
use layer::spec::contract::{Iterations, LoopRule};
use std::ops::ControlFlow;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

#[cfg(test)]
mod tests;

/// Why counterexamples after the start of a loop are not replayed.
const IN_LOOP: &str = "it begins in a round of a loop, and how that round is reached is not known";

/// One iteration of a loop. It breaks or continues.
type Round<'a, G> = &'a dyn Fn(&mut Cpu<'_, Sym<G>>) -> Result<ControlFlow<()>, Stuck>;

/// Applies the loop rule `rule` to a loop of at most `most` iterations.
#[track_caller]
pub(crate) fn repeat<G: Geometry>(
    cpu: &mut Cpu<'_, Sym<G>>,
    rule: &LoopRule<Sym<G>>,
    most: u32,
    round: Round<'_, G>,
) -> Result<(), Stuck> {
    assert!(most > 0, "a loop makes a round");
    let at = Location::caller();
    let moves = cpu.shared.pending.moves().clone();
    let entry = Rc::new(State::of(cpu, moves.current_cpu()));
    let any = some_words();
    #[cfg(test)]
    if crate::agreement::concrete::is_known() {
        return every_round(cpu, rule, most, round, &entry, any);
    }
    engine(|e| e.native = Err(IN_LOOP));
    let rounds = Walk { rule, entry: entry.clone(), any, assumed: moves.latest() };
    rounds.prove(&entry, "before the first round");

    let origin = next_version();
    let begin = Rc::new(entry.renewed(rule.writes, origin));
    running(false, || rounds.assume(&begin));
    // The loop may have written whatever an iteration may write, so these fields count as writes.
    engine(|e| {
        let changes = e.arena.bool(true);
        let fields = rule.writes.iter().filter(|name| FIELDS.contains(name));
        e.writes.extend(fields.map(|&field| Write { field, key: Vec::new(), leaf: "", changes, at }));
    });
    cpu.own = begin.own.snapshot();
    let locks = moves.taken.borrow().len();
    if round(cpu)?.is_break() {
        return Ok(());
    }

    let end = State::of(cpu, moves.current_cpu());
    if moves.taken.borrow().len() > locks {
        rounds.break_off("takes a lock, which no round may");
    }
    if let Some(name) = begin.unlike(&end).iter().find(|name| !rule.writes.contains(name)) {
        rounds.break_off(&format!("writes {name}, of which its rule does not speak"));
    }
    rounds.prove(&end, "after a round");
    Ok(())
}

/// The free words of the postcondition under proof, or fresh words if there is none.
fn some_words() -> [SymWord; 2] {
    match engine(|e| e.any.clone())[..] {
        [one, two] => [SymWord(one), SymWord(two)],
        _ => [any("some", 1 << 32), any("some", 1 << 32)],
    }
}

/// A loop to which the rule is applied.
struct Walk<'a, G: Geometry> {
    rule: &'a LoopRule<Sym<G>>,
    entry: Rc<State<G>>,
    any: [SymWord; 2],
    /// The assumptions about the state before the loop.
    assumed: Rc<Assumed>,
}

impl<G: Geometry> Walk<'_, G> {
    /// The loop invariant besides the facts. It is not used in proofs from H and L alone.
    fn holds(&self, state: &State<G>) -> bool {
        self.assumed.ground() == Ground::High
            || (self.rule.holds)(&Iterations { entry: self.entry.view(), now: state.view(), any: self.any })
    }

    /// Assumes the loop invariant in `state`.
    fn assume(&self, state: &Rc<State<G>>) {
        self.assumed.only(state, self.rule.facts).assume();
        let holds = condition(&|| self.holds(state));
        engine(|e| {
            e.learn(holds);
            e.assume(holds);
        });
    }

    /// Proves the loop invariant in `state`. If it fails, the path ends.
    fn prove(&self, state: &State<G>, when: &str) {
        // On a replayed path, the invariant was proved when the path first came here.
        if engine(|e| e.replaying()) {
            return;
        }
        let clause = |what: &str| format!("{what}, {when} of {}", self.rule.name);
        let fresh = engine(|e| e.fresh);
        let ground = self.assumed.ground();
        let wanted = facts::<Sym<G>>().filter(|f| ground.includes(f) && self.rule.facts.contains(&f.number));
        let holds = wanted.into_iter().all(|fact| {
            apart(|| {
                let keys = any_keys(&key_bounds::<G>(fact.keys));
                let goal = goal(&|| (fact.holds)(&state.view(), &keys));
                prove(goal, || clause(&clause::fact(fact.number, fact.name)))
            })
        }) && prove_once(|| clause("what each round begins with"), &|| self.holds(state));
        engine(|e| e.fresh = fresh);
        if !holds {
            resume_unwind(Box::new(Abandon));
        }
    }

    /// Records that an iteration does something that the rule forbids, and ends the path.
    fn break_off(&self, what: &str) {
        refuted(&[], format!("a round of {} {what}", self.rule.name));
        resume_unwind(Box::new(Abandon));
    }
}

/// In a concrete run: runs all iterations, and checks the loop invariant before each.
#[cfg(test)]
fn every_round<G: Geometry>(
    cpu: &mut Cpu<'_, Sym<G>>,
    rule: &LoopRule<Sym<G>>,
    most: u32,
    round: Round<'_, G>,
    entry: &Rc<State<G>>,
    any: [SymWord; 2],
) -> Result<(), Stuck> {
    let current = cpu.shared.pending.moves().current_cpu();
    for _ in 0..most {
        let now = State::of(cpu, current);
        let holds =
            running(false, || condition(&|| (rule.holds)(&Iterations { entry: entry.view(), now: now.view(), any })));
        assert_eq!(crate::agreement::concrete::value(holds), 1, "what each round of {} begins with", rule.name);
        if round(cpu)?.is_break() {
            break;
        }
    }
    Ok(())
}
