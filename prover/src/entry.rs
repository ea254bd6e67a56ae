//! What is proved of an entry of the kernel: no program can get it stuck, and it preserves the invariant.
use crate::assumed::Assumed;
use crate::clause;
use crate::engine::{Failure, NO_CALL, Reason, engine};
use crate::explore::{apart, prove};
use crate::machine::{Moves, Sym, decide, key_bounds};
use crate::prove::{
    Ground, Outcome, any, cover, feasible, is_hosted, locks_are_in_frame, note, prove_clause, prove_duties,
    prove_facts, prove_frame, run_proof,
};
use crate::replay::{Again, Called, Native, Unrun};
use crate::state::State;
use crate::word::{SymWide, SymWord};
use domain::Geometry;
use layer::core::stuck::Stuck;
use layer::invariant::facts;
use layer::spec::contract::Cells;
use layer::spec::fact::Class;
use sim::machine::Sim;
use sim::replay::{LOAD, WAKE};
use smt::term::Range;
use std::rc::Rc;
use syscall::effect::{Arguments, Made};
use syscall::next::Parent;
use syscall::table::Row;

/// Proves one row of the table of entries, for all states that satisfy H, L, D, E and the row's condition, all registers
/// and all answers of the machine. The entry never gets stuck, H, L, D and E hold afterwards, and the continuation can
/// run. Counterexamples are replayed with `native`, the same row on the hosted machine.
pub fn prove_entry<G: Geometry>(row: &Row<Sym<G>>, native: &Row<Sim>) -> Outcome {
    let mut whole = Outcome::default();
    for parent in [Parent::Program, Parent::Main] {
        let path = |state: &Rc<State<G>>, assumed: &Rc<Assumed>, outcome: &mut Outcome| {
            path_of_entry(row, parent, (state, assumed), outcome);
        };
        let hosted = is_hosted::<G>();
        // A counterexample to the proof with contracts is not replayed. First the path is walked again with the called
        // code.
        engine(|e| e.native = hosted.and(Err("")));
        let mut outcome = run_proof::<G>(Ground::Entry, &path);
        if hosted.is_ok() {
            let called = Called::Entry { row: *native, parent };
            let failures = std::mem::take(&mut outcome.failures);
            outcome.failures = failures.into_iter().flat_map(|failure| exact(failure, called, &path)).collect();
        }
        whole.add(outcome);
        // Only a load has a parent that waits for it.
        if row.name != "load" {
            break;
        }
    }
    engine(|e| e.native = Err(NO_CALL));
    whole.require_success();
    whole
}

/// The exact failures for `failure`, with the code of the called primitives: the failure itself, replayed or with the
/// reason why not. If only the contracts admit it, also what else fails on its path.
fn exact<G: Geometry>(mut failure: Failure, called: Called, path: &Path<'_, G>) -> Vec<Failure> {
    if failure.reason != Reason::Counterexample {
        return vec![failure];
    }
    let walk = failure.walk.clone();
    match walk_again(Again::new(walk.clone(), Some(failure.clause.clone())), called, path) {
        Ok(failures) if !failures.is_empty() => return failures,
        Err(why) => {
            failure.ending = why;
            return vec![failure];
        }
        Ok(_) if walk.called.is_empty() => {
            (failure.reason, failure.ending) = (Reason::NotReplayed, Unrun::NoState.to_string());
            return vec![failure];
        }
        Ok(_) => {}
    }
    let mut names = walk.called.clone();
    names.sort_unstable();
    names.dedup();
    failure.reason = Reason::Contract;
    failure.ending = format!("it holds where {} runs", names.join(" and "));
    let others = walk_again(Again::new(walk, None), called, path).unwrap_or_default();
    [failure].into_iter().chain(others).collect()
}

/// Walks the path of a failure again, with the code of the called primitives. Returns the replayed failures, or why
/// they could not be replayed.
fn walk_again<G: Geometry>(again: Again, called: Called, path: &Path<'_, G>) -> Result<Vec<Failure>, String> {
    let again = Rc::new(again);
    engine(|e| e.again = Some(again.clone()));
    let found = run_proof::<G>(Ground::Entry, &|state, assumed, outcome| {
        let native = Native { called, ground: Ground::Entry, start: assumed.clone() };
        engine(|e| e.native = Ok(Rc::new(native)));
        path(state, assumed, outcome);
    });
    engine(|e| e.again = None);
    match again.unrun() {
        Some(why) if found.failures.is_empty() => Err(why),
        _ => Ok(found.failures),
    }
}

/// Walks one path of a proof.
type Path<'a, G> = dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome) + 'a;

/// Unknown arguments.
fn unknown_arguments<G: Geometry>(parent: Parent) -> Arguments<Sym<G>> {
    let word = |name: &str| {
        let word = engine(|e| e.arena.var(name, Range::WORD));
        engine(|e| e.arguments.push((name.to_string(), word)));
        SymWord(word)
    };
    Arguments {
        registers: std::array::from_fn(|k| SymWide(engine(|e| e.arena.var(&format!("register{k}"), Range::WIDE)))),
        // The reason goes only into a report, so that its value does not matter.
        reason: abi::Reason::DivideError,
        parent,
        load: LOAD.map(word),
        wake: WAKE.map(word),
    }
}

fn path_of_entry<G: Geometry>(
    row: &Row<Sym<G>>,
    parent: Parent,
    (state, assumed): (&Rc<State<G>>, &Rc<Assumed>),
    outcome: &mut Outcome,
) {
    let arguments = unknown_arguments::<G>(parent);
    if !decide(&|| (row.ready)(&state.view(), &arguments)) {
        return;
    }
    let some = any("some", 1 << 32);
    engine(|e| e.any = vec![some.0]);
    let moves = Moves::new(state, assumed);
    let (result, after) = state.run(&moves, |cpu| (row.run)(cpu, &arguments));
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
    outcome.successful_paths += 1;
    let proved = &mut outcome.clauses;
    note(proved, "never stuck".to_string());
    prove_clause(clause::NEXT, proved, &|| next.holds(&after.view()));
    let made = Made { before: state.view(), after: after.view(), arguments: &arguments, next: &next, any: some };
    prove_clause(clause::ENSURES, proved, &|| (row.effect.ensures)(&made));
    let frame = |may: Cells<'_, Sym<G>>| (row.effect.modifies)(&made, may);
    if prove_frame(&frame, state, &after) && locks_are_in_frame(&frame, &moves) {
        note(proved, "frame".to_string());
    }
    prove_facts(&after, &moves.latest(), |fact| Ground::Derived.includes(fact), proved);
    // The postconditions of the called primitives are assumed at the same free word.
    for fact in facts::<Sym<G>>().filter(|fact| fact.class == Class::Entry) {
        let [bound] = key_bounds::<G>(fact.keys)[..] else { unreachable!("a fact of E has one key") };
        let is_key = || some < u32::try_from(bound).unwrap_or(u32::MAX);
        let name = clause::fact(fact.number, fact.name);
        // In most entries nothing changes there, so that this instance is all that is needed.
        assumed.assert_at(fact.number, &[some]);
        prove_clause(&name, proved, &|| !is_key() || (fact.holds)(&after.view(), &[some]));
    }
    prove_duties(&moves, proved);
}

/// Proves that the path that was just walked is infeasible.
fn refute(stuck: Stuck) {
    apart(|| {
        // The condition of the last decision is the one that got the path stuck.
        let goal = engine(|e| match e.path.last().map(|step| step.holds) {
            Some(broken) => e.arena.not(broken),
            None => e.arena.bool(false),
        });
        prove(goal, || clause::stuck(stuck))
    });
}
