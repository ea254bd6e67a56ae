//! A counterexample as data: a state of one CPU, the arguments of a call, and the answers of the machine. The state is
//! given by its differences from the boot state.
use crate::board::{self, Board, Memory};
use crate::machine::{Sim, processor, shared};
use crate::maps::{Change, Look, change, look};
use crate::script::Script;
use crate::serial::SerialEvent;
use crate::snapshot::Snapshot;
use crate::sparse::Sparse;
use domain::{Count, Data, Field, Key, Map, Sink, Source};
use layer::catalogue::{Primitive, Shape, TABLE};
use layer::core::call::{Arguments, Chunk};
use layer::core::constants::{KERN_LOW, SAVED, UCTXT_SIZE};
use layer::core::fields::{Context, bounds};
use layer::core::machine::{Object, Visit};
use layer::core::state::{Boot, Cpu, Shared};
use layer::objects::boot::sched_init;
use layer::objects::console::uart::event;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Pending, Sleeping};
use layer::objects::vmx::vmx_init;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The names under which a witness has the machine's answers as fields: VMX capabilities, host-state fields of a VM
/// control structure, model-specific registers, and events of the UART.
pub const MACHINE: [&str; 7] = [
    "machine.vmxinfo",
    "machine.vmcs_host",
    "machine.rdmsr",
    "machine.serial.kind",
    "machine.serial.count",
    "machine.serial.byte",
    "machine.serial.sent",
];

/// The prefix of the names of words in another CPU's pending queue.
pub const OTHER_PENDING: &str = "other.msg";

/// A leaf of a map at one key, or at all keys that begin with `key`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    /// The field's name.
    pub field: String,
    /// The key, or its first words.
    pub key: Vec<u32>,
    /// The leaf. Flags and variants are numbers as well.
    pub leaf: String,
}

/// The values of scalars and of leaves of maps, by name.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Values {
    /// The values in no map.
    pub scalars: BTreeMap<String, u64>,
    /// The values in maps. A row is ordered before the keys in it.
    pub cells: BTreeMap<Cell, u64>,
}

/// A state, and the arguments of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// The CPU.
    pub cpu: u32,
    /// Whether the CPU has run `sched_init`.
    pub booted: bool,
    /// Whether the CPU has run `vmx_init` after that.
    pub set_up: bool,
    /// The memory of the machine.
    pub memory: Memory,
    /// The number of pages that can be allocated, as counted at boot.
    pub norm: u32,
    /// The differences from the boot state.
    pub state: Values,
    /// The interference of the other CPUs, for each lock in order.
    pub moves: Vec<Values>,
    /// The answers of the machine, for each question in order ([`Script`]).
    pub answers: Vec<Values>,
    /// The arguments that are not 0, by name.
    pub arguments: BTreeMap<String, u64>,
    /// The values of the free words of a postcondition.
    pub any: [u32; 2],
}

/// Why a witness is not a valid state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WitnessError {
    /// A field, leaf, scalar or argument does not exist, a key is out of bounds, or a value is out of range.
    #[error("there is no {0}")]
    NoSuch(String),
    /// The machine does not boot.
    #[error("the machine does not boot: {0}")]
    Boot(String),
}

impl Witness {
    /// The boot state of CPU `cpu`, with all arguments 0.
    pub fn boot(cpu: u32) -> Self {
        let memory = Memory::default();
        let norm = memory.frames - KERN_LOW;
        Witness {
            cpu,
            booted: true,
            set_up: false,
            memory,
            norm,
            state: Values::default(),
            moves: Vec::new(),
            answers: Vec::new(),
            arguments: BTreeMap::new(),
            any: [0; 2],
        }
    }

    /// Sets the scalar `name`.
    pub fn scalar(mut self, name: &str, value: u64) -> Self {
        self.state = self.state.scalar(name, value);
        self
    }

    /// Sets a leaf at one key, or at all keys that begin with `key`.
    pub fn cell(mut self, field: &str, key: &[u32], leaf: &str, value: u64) -> Self {
        self.state = self.state.cell(field, key, leaf, value);
        self
    }

    /// Sets the argument `name`.
    pub fn argument(mut self, name: &str, value: u64) -> Self {
        self.arguments.insert(name.to_string(), value);
        self
    }

    /// Adds the interference before the next lock.
    pub fn others_move(mut self, values: Values) -> Self {
        self.moves.push(values);
        self
    }

    /// Adds the machine's answer to the next question.
    pub fn machine_says(mut self, answer: Values) -> Self {
        self.answers.push(answer);
        self
    }

    /// The boot state. It is valid as long as this thread belongs to the same machine.
    ///
    /// # Errors
    /// If the machine does not boot.
    pub fn boot_state(&self) -> Result<Snapshot, WitnessError> {
        self.on_machine(|cpu, _| {
            if self.booted {
                sched_init(cpu, 0).map_err(|stuck| WitnessError::Boot(format!("{stuck:?}")))?;
            }
            if self.booted && self.set_up {
                vmx_init(cpu, 0).map_err(|stuck| WitnessError::Boot(format!("{stuck:?}")))?;
            }
            Ok(Snapshot::take(cpu))
        })
    }

    /// The state, from its boot state `boot`.
    ///
    /// # Errors
    /// If a value has no place in the state.
    pub fn state_from(&self, boot: &Snapshot) -> Result<Snapshot, WitnessError> {
        let mut state = boot.snapshot();
        self.state.put(&mut state)?;
        Ok(state)
    }

    /// Runs `work` on this CPU of a new machine. The thread belongs to that machine from then on.
    pub(crate) fn on_machine<R>(&self, work: impl FnOnce(&mut Cpu<'_, Sim>, &Rc<Shared<Sim>>) -> R) -> R {
        let mut board = Board::bare(self.memory.clone());
        for (cell, &value) in &self.state.cells {
            let key = cell.key[0];
            match &*cell.field {
                "machine.vmxinfo" => {
                    if let (Some(to), Ok(value)) = (board.vmxinfo.get_mut(key as usize), u32::try_from(value)) {
                        *to = value;
                    }
                }
                "machine.vmcs_host" => {
                    if let Some(to) = board.vmcs_host.get_mut(key as usize) {
                        *to = value;
                    }
                }
                "machine.rdmsr" => drop(board.msr.insert(key, value)),
                _ => {}
            }
        }
        board.serial.events = self.serial_events();
        board.script = Some(Script::new(&self.answers));
        board::seat(Arc::new(board), None);
        let mut shared = shared();
        shared.boot = Boot { nps: self.memory.frames, norm: self.norm };
        let shared = Rc::new(shared);
        work(&mut processor(&shared, self.cpu), &shared)
    }

    /// The events of the UART.
    fn serial_events(&self) -> BTreeMap<u32, SerialEvent> {
        let said = |what: &str, key: &[u32]| {
            let cell = Cell::new(&format!("machine.serial.{what}"), key, "value");
            self.state.cells.get(&cell).copied().unwrap_or(0)
        };
        let mut events = BTreeMap::new();
        for (cell, &value) in &self.state.cells {
            let index = cell.key[0];
            match &*cell.field {
                "machine.serial.kind" => {
                    let bytes =
                        || (0..said("count", &[index]) as u32).map(|k| said("byte", &[index, k]) as u8).collect();
                    events.insert(
                        index,
                        match u32::try_from(value) {
                            Ok(event::RECV) => SerialEvent::Recv(bytes()),
                            Ok(event::SEND_COMPLETE) => SerialEvent::SendComplete,
                            Ok(event::PLUGIN) => SerialEvent::Plugin,
                            _ => SerialEvent::Null,
                        },
                    );
                }
                "machine.serial.sent" if value > 0 => {
                    events.insert(index.wrapping_add(value as u32 - 1), SerialEvent::SendComplete);
                }
                _ => {}
            }
        }
        events
    }

    /// The arguments of `primitive`.
    ///
    /// # Errors
    /// As for [`arguments`].
    pub fn arguments_of(&self, primitive: &Primitive) -> Result<Arguments<Sim>, WitnessError> {
        arguments(primitive, &self.arguments)
    }
}

/// The arguments of `primitive` with these values. Missing ones are 0.
///
/// A word or wide word has its name from the table. There are also `place`, `rs.esp`, `rs.ra`, `chunk` (in bytes),
/// `register0` and following, `guest0` and following, `byte0` and following.
///
/// # Errors
/// If the primitive has no argument of a name, or if a value is out of range.
pub fn arguments(primitive: &Primitive, values: &BTreeMap<String, u64>) -> Result<Arguments<Sim>, WitnessError> {
    let word = |value: u64, name: &str| u32::try_from(value).map_err(|_| WitnessError::NoSuch(name.to_string()));
    let mut arguments: Arguments<Sim> = Arguments {
        words: [0; 4],
        wide: 0,
        place: 0,
        context: Context { esp: 0, ra: 0 },
        registers: [0; UCTXT_SIZE as usize],
        guest: [0; SAVED.len()],
        chunk: Chunk::One,
        bytes: [0; 8],
    };
    for (name, &value) in values {
        let numbered = |prefix: &str| -> Option<usize> { name.strip_prefix(prefix)?.parse().ok() };
        if let Some(at) = primitive.words().position(|other| other == name) {
            arguments.words[at] = word(value, name)?;
            continue;
        }
        match name.as_str() {
            "place" => arguments.place = value,
            "rs.esp" => arguments.context.esp = word(value, name)?,
            "rs.ra" => arguments.context.ra = word(value, name)?,
            "chunk" => {
                let chunk = Chunk::ALL.into_iter().find(|&chunk| chunk as u64 == value);
                arguments.chunk = chunk.ok_or_else(|| WitnessError::NoSuch(name.clone()))?;
            }
            wide if TABLE.iter().any(|row| row.shape(wide) == Some(Shape::Wide)) => arguments.wide = value,
            _ => {
                let (register, guest, byte) = (numbered("register"), numbered("guest"), numbered("byte"));
                if let Some(register) = register.and_then(|k| arguments.registers.get_mut(k)) {
                    *register = value;
                } else if let Some(register) = guest.and_then(|k| arguments.guest.get_mut(k)) {
                    *register = value;
                } else if let Some(byte) = byte.and_then(|k| arguments.bytes.get_mut(k)) {
                    *byte = word(value, name)?;
                } else {
                    return Err(WitnessError::NoSuch(name.clone()));
                }
            }
        }
    }
    Ok(arguments)
}

impl Cell {
    /// The leaf `leaf` of `field` at `key`.
    pub fn new(field: &str, key: &[u32], leaf: &str) -> Self {
        Cell { field: field.to_string(), key: key.to_vec(), leaf: leaf.to_string() }
    }
}

impl Values {
    /// Sets the scalar `name`.
    pub fn scalar(mut self, name: &str, value: u64) -> Self {
        self.scalars.insert(name.to_string(), value);
        self
    }

    /// Sets a leaf at one key, or at all keys that begin with `key`.
    pub fn cell(mut self, field: &str, key: &[u32], leaf: &str, value: u64) -> Self {
        self.cells.insert(Cell::new(field, key, leaf), value);
        self
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.cells.is_empty()
    }

    /// The values that differ from those of `state`, if they have a place there.
    pub fn differing(&self, state: &Snapshot) -> Values {
        let there = state.scalars();
        let scalars = self.scalars.iter().filter(|(name, value)| there.get(*name) != Some(value));
        let cells = self.cells.iter().filter(|(cell, value)| {
            let whole = bounds::<Sim>(&cell.field).is_some_and(|dims| dims.len() == cell.key.len());
            !whole || !state.leaves(&cell.field, &cell.key).contains(&(&*cell.leaf, **value))
        });
        Values {
            scalars: scalars.map(|(name, &value)| (name.clone(), value)).collect(),
            cells: cells.map(|(cell, &value)| (cell.clone(), value)).collect(),
        }
    }

    /// Writes the values into `state`.
    ///
    /// # Errors
    /// If a value has no place there.
    pub fn put(&self, state: &mut Snapshot) -> Result<(), WitnessError> {
        let mut missing: Vec<&str> = self.scalars.keys().map(String::as_str).collect();
        visit_scalars(state, &mut |name, old| {
            let value = self.scalars.get(name).copied();
            if value.is_some() {
                missing.retain(|other| *other != name);
            }
            value.unwrap_or(old)
        });
        if let Some(name) = missing.first() {
            return Err(WitnessError::NoSuch(name.to_string()));
        }
        for cell in self.cells.keys().filter(|cell| !MACHINE.contains(&&*cell.field)) {
            let dims = bounds::<Sim>(&cell.field).unwrap_or(&[]);
            let in_bounds = cell.key.iter().zip(dims).all(|(word, bound)| word < bound);
            if dims.is_empty() || cell.key.is_empty() || cell.key.len() > dims.len() || !in_bounds {
                return Err(WitnessError::NoSuch(format!("{}{:?}", cell.field, cell.key)));
            }
        }
        change(state, &mut Put(self));
        Ok(())
    }
}

/// A visitor that replaces every value by the result of `F`, which gets its name and value.
pub(crate) struct Each<F>(pub F);

impl<F: FnMut(&'static str, u64) -> u64> Visit<Sim> for Each<F> {
    fn word(&mut self, name: &'static str, word: &mut u32) {
        *word = (self.0)(name, (*word).into()) as u32;
    }
    fn wide(&mut self, name: &'static str, wide: &mut u64) {
        *wide = (self.0)(name, *wide);
    }
    fn nat(&mut self, name: &'static str, nat: &mut Count) {
        nat.0 = (self.0)(name, nat.0);
    }
    fn flag(&mut self, name: &'static str, flag: &mut bool) {
        *flag = (self.0)(name, (*flag).into()) != 0;
    }
}

/// Replaces every value of `state` that is in no map by the result of `change`.
fn visit_scalars(state: &mut Snapshot, change: &mut dyn FnMut(&str, u64) -> u64) {
    state.own.words(&mut Each(&mut *change));
    let mut of = |object: &str, name: &str, old| change(&format!("{object}.{name}"), old);
    state.at.words(&mut Each(|name, old| of(<AllocTable<Sim> as Object<Sim>>::NAME, name, old)));
    if let Some(pending) = state.pending.get_mut(state.current_cpu as usize) {
        pending.words(&mut Each(|name, old| of(Pending::NAME, name, old)));
    }
    // Of the rows of other CPUs, only those that are read by name.
    let (other, sleep) = (state.looked_at.pending, state.looked_at.sleep);
    if let Some(pending) = state.pending.get_mut(other as usize).filter(|_| other != state.current_cpu) {
        pending.words(&mut Each(|name, old| of(OTHER_PENDING, name, old)));
    }
    if let Some(sleepers) = state.sleep.get_mut(sleep as usize) {
        sleepers.words(&mut Each(|name, old| of(Sleeping::NAME, name, old)));
    }
}

impl Snapshot {
    /// A copy of the state.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            own: self.own.snapshot(),
            at: self.at.snapshot(),
            pending: self.pending.iter().map(Object::snapshot).collect(),
            sleep: self.sleep.iter().map(Object::snapshot).collect(),
            channels: self.channels.snapshot(),
            looked_at: self.looked_at,
            threads: self.threads.snapshot(),
            boot: self.boot,
            current_cpu: self.current_cpu,
        }
    }

    /// The values that are in no map, by name.
    pub fn scalars(&self) -> BTreeMap<String, u64> {
        let mut scalars = BTreeMap::new();
        visit_scalars(&mut self.snapshot(), &mut |name, value| {
            scalars.insert(name.to_string(), value);
            value
        });
        scalars
    }

    /// The leaves of the value of a field at a key within its bounds.
    pub fn leaves(&self, field: &str, key: &[u32]) -> Vec<(&'static str, u64)> {
        self.find(field, key).0
    }

    /// The value of a field at a key within its bounds, as text.
    pub fn show(&self, field: &str, key: &[u32]) -> String {
        self.find(field, key).1
    }

    fn find(&self, field: &str, key: &[u32]) -> (Vec<(&'static str, u64)>, String) {
        struct Find<'k>(&'k str, &'k [u32], (Vec<(&'static str, u64)>, String));
        impl Look<'_> for Find<'_> {
            fn map<F: Field<Sim>>(&mut self, map: &Sparse<F>) {
                if F::NAME == self.0 {
                    let value = map.get(F::Key::from_words(self.1));
                    self.2 = (leaves(value), format!("{value:?}"));
                }
            }
        }
        let mut find = Find(field, key, Default::default());
        look(&self.view(), &mut find);
        find.2
    }
}

/// The leaves of a value.
pub(crate) fn leaves<V: Data<Sim>>(value: V) -> Vec<(&'static str, u64)> {
    struct Leaves(Vec<(&'static str, u64)>);
    impl Sink<Sim> for Leaves {
        fn word(&mut self, leaf: &'static str, value: u32) {
            self.0.push((leaf, value.into()));
        }
        fn wide(&mut self, leaf: &'static str, value: u64) {
            self.0.push((leaf, value));
        }
        fn nat(&mut self, leaf: &'static str, value: Count) {
            self.0.push((leaf, value.0));
        }
        fn flag(&mut self, leaf: &'static str, value: bool) {
            self.0.push((leaf, value.into()));
        }
        fn tag(&mut self, leaf: &'static str, variant: u32) {
            self.0.push((leaf, variant.into()));
        }
    }
    let mut leaves = Leaves(Vec::new());
    value.encode(&mut leaves);
    leaves.0
}

/// Writes cells of `Values` into maps.
struct Put<'a>(&'a Values);

impl Change for Put<'_> {
    fn map<F: Field<Sim>>(&mut self, map: &mut Sparse<F>) {
        let of_field: Vec<_> = self.0.cells.iter().filter(|(cell, _)| cell.field == F::NAME).collect();
        for of_key in of_field.chunk_by(|one, next| one.0.key == next.0.key) {
            let first = &of_key[0].0.key;
            let put = |map: &mut Sparse<F>, key: &[u32]| {
                map.update(F::Key::from_words(key), |value| {
                    let now = leaves(*value);
                    *value = F::Val::decode(&mut Overlay { now: &now, new: of_key });
                });
            };
            match F::DIMS[first.len()..] {
                [] => put(map, first),
                [last] => (0..last).for_each(|word| put(map, &[first, &[word][..]].concat())),
                // No field has keys of more than two words.
                _ => {}
            }
        }
    }
}

/// A source of leaves: the new ones, then the present ones, and 0 for all others.
struct Overlay<'a> {
    now: &'a [(&'static str, u64)],
    new: &'a [(&'a Cell, &'a u64)],
}

impl Overlay<'_> {
    fn leaf(&self, leaf: &str) -> u64 {
        let new = self.new.iter().find(|(cell, _)| cell.leaf == leaf).map(|(_, value)| **value);
        new.or_else(|| self.now.iter().find(|(name, _)| *name == leaf).map(|(_, value)| *value)).unwrap_or(0)
    }
}

impl Source<Sim> for Overlay<'_> {
    fn word(&mut self, leaf: &'static str) -> u32 {
        self.leaf(leaf) as u32
    }
    fn wide(&mut self, leaf: &'static str) -> u64 {
        self.leaf(leaf)
    }
    fn nat(&mut self, leaf: &'static str) -> Count {
        Count(self.leaf(leaf))
    }
    fn flag(&mut self, leaf: &'static str) -> bool {
        self.leaf(leaf) != 0
    }
    fn tag(&mut self, leaf: &'static str, variants: u32) -> u32 {
        (self.leaf(leaf) as u32).min(variants - 1)
    }
}
