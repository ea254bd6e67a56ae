//! From every reachable state, each primitive ends in the same way natively and symbolically.
//!
//! The native run is on the hosted machine. The symbolic run is that of the proof, from an unknown state. Each unknown
//! has the value that it has in the hosted machine's state.
use super::concrete::{World, leaf, tell, value, walk, without_solver};
use super::side::{Leaves, Side};
use crate::environment::interference::Interference;
use crate::facts::assumed::Assumed;
use crate::facts::invariant_set::InvariantSet;
use crate::state::parts::State;
use crate::state::parts::each_map;
use crate::state::sym::Sym;
use crate::subjects::primitives::unknown_arguments;
use domain::{Field, Key, Map};
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::call::{Access, Answer, Arguments, Chunk};
use layer::core::constants::*;
use layer::core::fields::*;
use layer::core::geometry::X64;
use layer::core::machine::{Machine, Object, Spec, Visit};
use layer::core::state::{Cpu, Own};
use layer::core::stuck::Stuck;
use layer::objects::page_table::{pdx, ptx};
use layer::objects::queue::{Family, Sleeping};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sim::machine::Sim;
use sim::machine::boot::{processor, shared};
use sim::machine::platform::{self, Memory, Platform};
use sim::machine::serial::{SerialEvent, SerialInput};
use sim::machine::sparse::{Cells, Sparse};
use sim::state::snapshot::Snapshot;
use smt::term::Term;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use symbolic::engine::engine;
use symbolic::word::SymWord;

type G = X64;
type Symbolic = Sym<G>;

/// A small memory with a hole, so that quotas and memory run out soon.
fn memory() -> Memory {
    let low = KERN_LOW;
    Memory { frames: low + 200, usable: vec![0..low + 100, low + 110..low + 200] }
}

fn machine() -> Arc<Platform> {
    let mut platform = Platform::bare(memory());
    platform.vmxinfo = std::array::from_fn(|i| u32::MAX - i as u32);
    platform.msr = [(7, 1 << 40)].into();
    platform.vmcs_host = std::array::from_fn(|field| (field as u64) << 33 | 5);
    // Bursts of all lengths, and pauses.
    let happens = |index: u32| match (index / 8 * 5 + index) % 7 {
        0..3 => SerialEvent::Recv((0..index % 15).map(|k| (index + k * 7) as u8).collect()),
        3 | 4 => SerialEvent::SendComplete,
        5 => SerialEvent::Plugin,
        _ => SerialEvent::Null,
    };
    platform.serial = SerialInput::of((0..4000).map(happens));
    Arc::new(platform)
}

/// The leaves of a map's value at a key.
fn cell<F: Field<Sim>>(map: &Sparse<F>, key: &[u32]) -> Leaves {
    Sim::leaves(map.get(F::Key::from_words(key)))
}

/// The values of a state that are in no map.
struct Scalars {
    prefix: &'static str,
    found: BTreeMap<String, i128>,
}

impl Scalars {
    fn see(&mut self, name: &str, value: i128) {
        self.found.insert(format!("{}{name}", self.prefix), value);
    }

    fn of<D: Side + layer::core::machine::Spec>(
        own: &Own<D>,
        at: &layer::objects::page_alloc::table::AllocTable<D>,
        pending: &layer::objects::queue::Queue<D>,
    ) -> BTreeMap<String, i128> {
        let mut scalars = Scalars { prefix: "", found: BTreeMap::new() };
        own.snapshot().words(&mut scalars);
        scalars.prefix = "AT.";
        at.snapshot().words(&mut scalars);
        scalars.prefix = "msg.";
        pending.snapshot().words(&mut scalars);
        scalars.found
    }
}

impl<D: Side + Machine> Visit<D> for Scalars {
    fn word(&mut self, name: &'static str, word: &mut D::Word) {
        self.see(name, D::see_word(*word));
    }
    fn wide(&mut self, name: &'static str, wide: &mut D::Wide) {
        self.see(name, D::see_wide(*wide));
    }
    fn nat(&mut self, name: &'static str, nat: &mut D::Nat) {
        self.see(name, D::see_nat(*nat));
    }
    fn flag(&mut self, name: &'static str, flag: &mut D::Flag) {
        self.see(name, D::see_flag(*flag));
    }
}

/// A state of the hosted machine.
struct HostedCall {
    state: Snapshot,
    scalars: BTreeMap<String, i128>,
}

impl HostedCall {
    fn take(cpu: &Cpu<'_, Sim>) -> HostedCall {
        let state = Snapshot::take(cpu);
        let mut scalars = Scalars::of::<Sim>(&state.own, &state.at, &state.pending[state.own.cpu as usize]);
        let others = [
            ("boot.nps", state.boot.nps),
            ("boot.norm", state.boot.norm),
            // A CPU's own number is its real one.
            ("current_CPU_ID", state.own.cpu),
        ];
        scalars.extend(others.map(|(name, value)| (name.to_string(), value.into())));
        HostedCall { state, scalars }
    }

    fn leaves(&self, field: &str, key: &[u32]) -> Leaves {
        let state = &self.state;
        each_map!([&] state, |name, map| if name == field {
            return cell(map, key);
        });
        unreachable!("{field} is a field")
    }

    /// The cells that were written one by one since boot, and those at the ends of filled rows.
    fn written(&self) -> Vec<(&'static str, Vec<u32>)> {
        let (state, mut written) = (&self.state, Vec::new());
        each_map!([&] state, |name, map| {
            written.extend(map.keys(Cells::Written).into_iter().map(|key| (name, key.to_vec())));
        });
        written
    }
}

impl World for HostedCall {
    fn cell(&self, map: &str, leaf: &str, key: &[u32]) -> u64 {
        let platform = platform::current();
        match map {
            "machine.vmxinfo" => platform.vmxinfo[key[0] as usize].into(),
            "machine.vmcs_host" => platform.vmcs_host[key[0] as usize],
            "machine.rdmsr" => <Sim as Machine>::rdmsr(key[0]),
            "machine.serial.kind" => <Sim as Machine>::serial_event(key[0]).kind.into(),
            "machine.serial.count" => <Sim as Machine>::serial_event(key[0]).count.into(),
            "machine.serial.byte" => <Sim as Spec>::serial_byte(key[0], key[1]).into(),
            "machine.serial.sent" => <Sim as Machine>::serial_sent(key[0]).into(),
            "machine.usable" => platform.memory.is_usable(key[0]).into(),
            _ => {
                let Leaves(leaves) = self.leaves(map, key);
                // A leaf of another variant has no value.
                leaves.iter().find(|(name, _)| *name == leaf).map_or(0, |&(_, value)| value as u64)
            }
        }
    }
    fn scalar(&self, name: &str) -> u64 {
        self.scalars[name] as u64
    }
    fn row(&self, family: &str, row: u32, name: &str) -> u64 {
        let mut scalars = Scalars { prefix: "", found: BTreeMap::new() };
        match family {
            Sleeping::NAME => self.state.sleep[row as usize].snapshot().words(&mut scalars),
            _ => self.state.pending[row as usize].snapshot().words(&mut scalars),
        }
        scalars.found[name] as u64
    }
}

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

/// The most cells of a row that are compared. Of a longer row, a sample is compared.
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
    before: Rc<HostedCall>,
    after: &'a HostedCall,
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

/// A random call, before its arguments are chosen.
#[derive(Clone, Copy, Debug)]
struct Wish {
    cpu: u32,
    row: usize,
    /// Random bytes from which the arguments are made.
    dice: [u8; 8],
    /// A manual change of the state before the call, for an unreachable state.
    tamper: Option<u8>,
}

fn wish(cpus: u32) -> impl Strategy<Value = Wish> {
    let row = |name: &str| primitives::<Sim>().iter().position(|(row, _)| row.name == name).expect("a primitive");
    let often = ["pt_resv", "exec_load", "exec_store", "proc_create", "thread_yield", "palloc"].map(row).to_vec();
    let internal = ["ptInsertPTE", "ptAllocPDE", "ptInsert", "set_pt"].map(row).to_vec();
    let modes = ["proc_start_user", "proc_exit_user", "proc_start_user2", "proc_exit_user2"].map(row).to_vec();
    let guest =
        ["vmx_run_vm", "vmx_set_mmap", "guest_load", "guest_store", "host_in", "vmx_return_from_guest"].map(row);
    let guest = [&guest[..], &guest[..4], &guest[2..]].concat();
    let channels = [
        "acquire_lock_CHAN",
        "acquire_lock_CHAN",
        "release_lock_CHAN",
        "get_sync_chan_busy",
        "set_sync_chan_busy",
        "ipc_send_body",
        "ipc_receive_body",
        "page_copy",
        "page_copy_back",
        "page_copy_to",
        "thread_sleep",
        "thread_wakeup",
    ];
    let channels = channels.map(row).to_vec();
    let console = ["serial_intr_disable", "serial_intr_disable", "serial_intr_enable", "serial_env_step", "cons_intr"];
    let console = [&console[..], &["serial_putc", "cons_buf_read", "sti"]].concat();
    let console: Vec<usize> = console.into_iter().map(row).collect();
    let ends =
        ["thread_exit", "thread_exit", "proc_reap", "proc_recreate", "proc_condemn", "thread_yield"].map(row).to_vec();
    let whichever = 0..primitives::<Sim>().len();
    let row = prop_oneof![
        7 => prop::sample::select(channels),
        8 => prop::sample::select(often),
        3 => prop::sample::select(internal),
        4 => prop::sample::select(modes),
        6 => prop::sample::select(guest),
        4 => prop::sample::select(console),
        8 => prop::sample::select(ends),
        7 => whichever
    ];
    let tamper = prop_oneof![4 => Just(None), 1 => (0..TAMPERS).prop_map(Some)];
    (0..cpus, row, any::<[u8; 8]>(), tamper).prop_map(|(cpu, row, dice, tamper)| Wish { cpu, row, dice, tamper })
}

const TAMPERS: u8 = 14;

/// Changes the state manually, so that guards fail that no program can make fail.
fn tamper(own: &mut Own<Sim>, how: u8) {
    let ghost = &mut own.ghost.0;
    match how {
        0 => ghost.ikern = !ghost.ikern,
        1 => ghost.ihost = !ghost.ihost,
        2 => ghost.pg = !ghost.pg,
        3 | 4 => ghost.ipt = !ghost.ipt,
        5 => ghost.init = !ghost.init,
        6 => ghost.in_intr = !ghost.in_intr,
        7 => ghost.pt = NO_MAP,
        8 => own.ioapic.irqs += 1,
        9 => own.ioapic.max_intr += IOAPIC_LINES,
        10 => own.serial_exists = !own.serial_exists,
        11 => (own.com1.on, own.com1.irq) = (!own.com1.on, true),
        12 => (own.com1.rx_int_enable, own.com1.dlab) = (!own.com1.rx_int_enable, !own.com1.dlab),
        // As before `sched_init`.
        _ => (ghost.init, ghost.pg, ghost.ikern, ghost.ipt) = (false, false, true, true),
    }
}

/// Interference the head of the ready queue to the pending queue, as if it had slept and another CPU had woken it.
fn wake(cpu: &mut Cpu<'_, Sim>) {
    let (own, shared) = (&mut cpu.own, cpu.shared);
    // The main thread never sleeps.
    if own.ready.head != own.cpu + 1
        && let Some(thread) = own.ready.pop(&shared.links)
    {
        let mut pending = shared.pending.inspect(own.cpu);
        pending.fifo.push(&shared.links, own.cpu + MSG_Q, thread).expect("it is in no queue");
    }
}

/// The ends of ranges, and their neighbours.
const ENDS: [u32; 20] = [
    0,
    1,
    7,
    8,
    9,
    NUM_PROC - 1,
    NUM_PROC,
    4095,
    4096,
    KERN_LOW,
    MAX_PAGE - 1,
    MAX_PAGE,
    ADR_LOW - 1,
    ADR_LOW,
    (1 << 31) - 1,
    1 << 31,
    ADR_HIGH - 1,
    ADR_HIGH,
    u32::MAX - 1,
    u32::MAX,
];

/// Arguments for a primitive: mostly plausible ones, and ends of ranges.
fn arguments(row: &Primitive, before: &HostedCall, dice: [u8; 8]) -> Arguments<Sim> {
    let [a, b, c, d, e, f, g, h] = dice.map(u32::from);
    let (state, own) = (before.state.view(), &before.state.own);
    let pick = |from: &[u32], by: u32| from[by as usize % from.len()];
    let mine: Vec<u32> = (0..NUM_PROC).filter(|&thread| state.is_mine(thread)).collect();
    let thread = match a % 12 {
        0..5 => own.cur,
        5..9 => pick(&mine, b),
        9 => b,
        _ => pick(&ENDS, b),
    };
    let sensible = [0, 1, 2, 511, 512, 513, 1024, 700_000, 720_895].map(|page| KERN_LOW + page);
    let guest: Vec<u32> =
        own.ept.keys(Cells::Written).into_iter().map(|[directory, index]| directory * EPT_ENTRIES + index).collect();
    let va = if row.kind == Kind::GuestAccessor && c % 4 != 0 && !guest.is_empty() {
        pick(&guest, d) * PAGE_SIZE + e
    } else if c % 10 == 0 {
        pick(&ENDS, d)
    } else {
        pick(&sensible, d) * PAGE_SIZE + e
    };
    let chunk = Chunk::ALL[f as usize % 4];
    let aligned = if c % 7 == 0 { va } else { va - va % chunk as u32 };
    let is_child =
        |thread: &u32| own.ac.get([*thread]).used && own.ac.get([*thread]).parent == own.cur && *thread != own.cur;
    let children: Vec<u32> = (0..NUM_PROC).filter(is_child).collect();
    let data: Vec<u32> = own.ghost.0.pperm.keys(Cells::Written).into_iter().map(|[frame]| frame).collect();
    let left = state.own.ac.get([thread.min(NUM_ID - 1)]);
    let end = |by: u32| pick(&ENDS, by);
    let is_mapped = |page: &u32| match own.dirs.get([own.cur, pdx::<Sim>(page * PAGE_SIZE)]) {
        Pde::Table { frame } => matches!(own.tables.get([frame, ptx::<Sim>(page * PAGE_SIZE)]), Pte::Valid { .. }),
        _ => false,
    };
    let mapped: Vec<u32> = sensible.into_iter().filter(is_mapped).collect();
    let holder = |q: u32| before.state.channels.lock_of(q).holder;
    let held: Vec<u32> = (SLP_Q..SLP_Q + 2).filter(|&q| holder(q) == own.cpu).collect();
    let word = |name: &str| match (row.name, name) {
        ("container_can_consume", "n") => {
            pick(&[(left.quota - left.usage), left.quota, end(g)], f).saturating_add(f % 2 * (g % 2))
        }
        ("vmxinfo_get", "i") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % (VMXINFO_SIZE + 2)
            }
        }
        ("ipc_send_body" | "ipc_receive_body", "n") | ("page_copy" | "page_copy_back", "k") => {
            pick(&[0, 1, 2, 1024, 1025, end(h)], f)
        }
        ("ipc_send_body" | "ipc_receive_body" | "page_copy" | "page_copy_back", "va")
        | ("page_copy_to", "va" | "from")
            if c % 4 != 0 =>
        {
            let pages = if mapped.is_empty() { &sensible[..] } else { &mapped };
            pick(pages, d) * PAGE_SIZE
        }
        (name, "cv" | "q") if name != "proc_create" => {
            let cv = if name == "acquire_lock_CHAN" || held.is_empty() { g % 2 } else { held[0] - SLP_Q };
            let first = if row.words().next() == Some("q") { SLP_Q } else { 0 };
            if g % 8 == 0 { end(h) } else { first + cv }
        }
        (_, "child") if c % 8 != 0 && !children.is_empty() => pick(&children, d),
        (_, "n" | "i") => thread,
        (_, "va") => va,
        (_, "perm") => pick(&[perm::PTU, perm::PTU, perm::PTUR, perm::PTK, perm::PTP, perm::PTKG, 2, 8], f),
        (_, "k") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % (UCTXT_SIZE + 1)
            }
        }
        (_, "q") => {
            if g % 8 == 0 {
                end(h)
            } else {
                g % 8
            }
        }
        (_, "page") => {
            if data.is_empty() || g % 8 == 0 {
                end(h)
            } else {
                pick(&data, g)
            }
        }
        (_, "memtype") if g % 8 != 0 => g % 9,
        (_, "r" | "seg" | "enable" | "ev") if g % 8 != 0 => g % 15,
        (_, "hpa") if g % 2 != 0 && !data.is_empty() => pick(&data, h) * PAGE_SIZE,
        (_, "gpa" | "hpa") if g % 8 != 0 => va - va % PAGE_SIZE,
        (_, "kind" | "vector") => end(h) / (e + 1),
        _ => end(h),
    };
    let mut words = [0; 4];
    for (to, name) in words.iter_mut().zip(row.words()) {
        *to = word(name);
    }
    let beyond = if h == 255 { 1 << 32 } else { 0 };
    Arguments {
        words,
        wide: u64::from(aligned) + beyond,
        place: u64::from(end(g)) << 16,
        context: layer::core::fields::Context { esp: end(h), ra: g % STAGES },
        registers: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(end(g + slot as u32))),
        guest: std::array::from_fn(|slot| (slot as u64) << 40 | u64::from(end(f + slot as u32))),
        chunk,
        bytes: [a, b, c, d, e, f, g, h],
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
    let before = Rc::new(HostedCall::take(cpu));
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
    let after = HostedCall::take(cpu);
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
