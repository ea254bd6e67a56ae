//! A concrete run: in place of a solver, one state in which everything has a value.
use crate::sources::with_engine;
use crate::state::sym::Sym;
use crate::state::visit::{each, values};
use domain::Field;
use layer::core::fields::{
    ChannelLocks, DefinedMail, Frames, Mailboxes, NextLinks, Owners, SyncChannels, ThreadGhosts,
};
use layer::core::geometry::Geometry;
use layer::core::machine::Object;
use layer::objects::channel::pool::Channels;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::Threads;
use rustc_hash::{FxHashMap, FxHashSet};
use smt::model::Model;
use smt::solver::{Solver, Verdict};
use smt::term::{Arena, FRESH, Node, Term};
use std::any::Any;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::map::SymMap;
use symbolic::merge::condition;
use symbolic::origin::Origin;
use symbolic::proof::{Outcome, run_paths};
use symbolic::valuation::Valuation;
use symbolic::word::SymWord;

/// The initial values of the unknown maps and scalars.
pub(crate) trait World {
    /// The value of a leaf of the map `map`. If there is no such leaf, the machine's answer is
    /// used.
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64;
    /// A value that is in no map.
    fn scalar(&self, name: &str) -> u64;
    /// A word of row `row` of a family of queues.
    fn row(&self, family: &str, row: u32, name: &str) -> u64;
}

/// Reads a leaf of a map at a key.
type Read = Rc<dyn Fn(&str, &[Term]) -> Term>;

struct Concrete {
    world: Rc<dyn World>,
    model: Model,
    /// The terms whose leaves have a value in the model.
    supplied: FxHashSet<Term>,
    /// Later versions of maps. They equal the earlier ones, because there is no interference in a concrete run.
    versions: FxHashMap<String, Read>,
}

thread_local! {
    static CONCRETE: RefCell<Option<Concrete>> = const { RefCell::new(None) };
}

/// Calls `work` with this thread's concrete run, if there is one.
fn with<R>(work: impl FnOnce(&mut Concrete) -> R) -> Option<R> {
    CONCRETE.with_borrow_mut(|concrete| concrete.as_mut().map(work))
}

/// Runs `work` with an engine whose solver is never asked.
pub(crate) fn without_solver<R>(work: impl FnOnce() -> R) -> R {
    let silent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smt/tests/solvers/sleeper.sh");
    let solver = Solver::start(&silent.to_string_lossy(), 1_000).expect("the script starts");
    with_engine(solver, work)
}

/// Walks the one path that the values of `world` take. If `strict` is set, going out of range is a failure.
pub(crate) fn walk(world: Rc<dyn World>, strict: bool, path: &dyn Fn()) -> Outcome {
    let model = engine(|e| Model::new(&e.arena, Vec::new()));
    let concrete = Concrete { world, model, supplied: FxHashSet::default(), versions: FxHashMap::default() };
    CONCRETE.set(Some(concrete));
    engine(|e| {
        e.settings.valuation = Some(Rc::new(Known));
        e.settings.most_decisions = 2_000;
    });
    let outcome = run_paths(strict, &|_| path());
    engine(|e| e.settings.valuation = None);
    CONCRETE.set(None);
    assert_eq!(outcome.counts.paths, 1, "values take one path");
    outcome
}

/// Sets the unknown `term` to `value`.
pub(crate) fn tell(term: Term, value: u64) {
    with(|c| {
        c.supplied.insert(term);
        c.model.set(term, value.into());
    });
}

/// The value of `term`. Boolean values are 0 and 1.
pub(crate) fn value(term: Term) -> i128 {
    supply(term);
    with(|c| engine(|e| c.model.value(&e.arena, term))).expect("values are known inside walk")
}

/// The constant that equals `term`.
fn known(term: Term) -> u32 {
    u32::try_from(value(term)).expect("a word")
}

/// Gives values to the leaves of `term`.
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
            // The fresh variables of a proof stand for all values, so any value can be used.
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

/// Runs `work` without triggering facts.
fn aside<R>(work: impl FnOnce() -> R) -> R {
    let outer = engine(|e| e.facts.record());
    let result = work();
    engine(|e| e.facts.recorded(outer));
    result
}

/// The values of this thread's concrete run.
struct Known;

impl Valuation for Known {
    fn check(&self, extra: &[Term]) -> Verdict {
        if extra.iter().all(|&term| value(term) != 0) { Verdict::Sat } else { Verdict::Unsat }
    }

    // In a proof, facts describe the result of a search; a concrete run computes it.
    fn search(&self, (found, place): (Term, Term), (from, to): (Term, Term), wanted: &dyn Fn(Term) -> bool) {
        let here = (known(from)..known(to)).find(|&i| {
            let i = engine(|e| e.arena.number(i.into()));
            value(aside(|| condition(&|| wanted(i)))) != 0
        });
        tell(found, here.is_some().into());
        tell(place, here.unwrap_or_default().into());
    }
}

/// Whether this thread is in a concrete run.
pub(crate) fn is_known() -> bool {
    with(|_| ()).is_some()
}

/// No interference: the map of `F` at version `origin` equals `old`.
pub(crate) fn rests<G: Geometry, F: Field<Sym<G>>>(origin: Origin, old: &SymMap<Sym<G>, F>) {
    let old = old.clone();
    with(|c| c.versions.insert(origin.name(F::NAME), Rc::new(move |leaf, key| old.leaf(leaf, key))));
}

/// No interference on the threads.
pub(crate) fn threads_rest<G: Geometry>(origin: Origin, old: &Threads<Sym<G>>) {
    rests::<G, NextLinks>(origin, &old.next);
    rests::<G, ThreadGhosts>(origin, &old.tcb);
}

/// No interference on a shared object.
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

/// No interference on a row. The words of a row outside of the state, unknowns in `new`, get their values from the
/// world.
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

/// No interference on the channels.
pub(crate) fn channels_rest<G: Geometry>(origin: Origin, old: &Channels<Sym<G>>) {
    rests::<G, SyncChannels>(origin, &old.pool);
    rests::<G, Mailboxes>(origin, &old.mailbox);
    rests::<G, ChannelLocks>(origin, &old.ghost.0.locks);
    rests::<G, DefinedMail>(origin, &old.ghost.0.defined);
}

/// The value of a leaf of a map at a key.
pub(crate) fn leaf<G: Geometry, F: Field<Sym<G>>>(map: &SymMap<Sym<G>, F>, leaf: &str, key: &[u32]) -> i128 {
    let key: Vec<Term> = key.iter().map(|&word| make(|arena| arena.number(word.into()))).collect();
    value(aside(|| map.leaf(leaf, &key)))
}

/// A term made by the arena.
pub(crate) fn make(build: impl FnOnce(&mut Arena) -> Term) -> Term {
    engine(|e| build(&mut e.arena))
}
