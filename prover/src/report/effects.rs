//! The effects of each primitive, found by running it on all its paths: what it reads, writes and logs.
//!
//! A primitive reads a cell if one of its branches, written values, keys or results depends on the cell, according
//! to the terms. Reads by facts while a branch is decided do not count.
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::run_proof;
use crate::sources::with_engine;
use crate::state::parts::State;
use crate::state::record::{Seen, words};
use crate::state::sym::Sym;
use crate::subjects::primitives::unknown_arguments;
use crate::workers::side_by_side;
use layer::catalogue::{Kind, Primitive, TABLE, primitives};
use layer::core::call::{Access, Answer, Chunk};
use layer::core::fields::{FIELDS, bounds};
use layer::core::geometry::{Geometry, X64};
use layer::core::stuck::Stuck;
use layer::objects::queue::{Family, Pending};
use layer::spec::contract::Contract;
use serde::Serialize;
use sim::counterexample::witness::Witness;
use sim::machine::Sim;
use sim::machine::log::reference_name;
use sim::state::values::OTHER_PENDING;
use smt::solver::Solver;
use smt::term::{Node, Term};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::explore::catch_panics;
use symbolic::failure::Failure;
use symbolic::proof::{Outcome, feasible};

/// Fields and scalars with the names of their parts. A scalar, and a field that is used as a whole, has no parts.
pub type Places = BTreeMap<String, BTreeSet<String>>;

/// The effects of a primitive on the state, over all its paths.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Effects {
    /// The name of the primitive.
    pub name: &'static str,
    /// The number of paths that succeed.
    pub successful_paths: usize,
    /// The number of paths that get stuck.
    pub stuck_paths: usize,
    /// What the primitive depends on, on any path.
    pub reads: Places,
    /// What the primitive writes on successful paths.
    pub writes: Places,
    /// What the primitive has written on paths that get stuck. A rollback undoes these writes.
    pub lost_writes: Places,
    /// The primitive's questions to the machine.
    pub asks: BTreeSet<String>,
    /// The events on successful paths, by the reference's names.
    pub events: BTreeSet<String>,
    /// The objects whose locks the primitive takes.
    pub locks: BTreeSet<&'static str>,
    /// The preconditions that the primitive checks: each way to get stuck, with its meaning.
    pub stuck: BTreeMap<String, &'static str>,
    /// Why the effects are incomplete, if they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl Effects {
    /// Whether the primitive changes nothing and logs nothing.
    pub fn is_silent(&self) -> bool {
        self.writes.is_empty() && self.events.is_empty()
    }
}

/// The time limit of the solver for one branch, in milliseconds. A branch that it cannot decide counts as feasible.
const TIMEOUT: u32 = 10_000;

/// The effects of all primitives of the table but the internal ones, in its order. They are found on `workers` threads.
///
/// The branches are simple enough for the embedded solver, so that nothing needs to be installed.
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

/// The effects of one primitive, from all states that satisfy H and L.
fn of_primitive<G: Geometry>(primitive: &Primitive, contract: &Contract<Sym<G>>) -> Effects {
    let effects = RefCell::new(Effects { name: primitive.name, ..Effects::default() });
    let chunks: &[Chunk] = if primitive.is_access() { &Chunk::ALL } else { &[Chunk::One] };
    engine(|e| e.settings.proving = Some(primitive.name));
    for &chunk in chunks {
        let outcome = run_proof::<G>(InvariantSet::High, &|state, assumed, _: &mut Outcome| {
            path(primitive, contract, chunk, (state, assumed), &mut effects.borrow_mut());
        });
        effects.borrow_mut().failures.extend(outcome.failures);
    }
    engine(|e| e.settings.proving = None);
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
    let interference = Interference::new(state, assumed);
    engine(|e| e.settings.reads = Some(BTreeSet::new()));
    let (result, after) = state.run(&interference, |cpu| (contract.run)(cpu, &arguments));
    let Some(mut read) = engine(|e| e.settings.reads.take()) else { return };
    let mut seen = engine(|e| std::mem::take(e.path.data::<Seen>()));
    if !feasible() {
        return;
    }
    effects.locks.extend(interference.taken.borrow().iter());
    let (before, after) = (scalars(state), scalars(&after));
    let mut writes = Places::new();
    let written = engine(|e| e.path.writes.iter().map(|write| (write.field, write.leaf)).collect::<Vec<_>>());
    for (field, leaf) in written {
        writes.entry(field.to_string()).or_default().extend(part(field, leaf));
    }
    for (name, term) in after {
        // A new unknown with the same name comes from interference, and is not a write.
        if !before.contains(&(name.clone(), term)) && !is_unknown(term, &name) {
            read.insert(term);
            writes.insert(name, BTreeSet::new());
        }
    }
    let mut names: BTreeSet<String> = before.into_iter().map(|(name, _)| name).collect();
    for (name, old, new) in std::mem::take(&mut seen.rows) {
        if old != new {
            read.insert(new);
            writes.insert(name.clone(), BTreeSet::new());
        }
        names.insert(name);
    }
    match result {
        Ok(answer) => {
            effects.successful_paths += 1;
            merge(&mut effects.writes, writes);
            read.extend(given(&answer));
            effects.events.extend(seen.events.into_iter().map(reference_name));
        }
        Err(stuck) => {
            effects.stuck_paths += 1;
            merge(&mut effects.lost_writes, writes);
            effects.stuck.insert(format!("{stuck:?}"), Stuck::description(stuck));
        }
    }
    reads(&read, &names, effects);
}

/// The part of `field` for a leaf. `None` for a variant, and for a field with one part.
fn part(field: &str, leaf: &str) -> Option<String> {
    let whole = leaf.is_empty() || leaf == "tag" || leaf.contains('.');
    (!whole && !has_one_part(field)).then(|| leaf.to_string())
}

/// Whether the values of a field have one part only.
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
    // Another CPU's pending queue counts as a pending queue.
    match name.strip_prefix(OTHER_PENDING) {
        Some(word) if word.starts_with('.') => &name[OTHER_PENDING.len() - Pending::NAME.len()..],
        _ => name,
    }
}

fn is_unknown(term: Term, name: &str) -> bool {
    engine(|e| matches!(*e.arena.node(term), Node::Var(var, _) if base(e.arena.text(var)) == name))
}

/// Adds everything in the state on which `terms` depend to the reads.
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
    let own = crate::state::parts::scalars(state).into_iter().map(|(name, term)| (name.to_string(), term));
    let boot = [("boot.nps".to_string(), state.boot.nps.0), ("boot.norm".to_string(), state.boot.norm.0)];
    own.chain(words(&state.at)).chain(words(&state.pending)).chain(boot).collect()
}

/// The terms of a call's result.
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
