//! Dumps: a state without its ghost state, as bytes. A machine with erased ghost state sends dumps to a checker.
//!
//! A dump is a sequence of numbers in groups of seven bits, lowest group first; all bytes of a number but the last have
//! bit 7 set. A text is its length followed by its bytes. A dump has one part for the shared state, then one for each
//! CPU. A part begins with a number (0, or that of the CPU plus 1), followed by items until [`END`]:
//!
//! - [`SCALAR`], object, row, name, value: a value that is not in a map;
//! - [`ROW`], field, the words of a row (their number, then each), runs: the values of the map at the keys that begin
//!   with the row, in order. A run is the number of equal values, then the number of leaves of the value, then each
//!   leaf. A run of 0 keys ends the row;
//! - [`DIFFERENCE`], field, the words of a key (their number, then each), leaf, two values: the hardware has the second
//!   one, but the layer says that it has the first ([`Compared`]).
//!
//! The state itself determines which values are in the dump: [`Object::words`], [`Data::encode`]. Empty queues are
//! left out, and so are page maps without entries.
use crate::core::constants::*;
use crate::core::fields::*;
use crate::core::geometry::Geometry;
use crate::core::machine::{ChannelPool, Links, Lock, Machine, Object, Visit};
use crate::core::state::{Own, Shared};
use crate::objects::page_alloc::table::AllocTable;
use crate::objects::page_table::is_user_directory;
use crate::objects::queue::{Family, Fifo, Pending, Queue, Sleeping, root};
use domain::{Count, Data, Domain, Field, Map, Sink};

/// Ends a part.
pub const END: u64 = 0;
/// A value that is not in a map.
pub const SCALAR: u64 = 1;
/// A row of a map.
pub const ROW: u64 = 2;
/// A value of the layer that is not that of the hardware.
pub const DIFFERENCE: u64 = 3;
/// Object name of the values that a CPU owns.
pub const OWN: &str = "own";
/// Object name of the machine's own values: those of [`machine`].
pub const MACHINE: &str = "machine";

/// Names of the machine's own values.
pub mod machine {
    /// Number of CPUs.
    pub const CPUS: &str = "cpus";
    /// Physical pages ([`Boot::nps`](crate::core::state::Boot)).
    pub const NPS: &str = "nps";
    /// Pages that can be allocated ([`Boot::norm`](crate::core::state::Boot)).
    pub const NORM: &str = "norm";
    /// For a CPU: whether it is about to enter the kernel from a program. Otherwise it is between two steps of an
    /// entry.
    pub const USER: &str = "user";
    /// For a CPU: the thread whose page map the processor uses.
    pub const MAP: &str = "map";
    /// For a row that is a channel: its lock is held. Left out if the lock is free.
    pub const HELD: &str = "held";
    /// How often programs have entered the kernel ([`Counts`](super::Counts)).
    pub const ENTRIES: &str = "entries";
    /// How often programs have entered the kernel by a system call.
    pub const CALLS: &str = "calls";
    /// For a CPU: how many values of the layer were compared with the hardware.
    pub const COMPARED: &str = "compared";
}

/// A machine whose values are numbers.
pub trait Concrete: Machine + Domain<Word = u32, Wide = u64, Nat = Count, Flag = bool> {}
impl<M: Machine + Domain<Word = u32, Wide = u64, Nat = Count, Flag = bool>> Concrete for M {}

/// The destination of a dump.
pub trait Out {
    /// Takes the next byte.
    fn byte(&mut self, byte: u8);
}

/// Maximum number of leaves of a value.
const MOST_LEAVES: usize = 6;

/// The leaves of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Leaves {
    count: usize,
    values: [u64; MOST_LEAVES],
}

impl Leaves {
    fn of<D: Domain<Word = u32, Wide = u64, Nat = Count, Flag = bool>>(value: impl Data<D>) -> Self {
        let mut leaves = Leaves { count: 0, values: [0; MOST_LEAVES] };
        value.encode(&mut leaves);
        leaves
    }

    fn push(&mut self, value: u64) {
        self.values[self.count] = value;
        self.count += 1;
    }
}

impl<D: Domain<Word = u32, Wide = u64, Nat = Count, Flag = bool>> Sink<D> for Leaves {
    fn word(&mut self, _: &'static str, value: u32) {
        self.push(value.into());
    }
    fn wide(&mut self, _: &'static str, value: u64) {
        self.push(value);
    }
    fn nat(&mut self, _: &'static str, value: Count) {
        self.push(value.0);
    }
    fn flag(&mut self, _: &'static str, value: bool) {
        self.push(value.into());
    }
    fn tag(&mut self, _: &'static str, variant: u32) {
        self.push(variant.into());
    }
}

/// Writes numbers, texts and items.
struct Writer<'a, O>(&'a mut O);

impl<O: Out> Writer<'_, O> {
    fn number(&mut self, mut value: u64) {
        while value >= 1 << 7 {
            self.0.byte((value & 0x7F) as u8 | 1 << 7);
            value >>= 7;
        }
        self.0.byte(value as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        text.bytes().for_each(|byte| self.0.byte(byte));
    }

    fn scalar(&mut self, object: &str, row: u32, name: &str, value: u64) {
        self.number(SCALAR);
        self.text(object);
        self.number(row.into());
        self.text(name);
        self.number(value);
    }

    fn difference(&mut self, Compared { field, key, leaf, layer, hardware }: Compared<'_>) {
        self.number(DIFFERENCE);
        self.text(field);
        self.number(key.len() as u64);
        key.iter().for_each(|&word| self.number(word.into()));
        self.text(leaf);
        self.number(layer);
        self.number(hardware);
    }

    /// Writes a row: the values that `get` returns for the last coordinate.
    fn row<M: Concrete, F: Field<M>>(&mut self, row: &[u32], get: impl Fn(u32) -> F::Val) {
        let end = F::DIMS[row.len()];
        self.number(ROW);
        self.text(F::NAME);
        self.number(row.len() as u64);
        row.iter().for_each(|&word| self.number(word.into()));
        let (mut from, mut value) = (0, Leaves::of(get(0)));
        for at in 1..=end {
            let next = if at < end { Some(Leaves::of(get(at))) } else { None };
            if next != Some(value) {
                self.number((at - from).into());
                self.number(value.count as u64);
                value.values[..value.count].iter().for_each(|&leaf| self.number(leaf));
                from = at;
                value = next.unwrap_or(value);
            }
        }
        self.number(0);
    }

    /// Writes a map with one coordinate.
    fn map<M: Concrete, F: Field<M, Key = [u32; 1]>>(&mut self, map: &impl Map<M, F>) {
        self.row::<M, F>(&[], |at| map.get([at]));
    }

    /// Writes a queue, unless it is empty.
    fn queue<M: Concrete>(&mut self, name: &str, row: u32, fifo: &mut Fifo<M>) {
        if fifo.head != NO_THREAD || fifo.tail != NO_THREAD {
            fifo.words(&mut Words { out: self, object: name, row });
        }
    }
}

/// Writes the words of an object.
struct Words<'w, 'a, O> {
    out: &'w mut Writer<'a, O>,
    object: &'w str,
    row: u32,
}

impl<M: Concrete, O: Out> Visit<M> for Words<'_, '_, O> {
    fn word(&mut self, name: &'static str, word: &mut u32) {
        self.out.scalar(self.object, self.row, name, (*word).into());
    }
    fn wide(&mut self, name: &'static str, wide: &mut u64) {
        self.out.scalar(self.object, self.row, name, *wide);
    }
    // A counter is ghost state.
    fn nat(&mut self, _: &'static str, _: &mut Count) {}
    fn flag(&mut self, name: &'static str, flag: &mut bool) {
        self.out.scalar(self.object, self.row, name, (*flag).into());
    }
}

/// How often programs have entered the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Number of entries of any kind.
    pub entries: u64,
    /// Number of entries by system calls.
    pub calls: u64,
}

/// Writes the state that `cpus` CPUs share, as CPU `by` sees it while all CPUs are quiescent. `is_held` says whether a
/// channel's lock is held.
pub fn write_shared<M: Concrete>(
    out: &mut impl Out,
    shared: &Shared<M>,
    by: u32,
    cpus: u32,
    counts: Counts,
    is_held: impl Fn(u32) -> bool,
) {
    let mut out = Writer(out);
    out.number(0);
    out.scalar(MACHINE, 0, machine::CPUS, cpus.into());
    out.scalar(MACHINE, 0, machine::NPS, shared.boot.nps.into());
    out.scalar(MACHINE, 0, machine::NORM, shared.boot.norm.into());
    out.scalar(MACHINE, 0, machine::ENTRIES, counts.entries);
    out.scalar(MACHINE, 0, machine::CALLS, counts.calls);
    let mut table = shared.at.lock(by, 0);
    table.words(&mut Words { out: &mut out, object: <AllocTable<M> as Object<M>>::NAME, row: 0 });
    out.map::<M, Frames>(&table.frames);
    drop(table);
    for row in 0..TOTAL_CPU {
        let mut queue: <M::Lock<Queue<M>> as Lock<M, Queue<M>>>::Guard<'_> = shared.pending.lock(by, row);
        out.queue(Pending::NAME, row, &mut queue.fifo);
    }
    for row in 0..NUM_CV {
        let mut queue = shared.sleep.lock(by, row);
        out.queue(Sleeping::NAME, row, &mut queue.fifo);
    }
    let link = |thread| Next { thread: shared.links.next(thread), cpu: shared.links.cpu(thread) };
    out.row::<M, NextLinks>(&[], link);
    shared.channels.with(|channels| out.map::<M, SyncChannels>(&channels.pool));
    for row in (0..NUM_CHAN).filter(|&row| is_held(row)) {
        out.scalar(MACHINE, row, machine::HELD, 1);
    }
    out.number(END);
}

/// A value about the hardware: what the layer says, and what the hardware has.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'a> {
    /// The field, or the name of a value in no map.
    pub field: &'a str,
    /// The key in the field.
    pub key: &'a [u32],
    /// The leaf of the value; empty if it has only one.
    pub leaf: &'a str,
    /// What the layer says.
    pub layer: u64,
    /// What the hardware has.
    pub hardware: u64,
}

/// The situation of a quiescent CPU.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Its number, independent of its state.
    pub cpu: u32,
    /// See [`machine::USER`].
    pub user: bool,
    /// See [`machine::MAP`].
    pub map: u32,
}

/// Writes the state that a CPU owns. `compare` passes on all that the layer says of this CPU's hardware, with what the
/// hardware has; the differences are written.
pub fn write_own<M: Concrete>(
    out: &mut impl Out,
    own: &mut Own<M>,
    Situation { cpu, user, map }: Situation,
    compare: impl FnOnce(&Own<M>, &mut dyn FnMut(Compared<'_>)),
) {
    let mut out = Writer(out);
    out.number(u64::from(cpu) + 1);
    out.scalar(MACHINE, cpu, machine::USER, user.into());
    out.scalar(MACHINE, cpu, machine::MAP, map.into());
    own.words(&mut Words { out: &mut out, object: OWN, row: cpu });
    out.map::<M, Containers>(&own.ac);
    out.map::<M, KernelContexts>(&own.kctxt);
    out.map::<M, Processes>(&own.proc);
    out.map::<M, VmxInfo>(&own.vmxinfo);
    out.map::<M, VmcsFields>(&own.vmcs);
    out.map::<M, VmxSlots>(&own.vmx);
    out.map::<M, IoApicLines>(&own.lines);
    out.map::<M, Received>(&own.rx_buf);
    out.map::<M, ConsoleInput>(&own.cons_buf);
    if own.vm.owner != 0 {
        for directory in 0..GUEST_MEMORY / (PAGE_SIZE * EPT_ENTRIES) {
            let entry = |index| own.ept.get([directory, index]);
            if (0..EPT_ENTRIES).any(|index| entry(index).value != 0) {
                out.row::<M, EptEntries>(&[directory], entry);
            }
        }
    }
    for thread in (0..NUM_PROC).filter(|&thread| thread != 0 && root(thread) == cpu + 1) {
        write_page_map(&mut out, own, thread);
    }
    let mut compared = 0;
    compare(own, &mut |value| {
        compared += 1;
        if value.layer != value.hardware {
            out.difference(value);
        }
    });
    out.scalar(MACHINE, cpu, machine::COMPARED, compared);
    out.number(END);
}

/// Writes the page map of a thread: its directory and page tables.
fn write_page_map<M: Concrete>(out: &mut Writer<'_, impl Out>, own: &Own<M>, thread: u32) {
    let directory = |i| own.dirs.get([thread, i]);
    let user = || (0..M::Geometry::DIRS).filter(|&i| is_user_directory::<M>(i));
    if user().all(|i| matches!(directory(i), Pde::UnPresent)) {
        return;
    }
    out.row::<M, Directories>(&[thread], directory);
    for i in user() {
        // A frame outside user memory holds no page table, whatever the entry contains, so the kernel does not look
        // there.
        if let Pde::Table { frame } = directory(i)
            && (KERN_LOW..KERN_HIGH.min(own.nps)).contains(&frame)
        {
            out.row::<M, PageTables>(&[frame], |j| own.tables.get([frame, j]));
        }
    }
}
