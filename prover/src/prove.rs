//! What is to be proved of a primitive, and of the layer as a whole.
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
use layer::constants::UCTXT_SIZE;
use layer::contract::{Answer, Arguments, Cells, Contract, Step, covers, events};
use layer::fields::Context;
use layer::invariant::{BY_THEOREMS, Class, Fact, facts};
use layer::memory::Chunk;
use layer::primitive::{Kind, Primitive};
use layer::stuck::Stuck;
use sim::machine::Sim;
use smt::solver::{Tally, Verdict};
use smt::term::{Range, Term};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Which facts a proof stands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// H and L alone, as the reference has it: the call may be stuck.
    High,
    /// H, L and the derived invariants D.
    Derived,
}

impl Ground {
    /// What it says.
    pub fn word(self) -> &'static str {
        match self {
            Ground::High => "H and L",
            Ground::Derived => "H, L and D",
        }
    }

    pub(crate) fn includes<M: layer::machine::Spec>(self, fact: &Fact<M>) -> bool {
        self == Ground::Derived || fact.class != Class::Derived
    }
}

/// What came of a proof.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The clauses that were proved, each on every path.
    pub clauses: Vec<String>,
    /// Paths that end in success.
    pub successful_paths: u64,
    /// Preconditions that can be broken.
    pub stuck: Vec<String>,
    /// Counts.
    pub counts: Counts,
    /// The obligation that took longest.
    pub slowest: Option<Slowest>,
    /// What each solver said, if several were asked.
    pub tallies: Vec<Tally>,
    /// Branches of the code that were taken.
    pub coverage: Coverage,
    /// What does not hold; empty if it is proved.
    pub failures: Vec<Failure>,
}

/// A word or counter of which only its bound is known.
pub(crate) fn any(name: &str, bound: u64) -> SymWord {
    let most = bound.min(1 << 32) - 1;
    SymWord(engine(|e| e.unknown(name, Range::UpTo(most))))
}

/// Keys of which only their bounds are known.
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

/// Proves a goal without keys, and notes that it is.
pub(crate) fn prove_clause(clause: &str, proved: &mut Vec<String>, holds: &dyn Fn() -> bool) {
    if prove_once(|| clause.to_string(), holds) {
        note(proved, clause.to_string());
    }
}

/// Proves those facts of `state` that `wanted` picks; whether all hold.
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
            // Nothing that it reads was written.
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

/// Adds a clause to those that were proved, once.
pub(crate) fn note(proved: &mut Vec<String>, clause: String) {
    if !proved.contains(&clause) {
        proved.push(clause);
    }
}

/// Runs `path` on every path and collects what came of it; `strict` where going out of range is to be refuted.
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

/// As [`run_paths`], with the facts of `ground` of an unknown state assumed.
pub(crate) fn run_proof<G: Geometry>(
    ground: Ground,
    path: &dyn Fn(&Rc<State<G>>, &Rc<Assumed>, &mut Outcome),
) -> Outcome {
    let state = Rc::new(State::<G>::unknown());
    let assumed = Rc::new(Assumed::new(&state, ground));
    run_paths(ground == Ground::Derived, &|outcome| {
        assumed.assume();
        path(&state, &assumed, outcome);
    })
}

impl Outcome {
    /// Takes over what came of one more part of the same proof.
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

    /// A proof without a successful path proves nothing.
    pub(crate) fn require_success(&mut self) {
        if self.failures.is_empty() && self.successful_paths == 0 {
            self.failures.push(Failure::vacuous("some path succeeds"));
        }
    }
}

/// Arguments of which nothing is known.
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
        if primitive.arguments.contains(&"address") {
            e.arguments.push(("address".to_string(), arguments.wide.0));
        }
        if primitive.arguments.contains(&"rs") {
            e.arguments.push(("rs.ra".to_string(), arguments.context.ra.0));
        }
    });
    arguments
}

/// Why counterexamples to mutants are not replayed.
const MUTANT: &str = "the hosted machine has no mutants";
/// Why counterexamples for the reference's page tables are not replayed.
const NO_MACHINE: &str = "the hosted machine has no page tables of this geometry";

/// Whether what is being proved is what the hosted machine runs, or why not.
pub(crate) fn is_hosted<G: Geometry>() -> Result<(), &'static str> {
    if G::ENTRIES != <<Sim as Domain>::Geometry as Geometry>::ENTRIES {
        Err(NO_MACHINE)
    } else if engine(|e| e.mutation.is_planted()) {
        Err(MUTANT)
    } else {
        Ok(())
    }
}

/// Proves one primitive for all states of `ground` and all arguments; what does not hold is run by `native`, the same
/// contract on the hosted machine.
pub fn prove_primitive<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    native: &Contract<Sim>,
    ground: Ground,
) -> Outcome {
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    let mut whole = Outcome::default();
    // Where it is called under its own name it runs; elsewhere its contract stands for it.
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
        // set_pt succeeds under H alone only: no state that satisfies D2 admits it.
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

/// Whether it is proved that a state from which the path that was just walked gets stuck does not have what is required.
fn is_free_of(stuck: Stuck, requires: &dyn Fn() -> bool) -> bool {
    // The precondition that was broken last is what the proof is about.
    let broken = engine(|e| e.path.last().map(|step| step.holds));
    apart(|| {
        let goal = goal(&|| !requires());
        if let Some(broken) = broken {
            assert_like_large(broken);
        }
        prove(goal, || clause::free_of(stuck))
    })
}

/// What some path of a proof has shown.
#[derive(Default)]
struct Shown {
    /// What is assumed besides the facts can hold: the premise, from H and L; what is required, from D as well.
    admitted: Cell<bool>,
    /// Something is no longer as it was.
    changed: Cell<bool>,
}

impl Shown {
    /// This path shows that what is assumed can hold if `assumed` can.
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
    let premise = || (contract.premise)(&state.view(), &arguments);
    // H holds whatever a call is given; only L needs the premise.
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
    // What loops keep is said of the same words as the promise.
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
        prove_clause(clause::GUARD, proved, &|| (contract.guard)(&state.view(), &arguments));
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
    // What an internal function requires holds where it is called, which is proved there.
    let suppose_required = || {
        if primitive.kind == Kind::Internal {
            let requires = condition(&requires);
            engine(|e| e.suppose(requires));
        }
    };
    apart(|| {
        suppose_required();
        prove_facts(&after, &moves.latest(), |fact| primitive.keeps(fact.number, || true), proved)
    });
    let step = Step { before: state.view(), after: after.view(), arguments: &arguments, answer: &answer, any: some };
    prove_clause(clause::PROMISE, proved, &|| (contract.promise)(&step));
    let frame = |may: Cells<'_, Sym<G>>| (contract.frame)(&step, may);
    // Whatever it gives: a lock is taken also where nothing is written.
    let given = match answer {
        Answer::Word(_) => Answer::Word(any("answer", 1 << 32)),
        other => other,
    };
    let at_locks = Step { before: state.view(), after: state.view(), arguments: &arguments, answer: &given, any: some };
    let frame_at_locks = |may: Cells<'_, Sym<G>>| (contract.frame)(&at_locks, may);
    if prove_frame(&frame, state, &after) && locks_are_in_frame(&frame_at_locks, &moves) {
        note(proved, "frame".to_string());
    }
    let promised = events::<Sym<G>>(primitive.name);
    prove_clause(clause::EVENTS, proved, &|| moves.history.logs(|log| promised(&step, log)));
    prove_clause(clause::EFFECT_OWN, proved, &|| moves.history.owns(&after));
    let writes_nothing = || frame_names::<G>(&frame).is_empty() && moves.taken.borrow().is_empty();
    shown.changed.set(shown.changed.get() || !writes_nothing() || moves.history.logged() > 0);
    apart(|| {
        suppose_required();
        prove_duties(&moves, proved);
    });
    if engine(|e| e.failures.is_empty()) {
        // What it does is what the others may count on.
        BY_THEOREMS.iter().for_each(|(number, name, _)| note(proved, clause::fact(number, name)));
    }
}

/// Tells the cells of a frame.
pub(crate) type Frame<'a, G> = &'a dyn Fn(Cells<'_, Sym<G>>);

/// The names of the fields and scalars that `frame` speaks of, with the words in place of leaves, on any path.
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

/// Every lock that was taken is of an object that the frame speaks of: the others may have moved it.
pub(crate) fn locks_are_in_frame<G: Geometry>(frame: Frame<'_, G>, moves: &Moves<G>) -> bool {
    let names = frame_names::<G>(frame);
    let missing =
        moves.taken.borrow().iter().copied().find(|object| !names.iter().any(|(name, _)| is_part(name, object)));
    if let Some(object) = missing {
        refuted(&[], clause::lock(object));
    }
    missing.is_none()
}

/// Whether the path that was just walked to its end can be taken at all, as far as is known.
pub(crate) fn feasible() -> bool {
    apart(|| check(&[], Aim::Branch)) != Verdict::Unsat
}

/// Notes the branches of the path that was just walked to its end, if it is feasible.
pub(crate) fn cover(feasible: impl FnOnce() -> bool) {
    let is_new = engine(|e| !e.coverage.has_all_of(&e.sides));
    if is_new && feasible() {
        engine(|e| e.coverage.add(&e.sides));
    }
}

/// Proves what the critical sections of the path owe the other CPUs.
pub(crate) fn prove_duties<G: Geometry>(moves: &Moves<G>, proved: &mut Vec<String>) {
    moves.owe("at the end");
    settle_duties(moves);
    for clause in moves.settled.take() {
        note(proved, clause);
    }
}

/// Proves what is owed by now, while what is known is known: a call that its contract stands for leaves nothing of it.
pub(crate) fn settle_duties<G: Geometry>(moves: &Moves<G>) {
    for duty in moves.duties.take() {
        if prove_for_all(&duty.clause, &duty.bounds, &*duty.holds) {
            note(&mut moves.settled.borrow_mut(), duty.clause);
        }
    }
}

/// Every cell that was written is one that the frame names, or kept its value.
pub(crate) fn prove_frame<G: Geometry>(frame: Frame<'_, G>, before: &State<G>, after: &State<G>) -> bool {
    let mut proved = true;
    for write in engine(|e| e.writes.clone()) {
        let written: Vec<SymWord> = write.key.iter().map(|&word| SymWord(word)).collect();
        let names_it = |field: &str, leaf: &str, key: &[SymWord]| {
            field == write.field && covers([&before.view(), &after.view()], (leaf, key), write.leaf, &written)
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

/// Whether `frame` has a cell that `wanted` picks by field, leaf and key.
pub(crate) fn frame_has<G: Geometry>(frame: Frame<'_, G>, wanted: &dyn Fn(&str, &str, &[SymWord]) -> bool) -> bool {
    let mut has = false;
    frame(&mut |field, leaf, key| has = has || wanted(field, leaf, key));
    has
}
