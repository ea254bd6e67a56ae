//! What is proved of a primitive: it preserves the invariant and satisfies its contract.
use crate::assumed::Assumed;
use crate::clause;
use crate::counterexample::{Callee, HostedCall};
use crate::machine::{Interference, Sym, key_bounds};
use crate::state::{State, is_part, scalars};
use domain::{Domain, Flag, Geometry};
use layer::constants::UCTXT_SIZE;
use layer::contract::{Answer, Arguments, Cells, Contract, Step, covers, events};
use layer::fields::Context;
use layer::invariant::{BY_THEOREMS, Class, Fact, facts, read};
use layer::memory::Chunk;
use layer::primitive::{Kind, Primitive};
use layer::stuck::Stuck;
use sim::machine::Sim;
use smt::solver::Verdict;
use smt::term::{Range, Term};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::counterexample::{NO_CALL, Runner};
use symbolic::engine::engine;
use symbolic::facts::instances::{assert_interference_at, assert_like_large};
use symbolic::failure::Failure;
use symbolic::merge::{condition, every_path, goal};
use symbolic::proof::{Outcome, any, any_keys, cover, feasible, note, prove_clause, prove_for_all, run_paths};
use symbolic::query::{Aim, check, in_scope, prove, refuted};
use symbolic::word::{SymWide, SymWord};

/// The invariant set that a proof assumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InvariantSet {
    /// H and L only, as in the reference. The call may get stuck.
    High,
    /// H, L and the derived invariants D.
    Derived,
    /// H, L and D, and of the first state also E. Between two primitives E need not hold.
    Entry,
}

impl InvariantSet {
    /// The invariant set, in words.
    pub fn word(self) -> &'static str {
        match self {
            InvariantSet::High => "H and L",
            InvariantSet::Derived => "H, L and D",
            InvariantSet::Entry => "H, L, D and E",
        }
    }

    /// The last class of facts in the set.
    pub(crate) fn most(self) -> Class {
        match self {
            InvariantSet::High => Class::Low,
            InvariantSet::Derived => Class::Derived,
            InvariantSet::Entry => Class::Entry,
        }
    }

    pub(crate) fn includes<M: layer::machine::Spec>(self, fact: &Fact<M>) -> bool {
        fact.class <= self.most()
    }

    /// What holds after a primitive as well.
    pub(crate) fn between_primitives(self) -> InvariantSet {
        if self == InvariantSet::Entry { InvariantSet::Derived } else { self }
    }
}

/// Proves the facts of `state` that `wanted` accepts. Returns whether all hold.
pub(crate) fn prove_facts<G: Geometry>(
    state: &State<G>,
    assumed: &Assumed,
    wanted: impl Fn(&Fact<Sym<G>>) -> bool,
    proved: &mut Vec<String>,
) -> bool {
    for fact in facts::<Sym<G>>().filter(|fact| wanted(fact)) {
        let clause = clause::fact(fact.number, fact.name);
        let holds = in_scope(|| {
            let keys = any_keys(&key_bounds::<G>(fact.keys));
            let goal = goal(&|| (fact.holds)(&state.view(), &keys));
            // No write changed what the fact reads, so it is the assumed fact.
            if assumed.at(fact.number, &keys) == Some(goal) {
                engine(|e| e.results.counts.obligations += 1);
                return true;
            }
            assumed.assert_at(fact.number, &keys);
            assert_interference_at(&keys.iter().map(|key| key.0).collect::<Vec<_>>());
            prove(goal, || clause.clone())
        });
        if !holds {
            return false;
        }
        note(proved, clause);
    }
    true
}

/// As [`run_paths`], from an unknown state in which the facts of `invariants` are assumed.
pub(crate) fn run_proof<G: Geometry>(
    invariants: InvariantSet,
    path: &dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome),
) -> Outcome {
    let state = Rc::new(State::<G>::unknown());
    let assumed = Assumed::new(&state, invariants);
    run_paths(invariants != InvariantSet::High, &|outcome| {
        assumed.assume();
        path(&state, &assumed, outcome);
    })
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
        if primitive.arguments.contains(&"address") {
            e.path.arguments.push(("address".to_string(), arguments.wide.0));
        }
        if primitive.arguments.contains(&"rs") {
            e.path.arguments.push(("rs.ra".to_string(), arguments.context.ra.0));
        }
    });
    arguments
}

/// Why counterexamples to mutants are not replayed.
const MUTANT: &str = "the hosted machine has no mutants";
/// Why counterexamples for the reference's page tables are not replayed.
const NO_MACHINE: &str = "the hosted machine has no page tables of this geometry";

/// Whether the hosted machine runs the code under proof. Otherwise the reason why not.
pub(crate) fn is_hosted<G: Geometry>() -> Result<(), &'static str> {
    if G::ENTRIES != <<Sim as Domain>::Geometry as Geometry>::ENTRIES {
        Err(NO_MACHINE)
    } else if engine(|e| e.settings.mutation.is_planted()) {
        Err(MUTANT)
    } else {
        Ok(())
    }
}

/// Proves one primitive for all states of `invariants` and all arguments. Counterexamples are replayed on the hosted
/// machine, with its contract `hosted`.
pub fn prove_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    hosted: &Contract<Sim>,
    invariants: InvariantSet,
) -> Outcome {
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    let mut whole = Outcome::default();
    // A call of this primitive runs its code. Other calls use the call rule.
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
                let what = if invariants == InvariantSet::Derived { "what it requires" } else { "its premise" };
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
    /// Whether the assumptions besides the facts can hold on a successful path: with D, the contract's precondition;
    /// without D, its assumptions.
    admitted: Cell<bool>,
    /// Whether the primitive changes anything.
    changed: Cell<bool>,
}

impl Shown {
    /// Records that the assumptions can hold, if the solver has a model of `assumed` on this path.
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
    let premise = || (contract.premise)(&state.view(), &arguments);
    // The facts of H are proved for all calls. Those of L need the contract's assumptions.
    if invariants == InvariantSet::Derived && !decide(&premise) {
        return;
    }
    let interference = Interference::new(state, assumed);
    let started_in_kernel_mode = {
        let ghost = state.view().ghost;
        let (ikern, ihost) = (ghost.ikern, ghost.ihost);
        move || ikern.holds() && ihost.holds()
    };
    let requires = || (contract.requires)(&state.view(), &arguments);
    // The loop invariants speak of the same free words as the postcondition.
    let some = [any("some", 1 << 32), any("some", 1 << 32)];
    engine(|e| e.path.free_words = some.iter().map(|word| word.0).collect());
    let (result, after) = state.run(&interference, |cpu| (contract.run)(cpu, &arguments));
    let answer = match result {
        Ok(answer) => answer,
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
        prove_clause(clause::GUARD, proved, &|| (contract.guard)(&state.view(), &arguments));
        prove_facts(&after, &interference.latest(), |fact| fact.class == Class::High, proved);
        in_scope(|| {
            let premise = condition(&premise);
            engine(|e| e.suppose(premise));
            shown.admits(&[]);
            prove_facts(&after, &interference.latest(), |fact| fact.class == Class::Low, proved)
        });
        if primitive.keeps_mode() {
            let ghost = after.view().ghost;
            let kept = || !started_in_kernel_mode() || (ghost.ikern.holds() && ghost.ihost.holds());
            prove_clause(clause::MODE, proved, &kept);
        }
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
    let step = Step { before: state.view(), after: after.view(), arguments: &arguments, answer: &answer, any: some };
    prove_clause(clause::PROMISE, proved, &|| (contract.promise)(&step));
    let frame = |may: Cells<'_, Sym<G>>| (contract.frame)(&step, may);
    // Programs and guests run between two entries of the kernel.
    if matches!(primitive.kind, Kind::Accessor | Kind::GuestAccessor) {
        let named = frame_names::<G>(&frame);
        let is_kept = || read::<Sym<G>>().iter().all(|read| named.iter().all(|(field, _)| *field != read.field));
        prove_clause(clause::ENTRY_FACTS, proved, &is_kept);
    }
    // For all answers: a lock counts even if nothing is written.
    let given = match answer {
        Answer::Word(_) => Answer::Word(any("answer", 1 << 32)),
        other => other,
    };
    let at_locks = Step { before: state.view(), after: state.view(), arguments: &arguments, answer: &given, any: some };
    let frame_at_locks = |may: Cells<'_, Sym<G>>| (contract.frame)(&at_locks, may);
    if prove_frame(&frame, state, &after) && locks_are_in_frame(&frame_at_locks, &interference) {
        note(proved, "frame".to_string());
    }
    let promised = events::<Sym<G>>(primitive.name);
    prove_clause(clause::EVENTS, proved, &|| interference.history.logs(|log| promised(&step, log)));
    prove_clause(clause::EFFECT_OWN, proved, &|| interference.history.owns(&after));
    let writes_nothing = || frame_names::<G>(&frame).is_empty() && interference.taken.borrow().is_empty();
    shown.changed.set(shown.changed.get() || !writes_nothing() || interference.history.logged() > 0);
    in_scope(|| {
        suppose_required();
        prove_guarantees(&interference, proved);
    });
    if engine(|e| e.results.failures.is_empty()) {
        // The primitive's effects satisfy the rely conditions of the other CPUs, so the facts that theorems derive hold
        // too.
        BY_THEOREMS.iter().for_each(|(number, name, _)| note(proved, clause::fact(number, name)));
    }
}

/// A contract's modifies clause: calls its argument with each cell that may be modified.
pub(crate) type Frame<'a, G> = &'a dyn Fn(Cells<'_, Sym<G>>);

/// The fields and scalars that the modifies clause `frame` names on some path, with their leaves or group words.
pub(crate) fn frame_names<G: Geometry>(frame: Frame<'_, G>) -> Vec<(&'static str, &'static str)> {
    let every = every_path(&|| {
        let names = RefCell::new(Vec::new());
        frame(&mut |name, leaf, _| names.borrow_mut().push((name, leaf)));
        names.into_inner()
    });
    let mut names = every.concat();
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks that the modifies clause names the object of every lock that was taken, because interference may change it.
pub(crate) fn locks_are_in_frame<G: Geometry>(frame: Frame<'_, G>, interference: &Interference<G>) -> bool {
    let names = frame_names::<G>(frame);
    let missing =
        interference.taken.borrow().iter().copied().find(|object| !names.iter().any(|(name, _)| is_part(name, object)));
    if let Some(object) = missing {
        refuted(&[], clause::lock(object));
    }
    missing.is_none()
}

/// Proves the pending guarantees at the end of the path.
pub(crate) fn prove_guarantees<G: Geometry>(interference: &Interference<G>, proved: &mut Vec<String>) {
    interference.add_guarantees("at the end");
    discharge_guarantees(interference);
    for clause in interference.discharged.take() {
        note(proved, clause);
    }
}

/// Discharges the pending guarantees. This happens before a call rule, which drops the facts that are needed.
pub(crate) fn discharge_guarantees<G: Geometry>(interference: &Interference<G>) {
    for guarantee in interference.pending_guarantees.take() {
        if prove_for_all(&guarantee.clause, &guarantee.bounds, &*guarantee.holds) {
            note(&mut interference.discharged.borrow_mut(), guarantee.clause);
        }
    }
}

/// Proves that each written cell is covered by the modifies clause, or keeps its value.
pub(crate) fn prove_frame<G: Geometry>(frame: Frame<'_, G>, before: &State<G>, after: &State<G>) -> bool {
    let mut proved = true;
    for write in engine(|e| e.path.writes.clone()) {
        let written: Vec<SymWord> = write.key.iter().map(|&word| SymWord(word)).collect();
        let names_it = |field: &str, leaf: &str, key: &[SymWord]| {
            field == write.field && covers([&before.view(), &after.view()], (leaf, key), write.leaf, &written)
        };
        let clause = || format!("{} at {}:{}", clause::leaf(write.field, write.leaf), write.at.file(), write.at.line());
        proved &= in_scope(|| {
            let allowed = goal(&|| frame_has::<G>(frame, &names_it));
            prove(engine(|e| e.arena.implies(write.changes, allowed)), clause)
        });
    }
    for ((name, old), (_, new)) in scalars(before).into_iter().zip(scalars(after)) {
        let same = engine(|e| e.arena.eq(old, new));
        if engine(|e| e.arena.as_bool(same)) == Some(true) {
            continue;
        }
        proved &= in_scope(|| {
            let allowed = goal(&|| frame_has::<G>(frame, &|field, _, _| field == name));
            prove(engine(|e| e.arena.or(same, allowed)), || clause::scalar(name))
        });
    }
    proved
}

/// Whether the modifies clause `frame` has a cell that `wanted` accepts, by field, leaf and key.
pub(crate) fn frame_has<G: Geometry>(frame: Frame<'_, G>, wanted: &dyn Fn(&str, &str, &[SymWord]) -> bool) -> bool {
    let mut has = false;
    frame(&mut |field, leaf, key| has = has || wanted(field, leaf, key));
    has
}
