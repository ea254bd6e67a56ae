//! Reading dumps of a kernel's state ([`layer::core::dump`]).
use crate::machine::Sim;
use crate::machine::sparse::Sparse;
use crate::state::maps::{Change, change};
use crate::state::snapshot::Snapshot;
use crate::state::values::{Each, leaves};
use domain::{Count, Data, Field, Key, Map, Source};
use layer::core::constants::{NUM_CV, TOTAL_CPU};
use layer::core::dump::{DIFFERENCE, END, MACHINE, OWN, ROW, SCALAR, machine};
use layer::core::fields::VmcsFields;
use layer::core::machine::Object;
use layer::objects::page_alloc::table::AllocTable;
use layer::objects::queue::{Family, Pending, Sleeping};
use layer::objects::vmx::vmcs::FIELDS;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// Why a dump is invalid. Either the kernel that wrote it or the serial line is to blame.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The dump cannot be read.
    #[error("the dump cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A number has more than 64 bits.
    #[error("a number in the dump is too long")]
    Number,
    /// A text is not UTF-8, or is longer than any name.
    #[error("a name in the dump is invalid")]
    Name,
    /// This number does not begin an item.
    #[error("the dump has an item of the unknown kind {0}")]
    Item(u64),
    /// A part is not the next one.
    #[error("the dump has part {got} in place of part {expected}")]
    Part {
        /// The next part.
        expected: u64,
        /// The part that was found.
        got: u64,
    },
    /// A value is missing.
    #[error("the dump has no value of {object}.{name}")]
    Missing {
        /// The object.
        object: &'static str,
        /// The value.
        name: String,
    },
    /// A value has no place in the state.
    #[error("the state has no {0}")]
    NoSuch(String),
}

/// A state without ghost state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dump {
    /// The shared state.
    pub shared: Part,
    /// The own state of each CPU.
    pub own: Vec<Part>,
}

/// A part of a dump.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Part {
    /// The values in no map, by object, row and name.
    pub scalars: BTreeMap<(String, u32, String), u64>,
    /// The rows of maps.
    pub rows: Vec<DumpRow>,
    /// What the layer says of the hardware and the hardware does not have.
    pub differences: Vec<Difference>,
}

/// A value of the layer that is not that of the hardware.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// The key in the field.
    pub key: Vec<u32>,
    /// The leaf of the value; empty if it has only one.
    pub leaf: String,
    /// What the layer says.
    pub layer: u64,
    /// What the hardware has.
    pub hardware: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.field)?;
        for &word in &self.key {
            match FIELDS.get(word as usize) {
                Some(row) if self.field == <VmcsFields as Field<Sim>>::NAME => write!(formatter, "[{:?}]", row.field)?,
                _ => write!(formatter, "[{word}]")?,
            }
        }
        let dot = if self.leaf.is_empty() { "" } else { "." };
        write!(formatter, "{dot}{}", self.leaf)
    }
}

/// A row of a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DumpRow {
    /// The field.
    pub field: String,
    /// The first words of its keys.
    pub prefix: Vec<u32>,
    /// Runs of equal values: the number of keys, and the leaves of the value, in order.
    pub runs: Vec<(u32, Vec<u64>)>,
}

/// The longest name.
const LONGEST_NAME: u64 = 64;
/// The maximum numbers of leaves of a value, and of words of a row.
const MOST: u64 = 64;

/// A reader of numbers and texts.
struct Reader<R>(R);

impl<R: Read> Reader<R> {
    fn number(&mut self) -> Result<u64, DumpError> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            let bits = u64::from(byte[0] & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte[0] & 1 << 7 == 0 {
                return Ok(value);
            }
        }
        Err(DumpError::Number)
    }

    fn word(&mut self) -> Result<u32, DumpError> {
        u32::try_from(self.number()?).map_err(|_| DumpError::Number)
    }

    fn count(&mut self) -> Result<u64, DumpError> {
        self.number().and_then(|count| if count <= MOST { Ok(count) } else { Err(DumpError::Number) })
    }

    fn text(&mut self) -> Result<String, DumpError> {
        let length = self.number()?;
        if length > LONGEST_NAME {
            return Err(DumpError::Name);
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| DumpError::Name)
    }

    /// The words of a key or of a part of one.
    fn words(&mut self) -> Result<Vec<u32>, DumpError> {
        let count = self.count()?;
        (0..count).map(|_| self.word()).collect()
    }

    fn part(&mut self, expected: u64) -> Result<Part, DumpError> {
        match self.number()? {
            got if got == expected => self.items(),
            got => Err(DumpError::Part { expected, got }),
        }
    }

    fn items(&mut self) -> Result<Part, DumpError> {
        let mut part = Part::default();
        loop {
            match self.number()? {
                END => return Ok(part),
                SCALAR => {
                    let key = (self.text()?, self.word()?, self.text()?);
                    part.scalars.insert(key, self.number()?);
                }
                ROW => {
                    let (field, prefix) = (self.text()?, self.words()?);
                    let mut runs = Vec::new();
                    loop {
                        let length = self.word()?;
                        if length == 0 {
                            break;
                        }
                        let leaves = self.count()?;
                        runs.push((length, (0..leaves).map(|_| self.number()).collect::<Result<_, _>>()?));
                    }
                    part.rows.push(DumpRow { field, prefix, runs });
                }
                DIFFERENCE => {
                    let (field, key, leaf) = (self.text()?, self.words()?, self.text()?);
                    let (layer, hardware) = (self.number()?, self.number()?);
                    part.differences.push(Difference { field, key, leaf, layer, hardware });
                }
                other => return Err(DumpError::Item(other)),
            }
        }
    }
}

impl Dump {
    /// Reads a dump. `None` at the end of the input.
    ///
    /// # Errors
    /// If the dump is invalid, or the input ends within it.
    pub fn read(mut from: impl Read) -> Result<Option<Dump>, DumpError> {
        let mut first = [0];
        if from.read(&mut first)? == 0 {
            return Ok(None);
        }
        let mut reader = Reader((&first[..]).chain(from));
        let shared = reader.part(0)?;
        let cpus = shared.machine(0, machine::CPUS)?.min(TOTAL_CPU.into());
        let own = (1..=cpus).map(|number| reader.part(number)).collect::<Result<_, _>>()?;
        Ok(Some(Dump { shared, own }))
    }
}

impl Part {
    /// The value of a scalar.
    pub fn scalar(&self, object: &str, row: u32, name: &str) -> Option<u64> {
        self.scalars.get(&(object.to_owned(), row, name.to_owned())).copied()
    }

    /// A value about the machine, which is not part of the state.
    pub(super) fn machine(&self, row: u32, name: &str) -> Result<u64, DumpError> {
        self.scalar(MACHINE, row, name).ok_or_else(|| DumpError::Missing { object: MACHINE, name: name.to_owned() })
    }

    /// Writes the shared state into `state`.
    pub(super) fn put_shared(&self, state: &mut Snapshot) -> Result<(), DumpError> {
        let value = |object: &str, row, name: &str| self.scalar(object, row, name);
        const TABLE: &str = <AllocTable<Sim> as Object<Sim>>::NAME;
        state.at.words(&mut Each(|name, old| value(TABLE, 0, name).unwrap_or(old)));
        for row in 0..TOTAL_CPU {
            state.pending[row as usize].words(&mut Each(|name, old| value(Pending::NAME, row, name).unwrap_or(old)));
        }
        for row in 0..NUM_CV {
            state.sleep[row as usize].words(&mut Each(|name, old| value(Sleeping::NAME, row, name).unwrap_or(old)));
        }
        self.put_rows(state, &["AT", "tcb.next", "syncchpool"])
    }

    /// Writes the own state of CPU `cpu` into `state`.
    pub(super) fn put_own(&self, cpu: u32, state: &mut Snapshot) -> Result<(), DumpError> {
        // Missing values are ghost state, which is made up later.
        state.own.words(&mut Each(|name, old| self.scalar(OWN, cpu, name).unwrap_or(old)));
        if self.scalar(OWN, cpu, "CPU_ID").is_none() {
            return Err(DumpError::Missing { object: OWN, name: "CPU_ID".to_owned() });
        }
        self.put_rows(state, &["AC", "kctxt", "proc"])
    }

    /// Writes the rows into `state`. The rows of the fields in `needed` must be there.
    fn put_rows(&self, state: &mut Snapshot, needed: &[&str]) -> Result<(), DumpError> {
        if let Some(name) = needed.iter().find(|name| self.rows.iter().all(|row| row.field != **name)) {
            return Err(DumpError::Missing { object: "map", name: (*name).to_string() });
        }
        let mut put = Put { rows: &self.rows, put: 0, wrong: None };
        change(state, &mut put);
        match put.wrong {
            Some(wrong) => Err(DumpError::NoSuch(wrong)),
            None if put.put < self.rows.len() => Err(DumpError::NoSuch("field of one of the rows".to_owned())),
            None => Ok(()),
        }
    }
}

/// Writes rows into maps.
struct Put<'a> {
    rows: &'a [DumpRow],
    /// The number of rows whose map was found.
    put: usize,
    /// A row without a place.
    wrong: Option<String>,
}

/// A map with more keys than this is defined, instead of written. In this case only the ends of its runs count as
/// written.
const LARGE: u32 = 1 << 16;

impl Change for Put<'_> {
    fn map<F: Field<Sim>>(&mut self, map: &mut Sparse<F>) {
        for row in self.rows.iter().filter(|row| row.field == F::NAME) {
            self.put += 1;
            if put::<F>(map, row).is_none() {
                self.wrong.get_or_insert_with(|| format!("{}{:?}", row.field, row.prefix));
            }
        }
    }
}

/// Writes a row into its map. `None` if it has no place there.
fn put<F: Field<Sim>>(map: &mut Sparse<F>, row: &DumpRow) -> Option<()> {
    let [of_row @ .., last] = F::DIMS else { return None };
    let in_bounds = row.prefix.iter().zip(of_row).all(|(word, bound)| word < bound);
    let keys = row.runs.iter().try_fold(0u32, |sum, (length, _)| sum.checked_add(*length))?;
    if row.prefix.len() != of_row.len() || !in_bounds || keys != *last {
        return None;
    }
    let mut runs = Vec::with_capacity(row.runs.len());
    let mut end = 0;
    for (length, leaves) in &row.runs {
        let mut source = Values { leaves: leaves.iter(), short: false };
        let value = F::Val::decode(&mut source);
        if source.short || source.leaves.next().is_some() {
            return None;
        }
        end += length;
        runs.push((end, value));
    }
    let key = |at: u32| F::Key::from_words(&[&row.prefix[..], &[at]].concat());
    if *last > LARGE && row.prefix.is_empty() {
        let alike: Arc<[(u32, Vec<u64>)]> =
            runs.iter().zip(&row.runs).map(|(&(end, _), (_, leaves))| (end, leaves.clone())).collect();
        map.define(move |key| {
            let run = alike.partition_point(|(end, _)| *end <= key.words()[0]);
            F::Val::decode(&mut Values { leaves: alike[run].1.iter(), short: false })
        });
    }
    let mut from = 0;
    for (end, value) in runs {
        let middle = if *last > LARGE { from..from + 1 } else { from..end };
        for at in middle.chain([end - 1]) {
            // Runs each time a CPU has admitted interrupts in the kernel and masks them again.
            if at == from || at == end - 1 || leaves(map.get(key(at))) != leaves(value) {
                map.set(key(at), value);
            }
        }
        from = end;
    }
    Some(())
}

/// The leaves of a value, in order.
struct Values<'a> {
    leaves: std::slice::Iter<'a, u64>,
    /// Whether there were too few leaves, or one was out of range.
    short: bool,
}

impl Values<'_> {
    fn take(&mut self, most: u64) -> u64 {
        match self.leaves.next() {
            Some(&value) if value <= most => value,
            _ => {
                self.short = true;
                0
            }
        }
    }
}

impl Source<Sim> for Values<'_> {
    fn word(&mut self, _: &'static str) -> u32 {
        self.take(u32::MAX.into()) as u32
    }
    fn wide(&mut self, _: &'static str) -> u64 {
        self.take(u64::MAX)
    }
    fn nat(&mut self, _: &'static str) -> Count {
        Count(self.take(u64::MAX))
    }
    fn flag(&mut self, _: &'static str) -> bool {
        self.take(1) != 0
    }
    fn tag(&mut self, _: &'static str, variants: u32) -> u32 {
        self.take(u64::from(variants) - 1) as u32
    }
}
