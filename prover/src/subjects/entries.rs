//! Proofs of kernel entries: no program can get an entry stuck, and every entry preserves the invariant.
use crate::clause;
use crate::counterexample::call::{Callee, HostedCall};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::{locks_are_modified, prove_facts, prove_guarantees, prove_modifies, run_proof};
use crate::state::parts::State;
use crate::state::record::Interactions;
use crate::state::sym::Sym;
use crate::state::unknown::key_bounds;
use crate::subjects::primitives::is_hosted;
use abi::Call;
use domain::Wide;
use layer::core::constants::{SAVED, slot};
use layer::core::fields::Context;
use layer::core::geometry::Geometry;
use layer::core::machine::Spec;
use layer::core::stuck::Stuck;
use layer::invariant::facts;
use layer::spec::contract::Cells;
use layer::spec::fact::Class;
use sim::counterexample::entry::{CONTEXT, LOAD, WAKE};
use sim::machine::Sim;
use smt::term::Range;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::counterexample::{NO_CALL, Unconfirmed};
use symbolic::engine::engine;
use symbolic::failure::{Failure, Reason};
use symbolic::inlining::Inlining;
use symbolic::proof::{Outcome, any, cover, feasible, note, prove_clause};
use symbolic::query::{in_scope, prove};
use symbolic::word::{SymWide, SymWord};
use syscall::effect::{EntryArguments, Made};
use syscall::next::{Next, Parent};
use syscall::table::KernelEntry;

/// Proves one row of the table of entries, for all states that satisfy H, L, D, E and the row's condition, all
/// registers and all answers of the machine. The entry never gets stuck, H, L, D and E hold afterwards, and the
/// continuation can run. Counterexamples are run with `hosted`, the same row on the hosted machine.
pub fn prove_entry<G: Geometry>(row: &KernelEntry<Sym<G>>, hosted: &KernelEntry<Sim>) -> Outcome {
    let mut whole = Outcome::default();
    for parent in [Parent::Program, Parent::Main] {
        let path = |state: &Rc<State<G>>, assumed: &Rc<Assumed>, outcome: &mut Outcome| {
            path_of_entry(row, parent, (state, assumed), outcome);
        };
        let is_hosted = is_hosted::<G>();
        // A counterexample to the proof with contracts is not run. First the path is walked again with the code of the
        // called primitives.
        engine(|e| e.settings.runner = is_hosted.and(Err("")));
        let mut outcome = run_proof::<G>(InvariantSet::Entry, &path);
        if is_hosted.is_ok() {
            let called = Callee::Entry { row: *hosted, parent };
            let failures = std::mem::take(&mut outcome.failures);
            outcome.failures = failures.into_iter().flat_map(|failure| exact(failure, called, &path)).collect();
        }
        whole.add(outcome);
        // Only a load has a parent that waits for it.
        if row.name != "load" {
            break;
        }
    }
    engine(|e| e.settings.runner = Err(NO_CALL));
    whole.require_success();
    whole
}

/// The exact failures for `failure`, with the code of the called primitives: the failure itself, with the result of
/// its run or the reason why it was not run. If only the contracts admit the failure, also returns the other failures
/// on its path.
fn exact<G: Geometry>(mut failure: Failure, called: Callee, path: &Path<'_, G>) -> Vec<Failure> {
    if failure.reason != Reason::Counterexample {
        return vec![failure];
    }
    let walk = failure.trace.clone();
    match walk_again(Inlining::new(walk.clone(), Some(failure.clause.clone())), called, path) {
        Ok(failures) if !failures.is_empty() => return failures,
        Err(why) => {
            failure.ending = why;
            return vec![failure];
        }
        Ok(_) if walk.called.is_empty() => {
            (failure.reason, failure.ending) = (Reason::Spurious, Unconfirmed::NoState.to_string());
            return vec![failure];
        }
        Ok(_) => {}
    }
    let mut names = walk.called.clone();
    names.sort_unstable();
    names.dedup();
    failure.reason = Reason::Contract;
    failure.ending = format!("it holds where {} runs", names.join(" and "));
    let others = walk_again(Inlining::new(walk, None), called, path).unwrap_or_default();
    [failure].into_iter().chain(others).collect()
}

/// Walks the path of a failure again, with the code of the called primitives. Returns the failures that were
/// confirmed by a run, or why none could be confirmed.
fn walk_again<G: Geometry>(inlining: Inlining, called: Callee, path: &Path<'_, G>) -> Result<Vec<Failure>, String> {
    let inlining = Rc::new(inlining);
    engine(|e| e.settings.inlining = Some(inlining.clone()));
    let found = run_proof::<G>(InvariantSet::Entry, &|state, assumed, outcome| {
        let hosted = HostedCall { called, invariants: InvariantSet::Entry, start: assumed.clone() };
        engine(|e| e.settings.runner = Ok(Rc::new(hosted)));
        path(state, assumed, outcome);
    });
    engine(|e| e.settings.inlining = None);
    match inlining.unconfirmed() {
        Some(why) if found.failures.is_empty() => Err(why),
        _ => Ok(found.failures),
    }
}

/// Walks one path of a proof.
type Path<'a, G> = dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome) + 'a;

/// Unknown arguments.
fn unknown_arguments<G: Geometry>(parent: Parent) -> EntryArguments<Sym<G>> {
    let word = |name: &str| {
        let word = engine(|e| e.arena.var(name, Range::WORD));
        engine(|e| e.path.arguments.push((name.to_string(), word)));
        SymWord(word)
    };
    EntryArguments {
        registers: std::array::from_fn(|k| SymWide(engine(|e| e.arena.var(&format!("register{k}"), Range::WIDE)))),
        context: {
            let [esp, ra] = CONTEXT.map(word);
            Context { esp, ra }
        },
        // The reason goes only into a report, so its value does not matter.
        reason: abi::Reason::DivideError,
        parent,
        load: LOAD.map(word),
        wake: WAKE.map(word),
        guest: SAVED.map(|slot| SymWide(engine(|e| e.arena.var(&format!("guest{slot}"), Range::WIDE)))),
    }
}

fn path_of_entry<G: Geometry>(
    row: &KernelEntry<Sym<G>>,
    parent: Parent,
    (state, assumed): (&Rc<State<G>>, &Rc<Assumed>),
    outcome: &mut Outcome,
) {
    let arguments = unknown_arguments::<G>(parent);
    if !decide(&|| (row.ready)(&state.view(), &arguments)) {
        return;
    }
    let some = any("some", 1 << 32);
    engine(|e| e.path.free_words = vec![some.0]);
    let interference = Interference::new(state, assumed);
    let (result, after) = state.run(&interference, |cpu| (row.run)(cpu, &arguments));
    let next = match result {
        Ok(next) => next,
        Err(stuck) => {
            refute(stuck);
            return;
        }
    };
    if !feasible() {
        return;
    }
    cover(|| true);
    outcome.succeed(&kind(row, &arguments, &next));
    let proved = &mut outcome.clauses;
    note(proved, clause::NEVER_STUCK.to_string());
    prove_clause(clause::NEXT, proved, &|| next.holds(&after.view()));
    let interactions = Interactions::take();
    let made = Made {
        before: state.view(),
        after: after.view(),
        arguments: &arguments,
        next: &next,
        interactions: &interactions,
        any: some,
    };
    prove_clause(clause::ENSURES, proved, &|| (row.effect.ensures)(&made));
    let modifies = |may: Cells<'_, Sym<G>>| (row.effect.modifies)(&made, may);
    if prove_modifies(&modifies, state, &after) && locks_are_modified(&modifies, &interference) {
        note(proved, clause::MODIFIES.to_string());
    }
    prove_facts(&after, &interference.latest(), |fact| InvariantSet::Derived.includes(fact), proved);
    // The postconditions of the called primitives are assumed at the same free word.
    for fact in facts::<Sym<G>>().filter(|fact| fact.class == Class::Entry) {
        let [bound] = key_bounds::<G>(fact.keys)[..] else { unreachable!("a fact of E has one key") };
        let is_key = || some < u32::try_from(bound).unwrap_or(u32::MAX);
        let name = clause::fact(fact.number, fact.name);
        // In most entries nothing changes at that word, so no other instance is needed.
        assumed.assert_at(fact.number, &[some]);
        prove_clause(&name, proved, &|| !is_key() || (fact.holds)(&after.view(), &[some]));
    }
    prove_guarantees(&interference, proved);
}

/// The kind of a successful path: the call, if the row is that of system calls, and how it ends. Each kind must have a
/// satisfiable path.
fn kind<G: Geometry>(row: &KernelEntry<Sym<G>>, arguments: &EntryArguments<Sym<G>>, next: &Next<Sym<G>>) -> String {
    let ends = match next {
        Next::ToUser(_) => "in a program".to_string(),
        Next::ToGuest(_) => "in a guest".to_string(),
        Next::Switch(_) => "in another thread".to_string(),
        Next::Load(_) => "in a load".to_string(),
        Next::Wake(_) => "in a wake-up".to_string(),
        Next::Continue(continuation) => format!("in {continuation:?}"),
    };
    // The path has decided which call it is.
    let number = Sym::<G>::register(&arguments.registers, slot::EAX.into()).low();
    let call = Call::ALL.iter().find(|&&call| row.name == "system_call" && number == call as u32);
    format!(" {ends}{}", call.map_or(String::new(), |call| format!(", by {call:?}")))
}

/// Proves that the path that was just walked is infeasible.
fn refute(stuck: Stuck) {
    in_scope(|| {
        // The condition of the last decision is the one that got the path stuck.
        let goal = engine(|e| match e.path.steps.last().map(|step| step.holds) {
            Some(broken) => e.arena.not(broken),
            None => e.arena.bool(false),
        });
        prove(goal, || clause::stuck(stuck))
    });
}
