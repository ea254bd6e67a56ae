//! What is proved of a primitive: it preserves the invariant and satisfies its contract.
use crate::assumed::Assumed;
use crate::clause;
use crate::coverage::Coverage;
use crate::engine::{Counts, Failure, NO_CALL, Reason, Slowest, engine};
use crate::explore::{Aim, apart, check, condition, every_path, explore, goal, prove, refuted};
use crate::facts::{assert_like_large, assert_moved_at};
use crate::machine::{Moves, Sym, decide, key_bounds};
use crate::replay::{Called, Native};
use crate::state::{State, is_part, scalars};
use crate::word::{SymWide, SymWord};
use domain::{Domain, Flag, Geometry};
use layer::catalogue::{Kind, Primitive};
use layer::core::call::{Answer, Arguments, Chunk};
use layer::core::constants::UCTXT_SIZE;
use layer::core::fields::Context;
use layer::core::stuck::Stuck;
use layer::invariant::{BY_THEOREMS, facts, read};
use layer::spec::contract::{Cells, Contract, Region, Transition, covers};
use layer::spec::fact::{Class, Fact};
use sim::machine::Sim;
use smt::solver::{Tally, Verdict};
use smt::term::{Range, Term};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The invariant set that a proof assumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// H and L only, as in the reference. The call may get stuck.
    High,
    /// H, L and the derived invariants D.
    Derived,
    /// H, L and D, and of the first state also E. Between two primitives E need not hold.
    Entry,
}

impl Ground {
    /// The invariant set, in words.
    pub fn word(self) -> &'static str {
        match self {
            Ground::High => "H and L",
            Ground::Derived => "H, L and D",
            Ground::Entry => "H, L, D and E",
        }
    }

    /// The last class of facts in the set.
    pub(crate) fn most(self) -> Class {
        match self {
            Ground::High => Class::Low,
            Ground::Derived => Class::Derived,
            Ground::Entry => Class::Entry,
        }
    }

    pub(crate) fn includes<M: layer::core::machine::Spec>(self, fact: &Fact<M>) -> bool {
        fact.class <= self.most()
    }

    /// What holds after a primitive as well.
    pub(crate) fn between_primitives(self) -> Ground {
        if self == Ground::Entry { Ground::Derived } else { self }
    }
}

/// The result of a proof.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The clauses that were proved, each on every path.
    pub clauses: Vec<String>,
    /// The number of paths that end in success.
    pub successful_paths: u64,
    /// The preconditions that some path violates: the ways to get stuck.
    pub stuck: Vec<String>,
    /// The counts of the proof.
    pub counts: Counts,
    /// The obligation that took the longest.
    pub slowest: Option<Slowest>,
    /// The verdicts of each solver, if several were asked.
    pub tallies: Vec<Tally>,
    /// The branches of the code that were taken.
    pub coverage: Coverage,
    /// The clauses that do not hold. Empty if the proof succeeds.
    pub failures: Vec<Failure>,
}

/// A fresh word below `bound`. The bound is at most 2³².
pub(crate) fn any(name: &str, bound: u64) -> SymWord {
    let most = bound.min(1 << 32) - 1;
    SymWord(engine(|e| e.unknown(name, Range::UpTo(most))))
}

/// Fresh keys below their bounds.
pub(crate) fn any_keys(bounds: &[u64]) -> Vec<SymWord> {
    bounds.iter().map(|&bound| any("any", bound)).collect()
}

/// Proves `holds` for fresh keys below `bounds`.
pub(crate) fn prove_for_all(clause: &str, bounds: &[u64], holds: &dyn Fn(&[SymWord]) -> bool) -> bool {
    apart(|| {
        let keys = any_keys(bounds);
        let goal = goal(&|| holds(&keys));
        assert_moved_at(&keys);
        prove(goal, || clause.to_string())
    })
}

/// Proves a goal without keys.
pub(crate) fn prove_once(clause: impl Fn() -> String, holds: &dyn Fn() -> bool) -> bool {
    apart(|| prove(goal(holds), clause))
}

/// Proves a goal without keys, and adds it to the proved clauses.
pub(crate) fn prove_clause(clause: &str, proved: &mut Vec<String>, holds: &dyn Fn() -> bool) {
    if prove_once(|| clause.to_string(), holds) {
        note(proved, clause.to_string());
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
        let holds = apart(|| {
            let keys = any_keys(&key_bounds::<G>(fact.keys));
            let goal = goal(&|| (fact.holds)(&state.view(), &keys));
            // No write changed what the fact reads, so it is the assumed fact.
            if assumed.at(fact.number, &keys) == Some(goal) {
                engine(|e| e.counts.obligations += 1);
                return true;
            }
            assumed.assert_at(fact.number, &keys);
            assert_moved_at(&keys);
            prove(goal, || clause.clone())
        });
        if !holds {
            return false;
        }
        note(proved, clause);
    }
    true
}

/// Adds a clause to the proved ones, unless it is there.
pub(crate) fn note(proved: &mut Vec<String>, clause: String) {
    if !proved.contains(&clause) {
        proved.push(clause);
    }
}

/// Runs `path` on every path and returns the result. If `strict` is set, going out of range is a failure.
pub(crate) fn run_paths(strict: bool, path: &dyn Fn(&mut Outcome)) -> Outcome {
    engine(|e| {
        e.failures.clear();
        e.undecided.clear();
        e.counts = Counts::default();
        e.slowest = None;
        e.coverage = Coverage::default();
        e.strict = strict;
    });
    let outcome = RefCell::new(Outcome::default());
    explore(&|| path(&mut outcome.borrow_mut()));
    let mut outcome = outcome.into_inner();
    engine(|e| {
        outcome.counts = e.counts;
        outcome.slowest = e.slowest.take();
        outcome.coverage = std::mem::take(&mut e.coverage);
        outcome.failures = std::mem::take(&mut e.failures);
        let undecided = e.undecided.drain(..).map(|clause| Failure::of(clause, Reason::Unknown));
        outcome.failures.extend(undecided);
    });
    outcome
}

/// As [`run_paths`], from an unknown state in which the facts of `ground` are assumed.
pub(crate) fn run_proof<G: Geometry>(
    ground: Ground,
    path: &dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome),
) -> Outcome {
    let state = Rc::new(State::<G>::unknown());
    let assumed = Assumed::new(&state, ground);
    run_paths(ground != Ground::High, &|outcome| {
        assumed.assume();
        path(&state, &assumed, outcome);
    })
}

impl Outcome {
    /// Adds the result of another part of the same proof.
    pub(crate) fn add(&mut self, part: Outcome) {
        self.counts.paths += part.counts.paths;
        self.counts.obligations += part.counts.obligations;
        self.counts.instances += part.counts.instances;
        self.successful_paths += part.successful_paths;
        self.coverage.add(&part.coverage);
        self.slowest = Slowest::of(self.slowest.take(), part.slowest);
        for clause in part.clauses {
            note(&mut self.clauses, clause);
        }
        for stuck in part.stuck {
            note(&mut self.stuck, stuck);
        }
        self.failures.extend(part.failures);
    }

    /// Fails if no path succeeded, because such a proof is vacuous.
    pub(crate) fn require_success(&mut self) {
        if self.failures.is_empty() && self.successful_paths == 0 {
            self.failures.push(Failure::vacuous("some path succeeds"));
        }
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
            e.arguments.push((name.to_string(), word.0));
        }
        if primitive.shape("address").is_some() {
            e.arguments.push(("address".to_string(), arguments.wide.0));
        }
        if primitive.shape("rs").is_some() {
            e.arguments.push(("rs.ra".to_string(), arguments.context.ra.0));
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
    } else if engine(|e| e.mutation.is_planted()) {
        Err(MUTANT)
    } else {
        Ok(())
    }
}

/// Proves one primitive for all states of `ground` and all arguments. Counterexamples are replayed on the hosted
/// machine, with its contract `native`.
pub fn prove_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    native: &Contract<Sim>,
    ground: Ground,
) -> Outcome {
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    let mut whole = Outcome::default();
    // A call of this primitive runs its code. Other calls use the call rule.
    engine(|e| e.proving = Some(primitive.name));
    let mut is_changed = false;
    for &chunk in chunks {
        let shown = Shown::default();
        let mut outcome = run_proof::<G>(ground, &|state, assumed, outcome| {
            let called = || Called::Primitive { primitive: *primitive, contract: *native, chunk };
            let native =
                is_hosted::<G>().map(|()| Rc::new(Native { called: called(), ground, start: assumed.clone() }));
            engine(|e| e.native = native);
            path_of_primitive(primitive, contract, ground, chunk, (state, assumed), &shown, outcome)
        });
        // set_pt succeeds under H alone: no state that satisfies D2 admits the call.
        if !(primitive.number == 3 && ground == Ground::Derived) {
            outcome.require_success();
            if outcome.failures.is_empty() && !shown.admitted.get() {
                let what = if ground == Ground::Derived { "what it requires" } else { "its premise" };
                outcome.failures.push(Failure::vacuous(&format!("{what} can hold where it succeeds")));
            }
        }
        is_changed |= shown.changed.get();
        whole.add(outcome);
    }
    engine(|e| (e.proving, e.native) = (None, Err(NO_CALL)));
    if ground == Ground::Derived && whole.failures.is_empty() && whole.successful_paths > 0 && !is_changed {
        note(&mut whole.clauses, clause::UNCHANGED.to_string());
    }
    whole
}

/// Proves that the precondition excludes the states from which the last path got stuck. Returns whether it does.
fn is_free_of(stuck: Stuck, requires: &dyn Fn() -> bool) -> bool {
    // The condition of the last decision is the one that got the path stuck.
    let broken = engine(|e| e.path.last().map(|step| step.holds));
    apart(|| {
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
            self.admitted.set(apart(|| check(assumed, Aim::Witness)) == Verdict::Sat);
        }
    }
}

fn path_of_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    ground: Ground,
    chunk: Chunk,
    (state, assumed): (&Rc<State<G>>, &Rc<Assumed>),
    shown: &Shown,
    outcome: &mut Outcome,
) {
    let arguments = unknown_arguments::<G>(primitive, chunk);
    let premise = || (contract.assumes)(&state.view(), &arguments);
    // The facts of H are proved for all calls. Those of L need the contract's assumptions.
    if ground == Ground::Derived && !decide(&premise) {
        return;
    }
    let moves = Moves::new(state, assumed);
    let started_in_kernel_mode = {
        let ghost = state.view().ghost;
        let (ikern, ihost) = (ghost.ikern, ghost.ihost);
        move || ikern.holds() && ihost.holds()
    };
    let requires = || (contract.requires)(&state.view(), &arguments);
    // The loop invariants speak of the same free words as the postcondition.
    let some = [any("some", 1 << 32), any("some", 1 << 32)];
    engine(|e| e.any = some.iter().map(|word| word.0).collect());
    let (result, after) = state.run(&moves, |cpu| (contract.run)(cpu, &arguments));
    let answer = match result {
        Ok(answer) => answer,
        Err(stuck) => {
            note(&mut outcome.stuck, format!("{stuck:?}"));
            cover(feasible);
            if ground == Ground::Derived && is_free_of(stuck, &requires) {
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
    if ground == Ground::High {
        prove_clause(clause::REFERENCE_REQUIRES, proved, &|| (contract.reference_requires)(&state.view(), &arguments));
        prove_facts(&after, &moves.latest(), |fact| fact.class == Class::High, proved);
        apart(|| {
            let premise = condition(&premise);
            engine(|e| e.suppose(premise));
            shown.admits(&[]);
            prove_facts(&after, &moves.latest(), |fact| fact.class == Class::Low, proved)
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
    let is_kept = |fact: &Fact<Sym<G>>| ground.includes(fact) && primitive.keeps(fact.number, || true);
    apart(|| {
        suppose_required();
        prove_facts(&after, &moves.latest(), is_kept, proved)
    });
    let step =
        Transition { before: state.view(), after: after.view(), arguments: &arguments, answer: &answer, any: some };
    prove_clause(clause::ENSURES, proved, &|| (contract.ensures)(&step));
    let frame = |may: Cells<'_, Sym<G>>| (contract.modifies)(&step, may);
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
    let at_locks =
        Transition { before: state.view(), after: state.view(), arguments: &arguments, answer: &given, any: some };
    let frame_at_locks = |may: Cells<'_, Sym<G>>| (contract.modifies)(&at_locks, may);
    if prove_frame(&frame, state, &after) && locks_are_in_frame(&frame_at_locks, &moves) {
        note(proved, "frame".to_string());
    }
    let promised = contract.events;
    prove_clause(clause::EVENTS, proved, &|| moves.history.logs(|log| promised(&step, log)));
    prove_clause(clause::EFFECT_OWN, proved, &|| moves.history.owns(&after));
    let writes_nothing = || frame_names::<G>(&frame).is_empty() && moves.taken.borrow().is_empty();
    shown.changed.set(shown.changed.get() || !writes_nothing() || moves.history.logged() > 0);
    apart(|| {
        suppose_required();
        prove_duties(&moves, proved);
    });
    if engine(|e| e.failures.is_empty()) {
        // The primitive's effects satisfy the rely conditions of the other CPUs, so the facts that theorems derive hold
        // too.
        BY_THEOREMS.iter().for_each(|(number, name, _)| note(proved, clause::fact(number, name)));
    }
}

/// A contract's modifies clause: calls its argument with each cell that may be modified.
pub(crate) type Frame<'a, G> = &'a dyn Fn(Cells<'_, Sym<G>>);

/// The fields and scalars that the modifies clause `frame` names on some path, with their leaves or group words.
pub(crate) fn frame_names<G: Geometry>(frame: Frame<'_, G>) -> Vec<(&'static str, Region)> {
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
pub(crate) fn locks_are_in_frame<G: Geometry>(frame: Frame<'_, G>, moves: &Moves<G>) -> bool {
    let names = frame_names::<G>(frame);
    let missing =
        moves.taken.borrow().iter().copied().find(|object| !names.iter().any(|(name, _)| is_part(name, object)));
    if let Some(object) = missing {
        refuted(&[], clause::lock(object));
    }
    missing.is_none()
}

/// Whether the path that was just walked may be feasible.
pub(crate) fn feasible() -> bool {
    apart(|| check(&[], Aim::Branch)) != Verdict::Unsat
}

/// Adds the branches of the path that was just walked to the coverage, if the path is feasible.
pub(crate) fn cover(feasible: impl FnOnce() -> bool) {
    let is_new = engine(|e| !e.coverage.has_all_of(&e.sides));
    if is_new && feasible() {
        engine(|e| e.coverage.add(&e.sides));
    }
}

/// Proves the pending guarantees at the end of the path.
pub(crate) fn prove_duties<G: Geometry>(moves: &Moves<G>, proved: &mut Vec<String>) {
    moves.owe("at the end");
    settle_duties(moves);
    for clause in moves.settled.take() {
        note(proved, clause);
    }
}

/// Discharges the pending guarantees. This happens before a call rule, which drops the facts that are needed.
pub(crate) fn settle_duties<G: Geometry>(moves: &Moves<G>) {
    for duty in moves.duties.take() {
        if prove_for_all(&duty.clause, &duty.bounds, &*duty.holds) {
            note(&mut moves.settled.borrow_mut(), duty.clause);
        }
    }
}

/// Proves that each written cell is covered by the modifies clause, or keeps its value.
pub(crate) fn prove_frame<G: Geometry>(frame: Frame<'_, G>, before: &State<G>, after: &State<G>) -> bool {
    let mut proved = true;
    for write in engine(|e| e.writes.clone()) {
        let written: Vec<SymWord> = write.key.iter().map(|&word| SymWord(word)).collect();
        let names_it = |field: &str, region: Region, key: &[SymWord]| {
            field == write.field && covers([&before.view(), &after.view()], (region, key), write.leaf, &written)
        };
        let clause = || format!("{} at {}:{}", clause::leaf(write.field, write.leaf), write.at.file(), write.at.line());
        proved &= apart(|| {
            let allowed = goal(&|| frame_has::<G>(frame, &names_it));
            prove(engine(|e| e.arena.implies(write.changes, allowed)), clause)
        });
    }
    for ((name, old), (_, new)) in scalars(before).into_iter().zip(scalars(after)) {
        let same = engine(|e| e.arena.eq(old, new));
        if engine(|e| e.arena.as_bool(same)) == Some(true) {
            continue;
        }
        proved &= apart(|| {
            let allowed = goal(&|| frame_has::<G>(frame, &|field, _, _| field == name));
            prove(engine(|e| e.arena.or(same, allowed)), || clause::scalar(name))
        });
    }
    proved
}

/// Whether the modifies clause `frame` has a cell that `wanted` accepts, by field, leaf and key.
pub(crate) fn frame_has<G: Geometry>(frame: Frame<'_, G>, wanted: &dyn Fn(&str, Region, &[SymWord]) -> bool) -> bool {
    let mut has = false;
    frame(&mut |field, leaf, key| has = has || wanted(field, leaf, key));
    has
}
