//! What is to be proved of an entry of the kernel: no program gets it stuck, and it keeps the invariant.
use crate::assumed::Assumed;
use crate::engine::engine;
use crate::explore::{apart, prove};
use crate::machine::{Moves, Sym, decide};
use crate::prove::{Ground, Outcome, cover, feasible, note, prove_clause, prove_duties, prove_facts, run_proof};
use crate::state::State;
use crate::word::{SymWide, SymWord};
use abi::Reason;
use domain::Geometry;
use layer::stuck::Stuck;
use smt::term::Range;
use std::rc::Rc;
use syscall::spawn::Parent;
use syscall::table::{Arguments, Row};

/// Proves one row of the table of entries, for all states that satisfy H, L and D and the row's own condition, all
/// registers and all answers of the machine: it is never stuck, H, L and D hold afterwards, and so does what comes
/// after counts on.
pub fn prove_entry<G: Geometry>(row: &Row<Sym<G>>) -> Outcome {
    let mut whole = Outcome::default();
    for parent in [Parent::Program, Parent::Main] {
        whole.add(run_proof::<G>(Ground::Derived, &|state, assumed, outcome| {
            path_of_entry(row, parent, (state, assumed), outcome);
        }));
        // Only a load has somebody who waits for it.
        if row.name != "load" {
            break;
        }
    }
    whole.require_success();
    whole
}

/// Arguments of which nothing is known.
fn unknown_arguments<G: Geometry>(parent: Parent) -> Arguments<Sym<G>> {
    let load = ["child", "image", "pages", "page"].map(|name| (name, engine(|e| e.arena.var(name, Range::WORD))));
    for (name, word) in load {
        engine(|e| e.arguments.push((name.to_string(), word)));
    }
    Arguments {
        registers: std::array::from_fn(|k| SymWide(engine(|e| e.arena.var(&format!("register{k}"), Range::WIDE)))),
        // It goes into a report, where nothing comes back from.
        reason: Reason::DivideError,
        parent,
        load: load.map(|(_, word)| SymWord(word)),
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
    prove_clause("what comes after can go on", proved, &|| next.holds(&after.view()));
    prove_facts(&after, &moves.latest(), |_| true, proved);
    prove_duties(&moves, proved);
}

/// Proves that the path that was just walked does not exist.
fn refute(stuck: Stuck) {
    apart(|| {
        // The precondition that was broken last is what the proof is about.
        let goal = engine(|e| match e.path.last().map(|step| step.holds) {
            Some(broken) => e.arena.not(broken),
            None => e.arena.bool(false),
        });
        prove(goal, || format!("never stuck: {stuck:?}"))
    });
}
