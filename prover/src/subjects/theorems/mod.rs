//! Theorems about the layer as a whole, rather than about one primitive.
mod allocation;
mod replay;

use crate::environment::channels::Relation;
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::proof::obligations::{prove_facts, run_proof};
use crate::state::parts::State;
use crate::state::sym::Sym;
use crate::state::unknown::{at_version, key_bounds, quantified, unknown_object};
use domain::{Flag, Map};
use layer::core::call::{Access, Chunk};
use layer::core::constants::{KERN_HIGH, KERN_LOW, MAX_PAGE, NUM_CV, NUM_PROC, PAGE_SIZE, TOTAL_CPU};
use layer::core::fields::{FrameUse, Pde, Pte};
use layer::core::geometry::Geometry;
use layer::core::keys::Keys;
use layer::core::machine::{Object, Spec};
use layer::core::stuck::Stuck;
use layer::invariant::facts;
use layer::objects::channel::pool::Channels;
use layer::objects::memory::{exec_store, guest_store};
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::page_table::is_user_directory;
use layer::objects::queue::{Family, Queue, Sleeping, Threads};
use layer::spec::fact::{Class, Fact};
use layer::spec::view::View;
use smt::solver::Verdict;
use smt::term::Range;
use std::cell::RefCell;
use std::rc::Rc;
use symbolic::branch::decide;
use symbolic::engine::engine;
use symbolic::facts::FactSet;
use symbolic::failure::Failure;
use symbolic::merge::goal;
use symbolic::origin::Origin;
use symbolic::proof::{Outcome, any, any_keys, feasible, note, prove_for_all, prove_once, run_paths};
use symbolic::query::{Aim, check, in_scope};
use symbolic::word::{SymWide, SymWord};
use syscall::entry;

pub(crate) use allocation::ALLOCATED;

/// A theorem about the layer.
pub struct Theorem {
    /// The name of the theorem.
    pub name: &'static str,
    /// The statement of the theorem.
    pub says: &'static str,
    /// Runs the proof.
    pub prove: fn() -> Outcome,
}

/// All theorems, for page tables of geometry `G`.
pub fn theorems<G: Geometry>() -> Vec<Theorem> {
    let mut theorems = vec![
        Theorem { name: "init_adt", says: "the state before sched_init satisfies the invariant", prove: init_adt::<G> },
        Theorem {
            name: "boot",
            says: "a CPU that boots ends in kernel mode, at rest, where its main thread goes on; it is stuck only where the \
                   machine's description is no use",
            prove: boot::<G>,
        },
        Theorem {
            name: "facts",
            says: "each clause of the invariant can be broken by some state: none is true by mistake",
            prove: || facts_can_fail(&facts::<Sym<G>>().collect::<Vec<_>>()),
        },
        Theorem {
            name: "rely_AT",
            says: "what a CPU may count on of the allocation table is reflexive and transitive",
            prove: || rely_is_preorder::<G, AllocTable<Sym<G>>>(),
        },
        Theorem {
            name: "rely_msg",
            says: "what a CPU may count on of its pending queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>>>(),
        },
        Theorem {
            name: "rely_tcb",
            says: "what a CPU may count on of the threads is reflexive and transitive",
            prove: || rely_is_preorder::<G, Threads<Sym<G>>>(),
        },
        Theorem {
            name: "rely_slp",
            says: "what a CPU may count on of a sleep queue is reflexive and transitive",
            prove: || rely_is_preorder::<G, Queue<Sym<G>, Sleeping>>(),
        },
        Theorem {
            name: "rely_syncchpool",
            says: "what a CPU may count on of the channels is reflexive and transitive",
            prove: || rely_is_preorder::<G, Channels<Sym<G>>>(),
        },
        Theorem {
            name: "rely_mailbox",
            says: "what a CPU may count on of the messages is reflexive and transitive",
            prove: || rely_is_preorder::<G, Mail<G>>(),
        },
        Theorem {
            name: "stable_AT",
            says: "the invariant stays when others use the allocation table",
            prove: || stability::<G>(Moved::Table),
        },
        Theorem {
            name: "stable_threads",
            says: "the invariant stays when others move threads",
            prove: || stability::<G>(Moved::Threads),
        },
        Theorem {
            name: "stable_channels",
            says: "the invariant stays when others use channels",
            prove: || stability::<G>(Moved::Channels),
        },
        Theorem {
            name: "palloc_inv_prop",
            says: "what palloc gives is a page that nothing maps, and no page map is changed",
            prove: allocation::palloc_inv_prop::<G>,
        },
        Theorem {
            name: "nothing_is_lost",
            says: "a process without page tables is charged no page: what it uses is its children's quotas (D10)",
            prove: nothing_is_lost::<G>,
        },
        Theorem {
            name: "isolation_of_frames",
            says: "no frame is at two places of user maps, none is both mapped and a page table, or another CPU's, or \
                   the kernel's",
            prove: isolation_of_frames::<G>,
        },
        Theorem {
            name: "isolation_of_stores",
            says: "no store of a program changes a byte that another program, another CPU or the kernel can read, nor \
                   a page map",
            prove: || isolation_of_stores::<G>(false),
        },
        Theorem {
            name: "isolation_of_guests",
            says: "no store of a guest changes a byte that another CPU or the kernel can read, nor a page map; that its \
                   memory is that of its own thread, whoever maps it has to see to",
            prove: || isolation_of_stores::<G>(true),
        },
    ];
    theorems.extend(replay::theorems::<G>());
    theorems
}

/// Proves one clause of a theorem, for all keys below `bounds`.
fn clause(outcome: &mut Outcome, says: &str, bounds: &[u64], holds: &dyn Fn(&[SymWord]) -> bool) {
    if prove_for_all(says, bounds, holds) {
        note(&mut outcome.clauses, says.to_string());
    }
}

/// Checks that the premises of the theorem are not a contradiction on this path.
fn premises_hold(outcome: &mut Outcome) -> bool {
    let feasible = feasible();
    outcome.successful_paths += u64::from(feasible);
    feasible
}

fn init_adt<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let state = State::<G>::initial();
        if !decide(&|| state.current_cpu < TOTAL_CPU) || !premises_hold(outcome) {
            return;
        }
        prove_facts(&state, &Assumed::nothing(), |_| true, &mut outcome.clauses);
        clause(outcome, "every pending queue by itself", &[TOTAL_CPU.into(), NUM_PROC.into()], &|k| {
            state.pending.lock_invariant(k[0], &state.threads, &k[1..])
        });
        let sleepers: Queue<Sym<G>, Sleeping> = Object::new(Origin::START);
        clause(outcome, "every sleep queue by itself", &[NUM_CV.into(), NUM_PROC.into()], &|k| {
            sleepers.lock_invariant(k[0], &state.threads, &k[1..])
        });
    });
    outcome.require_success();
    outcome
}

/// The code that boots a CPU, from the state before `sched_init`. It gets stuck only if the description of the machine is
/// unusable. The proof of the primitive `sched_init` shows that H, L and D hold afterwards; E is proved here.
fn boot<G: Geometry>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let state = Rc::new(State::<G>::initial());
        if !decide(&|| state.current_cpu < TOTAL_CPU) {
            return;
        }
        let interference = Interference::new(&state, &Rc::new(Assumed::nothing()));
        let mbi = any("mbi", 1 << 32);
        let (result, after) = state.run(&interference, |cpu| entry::boot(cpu, mbi));
        match result {
            Ok(next) if premises_hold(outcome) => {
                clause(outcome, "the main thread can go on", &[], &|_| next.holds(&after.view()));
                // Those of H, L and D are proved of the primitives that it calls.
                let is_of_entries = |fact: &Fact<Sym<G>>| fact.class == Class::Entry;
                prove_facts(&after, &Assumed::nothing(), is_of_entries, &mut outcome.clauses);
            }
            Ok(_) => {}
            Err(stuck) => {
                let is_refused = matches!(stuck, Stuck::BadIoApic | Stuck::BadMemory);
                clause(outcome, "stuck only where the description is no use", &[], &|_| is_refused);
            }
        }
    });
    outcome.require_success();
    outcome
}

/// For each fact, there is a state that violates it.
fn facts_can_fail<G: Geometry>(facts: &[Fact<Sym<G>>]) -> Outcome {
    let always = RefCell::new(Vec::new());
    let mut outcome = run_paths(true, &|outcome| {
        let state = State::<G>::unknown();
        for fact in facts {
            let clause = format!("{} can be broken", crate::clause::fact(fact.number, fact.name));
            let broken = in_scope(|| {
                let keys = any_keys(&key_bounds::<G>(fact.keys));
                let holds = goal(&|| (fact.holds)(&state.view(), &keys));
                engine(|e| e.results.counts.obligations += 1);
                check(&[engine(|e| e.arena.not(holds))], Aim::Witness)
            });
            match broken {
                Verdict::Sat => note(&mut outcome.clauses, clause),
                _ => always.borrow_mut().push(Failure::vacuous(&clause)),
            }
        }
        outcome.successful_paths += 1;
    });
    outcome.failures.extend(always.into_inner());
    outcome
}

/// A shared object: an object behind a lock, or the threads.
trait Versioned<G: Geometry>: Sized + 'static {
    const KEYS: Keys;
    /// An unknown object at `version`.
    fn unknown(version: Origin) -> Self;
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool;
    fn by_itself(&self, row: SymWord, key: &[SymWord]) -> bool;
}

impl<G: Geometry> Versioned<G> for AllocTable<Sym<G>> {
    const KEYS: Keys = <Self as Object<Sym<G>>>::KEYS;
    fn unknown(version: Origin) -> Self {
        unknown_object(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        <Self as Object<Sym<G>>>::rely(old, new, me, key)
    }
    fn by_itself(&self, row: SymWord, key: &[SymWord]) -> bool {
        // This fact does not depend on the threads.
        Object::lock_invariant(self, row, &Threads::at(Origin::START), key)
    }
}

impl<G: Geometry, F: Family> Versioned<G> for Queue<Sym<G>, F> {
    const KEYS: Keys = <Self as Object<Sym<G>>>::KEYS;
    fn unknown(version: Origin) -> Self {
        unknown_object(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        <Self as Object<Sym<G>>>::rely(old, new, me, key)
    }
    fn by_itself(&self, _: SymWord, _: &[SymWord]) -> bool {
        // The fact is about the threads in the queue, which this rely condition does not mention.
        true
    }
}

impl<G: Geometry> Versioned<G> for Threads<Sym<G>> {
    const KEYS: Keys = Threads::<Sym<G>>::KEYS;
    fn unknown(version: Origin) -> Self {
        Threads::at(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Threads::rely(old, new, me, key[0])
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Threads::lock_invariant(self, key[0])
    }
}

impl<G: Geometry> Versioned<G> for Channels<Sym<G>> {
    const KEYS: Keys = Channels::<Sym<G>>::KEYS;
    fn unknown(version: Origin) -> Self {
        Channels::at(version)
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Relation::Control.rely(old, new, me, key)
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Relation::Control.lock_invariant(self, key)
    }
}

/// The messages of the channels.
struct Mail<G: Geometry>(Channels<Sym<G>>);

impl<G: Geometry> Versioned<G> for Mail<G> {
    const KEYS: Keys = Channels::<Sym<G>>::MAIL;
    fn unknown(version: Origin) -> Self {
        Mail(Channels::at(version))
    }
    fn rely(old: &Self, new: &Self, me: SymWord, key: &[SymWord]) -> bool {
        Relation::Mail.rely(&old.0, &new.0, me, key)
    }
    fn by_itself(&self, _: SymWord, key: &[SymWord]) -> bool {
        Relation::Mail.lock_invariant(&self.0, key)
    }
}

/// The rely condition is reflexive, and it is transitive over three successive versions of an object.
fn rely_is_preorder<G: Geometry, T: Versioned<G>>() -> Outcome {
    let mut outcome = run_paths(true, &|outcome| {
        let me = any("me", TOTAL_CPU.into());
        let row = any("row", TOTAL_CPU.into());
        let [first, second, third] = [1, 2, 3].map(|version| Rc::new(T::unknown(Origin { version })));
        let bounds = key_bounds::<G>(T::KEYS);
        let mut facts = Vec::new();
        for (version, object) in (1..).zip([&first, &second, &third]) {
            let object = object.clone();
            facts.push(quantified::<G>(T::KEYS, &at_version(Origin { version }), move |k| object.by_itself(row, k)));
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        if !premises_hold(outcome) {
            return;
        }
        // Reflexivity comes before the assumptions: if nothing satisfied the rely condition, everything would follow
        // from it.
        clause(outcome, "reflexive", &bounds, &|k| T::rely(&first, &first, me, k));
        let mut facts = Vec::new();
        for (version, old, new) in [(1, &first, &second), (2, &second, &third)] {
            for version in [version, version + 1] {
                let (old, new) = (old.clone(), new.clone());
                facts.push(quantified::<G>(T::KEYS, &at_version(Origin { version }), move |k| {
                    T::rely(&old, &new, me, k)
                }));
            }
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        clause(outcome, "transitive", &bounds, &|k| T::rely(&first, &third, me, k));
    });
    outcome.require_success();
    outcome
}

/// The part of the shared state that interference changes.
#[derive(Clone, Copy)]
enum Moved {
    Table,
    Threads,
    Channels,
}

/// A condition on one state, or on two successive ones, at some keys.
type Condition<G> = (Keys, fn(&State<G>, &State<G>, SymWord, &[SymWord]) -> bool);

impl Moved {
    /// `state` with this part unknown, at `version`.
    fn to<G: Geometry>(self, state: State<G>, version: Origin) -> State<G> {
        match self {
            Moved::Table => State { at: unknown_object(version), ..state },
            Moved::Threads => State { pending: unknown_object(version), threads: Threads::at(version), ..state },
            Moved::Channels => State { channels: Channels::at(version), ..state },
        }
    }

    /// The rely conditions on this part.
    fn relies<G: Geometry>(self) -> Vec<Condition<G>> {
        match self {
            Moved::Table => {
                vec![(<AllocTable<Sym<G>> as Object<Sym<G>>>::KEYS, |old, new, me, k| {
                    Object::rely(&old.at, &new.at, me, k)
                })]
            }
            Moved::Threads => {
                vec![(Threads::<Sym<G>>::KEYS, |old, new, me, k| Threads::rely(&old.threads, &new.threads, me, k[0]))]
            }
            Moved::Channels => vec![
                (Channels::<Sym<G>>::KEYS, |old, new, me, k| {
                    Relation::Control.rely(&old.channels, &new.channels, me, k)
                }),
                (Channels::<Sym<G>>::MAIL, |old, new, me, k| Relation::Mail.rely(&old.channels, &new.channels, me, k)),
            ],
        }
    }

    /// The facts of this part alone, in the second state.
    fn by_itself<G: Geometry>(self) -> Vec<Condition<G>> {
        match self {
            Moved::Table => {
                vec![(<AllocTable<Sym<G>> as Object<Sym<G>>>::KEYS, |_, new, _, k| {
                    new.at.lock_invariant(0.into(), &new.threads, k)
                })]
            }
            Moved::Threads => vec![
                (Threads::<Sym<G>>::KEYS, |_, new, _, k| new.threads.lock_invariant(k[0])),
                (Threads::<Sym<G>>::KEYS, |_, new, me, k| new.pending.lock_invariant(me, &new.threads, k)),
            ],
            Moved::Channels => vec![
                (Channels::<Sym<G>>::KEYS, |_, new, _, k| Relation::Control.lock_invariant(&new.channels, k)),
                (Channels::<Sym<G>>::MAIL, |_, new, _, k| Relation::Mail.lock_invariant(&new.channels, k)),
            ],
        }
    }
}

/// The invariant is stable: it still holds after interference on `moved` within the rely conditions. This is proved for
/// both invariant sets, because proofs with either set assume it when a lock is taken.
fn stability<G: Geometry>(moved: Moved) -> Outcome {
    let mut whole = Outcome::default();
    for invariants in [InvariantSet::High, InvariantSet::Derived] {
        whole.add(stability_of::<G>(invariants, moved));
    }
    whole
}

fn stability_of<G: Geometry>(invariants: InvariantSet, moved: Moved) -> Outcome {
    let mut outcome = run_proof::<G>(invariants, &|state, assumed, outcome| {
        let (from, to) = (Origin::START, Origin { version: 1 });
        engine(|e| e.path.fresh = e.path.fresh.max(1));
        let (old, me) = (state.clone(), state.own.cpu);
        let new = Rc::new(moved.to(state.snapshot(), to));
        let mut facts = Vec::new();
        let mut add = |keys, version, holds: fn(&State<G>, &State<G>, SymWord, &[SymWord]) -> bool| {
            let (old, new) = (old.clone(), new.clone());
            facts.push(quantified::<G>(keys, &at_version(version), move |k| holds(&old, &new, me, k)));
        };
        for (keys, holds) in moved.relies() {
            add(keys, from, holds);
            add(keys, to, holds);
        }
        for (keys, holds) in moved.by_itself() {
            add(keys, to, holds);
        }
        engine(|e| e.facts.add(FactSet::new(facts)));
        if premises_hold(outcome) {
            prove_facts(&new, assumed, |fact| invariants.includes(fact), &mut outcome.clauses);
        }
    });
    outcome.require_success();
    outcome
}

/// The bounds of a place in a page map: thread, directory index, page-table index.
fn place_bounds<G: Geometry>() -> [u64; 3] {
    [NUM_PROC.into(), G::DIRS.into(), G::ENTRIES.into()]
}

/// The entry of the user part of a page map at a place: the frame of its page table, and the mapped frame if there is
/// one.
fn at_place<G: Geometry>(view: &View<'_, Sym<G>>, place: &[SymWord]) -> Option<(SymWord, Option<SymWord>)> {
    if place[0] == 0 || !is_user_directory::<Sym<G>>(place[1]) {
        return None;
    }
    let Pde::Table { frame } = view.own.dirs.get([place[0], place[1]]) else { return None };
    match view.own.tables.get([frame, place[2]]) {
        Pte::Valid { page, .. } => Some((frame, Some(page))),
        Pte::UnPresent => Some((frame, None)),
    }
}

fn nothing_is_lost<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Entry, &|state, _, outcome| {
        let view = state.view();
        if !decide(&|| view.ghost.init.holds()) || !premises_hold(outcome) {
            return;
        }
        clause(outcome, "a process that is charged a page has a page table", &[NUM_PROC.into()], &|k| {
            let n = k[0];
            !view.is_mine(n)
                || view.ghost.charged.get([n]).pages == 0
                || has_table(&view, n, view.ghost.seats.get([n, 0.into()]).frame)
        });
    });
    outcome.require_success();
    outcome
}

/// The page map of thread `n` has the page table that `frame` is, or the one that maps `frame`.
fn has_table<G: Geometry>(view: &View<'_, Sym<G>>, n: SymWord, frame: SymWord) -> bool {
    let has = |i| is_user_directory::<Sym<G>>(i) && matches!(view.own.dirs.get([n, i]), Pde::Table { .. });
    match view.ghost.pperm.get([frame]) {
        FrameUse::Hide { index, .. } => has(index),
        FrameUse::Alloc => has(view.ghost.lat_entry.get([frame, 0.into()]).directory),
        FrameUse::Undef => false,
    }
}

fn isolation_of_frames<G: Geometry>() -> Outcome {
    let mut outcome = run_proof::<G>(InvariantSet::Derived, &|state, _, outcome| {
        if !decide(&|| state.view().ghost.init.holds()) || !premises_hold(outcome) {
            return;
        }
        let [n, d, e] = place_bounds::<G>();
        let mapped = |place: &[SymWord]| at_place(&state.view(), place).and_then(|(_, page)| page);
        clause(outcome, "no frame is at two places of user maps", &[n, d, e, n, d, e], &|k| match (
            mapped(&k[..3]),
            mapped(&k[3..]),
        ) {
            (Some(one), Some(other)) => one != other || (k[0] == k[3] && k[1] == k[4] && k[2] == k[5]),
            _ => true,
        });
        clause(outcome, "no frame is both mapped and a page table", &[n, d, e, n, d, e], &|k| match (
            mapped(&k[..3]),
            at_place(&state.view(), &k[3..]),
        ) {
            (Some(page), Some((table, _))) => page != table,
            _ => true,
        });
        clause(outcome, "no page table serves two directory entries", &[n, d, e, n, d, e], &|k| match (
            at_place(&state.view(), &k[..3]),
            at_place(&state.view(), &k[3..]),
        ) {
            (Some((one, _)), Some((other, _))) => one != other || (k[0] == k[3] && k[1] == k[4]),
            _ => true,
        });
        clause(outcome, "mapped frames and page tables were given to this CPU alone", &[n, d, e], &|k| {
            let owner = |frame| Sym::<G>::present(&state.at.owner).owners.get([frame]).cpu;
            at_place(&state.view(), k).is_none_or(|(table, page)| {
                owner(table) == state.own.cpu && page.is_none_or(|page| owner(page) == state.own.cpu)
            })
        });
        clause(outcome, "mapped frames and page tables lie in the user area", &[n, d, e], &|k| {
            let in_area = |frame: SymWord| frame >= KERN_LOW && frame < KERN_HIGH;
            at_place(&state.view(), k).is_none_or(|(table, page)| in_area(table) && page.is_none_or(in_area))
        });
    });
    outcome.require_success();
    outcome
}

/// What a store by a program, or by a guest, can change.
fn isolation_of_stores<G: Geometry>(of_guest: bool) -> Outcome {
    let mut whole = Outcome::default();
    for chunk in Chunk::ALL {
        let mut outcome = run_proof::<G>(InvariantSet::Derived, &|state, assumed, outcome| {
            path_of_store(state, assumed, of_guest, chunk, outcome);
        });
        outcome.require_success();
        whole.add(outcome);
    }
    whole
}

fn path_of_store<G: Geometry>(
    state: &Rc<State<G>>,
    assumed: &Rc<Assumed>,
    of_guest: bool,
    chunk: Chunk,
    outcome: &mut Outcome,
) {
    let wide = |name: &str| SymWide(engine(|e| e.arena.var(name, Range::WIDE)));
    let bytes = std::array::from_fn(|k| SymWord(engine(|e| e.arena.var(&format!("byte{k}"), Range::UpTo(255)))));
    let (address, rip) = (wide("address"), wide("place"));
    engine(|e| e.path.arguments.push(("address".to_string(), address.0)));
    if !decide(&|| state.view().ghost.init.holds()) {
        return;
    }
    let interference = Interference::new(state, assumed);
    let (result, after) = state.run(&interference, |cpu| {
        if of_guest {
            guest_store(cpu, chunk, address, bytes).map(Access::Done)
        } else {
            exec_store(cpu, chunk, address, bytes, rip)
        }
    });
    // By its contract, a call that gets stuck or faults changes nothing.
    if !matches!(result, Ok(Access::Done(()))) || !premises_hold(outcome) {
        return;
    }
    let byte_is_kept = |frame: SymWord, offset: SymWord| {
        after.own.hp.get([frame, offset]).value == state.own.hp.get([frame, offset]).value
    };
    let [n, d, e] = place_bounds::<G>();
    let (frames, offsets) = (MAX_PAGE.into(), PAGE_SIZE.into());
    if !of_guest {
        clause(outcome, "no byte that another program can read is changed", &[n, d, e, offsets], &|k| {
            let page = at_place(&state.view(), &k[..3]).and_then(|(_, page)| page);
            k[0] == state.own.cur || page.is_none_or(|page| byte_is_kept(page, k[3]))
        });
    }
    clause(outcome, "no byte of a page table is changed", &[n, d, e, offsets], &|k| {
        at_place(&state.view(), &k[..3]).is_none_or(|(table, _)| byte_is_kept(table, k[3]))
    });
    clause(outcome, "no byte of another CPU's frames is changed", &[frames, offsets], &|k| {
        Sym::<G>::present(&state.at.owner).owners.get([k[0]]).cpu == state.own.cpu || byte_is_kept(k[0], k[1])
    });
    clause(
        outcome,
        "no byte of the kernel is changed, nor of a frame that nobody was given",
        &[frames, offsets],
        &|k| {
            let given = state.at.frames.get([k[0]]).alloc.holds();
            (given && k[0] >= KERN_LOW && k[0] < KERN_HIGH) || byte_is_kept(k[0], k[1])
        },
    );
    clause(outcome, "no page map is changed", &[n, d, e], &|k| {
        let (before, after) = (at_place(&state.view(), k), at_place(&after.view(), k));
        match (before, after) {
            (None, None) => true,
            (Some((a, None)), Some((b, None))) => a == b,
            (Some((a, Some(p))), Some((b, Some(q)))) => a == b && p == q,
            _ => false,
        }
    });
    let same_mode = || {
        let (before, after) = (state.view().ghost.pt, after.view().ghost.pt);
        before == after
    };
    if prove_once(|| "the page map in use stays".to_string(), &same_mode) {
        note(&mut outcome.clauses, "the page map in use stays".to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::with_engine;
    use layer::core::geometry::X64;
    use smt::solver::Solver;
    use symbolic::explore::catch_panics;
    use symbolic::failure::Reason;

    type X64Facts = Vec<Fact<Sym<X64>>>;

    fn proved(theorem: impl FnOnce() -> Outcome) -> Outcome {
        catch_panics();
        with_engine(Solver::embedded(10_000), theorem)
    }

    fn mistaken(holds: fn(&View<'_, Sym<X64>>, &[SymWord]) -> bool) -> Fact<Sym<X64>> {
        Fact { number: "H0", name: "mistaken", class: Class::High, keys: &[("AC", &[0])], holds }
    }

    #[test]
    fn a_fact_that_is_true_by_mistake_is_vacuous() {
        let mut all: X64Facts = facts().collect();
        all.push(mistaken(|_, _| true));
        // `or` in place of `and`, which is a less obvious mistake.
        all.push(mistaken(|v, k| {
            let container = v.own.ac.get([k[0]]);
            container.usage <= container.quota || container.usage > 0
        }));
        let outcome = proved(|| facts_can_fail(&all));
        let failures: Vec<_> = outcome.failures.iter().map(|failure| (&*failure.clause, failure.reason)).collect();
        assert_eq!(failures, [("H0 mistaken can be broken", Reason::Vacuous); 2]);
        assert_eq!(outcome.clauses.len(), all.len() - 2);
    }

    /// Threads with a rely condition that nothing satisfies.
    struct Contradictory(Threads<Sym<X64>>);

    impl Versioned<X64> for Contradictory {
        const KEYS: Keys = Threads::<Sym<X64>>::KEYS;
        fn unknown(version: Origin) -> Self {
            Contradictory(Threads::at(version))
        }
        fn rely(old: &Self, new: &Self, _: SymWord, key: &[SymWord]) -> bool {
            let [old, new] = [old, new].map(|threads| threads.0.tcb.get([key[0]]).home);
            old < new && new < old
        }
        fn by_itself(&self, _: SymWord, _: &[SymWord]) -> bool {
            true
        }
    }

    #[test]
    fn a_contradictory_rely_is_no_preorder() {
        let outcome = proved(rely_is_preorder::<X64, Contradictory>);
        assert_eq!(outcome.failures[0].clause, "reflexive");
        assert_eq!(outcome.failures[0].reason, Reason::Counterexample);
    }

    #[test]
    #[allow(clippy::impossible_comparisons, reason = "that is the point")]
    fn an_assumption_that_cannot_hold_is_vacuous() {
        let outcome = proved(|| {
            let mut outcome = run_proof::<X64>(InvariantSet::Derived, &|state, _, outcome| {
                let cur = state.own.cur;
                if decide(&|| cur < 1 && cur > 1) {
                    premises_hold(outcome);
                }
            });
            outcome.require_success();
            outcome
        });
        assert_eq!(outcome.failures[0].reason, Reason::Vacuous);
    }
}
