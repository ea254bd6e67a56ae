//! A primitive that is called stands for what its contract says: it is proved by itself.
use crate::clause;
use crate::engine::{Abandon, Write, engine};
use crate::explore::condition;
use crate::machine::{Sym, next_version};
use crate::prove::{any_keys, frame_has, frame_names, prove_facts, prove_once, settle_duties};
use crate::state::State;
use crate::word::{SymWide, SymWord};
use domain::Geometry;
use layer::call::Call;
use layer::constants::UCTXT_SIZE;
use layer::contract::{Answer, Arguments, Cells, Contract, Step, covers, means_all};
use layer::fields::{Context, bounds};
use layer::memory::Chunk;
use layer::primitive::{Kind, Primitive, primitives};
use layer::state::Cpu;
use layer::vmx::SAVED;
use smt::term::Range;
use std::panic::{Location, resume_unwind};

/// A call that the invariant, the premise and what the primitive requires admit.
pub(crate) struct Admitted<G: Geometry> {
    primitive: Primitive,
    contract: Contract<Sym<G>>,
    arguments: Arguments<Sym<G>>,
    before: State<G>,
}

fn word(name: &str) -> SymWord {
    SymWord(engine(|e| e.unknown(name, Range::WORD)))
}

/// Proves that the invariant and what the primitive requires hold where `call` is made.
pub(crate) fn admit<G: Geometry>(cpu: &Cpu<'_, Sym<G>>, call: &Call<Sym<G>>) -> Admitted<G> {
    let moves = cpu.shared.pending.moves();
    let rows = primitives::<Sym<G>>();
    let (primitive, contract) =
        rows.into_iter().find(|(row, _)| row.name == call.name).expect("calls name a row of the table");
    let before = State::of(cpu, moves.current_cpu());
    // What no primitive takes that is called so is any of its words.
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
    moves.owe("before a call");
    if engine(|e| e.replaying()) {
        // Proved when the path first came here: of what was known then, the rest of the path may know nothing.
        moves.duties.take();
    } else {
        let premise = || clause::premise_of(call.name);
        let required = || clause::required_by(call.name);
        let fresh = engine(|e| e.fresh);
        let holds = prove_facts(&before, &moves.latest(), |_| true, &mut Vec::new())
            && prove_once(premise, &|| (contract.premise)(&before.view(), &arguments))
            && prove_once(required, &|| (contract.requires)(&before.view(), &arguments));
        settle_duties(moves);
        engine(|e| e.fresh = fresh);
        if !holds {
            resume_unwind(Box::new(Abandon));
        }
    }
    Admitted { primitive, contract, arguments, before }
}

/// Goes on as if `call` had been made: that the invariant and what the primitive requires hold is proved; afterwards
/// nothing is known of what its frame names, but that the invariant and its promise hold.
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
    // The contract holds for all: also for those that who calls speaks of.
    let told = engine(|e| e.any.clone());
    let any = std::array::from_fn(|k| told.get(k).map_or_else(|| word("some"), |&any| SymWord(any)));
    let step = |after| Step { before: before.view(), after, arguments: &arguments, answer: &answer, any };
    let named = frame_names::<G>(&|may| (contract.frame)(&step(before.view()), may));
    let mut names: Vec<_> = named.iter().map(|&(name, _)| name).collect();
    names.dedup();
    let after = before.renewed(&names, origin);
    let promise = condition(&|| (contract.promise)(&step(after.view())));
    let never = engine(|e| e.arena.as_bool(promise)) == Some(false);
    assert!(!never, "nothing that {} gives can satisfy its contract", primitive.name);
    moves.called(&after, origin);
    engine(|e| {
        e.learn(promise);
        e.assume(promise);
    });
    // Whatever the call may write, whoever calls it may write: its frame is compared with this as well.
    let made = step(after.view());
    let frame = |may: Cells<'_, Sym<G>>| (contract.frame)(&made, may);
    for &(field, named) in &named {
        let write = match bounds::<Sym<G>>(field) {
            // Any cell that the frame has.
            Some(bounds) => {
                let leaf = if means_all(named) { "" } else { named };
                let key = any_keys(&bounds.iter().map(|&bound| bound.into()).collect::<Vec<u64>>());
                let has = |name: &str, other: &str, begin: &[SymWord]| {
                    name == field && other == named && covers([&made.before, &made.after], (other, begin), leaf, &key)
                };
                let changes = condition(&|| frame_has::<G>(&frame, &has));
                Write { field, key: key.iter().map(|word| word.0).collect(), leaf, changes, at }
            }
            None => Write { field, key: Vec::new(), leaf: "", changes: engine(|e| e.arena.bool(true)), at },
        };
        engine(|e| e.writes.push(write));
    }
    cpu.own = after.own.snapshot();
    cpu.shared.at.called(&after.at, origin);
    cpu.shared.pending.called(&after.pending, origin);
    answer
}
