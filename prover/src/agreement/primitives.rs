//! From every reachable state, each primitive ends in the same way natively and symbolically.
//!
//! The native run is on the hosted machine. The symbolic run is that of the proof, from an unknown state. Each unknown
//! has the value that it has in the hosted machine's state.
use super::calls::{Wish, arguments, tamper, wake, wish};
use super::concrete::{leaf, tell, value, walk, without_solver};
use super::hosted::{G, HostedState, Scalars, machine};
use super::side::{Leaves, Side};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::state::parts::State;
use crate::state::parts::each_map;
use crate::state::sym::Sym;
use crate::subjects::primitives::unknown_arguments;
use domain::Field;
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::call::{Access, Answer, Arguments};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::machine::Machine;
use layer::core::state::Cpu;
use layer::core::stuck::Stuck;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform;
use sim::state::snapshot::Snapshot;
use smt::term::Term;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use symbolic::engine::engine;
use symbolic::word::SymWord;

type Symbolic = Sym<G>;

/// The result of a call, as numbers.
type End = Result<(&'static str, Vec<i128>), Stuck>;

fn end<D: Side + Machine>(result: Result<Answer<D>, Stuck>) -> End {
    let words = |words: &[D::Word]| words.iter().map(|&word| D::see_word(word)).collect();
    Ok(match result? {
        Answer::Unit => ("nothing", vec![]),
        Answer::Word(word) => ("word", words(&[word])),
        Answer::Wide(wide) => ("wide", vec![D::see_wide(wide)]),
        Answer::Resume(context) => ("context", words(&[context.esp, context.ra])),
        Answer::ToUser(thread) => ("to user", words(&[thread])),
        Answer::ToGuest(registers, rip) => {
            ("to guest", registers.iter().chain([&rip]).map(|&wide| D::see_wide(wide)).collect())
        }
        Answer::ToHost(rdi, rbp) => ("to host", vec![D::see_wide(rdi), D::see_wide(rbp)]),
        Answer::Loaded(Access::Done(bytes)) => ("loaded", words(&bytes)),
        Answer::Stored(Access::Done(())) => ("stored", vec![]),
        Answer::Loaded(Access::Fault) | Answer::Stored(Access::Fault) => ("fault", vec![]),
    })
}

/// Sets the symbolic arguments to the native ones.
fn tell_arguments(symbolic: &Arguments<Symbolic>, hosted: &Arguments<Sim>) {
    let word = |word: SymWord, value: u32| tell(word.0, value.into());
    symbolic.words.iter().zip(hosted.words).for_each(|(&to, value)| word(to, value));
    symbolic.bytes.iter().zip(hosted.bytes).for_each(|(&to, value)| word(to, value));
    symbolic.registers.iter().zip(hosted.registers).for_each(|(to, value)| tell(to.0, value));
    symbolic.guest.iter().zip(hosted.guest).for_each(|(to, value)| tell(to.0, value));
    tell(symbolic.wide.0, hosted.wide);
    tell(symbolic.place.0, hosted.place);
    word(symbolic.context.esp, hosted.context.esp);
    word(symbolic.context.ra, hosted.context.ra);
}

/// The cells that the code under proof wrote: the field, and the key or its first words.
fn symbolic_writes() -> Vec<(&'static str, Vec<u32>)> {
    let writes = engine(|e| e.path.writes.clone());
    let key = |key: &[Term]| key.iter().map(|&word| value(word) as u32).collect();
    writes.iter().map(|write| (write.field, key(&write.key))).collect()
}

/// The maximum number of cells of a row that are compared. Of a longer row, a sample is compared.
const MOST: u32 = 256;

/// The keys of `field` that begin with `row`: all of them, or the ends and a sample in between.
fn keys_of(field: &str, row: &[u32], some: u32) -> Vec<Vec<u32>> {
    let dims = bounds::<Symbolic>(field).expect("a field's name");
    let mut keys = vec![row.to_vec()];
    for &dim in &dims[row.len()..] {
        let most = if row.len() + 1 == dims.len() { MOST } else { MOST / 8 };
        let step = dim.div_ceil(most).max(1);
        let values: BTreeSet<u32> =
            (some % step..dim).step_by(step as usize).chain([0, 1, KERN_LOW, dim - 1]).filter(|&v| v < dim).collect();
        keys = keys.iter().flat_map(|key| values.iter().map(|&v| [key.as_slice(), &[v]].concat())).collect();
    }
    keys
}

/// A call that was made natively.
struct Made<'a> {
    before: Rc<HostedState>,
    after: &'a HostedState,
    arguments: &'a Arguments<Sim>,
    end: &'a End,
    /// Whether the state is reachable, so that the assumptions of the proof hold.
    reachable: bool,
    /// Chooses the sample of cells to compare.
    some: u32,
}

/// Makes the same call symbolically, and returns the differences.
fn differences(row: &Primitive, start: &(Rc<State<G>>, Rc<Assumed>), made: &Made<'_>) -> Vec<String> {
    let rows = primitives::<Symbolic>();
    let (_, contract) = rows.iter().find(|(other, _)| other.name == row.name).expect("the tables have the same rows");
    let differences = RefCell::new(Vec::new());
    engine(|e| e.settings.proving = Some(row.name));
    let outcome = walk(made.before.clone(), true, &|| {
        let (state, assumed) = start;
        let arguments = unknown_arguments::<G>(row, made.arguments.chunk);
        tell_arguments(&arguments, made.arguments);
        let interference = Interference::new(state, assumed);
        if made.reachable {
            assumed.assume();
        }
        let (result, after) = state.run(&interference, |cpu| (contract.run)(cpu, &arguments));
        // Taking a lock assumes the invariant, which an unreachable state may violate.
        if !made.reachable && !interference.taken.borrow().is_empty() {
            return;
        }
        let mut found = Vec::new();
        for assumption in engine(|e| e.path.assumed.clone()) {
            if value(assumption) == 0 {
                found.push(format!("not so: {}", engine(|e| e.arena.show(assumption))));
            }
        }
        let end = end::<Symbolic>(result);
        if &end != made.end {
            found.push(format!("natively {:?}, symbolically {end:?}", made.end));
        }
        if end.is_ok() {
            compare(made, &after, &mut found);
        }
        differences.replace(found);
    });
    engine(|e| e.settings.proving = None);
    let mut differences = differences.into_inner();
    differences.extend(outcome.failures.iter().map(|failure| format!("symbolically {failure:?}")));
    differences
}

/// Compares the writes of both runs.
fn compare(made: &Made<'_>, symbolic: &State<G>, found: &mut Vec<String>) {
    let hosted = made.after;
    let mut cells: BTreeMap<&str, BTreeSet<Vec<u32>>> = BTreeMap::new();
    for (field, row) in symbolic_writes() {
        cells.entry(field).or_default().extend(keys_of(field, &row, made.some));
    }
    for (field, key) in hosted.written() {
        if hosted.leaves(field, &key) != made.before.leaves(field, &key) {
            cells.entry(field).or_default().insert(key);
        }
    }
    each_map!([&] symbolic, |name, map| for key in cells.remove(name).into_iter().flatten() {
        let Leaves(natively) = hosted.leaves(name, &key);
        let symbolically: Vec<_> = natively.iter().map(|&(name, _)| (name, leaf(map, name, &key))).collect();
        if natively != symbolically {
            found.push(format!("{name} at {key:?}: natively {natively:?}, symbolically {symbolically:?}"));
        }
    });
    for (name, symbolically) in Scalars::of::<Symbolic>(&symbolic.own, &symbolic.at, &symbolic.pending) {
        let natively = hosted.scalars[&name];
        if natively != symbolically {
            found.push(format!("{name}: natively {natively}, symbolically {symbolically}"));
        }
    }
}

/// Counts of the calls that were made.
#[derive(Default)]
struct Counts {
    /// For each primitive, its successful and stuck calls, in reachable states and in others.
    calls: BTreeMap<&'static str, [u32; 4]>,
    /// The kinds of results of successful calls.
    ends: BTreeSet<&'static str>,
    /// The number of yields that began with a woken thread.
    woken: u32,
}

/// Makes a call on both machines. Keeps the native state after it, unless later calls cannot start from it.
fn call(
    cpu: &mut Cpu<'_, Sim>,
    start: &(Rc<State<G>>, Rc<Assumed>),
    wish: Wish,
    counts: &mut Counts,
) -> Result<(), TestCaseError> {
    let (row, contract) = &primitives::<Sim>()[wish.row];
    if wish.dice[6].is_multiple_of(8) {
        wake(cpu);
    }
    let whole = Snapshot::take(cpu);
    if let Some(how) = wish.tamper {
        tamper(&mut cpu.own, how);
    }
    let before = Rc::new(HostedState::take(cpu));
    let arguments = arguments(row, &before, wish.dice);
    if !(contract.assumes)(&before.state.view(), &arguments) {
        whole.restore(cpu);
        return Ok(());
    }
    // Nobody would ever release this lock, because the other CPU does not run.
    let q = arguments.words[0];
    let holder = |q: u32| before.state.channels.lock_of(q).holder;
    if row.name == "acquire_lock_CHAN" && q < NUM_CHAN && ![TOTAL_CPU, cpu.own.cpu].contains(&holder(q)) {
        whole.restore(cpu);
        return Ok(());
    }
    let end = end::<Sim>((contract.run)(cpu, &arguments));
    let after = HostedState::take(cpu);
    let reachable = wish.tamper.is_none();
    let column = usize::from(end.is_err()) + if reachable { 0 } else { 2 };
    counts.calls.entry(row.name).or_default()[column] += 1;
    if let Ok((kind, _)) = end {
        counts.ends.insert(kind);
        let woken = before.state.view().pending.fifo.head != NO_THREAD;
        counts.woken += u32::from(reachable && woken && row.name == "thread_yield");
    }
    // The internal functions of pt_resv preserve the invariant only for the pages that pt_resv passes to them.
    let is_part_of_pt_resv = row.kind == Kind::Internal && row.name.starts_with("pt");
    if end.is_err() || !reachable || is_part_of_pt_resv {
        whole.restore(cpu);
    }
    let some = wish.dice[0].into();
    let made = Made { before, after: &after, arguments: &arguments, end: &end, reachable, some };
    let differences = differences(row, start, &made);
    prop_assert!(differences.is_empty(), "{}, {:?}: {:#?}", row.name, arguments, differences);
    Ok(())
}

/// Makes these calls on a machine with two CPUs, some before `sched_init` and the others afterwards.
fn run(wishes: &[Wish], before: usize, counts: &mut Counts) -> Result<(), TestCaseError> {
    platform::make_current(machine(), None);
    let shared = shared();
    // The first search looks at all frames from the cursor on, and so does its model. A late cursor keeps both short.
    shared.at.inspect(0).cursor = KERN_LOW - 3;
    let mut cpus = [0, 1].map(|cpu| processor(&shared, cpu));
    let row = |name: &str| primitives::<Sim>().iter().position(|(row, _)| row.name == name).expect("a primitive");
    let sched_init = row("sched_init");
    // CPU 0 sets up its virtual machine here. On the other CPU, only a random call may do so.
    let set_up = [(0, sched_init), (1, sched_init), (0, row("vmx_init"))];
    let set_up = set_up.map(|(cpu, row)| Wish { cpu, row, dice: [1; 8], tamper: None });
    let (early, late) = wishes.split_at(before.min(wishes.len()));
    without_solver(|| {
        let state = Rc::new(State::<G>::unknown());
        let start = (state.clone(), Assumed::new(&state, InvariantSet::Derived));
        // Before `sched_init`, only calls without an effect are made.
        let harmless = |wish: &&Wish| wish.row != sched_init;
        for &wish in early.iter().filter(harmless).chain(&set_up).chain(late) {
            call(&mut cpus[wish.cpu as usize], &start, wish, counts)?;
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn primitives_end_in_the_same_way_on_both_machines(
        wishes in prop::collection::vec(wish(2), 1..60),
        before in 0..4usize,
    ) {
        run(&wishes, before, &mut Counts::default())?;
    }
}

#[test]
fn every_primitive_succeeds_in_these_sequences() {
    let mut runner = TestRunner::deterministic();
    let mut counts = Counts::default();
    for _ in 0..240 {
        let wishes = prop::collection::vec(wish(2), 150).new_tree(&mut runner).unwrap().current();
        run(&wishes, 3, &mut counts).unwrap();
    }
    println!("{:24} {:>8} {:>8}   and after a change by hand", "", "succeeds", "is stuck");
    for (name, [succeeds, stuck, tampered_succeeds, tampered_stuck]) in &counts.calls {
        println!("{name:24} {succeeds:8} {stuck:8}   {tampered_succeeds:8} {tampered_stuck:8}");
    }
    let never = |column: usize| -> Vec<&str> {
        let rows = primitives::<Sim>();
        rows.iter()
            .map(|(row, _)| row.name)
            .filter(|name| counts.calls.get(name).is_none_or(|c| c[column] == 0))
            .collect()
    };
    // No state that satisfies D2 admits it.
    assert_eq!(never(0), ["set_pt"]);
    assert!(!never(2).contains(&"set_pt"));
    let all = ["context", "fault", "loaded", "nothing", "stored", "to guest", "to host", "to user", "wide", "word"];
    assert!(counts.ends.iter().eq(&all), "{:?}", counts.ends);
    assert!(counts.woken > 0);
}
