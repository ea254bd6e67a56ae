//! Proofs of primitives: each preserves the invariant and satisfies its contract.
use crate::clause;
use crate::counterexample::call::{Callee, HostedCall};
use crate::environment::history::log;
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::{
    locks_are_modified, modified_names, prove_facts, prove_guarantees, prove_modifies, run_proof,
};
use crate::state::parts::{State, scalars};
use crate::state::sym::Sym;
use crate::state::visit::each;
use domain::Flag;
use layer::catalogue::{Kind, Primitive};
use layer::core::call::{Answer, Arguments, Chunk};
use layer::core::constants::UCTXT_SIZE;
use layer::core::fields::Context;
use layer::core::geometry::{Geometry, Paged};
use layer::core::log::Event;
use layer::core::stuck::Stuck;
use layer::invariant::{BY_THEOREMS, read};
use layer::spec::contract::{Cells, Contract, Transition};
use layer::spec::fact::{Class, Fact};
use sim::machine::Sim;
use smt::solver::Verdict;
use smt::term::{Range, Term};
use std::cell::Cell;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::counterexample::{NO_CALL, Runner};
use symbolic::engine::engine;
use symbolic::facts::instances::assert_like_large;
use symbolic::failure::Failure;
use symbolic::merge::{condition, goal};
use symbolic::mutant::Operator;
use symbolic::mutation::{is_wrong, specifying};
use symbolic::proof::{Outcome, any, cover, feasible, note, probe, prove_clause};
use symbolic::query::{Aim, check, in_scope, prove};
use symbolic::word::{SymWide, SymWord};

/// Why counterexamples to mutants are not run.
const MUTANT: &str = "the hosted machine does not run mutants";
/// Why counterexamples for the reference's page tables are not run.
const NO_MACHINE: &str = "the hosted machine has no page tables of this geometry";

/// Checks whether the hosted machine runs the code under proof. If it does not, returns the reason.
pub(crate) fn is_hosted<G: Geometry>() -> Result<(), &'static str> {
    if G::ENTRIES != <<Sim as Paged>::Geometry as Geometry>::ENTRIES {
        Err(NO_MACHINE)
    } else if engine(|e| e.settings.mutation.is_planted()) {
        Err(MUTANT)
    } else {
        Ok(())
    }
}

/// Proves one primitive for all states of `invariants` and all arguments. Counterexamples are run on the hosted
/// machine, with its contract `hosted`.
pub fn prove_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    hosted: &Contract<Sim>,
    invariants: InvariantSet,
) -> Outcome {
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    let mut whole = Outcome::default();
    // Calls of this primitive run its code. Other calls use the call rule.
    engine(|e| e.settings.proving = Some(primitive.name));
    let mut is_changed = false;
    for &chunk in chunks {
        let shown = Shown::default();
        let mut outcome = run_proof::<G>(invariants, &|state, assumed, outcome| {
            let called = || Callee::Primitive { primitive: *primitive, contract: *hosted, chunk };
            let runner = is_hosted::<G>().map(|()| -> Rc<dyn Runner> {
                Rc::new(HostedCall { called: called(), invariants, start: assumed.clone() })
            });
            engine(|e| e.settings.runner = runner);
            path_of_primitive(primitive, contract, invariants, chunk, (state, assumed), &shown, outcome)
        });
        // set_pt succeeds under H alone: no state that satisfies D2 admits the call.
        if !(primitive.number == 3 && invariants == InvariantSet::Derived) {
            outcome.require_success();
            if outcome.failures.is_empty() && !shown.admitted.get() {
                let what = if invariants == InvariantSet::Derived { "what it requires" } else { "what it assumes" };
                outcome.failures.push(Failure::vacuous(&format!("{what} can hold where it succeeds")));
            }
        }
        is_changed |= shown.changed.get();
        whole.add(outcome);
    }
    engine(|e| (e.settings.proving, e.settings.runner) = (None, Err(NO_CALL)));
    if invariants == InvariantSet::Derived && whole.failures.is_empty() && whole.successful_paths > 0 && !is_changed {
        note(&mut whole.clauses, clause::UNCHANGED.to_string());
    }
    whole
}

/// Proves that the precondition excludes the states from which the last path got stuck. Returns whether it does.
fn is_free_of(stuck: Stuck, requires: &dyn Fn() -> bool) -> bool {
    // The condition of the last decision is the one that got the path stuck.
    let broken = engine(|e| e.path.steps.last().map(|step| step.holds));
    in_scope(|| {
        let goal = goal(&|| !requires());
        if let Some(broken) = broken {
            assert_like_large(broken);
        }
        prove(goal, || clause::free_of(stuck))
    })
}

/// Properties that at least one path of a proof has shown.
#[derive(Default)]
struct Shown {
    /// Whether the assumptions besides the facts can hold on a successful path. These are the contract's
    /// precondition with D, and its assumptions without D.
    admitted: Cell<bool>,
    /// Whether the primitive changes anything.
    changed: Cell<bool>,
}

impl Shown {
    /// Records that the assumptions are satisfiable, if the solver has a model of `assumed` on this
    /// path.
    fn admits(&self, assumed: &[Term]) {
        if !self.admitted.get() {
            self.admitted.set(in_scope(|| check(assumed, Aim::Witness)) == Verdict::Sat);
        }
    }
}

fn path_of_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    invariants: InvariantSet,
    chunk: Chunk,
    (state, assumed): (&Rc<State<G>>, &Rc<Assumed>),
    shown: &Shown,
    outcome: &mut Outcome,
) {
    let arguments = unknown_arguments::<G>(primitive, chunk);
    let assumes = || (contract.assumes)(&state.view(), &arguments);
    // The facts of H are proved for all calls. The facts of L need the contract's assumptions.
    if invariants == InvariantSet::Derived && !decide(&assumes) {
        return;
    }
    let interference = Interference::new(state, assumed);
    let started_in_kernel_mode = {
        let ghost = state.view().ghost;
        let (ikern, ihost) = (ghost.ikern, ghost.ihost);
        move || ikern.holds() && ihost.holds()
    };
    let requires = || (contract.requires)(&state.view(), &arguments);
    // The loop invariants are assumed at the same free words as the postcondition.
    let some = [any("some", 1 << 32), any("some", 1 << 32)];
    engine(|e| e.path.free_words = some.iter().map(|word| word.0).collect());
    let (result, mut after) = state.run(&interference, |cpu| (contract.run)(cpu, &arguments));
    let answer = match result {
        Ok(answer) => {
            plant_wrong_outcome(state, &mut after);
            given(answer)
        }
        Err(stuck) => {
            note(&mut outcome.stuck, format!("{stuck:?}"));
            cover(feasible);
            if invariants == InvariantSet::Derived && is_free_of(stuck, &requires) {
                note(&mut outcome.clauses, clause::FREE.to_string());
            }
            return;
        }
    };
    if !feasible() {
        return;
    }
    cover(|| true);
    outcome.successful_paths += 1;
    let proved = &mut outcome.clauses;
    if invariants == InvariantSet::High {
        let is_required =
            || specifying(clause::REFERENCE_REQUIRES, || (contract.reference_requires)(&state.view(), &arguments));
        prove_clause(clause::REFERENCE_REQUIRES, proved, &is_required);
        prove_facts(&after, &interference.latest(), |fact| fact.class == Class::High, proved);
        in_scope(|| {
            let assumes = condition(&assumes);
            engine(|e| e.suppose(assumes));
            shown.admits(&[]);
            prove_facts(&after, &interference.latest(), |fact| fact.class == Class::Low, proved)
        });
        if primitive.keeps_mode() {
            let ghost = after.view().ghost;
            let kept = || !started_in_kernel_mode() || (ghost.ikern.holds() && ghost.ihost.holds());
            prove_clause(clause::MODE, proved, &kept);
        }
        probe(&[(clause::REFERENCE_REQUIRES, &is_required)]);
        return;
    }
    shown.admits(&[condition(&requires)]);
    // The precondition of an internal function is proved where the function is called.
    let suppose_required = || {
        if primitive.kind == Kind::Internal {
            let requires = condition(&requires);
            engine(|e| e.suppose(requires));
        }
    };
    let is_kept = |fact: &Fact<Sym<G>>| invariants.includes(fact) && primitive.keeps(fact.number, || true);
    in_scope(|| {
        suppose_required();
        prove_facts(&after, &interference.latest(), is_kept, proved)
    });
    let step =
        Transition { before: state.view(), after: after.view(), arguments: &arguments, answer: &answer, any: some };
    let ensures = || specifying(clause::ENSURES, || (contract.ensures)(&step));
    prove_clause(clause::ENSURES, proved, &ensures);
    let modifies = |may: Cells<'_, Sym<G>>| (contract.modifies)(&step, may);
    // Programs and guests run between two entries of the kernel.
    if matches!(primitive.kind, Kind::Accessor | Kind::GuestAccessor) {
        let named = modified_names::<G>(&modifies);
        let is_kept = || read::<Sym<G>>().iter().all(|read| named.iter().all(|(field, _)| *field != read.field));
        prove_clause(clause::ENTRY_FACTS, proved, &is_kept);
    }
    // With other answers, the primitive may take a lock and write nothing; the lock still counts.
    let given = match answer {
        Answer::Word(_) => Answer::Word(any("answer", 1 << 32)),
        other => other,
    };
    let at_locks =
        Transition { before: state.view(), after: state.view(), arguments: &arguments, answer: &given, any: some };
    let modifies_at_locks = |may: Cells<'_, Sym<G>>| (contract.modifies)(&at_locks, may);
    if prove_modifies(&modifies, state, &after) && locks_are_modified(&modifies_at_locks, &interference) {
        note(proved, clause::MODIFIES.to_string());
    }
    let is_logged = contract.events;
    let events = || interference.history.logs(|log| specifying(clause::EVENTS, || is_logged(&step, log)));
    prove_clause(clause::EVENTS, proved, &events);
    prove_clause(clause::EFFECT_OWN, proved, &|| interference.history.owns(&after));
    let writes_nothing = || modified_names::<G>(&modifies).is_empty() && interference.taken.borrow().is_empty();
    shown.changed.set(shown.changed.get() || !writes_nothing() || interference.history.logged() > 0);
    in_scope(|| {
        suppose_required();
        prove_guarantees(&interference, proved);
    });
    probe(&[(clause::ENSURES, &ensures), (clause::EVENTS, &events)]);
    if engine(|e| e.results.failures.is_empty()) {
        // The primitive satisfies the rely conditions of the other CPUs, so the facts that theorems derive from them
        // hold too.
        BY_THEOREMS.iter().for_each(|(number, name, _)| note(proved, clause::fact(number, name)));
    }
}

/// If the mutant is a wrong outcome: gives the scalar any value that the call has changed to another one, or logs one
/// more event, which has no effect.
fn plant_wrong_outcome<G: Geometry>(before: &State<G>, after: &mut State<G>) {
    if is_wrong(Operator::Event) {
        log::<G>(before.own.cpu, Event::Palloc { tid: after.own.cur, page: 0.into() });
    }
    let old = scalars(before);
    after.own.words(&mut each(|name, range, now| {
        let is_changed = old.iter().any(|&(other, term)| other == name && term != *now);
        if is_changed && is_wrong(Operator::Scalar(name)) {
            *now = engine(|e| e.unknown("other", range));
        }
    }));
}

/// The answer of the call; any answer if the mutant is a wrong one.
fn given<G: Geometry>(answer: Answer<Sym<G>>) -> Answer<Sym<G>> {
    match answer {
        Answer::Word(_) if is_wrong(Operator::Answer) => Answer::Word(any("other", 1 << 32)),
        Answer::Wide(_) if is_wrong(Operator::Answer) => {
            Answer::Wide(SymWide(engine(|e| e.unknown("other", Range::WIDE))))
        }
        Answer::Resume(_) if is_wrong(Operator::Answer) => {
            Answer::Resume(Context { esp: any("other", 1 << 32), ra: any("other", 1 << 32) })
        }
        answer => answer,
    }
}

/// Unknown arguments for `primitive`.
pub(crate) fn unknown_arguments<G: Geometry>(primitive: &Primitive, chunk: Chunk) -> Arguments<Sym<G>> {
    let word = |name: &str| SymWord(engine(|e| e.arena.var(name, Range::WORD)));
    let wide = |name: &str| SymWide(engine(|e| e.arena.var(name, Range::WIDE)));
    let byte = |k: usize| SymWord(engine(|e| e.arena.var(&format!("byte{k}"), Range::UpTo(255))));
    let names: Vec<&str> = primitive.words().collect();
    let arguments: Arguments<Sym<G>> = Arguments {
        words: std::array::from_fn(|i| names.get(i).map_or(SymWord::from(0), |name| word(name))),
        wide: wide(if primitive.is_access() { "address" } else { "code" }),
        place: wide("place"),
        context: Context { esp: word("rs.esp"), ra: word("rs.ra") },
        registers: std::array::from_fn::<_, { UCTXT_SIZE as usize }, _>(|k| wide(&format!("register{k}"))),
        guest: std::array::from_fn(|k| wide(&format!("guest{k}"))),
        chunk,
        bytes: std::array::from_fn(byte),
    };
    engine(|e| {
        for (name, word) in names.iter().zip(&arguments.words) {
            e.path.arguments.push((name.to_string(), word.0));
        }
        if primitive.shape("address").is_some() {
            e.path.arguments.push(("address".to_string(), arguments.wide.0));
        }
        if primitive.shape("rs").is_some() {
            e.path.arguments.push(("rs.ra".to_string(), arguments.context.ra.0));
        }
    });
    arguments
}
