//! What a primitive reads, writes and logs, found by running it over all its paths.
//!
//! It reads what a condition of it, a value or a key that it writes, or what it gives depends on: the terms say of what
//! each is made. What facts look at while a branch is decided is no part of it.
use crate::assumed::Assumed;
use crate::engine::{Failure, engine, with_engine};
use crate::explore::catch_panics;
use crate::machine::{Moves, Sym};
use crate::mutant::is_running;
use crate::prove::{Ground, Outcome, feasible, run_proof, unknown_arguments};
use crate::state::{self, State};
use crate::suite::side_by_side;
use crate::visit::values;
use crate::word::{SymFlag, SymNat, SymWide, SymWord};
use domain::{Data, Geometry, Sink, X64};
use layer::contract::{Answer, Contract};
use layer::fields::{FIELDS, bounds};
use layer::log::Event;
use layer::machine::Object;
use layer::memory::{Access, Chunk};
use layer::primitive::{Kind, Primitive, TABLE, primitives};
use layer::queue::{Family, Pending};
use layer::stuck::Stuck;
use serde::Serialize;
use sim::log::reference_name;
use sim::machine::Sim;
use sim::witness::{OTHER_PENDING, Witness};
use smt::solver::Solver;
use smt::term::{Node, Term};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What the code under proof looks at on a path.
#[derive(Default)]
pub(crate) struct Seen {
    terms: BTreeSet<Term>,
    events: BTreeSet<&'static str>,
    /// The words of rows that are no part of the state, as the lock's holder found and left them.
    rows: Vec<(String, Term, Term)>,
}

/// The code under proof depends on these.
pub(crate) fn see(terms: &[Term]) {
    if is_running() {
        engine(|e| {
            if let Some(seen) = &mut e.seen {
                seen.terms.extend(terms);
            }
        });
    }
}

/// The code under proof had the lock of a row that is no part of the state.
pub(crate) fn see_row<G: Geometry, T: Object<Sym<G>>>(taken: &T, left: &T) {
    if is_running() && engine(|e| e.seen.is_some()) {
        let rows = words(taken).zip(words(left)).map(|((name, old), (_, new))| (name, old, new));
        engine(|e| {
            if let Some(seen) = &mut e.seen {
                seen.rows.extend(rows);
            }
        });
    }
}

/// The code under proof logs this.
pub(crate) fn see_event<G: Geometry>(event: Event<Sym<G>>) {
    struct Parameters(Vec<Term>, u32);
    impl<G: Geometry> Sink<Sym<G>> for Parameters {
        fn word(&mut self, _: &'static str, value: SymWord) {
            self.0.push(value.0);
        }
        fn wide(&mut self, _: &'static str, value: SymWide) {
            self.0.push(value.0);
        }
        fn nat(&mut self, _: &'static str, value: SymNat) {
            self.0.push(value.0);
        }
        fn flag(&mut self, _: &'static str, value: SymFlag) {
            self.0.push(value.0);
        }
        fn tag(&mut self, _: &'static str, variant: u32) {
            self.1 = variant;
        }
    }
    let mut parameters = Parameters(Vec::new(), 0);
    event.encode(&mut parameters);
    see(&parameters.0);
    let name = <Event<Sym<G>> as Data<Sym<G>>>::VARIANTS.get(parameters.1 as usize);
    engine(|e| {
        if let Some(seen) = &mut e.seen {
            seen.events.extend(name);
        }
    });
}

/// Fields and scalars, each with its parts; a scalar, and a field that was touched as a whole, has none.
pub type Places = BTreeMap<String, BTreeSet<String>>;

/// What a primitive does to the state, over all its paths.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Effects {
    /// Its name.
    pub name: &'static str,
    /// Paths on which it succeeds.
    pub successful_paths: usize,
    /// Paths on which it is stuck.
    pub stuck_paths: usize,
    /// What it depends on, on any path.
    pub reads: Places,
    /// What it writes where it succeeds.
    pub writes: Places,
    /// What it has written by the time that it is stuck, which a rollback takes back.
    pub lost_writes: Places,
    /// What it asks of the machine.
    pub asks: BTreeSet<String>,
    /// Events that it logs where it succeeds, by the reference's names.
    pub events: BTreeSet<String>,
    /// Objects whose locks it takes.
    pub locks: BTreeSet<&'static str>,
    /// Preconditions that it checks: how it can be stuck, and what that means.
    pub stuck: BTreeMap<String, &'static str>,
    /// Why this is not all of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl Effects {
    /// Whether everything stays as it is.
    pub fn is_silent(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }
}

/// How long the solver may think about one branch, in milliseconds; one that it cannot decide counts as taken.
const TIMEOUT: u32 = 10_000;

/// The effects of every primitive of the table but the internal ones, in its order, found on `workers` threads.
///
/// Branches are simple: the embedded solver decides them, so that nothing needs to be installed.
pub fn effects(workers: usize) -> Vec<Effects> {
    catch_panics();
    let wanted: Vec<usize> = (0..TABLE.len()).filter(|&i| TABLE[i].kind != Kind::Internal).collect();
    let order: Vec<usize> = (0..wanted.len()).collect();
    let work = |i: usize| {
        with_engine(Solver::embedded(TIMEOUT), || {
            let (primitive, contract) = &primitives::<Sym<X64>>()[wanted[i]];
            of_primitive(primitive, contract)
        })
    };
    side_by_side(&order, workers, &work, &mut |_, _| ())
}

/// The effects of one primitive, from every state that satisfies H and L.
fn of_primitive<G: Geometry>(primitive: &Primitive, contract: &Contract<Sym<G>>) -> Effects {
    let effects = RefCell::new(Effects { name: primitive.name, ..Effects::default() });
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    engine(|e| e.proving = Some(primitive.name));
    for &chunk in chunks {
        let outcome = run_proof::<G>(Ground::High, &|state, assumed, _: &mut Outcome| {
            path(primitive, contract, chunk, (state, assumed), &mut effects.borrow_mut());
        });
        effects.borrow_mut().failures.extend(outcome.failures);
    }
    engine(|e| e.proving = None);
    let mut effects = effects.into_inner();
    if effects.successful_paths == 0 && effects.failures.is_empty() {
        effects.failures.push(Failure::vacuous("some path succeeds"));
    }
    effects
}

fn path<G: Geometry>(
    primitive: &Primitive,
    contract: &Contract<Sym<G>>,
    chunk: Chunk,
    (state, assumed): (&Rc<State<G>>, &Rc<Assumed>),
    effects: &mut Effects,
) {
    let arguments = unknown_arguments::<G>(primitive, chunk);
    let moves = Moves::new(state, assumed);
    engine(|e| e.seen = Some(Seen::default()));
    let (result, after) = state.run(&moves, |cpu| (contract.run)(cpu, &arguments));
    let Some(mut seen) = engine(|e| e.seen.take()) else { return };
    if !feasible() {
        return;
    }
    effects.locks.extend(moves.taken.borrow().iter());
    let (before, after) = (scalars(state), scalars(&after));
    let mut writes = Places::new();
    let written = engine(|e| e.writes.iter().map(|write| (write.field, write.leaf)).collect::<Vec<_>>());
    for (field, leaf) in written {
        writes.entry(field.to_string()).or_default().extend(part(field, leaf));
    }
    for (name, term) in after {
        // What the others have moved is a new unknown of the same name.
        if !before.contains(&(name.clone(), term)) && !is_unknown(term, &name) {
            seen.terms.insert(term);
            writes.insert(name, BTreeSet::new());
        }
    }
    let mut names: BTreeSet<String> = before.into_iter().map(|(name, _)| name).collect();
    for (name, old, new) in std::mem::take(&mut seen.rows) {
        if old != new {
            seen.terms.insert(new);
            writes.insert(name.clone(), BTreeSet::new());
        }
        names.insert(name);
    }
    match result {
        Ok(answer) => {
            effects.successful_paths += 1;
            merge(&mut effects.writes, writes);
            seen.terms.extend(given(&answer));
            effects.events.extend(seen.events.into_iter().map(reference_name));
        }
        Err(stuck) => {
            effects.stuck_paths += 1;
            merge(&mut effects.lost_writes, writes);
            effects.stuck.insert(format!("{stuck:?}"), Stuck::says(stuck));
        }
    }
    reads(&seen.terms, &names, effects);
}

/// A part of a value of `field` by the name of its leaf; of a variant, or where there is one part only, none.
fn part(field: &str, leaf: &str) -> Option<String> {
    let whole = leaf.is_empty() || leaf == "tag" || leaf.contains('.');
    (!whole && !has_one_part(field)).then(|| leaf.to_string())
}

/// Whether the values of a field have one part.
fn has_one_part(field: &str) -> bool {
    thread_local! {
        static ONE: BTreeSet<&'static str> = {
            let boot = Witness::boot(0).boot_state();
            let parts = |field: &str| {
                let key = vec![0; bounds::<Sim>(field).map_or(0, <[u32]>::len)];
                boot.as_ref().map_or(0, |state| state.leaves(field, &key).len())
            };
            FIELDS.iter().copied().filter(|field| parts(field) == 1).collect()
        };
    }
    ONE.with(|one| one.contains(field))
}

fn merge(into: &mut Places, from: Places) {
    for (name, parts) in from {
        into.entry(name).or_default().extend(parts);
    }
}

/// A name without the version of its object.
fn base(name: &str) -> &str {
    let name = name.split('#').next().unwrap_or(name);
    // Another CPU's pending queue is one.
    match name.strip_prefix(OTHER_PENDING) {
        Some(word) if word.starts_with('.') => &name[OTHER_PENDING.len() - Pending::NAME.len()..],
        _ => name,
    }
}

fn is_unknown(term: Term, name: &str) -> bool {
    engine(|e| matches!(*e.arena.node(term), Node::Var(var, _) if base(e.arena.text(var)) == name))
}

/// Takes up everything of the state that `terms` are made of.
fn reads(terms: &BTreeSet<Term>, names: &BTreeSet<String>, effects: &mut Effects) {
    engine(|e| {
        let mut work: Vec<Term> = terms.iter().copied().collect();
        let mut done = BTreeSet::new();
        while let Some(term) = work.pop() {
            if !done.insert(term) {
                continue;
            }
            e.arena.push_subterms(term, &mut work);
            match *e.arena.node(term) {
                Node::Var(name, _) => {
                    let name = base(e.arena.text(name));
                    if names.contains(name) {
                        effects.reads.entry(name.to_string()).or_default();
                    }
                }
                Node::App(name, ..) => {
                    let text = e.arena.text(name);
                    let (field, leaf) = text.split_once(':').unwrap_or((text, ""));
                    if let Some(asked) = text.strip_prefix("machine.") {
                        effects.asks.insert(asked.to_string());
                    } else if FIELDS.contains(&base(field)) {
                        effects.reads.entry(base(field).to_string()).or_default().extend(part(base(field), leaf));
                    }
                }
                _ => {}
            }
        }
    });
}

/// The values of a state that are in no map, by name.
fn scalars<G: Geometry>(state: &State<G>) -> Vec<(String, Term)> {
    let own = state::scalars(state).into_iter().map(|(name, term)| (name.to_string(), term));
    let boot = [("boot.nps".to_string(), state.boot.nps.0), ("boot.norm".to_string(), state.boot.norm.0)];
    own.chain(words(&state.at)).chain(words(&state.pending)).chain(boot).collect()
}

/// The words of an object, by name.
fn words<G: Geometry, T: Object<Sym<G>>>(object: &T) -> impl Iterator<Item = (String, Term)> {
    values(object).into_iter().map(|(name, term)| (format!("{}.{name}", T::NAME), term))
}

/// The terms that a call gives.
fn given<G: Geometry>(answer: &Answer<Sym<G>>) -> Vec<Term> {
    match answer {
        Answer::Unit | Answer::Stored(_) | Answer::Loaded(Access::Fault) => Vec::new(),
        Answer::Word(word) | Answer::ToUser(word) => vec![word.0],
        Answer::Wide(wide) => vec![wide.0],
        Answer::Resume(context) => vec![context.esp.0, context.ra.0],
        Answer::ToGuest(registers, rip) => registers.iter().chain([rip]).map(|wide| wide.0).collect(),
        Answer::ToHost(rdi, rbp) => vec![rdi.0, rbp.0],
        Answer::Loaded(Access::Done(bytes)) => bytes.iter().map(|byte| byte.0).collect(),
    }
}
