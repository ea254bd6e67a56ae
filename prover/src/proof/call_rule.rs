//! The call rule ([`symbolic::rules`]) for primitives: what a call proves, havocs and assumes about the layer's
//! state.
use crate::clause;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::{discharge_guarantees, modified_names, modifies_has, prove_facts};
use crate::state::parts::State;
use crate::state::sym::Sym;
use crate::state::unknown::{at_version, quantified};
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::call::{Answer, Arguments, Call, Chunk};
use layer::core::constants::{SAVED, UCTXT_SIZE};
use layer::core::fields::{Context, bounds};
use layer::core::geometry::Geometry;
use layer::core::keys::Keys;
use layer::core::state::Cpu;
use layer::invariant::{Read, read};
use layer::spec::contract::{Cells, Contract, Region, Transition, covers};
use smt::term::Range;
use std::panic::Location;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::facts::FactSet;
use symbolic::facts::instances::untouched;
use symbolic::merge::condition;
use symbolic::origin::Origin;
use symbolic::path::Write;
use symbolic::proof::{any_keys, free_words, prove_once};
use symbolic::rules;
use symbolic::rules::prove_here;
use symbolic::word::{SymWide, SymWord};

/// The primitive that is called, with its arguments and the state before the call.
struct Callee<G: Geometry> {
    primitive: Primitive,
    contract: Contract<Sym<G>>,
    arguments: Arguments<Sym<G>>,
    before: State<G>,
}

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.unknown(name, Range::WORD)))
}

/// The callee's contract, with the arguments of `call` and the current state.
fn callee<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Callee<G> {
    let rows = primitives::<Sym<G>>();
    let (primitive, contract) =
        rows.into_iter().find(|(row, _)| row.name == call.name).expect("calls name a row of the table");
    let before = State::of(cpu, cpu.shared.pending.interference().current_cpu());
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
    Callee { primitive, contract, arguments, before }
}

impl<G: Geometry> Callee<G> {
    /// Proves the invariant, the contract's assumptions and its precondition. Returns whether all of
    /// them hold.
    fn is_proved(&self, cpu: &Cpu<'_, Sym<G>>) -> bool {
        let Callee { primitive, contract, arguments, before } = self;
        let assumes = || clause::assumed_by(primitive.name);
        let required = || clause::required_by(primitive.name);
        let latest = cpu.shared.pending.interference().latest();
        prove_facts(before, &latest, |fact| InvariantSet::Derived.includes(fact), &mut Vec::new())
            && prove_once(assumes, &|| (contract.assumes)(&before.view(), arguments))
            && prove_once(required, &|| (contract.requires)(&before.view(), arguments))
    }

    /// As [`is_proved`](Callee::is_proved). Also discharges the pending guarantees, because the call havocs the state
    /// that they are about.
    fn is_proved_with_guarantees(&self, cpu: &Cpu<'_, Sym<G>>) -> bool {
        let holds = self.is_proved(cpu);
        discharge_guarantees(cpu.shared.pending.interference());
        holds
    }
}

/// Proves the invariant and the callee's precondition at `call`, and discharges the pending guarantees.
pub(crate) fn prove_precondition<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) {
    let interference = cpu.shared.pending.interference();
    interference.add_guarantees("before a call");
    let callee = callee(cpu, call);
    prove_here(|| callee.is_proved_with_guarantees(cpu));
    // A repeated path has no pending guarantees here either, because they were discharged when the
    // path first came here.
    interference.pending_guarantees.take();
}

/// Like [`prove_precondition`], for a call that changes nothing: pending guarantees stay pending.
pub(crate) fn prove_precondition_of_query<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) {
    let callee = callee(cpu, call);
    prove_here(|| callee.is_proved(cpu));
}

/// The result of `call`, which changes nothing: a fresh word that satisfies the postcondition.
pub(crate) fn query<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Answer<Sym<G>> {
    let callee = callee(cpu, call);
    let Callee { primitive, contract, arguments, before } = &callee;
    let answer = Answer::Word(word(primitive.name));
    let step =
        Transition { before: before.view(), after: before.view(), arguments, answer: &answer, any: free_words() };
    let names = modified_names::<G>(&|may| (contract.modifies)(&step, may));
    assert!(names.is_empty(), "{} may write {names:?}, and is called as if it wrote nothing", primitive.name);
    rules::call_without_effect(primitive.name, || callee.is_proved(cpu), &|| (contract.ensures)(&step));
    answer
}

/// Assumes that the state that E reads is unchanged at the free word, except where the modifies clause covers it.
/// Only E needs this: H, L and D are assumed of the new state.
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
            untouched(|| condition(&|| !is_in() || modifies_has::<G>(frame, &has) || is_same([before, after], *key)));
        engine(|e| e.assume(rest));
    }
}

/// The fields whose cells outside of the modifies clause a proof assumes to be unchanged: page maps, memory, and user
/// contexts. The proofs of entries need no others, and each field costs time.
const KEPT: [Keys; 4] = [&[("ptpool", &[0, 1])], &[("pt", &[0, 1])], &[("HP", &[0, 1])], &[("uctxt", &[0, 1])]];

/// A call that was replaced by its contract.
struct Done<G: Geometry> {
    callee: Callee<G>,
    answer: Answer<Sym<G>>,
    any: [SymWord; 2],
    after: State<G>,
}

impl<G: Geometry> Done<G> {
    /// The cell of `field` at `key` is covered by the modifies clause, or unchanged.
    fn keeps(&self, field: &str, key: &[SymWord]) -> bool {
        let Callee { arguments, before, contract, .. } = &self.callee;
        let (old, new) = (&before.own, &self.after.own);
        let [before, after] = [before, &self.after].map(State::view);
        let step = Transition { before, after, arguments, answer: &self.answer, any: self.any };
        // An entry that covers one leaf of the cell covers the cell here.
        let has = |name: &str, named: Region, begin: &[SymWord]| {
            name == field && covers([&step.before, &step.after], (named, begin), named.leaf(), key)
        };
        modifies_has::<G>(&|may| (contract.modifies)(&step, may), &has)
            || match field {
                "ptpool" => old.dirs.is_same_at(&new.dirs, key),
                "pt" => old.tables.is_same_at(&new.tables, key),
                "uctxt" => old.uctxt.is_same_at(&new.uctxt, key),
                _ => old.hp.is_same_at(&new.hp, key),
            }
    }
}

/// Assumes that the call changed only what its modifies clause covers, at the cells of [`KEPT`] that are read later.
/// Their version after the call is `origin`.
fn assume_kept<G: Geometry>(done: Done<G>, names: &[&str], origin: Origin) {
    let done = Rc::new(done);
    let of = |keys: Keys| {
        let (field, done) = (keys[0].0, done.clone());
        quantified::<G>(keys, &at_version(origin), move |key| done.keeps(field, key))
    };
    let kept: Vec<_> = KEPT.into_iter().filter(|keys| names.contains(&keys[0].0)).map(of).collect();
    if !kept.is_empty() {
        engine(|e| e.facts.add(FactSet::lasting(kept)));
    }
}

/// A call that the call rule replaces.
struct Replaced<'a, 'c, G: Geometry> {
    cpu: &'a mut Cpu<'c, Sym<G>>,
    callee: Callee<G>,
    answer: Answer<Sym<G>>,
    any: [SymWord; 2],
    /// The state after the call.
    after: State<G>,
    /// The fields and scalars that the modifies clause names.
    named: Vec<(&'static str, Region)>,
    /// The version of what the call may have changed.
    origin: Origin,
    at: &'static Location<'static>,
}

impl<G: Geometry> Replaced<'_, '_, G> {
    fn step<'s>(&'s self, after: &'s State<G>) -> Transition<'s, Sym<G>> {
        let Callee { arguments, before, .. } = &self.callee;
        Transition { before: before.view(), after: after.view(), arguments, answer: &self.answer, any: self.any }
    }

    /// The names of the fields and scalars that the modifies clause names.
    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.named.iter().map(|&(name, _)| name).collect();
        names.dedup();
        names
    }
}

impl<G: Geometry> rules::Call for Replaced<'_, '_, G> {
    fn name(&self) -> &'static str {
        self.callee.primitive.name
    }

    fn prove_requires(&self) -> bool {
        self.callee.is_proved_with_guarantees(self.cpu)
    }

    fn havoc(&mut self, origin: Origin) {
        self.origin = origin;
        let interference = self.cpu.shared.pending.interference().clone();
        interference.pending_guarantees.take();
        self.after = self.callee.before.renewed(&self.names(), origin);
        interference.called(&self.after, origin);
        self.cpu.own = self.after.own.snapshot();
        self.cpu.shared.at.called(&self.after.at, origin);
        self.cpu.shared.pending.called(&self.after.pending, origin);
    }

    fn ensures(&self) -> bool {
        (self.callee.contract.ensures)(&self.step(&self.after))
    }

    fn writes(&self) -> Vec<Write> {
        let step = self.step(&self.after);
        let frame = |may: Cells<'_, Sym<G>>| (self.callee.contract.modifies)(&step, may);
        let of = |&(field, named): &(&'static str, Region)| match bounds::<Sym<G>>(field) {
            // Any cell that the modifies clause covers.
            Some(bounds) => {
                let leaf = named.leaf();
                let key = any_keys(&bounds.iter().map(|&bound| bound.into()).collect::<Vec<u64>>());
                let has = |name: &str, other: Region, begin: &[SymWord]| {
                    name == field && other == named && covers([&step.before, &step.after], (other, begin), leaf, &key)
                };
                let changes = condition(&|| modifies_has::<G>(&frame, &has));
                Write { field, key: key.iter().map(|word| word.0).collect(), leaf, changes, at: self.at }
            }
            None => Write { field, key: Vec::new(), leaf: "", changes: engine(|e| e.arena.bool(true)), at: self.at },
        };
        self.named.iter().map(of).collect()
    }
}

/// Applies the call rule to `call`: proves the invariant and the precondition, havocs what the contract's modifies
/// clause names, and assumes the invariant and the postcondition.
#[track_caller]
pub(crate) fn apply<G: Geometry>(cpu: &mut Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Answer<Sym<G>> {
    let at = Location::caller();
    cpu.shared.pending.interference().add_guarantees("before a call");
    let callee = callee(cpu, call);
    let answer = match callee.primitive.kind {
        Kind::Schedule | Kind::Transfer => Answer::Resume(Context { esp: word("esp"), ra: word("ra") }),
        _ => Answer::Word(word(callee.primitive.name)),
    };
    let after = callee.before.snapshot();
    let mut replaced =
        Replaced { cpu, callee, answer, any: free_words(), after, named: Vec::new(), origin: Origin::START, at };
    let unchanged = replaced.step(&replaced.after);
    replaced.named = modified_names::<G>(&|may| (replaced.callee.contract.modifies)(&unchanged, may));
    rules::call(&mut replaced);
    let step = replaced.step(&replaced.after);
    let frame = |may: Cells<'_, Sym<G>>| (replaced.callee.contract.modifies)(&step, may);
    let names = replaced.names();
    assume_rest(&frame, &names, &step);
    let Replaced { callee, answer, any, after, origin, .. } = replaced;
    assume_kept(Done { callee, answer, any, after }, &names, origin);
    answer
}
