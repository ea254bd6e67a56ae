//! The call rule: a primitive that is called is replaced by its contract, which is proved by itself.
//!
//! At a call we prove the callee's precondition and the invariant, havoc what it may modify and what its locks guard,
//! and assume its postcondition and the invariant.
use crate::assumed::untouched;
use crate::clause;
use crate::engine::{Abandon, Write, engine};
use crate::explore::condition;
use crate::machine::{Sym, next_version};
use crate::prove::{Ground, any_keys, frame_has, frame_names, prove_facts, prove_once, settle_duties};
use crate::state::State;
use crate::word::{SymWide, SymWord};
use domain::Geometry;
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::call::{Answer, Arguments, Call, Chunk};
use layer::core::constants::{SAVED, UCTXT_SIZE};
use layer::core::fields::{Context, bounds};
use layer::core::state::Cpu;
use layer::invariant::{Read, read};
use layer::spec::contract::{Cells, Contract, Region, Transition, covers};
use smt::term::Range;
use std::panic::{Location, resume_unwind};

/// A call at which the invariant, the contract's assumptions and its precondition are proved.
pub(crate) struct Admitted<G: Geometry> {
    primitive: Primitive,
    contract: Contract<Sym<G>>,
    arguments: Arguments<Sym<G>>,
    before: State<G>,
}

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.unknown(name, Range::WORD)))
}

/// The callee's contract, with the arguments of `call` and the current state.
fn made_here<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Admitted<G> {
    let rows = primitives::<Sym<G>>();
    let (primitive, contract) =
        rows.into_iter().find(|(row, _)| row.name == call.name).expect("calls name a row of the table");
    let before = State::of(cpu, cpu.shared.pending.moves().current_cpu());
    // Primitives that are called in this way do not use the other arguments, so their values do not matter.
    let arguments = Arguments {
        words: call.words,
        wide: call.wide,
        place: SymWide(call.words[0].0),
        context: call.context,
        registers: [SymWide(call.words[0].0); UCTXT_SIZE as usize],
        guest: [SymWide(call.words[0].0); SAVED.len()],
        chunk: Chunk::One,
        bytes: [call.words[0]; 8],
    };
    Admitted { primitive, contract, arguments, before }
}

impl<G: Geometry> Admitted<G> {
    /// Proves the invariant, the contract's assumptions and its precondition. Returns whether all hold.
    fn is_proved(&self, cpu: &Cpu<'_, Sym<G>>) -> bool {
        let Admitted { primitive, contract, arguments, before } = self;
        let premise = || clause::premise_of(primitive.name);
        let required = || clause::required_by(primitive.name);
        let latest = cpu.shared.pending.moves().latest();
        prove_facts(before, &latest, |fact| Ground::Derived.includes(fact), &mut Vec::new())
            && prove_once(premise, &|| (contract.assumes)(&before.view(), arguments))
            && prove_once(required, &|| (contract.requires)(&before.view(), arguments))
    }
}

/// Proves the invariant and the callee's precondition at `call`, and then calls `settle`. A path that is replayed up to
/// here skips both, because they were done when the path first came here.
fn admitted<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>, settle: impl FnOnce()) -> Admitted<G> {
    let made = made_here(cpu, call);
    if !engine(|e| e.replaying()) {
        let fresh = engine(|e| e.fresh);
        let holds = made.is_proved(cpu);
        settle();
        engine(|e| e.fresh = fresh);
        if !holds {
            resume_unwind(Box::new(Abandon));
        }
    }
    made
}

/// Proves the invariant and the callee's precondition at `call`. Also discharges the pending guarantees, because the
/// call havocs the state that they speak of.
pub(crate) fn admit<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Admitted<G> {
    let moves = cpu.shared.pending.moves();
    moves.owe("before a call");
    let admitted = admitted(cpu, call, || settle_duties(moves));
    // A replayed path keeps no guarantees either: they were discharged when the path first came here.
    moves.duties.take();
    admitted
}

/// As [`admit`], for a call that changes nothing: pending guarantees stay pending.
pub(crate) fn admit_question<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Admitted<G> {
    admitted(cpu, call, || ())
}

/// The result of `call`, which changes nothing: a fresh word that satisfies the postcondition.
pub(crate) fn answer<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Answer<Sym<G>> {
    let Admitted { primitive, contract, arguments, before } = admit_question(cpu, call);
    engine(|e| e.walk.called.push(primitive.name));
    let answer = Answer::Word(word(primitive.name));
    let step =
        Transition { before: before.view(), after: before.view(), arguments: &arguments, answer: &answer, any: told() };
    let names = frame_names::<G>(&|may| (contract.modifies)(&step, may));
    assert!(names.is_empty(), "{} may write {names:?}, and is called as if it wrote nothing", primitive.name);
    assume_promise(primitive.name, &|| (contract.ensures)(&step));
    answer
}

/// The words at which a postcondition is assumed. It holds for all words; those that the goal speaks of are useful.
fn told() -> [SymWord; 2] {
    let told = engine(|e| e.any.clone());
    std::array::from_fn(|k| told.get(k).map_or_else(|| word("some"), |&any| SymWord(any)))
}

/// Assumes the postcondition of the primitive `name` on this path.
fn assume_promise(name: &str, promise: &dyn Fn() -> bool) {
    let promise = condition(promise);
    let never = engine(|e| e.arena.as_bool(promise)) == Some(false);
    assert!(!never, "nothing that {name} gives can satisfy its contract");
    engine(|e| {
        e.learn(promise);
        e.assume(promise);
    });
}

/// Assumes that what E reads is unchanged at the free word, where the modifies clause does not name it. Only E needs
/// this: H, L and D are assumed of the new state.
fn assume_rest<G: Geometry>(
    frame: &dyn Fn(Cells<'_, Sym<G>>),
    names: &[&str],
    Transition { before, after, any: [key, _], .. }: &Transition<'_, Sym<G>>,
) {
    for Read { field, leaf, is_same } in read().into_iter().filter(|read| names.contains(&read.field)) {
        let has = |name: &str, named: Region, begin: &[SymWord]| {
            name == field && covers([before, after], (named, begin), leaf, &[*key])
        };
        let is_in = || bounds::<Sym<G>>(field).is_some_and(|bounds| *key < bounds[0]);
        let rest =
            untouched(|| condition(&|| !is_in() || frame_has::<G>(frame, &has) || is_same([before, after], *key)));
        engine(|e| e.assume(rest));
    }
}

/// Applies the call rule to `call`: proves the invariant and the precondition, havocs what the contract's modifies
/// clause names, and assumes the invariant and the postcondition.
#[track_caller]
pub(crate) fn apply<G: Geometry>(cpu: &mut Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Answer<Sym<G>> {
    let at = Location::caller();
    let Admitted { primitive, contract, arguments, before } = admit(cpu, call);
    let moves = cpu.shared.pending.moves().clone();
    engine(|e| e.walk.called.push(primitive.name));
    let answer = match primitive.kind {
        Kind::Schedule | Kind::Transfer => Answer::Resume(Context { esp: word("esp"), ra: word("ra") }),
        _ => Answer::Word(word(call.name)),
    };
    let origin = next_version();
    let any = told();
    let step = |after| Transition { before: before.view(), after, arguments: &arguments, answer: &answer, any };
    let named = frame_names::<G>(&|may| (contract.modifies)(&step(before.view()), may));
    let mut names: Vec<_> = named.iter().map(|&(name, _)| name).collect();
    names.dedup();
    let after = before.renewed(&names, origin);
    moves.called(&after, origin);
    assume_promise(primitive.name, &|| (contract.ensures)(&step(after.view())));
    // The caller must be allowed to modify what the callee may modify, so the callee's modifies clause counts as
    // writes.
    let made = step(after.view());
    let frame = |may: Cells<'_, Sym<G>>| (contract.modifies)(&made, may);
    for &(field, named) in &named {
        let write = match bounds::<Sym<G>>(field) {
            // Any cell that the modifies clause covers.
            Some(bounds) => {
                let leaf = named.leaf();
                let key = any_keys(&bounds.iter().map(|&bound| bound.into()).collect::<Vec<u64>>());
                let has = |name: &str, other: Region, begin: &[SymWord]| {
                    name == field && other == named && covers([&made.before, &made.after], (other, begin), leaf, &key)
                };
                let changes = condition(&|| frame_has::<G>(&frame, &has));
                Write { field, key: key.iter().map(|word| word.0).collect(), leaf, changes, at }
            }
            None => Write { field, key: Vec::new(), leaf: "", changes: engine(|e| e.arena.bool(true)), at },
        };
        engine(|e| e.writes.push(write));
    }
    assume_rest(&frame, &names, &made);
    cpu.own = after.own.snapshot();
    cpu.shared.at.called(&after.at, origin);
    cpu.shared.pending.called(&after.pending, origin);
    answer
}
