//! Instead of a solver: one state, in which everything has a value.
use crate::engine::{engine, with_engine};
use crate::explore::condition;
use crate::machine::Sym;
use crate::map::{Origin, SymMap};
use crate::prove::{Outcome, run_paths};
use crate::visit::{each, values};
use crate::word::SymWord;
use domain::{Field, Geometry};
use layer::channel::Channels;
use layer::fields::{ChannelLocks, DefinedMail, Frames, Mailboxes, NextLinks, Owners, SyncChannels, ThreadGhosts};
use layer::machine::Object;
use layer::page_alloc::AllocTable;
use layer::queue::Threads;
use rustc_hash::{FxHashMap, FxHashSet};
use smt::model::Model;
use smt::solver::{Solver, Verdict};
use smt::term::{Arena, FRESH, Node, Term};
use std::any::Any;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// The values of the unknown maps and scalars that a path starts from.
pub(crate) trait World {
    /// A leaf of the map called `map`, or what the machine answers where there is no leaf.
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64;
    /// A value that is in no map.
    fn scalar(&self, name: &str) -> u64;
    /// A word of row `row` of a family of queues.
    fn row(&self, family: &str, row: u32, name: &str) -> u64;
}

/// A leaf of a map at a key.
type Read = Rc<dyn Fn(&str, &[Term]) -> Term>;

struct Concrete {
    world: Rc<dyn World>,
    model: Model,
    /// Terms whose leaves the model has.
    supplied: FxHashSet<Term>,
    /// Later versions of maps: what they were when the others moved, for these others rest.
    versions: FxHashMap<String, Read>,
}

thread_local! {
    static CONCRETE: RefCell<Option<Concrete>> = const { RefCell::new(None) };
}

/// Gives what is concrete on this thread to `work`, if there is anything.
fn with<R>(work: impl FnOnce(&mut Concrete) -> R) -> Option<R> {
    CONCRETE.with_borrow_mut(|concrete| concrete.as_mut().map(work))
}

/// Runs `work` with an engine whose solver is never asked.
pub(crate) fn without_solver<R>(work: impl FnOnce() -> R) -> R {
    let silent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smt/tests/solvers/sleeper.sh");
    let solver = Solver::start(&silent.to_string_lossy(), 1_000).expect("the script starts");
    with_engine(solver, work)
}

/// Walks the path of `path` that the values of `world` take; `strict` where going out of range is to be refuted.
pub(crate) fn walk(world: Rc<dyn World>, strict: bool, path: &dyn Fn()) -> Outcome {
    let model = engine(|e| Model::new(&e.arena, Vec::new()));
    let concrete = Concrete { world, model, supplied: FxHashSet::default(), versions: FxHashMap::default() };
    CONCRETE.set(Some(concrete));
    let outcome = run_paths(strict, &|_| path());
    CONCRETE.set(None);
    assert_eq!(outcome.counts.paths, 1, "values take one path");
    outcome
}

/// From here on the unknown `term` is `value`.
pub(crate) fn tell(term: Term, value: u64) {
    with(|c| {
        c.supplied.insert(term);
        c.model.set(term, value.into());
    });
}

/// What `term` is; truth values are 0 and 1.
pub(crate) fn value(term: Term) -> i128 {
    supply(term);
    with(|c| engine(|e| c.model.value(&e.arena, term))).expect("values are known inside walk")
}

/// The constant that `term` is worth.
fn known(term: Term) -> u32 {
    u32::try_from(value(term)).expect("a word")
}

/// Gives the model the leaves of `term`.
fn supply(term: Term) {
    if with(|c| c.supplied.insert(term)) != Some(true) {
        return;
    }
    let (node, parts) = engine(|e| {
        let mut parts = Vec::new();
        e.arena.push_subterms(term, &mut parts);
        (e.arena.node(term).clone(), parts)
    });
    for &part in &parts {
        supply(part);
    }
    let world = with(|c| c.world.clone()).expect("values are known inside walk");
    let worth = match node {
        Node::Var(name, _) => {
            let name = engine(|e| e.arena.text(name).to_string());
            // What the prover makes up to speak of all keys may be any of them.
            if name.contains(FRESH) { 0 } else { world.scalar(&name).into() }
        }
        Node::App(name, ..) => {
            let name = engine(|e| e.arena.text(name).to_string());
            let (map, leaf) = name.split_once(':').unwrap_or((&name, ""));
            match with(|c| c.versions.get(map).cloned()).flatten() {
                Some(read) => value(aside(|| read(leaf, &parts))),
                None => {
                    let key: Vec<u32> = parts.iter().map(|&part| known(part)).collect();
                    world.cell(map, leaf, &key).into()
                }
            }
        }
        _ => return,
    };
    with(|c| c.model.set(term, worth));
}

/// Runs `work` without touching what it reads.
fn aside<R>(work: impl FnOnce() -> R) -> R {
    let outer = engine(|e| e.facts.record());
    let result = work();
    engine(|e| e.facts.recorded(outer));
    result
}

/// The solver's answer, where values are known: whether all of `extra` hold.
pub(crate) fn check(extra: &[Term]) -> Option<Verdict> {
    is_known().then(|| if extra.iter().all(|&term| value(term) != 0) { Verdict::Sat } else { Verdict::Unsat })
}

/// Whether everything has a value.
pub(crate) fn is_known() -> bool {
    with(|_| ()).is_some()
}

/// What a search gives that the prover only describes.
pub(crate) fn search((found, place): (Term, Term), from: SymWord, to: SymWord, wanted: &dyn Fn(Term) -> bool) {
    if !is_known() {
        return;
    }
    let here = (known(from.0)..known(to.0)).find(|&i| {
        let i = engine(|e| e.arena.number(i.into()));
        value(aside(|| condition(&|| wanted(i)))) != 0
    });
    tell(found, here.is_some().into());
    tell(place, here.unwrap_or_default().into());
}

/// The others rest: the map of `F` at version `origin` is `old`.
pub(crate) fn rests<G: Geometry, F: Field<Sym<G>>>(origin: Origin, old: &SymMap<G, F>) {
    let old = old.clone();
    with(|c| c.versions.insert(origin.name(F::NAME), Rc::new(move |leaf, key| old.leaf(leaf, key))));
}

/// The others move no threads.
pub(crate) fn threads_rest<G: Geometry>(origin: Origin, old: &Threads<Sym<G>>) {
    rests::<G, NextLinks>(origin, &old.next);
    rests::<G, ThreadGhosts>(origin, &old.tcb);
}

/// The others leave a shared object alone.
pub(crate) fn object_rests<G: Geometry, T: Object<Sym<G>>>(origin: Origin, old: &T) {
    if !is_known() {
        return;
    }
    let any: &dyn Any = old;
    if let Some(at) = any.downcast_ref::<AllocTable<Sym<G>>>() {
        rests::<G, Frames>(origin, &at.frames);
        rests::<G, Owners>(origin, &at.owner.0.owners);
    }
    old.snapshot().words(&mut each(|name, range, old| {
        let name = origin.name(&format!("{}.{name}", T::NAME));
        let worth = u64::try_from(value(*old)).expect("no value is below 0");
        tell(engine(|e| e.arena.var(&name, range)), worth);
    }));
}

/// The others leave a row alone; where it is no part of the state, its words, which are unknowns in `new`, are the world's.
pub(crate) fn row_rests<G: Geometry, T: Object<Sym<G>>>(origin: Origin, row: SymWord, own: Option<&T>, new: &T) {
    match own {
        Some(old) => object_rests(origin, old),
        None if is_known() => {
            let row = known(row.0);
            for (name, term) in values(new) {
                let worth = with(|c| c.world.row(T::NAME, row, name)).expect("values are known inside walk");
                tell(term, worth);
            }
        }
        None => {}
    }
}

/// The others use no channels.
pub(crate) fn channels_rest<G: Geometry>(origin: Origin, old: &Channels<Sym<G>>) {
    rests::<G, SyncChannels>(origin, &old.pool);
    rests::<G, Mailboxes>(origin, &old.mailbox);
    rests::<G, ChannelLocks>(origin, &old.ghost.0.locks);
    rests::<G, DefinedMail>(origin, &old.ghost.0.defined);
}

/// What a leaf of a map is worth at a key.
pub(crate) fn leaf<G: Geometry, F: Field<Sym<G>>>(map: &SymMap<G, F>, leaf: &str, key: &[u32]) -> i128 {
    let key: Vec<Term> = key.iter().map(|&word| make(|arena| arena.number(word.into()))).collect();
    value(aside(|| map.leaf(leaf, &key)))
}

/// A term made by the arena.
pub(crate) fn make(build: impl FnOnce(&mut Arena) -> Term) -> Term {
    engine(|e| build(&mut e.arena))
}
