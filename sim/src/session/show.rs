//! Values of the state as text, and as JSON.
use crate::machine::Sim;
use crate::machine::log::reference_name;
use domain::{Count, Data, Sink};
use layer::core::call::{Access, Answer, Chunk};
use layer::core::fields::Context;
use layer::core::log::Event;
use layer::core::machine::Visit;
use serde::ser::{Serialize, Serializer};

/// A value to show: a number, a flag, a variant, or several named values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// No value.
    Nothing,
    /// A word, wide word or counter.
    Number(u64),
    /// A flag.
    Flag(bool),
    /// A variant without fields.
    Name(&'static str),
    /// Named fields. A variant with fields is shown as one field with the variant's name.
    Fields(Vec<(&'static str, Shown)>),
    /// Scalars with a common prefix of their names.
    Group(Vec<(String, Shown)>),
    /// The values of adjacent keys.
    List(Vec<Shown>),
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Shown::Nothing => serializer.serialize_unit(),
            Shown::Number(number) => serializer.serialize_u64(*number),
            Shown::Flag(flag) => serializer.serialize_bool(*flag),
            Shown::Name(name) => serializer.serialize_str(name),
            Shown::List(list) => list.serialize(serializer),
            Shown::Group(members) => serializer.collect_map(members.iter().map(|(name, value)| (name, value))),
            Shown::Fields(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// The variant and leaves of a value.
#[derive(Default)]
struct Parts {
    variant: Option<u32>,
    leaves: Vec<(&'static str, Shown)>,
}

impl Sink<Sim> for Parts {
    fn word(&mut self, leaf: &'static str, value: u32) {
        self.leaves.push((leaf, Shown::Number(value.into())));
    }
    fn wide(&mut self, leaf: &'static str, value: u64) {
        self.leaves.push((leaf, Shown::Number(value)));
    }
    fn nat(&mut self, leaf: &'static str, value: Count) {
        self.leaves.push((leaf, Shown::Number(value.0)));
    }
    fn flag(&mut self, leaf: &'static str, value: bool) {
        self.leaves.push((leaf, Shown::Flag(value)));
    }
    fn tag(&mut self, _: &'static str, variant: u32) {
        self.variant = Some(variant);
    }
}

fn parts<V: Data<Sim>>(value: V) -> Parts {
    let mut parts = Parts::default();
    value.encode(&mut parts);
    parts
}

/// The name of a value's variant, and its fields.
fn variant<V: Data<Sim>>(value: V) -> Option<(&'static str, Vec<(&'static str, Shown)>)> {
    let parts = parts(value);
    let name = *V::VARIANTS.get(parts.variant? as usize)?;
    // The names of a variant's leaves begin with the variant's name.
    let fields =
        parts.leaves.into_iter().map(|(leaf, value)| (leaf.split_once('.').map_or(leaf, |split| split.1), value));
    Some((name, fields.collect()))
}

/// A value of a map. A struct with a single field is shown as that field.
pub fn value<V: Data<Sim>>(value: V) -> Shown {
    match variant(value) {
        Some((name, fields)) if fields.is_empty() => Shown::Name(name),
        Some((name, fields)) => Shown::Fields(vec![(name, Shown::Fields(fields))]),
        None => {
            let mut leaves = parts(value).leaves;
            if leaves.len() == 1 { leaves.remove(0).1 } else { Shown::Fields(leaves) }
        }
    }
}

/// The names of the leaves that can be read: the fields of a struct.
pub fn leaf_names<V: Data<Sim>>(value: V) -> Vec<&'static str> {
    let parts = parts(value);
    if parts.variant.is_some() { Vec::new() } else { parts.leaves.into_iter().map(|leaf| leaf.0).collect() }
}

/// One field of a struct.
pub fn leaf<V: Data<Sim>>(value: V, name: &str) -> Option<Shown> {
    let parts = parts(value);
    let of_struct = parts.variant.is_none();
    parts.leaves.into_iter().find(|leaf| of_struct && leaf.0 == name).map(|leaf| leaf.1)
}

/// The parts of a value that can change separately: the fields of a struct with several fields, otherwise the value
/// itself.
pub fn changing_parts<V: Data<Sim>>(of: V) -> Vec<(Option<&'static str>, Shown)> {
    match value(of) {
        Shown::Fields(leaves) if V::VARIANTS.is_empty() => {
            leaves.into_iter().map(|(leaf, value)| (Some(leaf), value)).collect()
        }
        whole => vec![(None, whole)],
    }
}

/// An event, with the reference's name and its parameters.
pub fn event(event: Event<Sim>) -> (String, Vec<(&'static str, Shown)>) {
    let (variant, parameters) = variant(event).unwrap_or_default();
    (reference_name(variant), parameters)
}

/// The result of a call.
pub fn answer(answer: &Answer<Sim>, chunk: Chunk) -> Shown {
    let numbers = |numbers: &[u64]| Shown::List(numbers.iter().map(|&number| Shown::Number(number)).collect());
    let fault = || Shown::Fields(vec![("fault", Shown::Flag(true))]);
    match *answer {
        Answer::Unit | Answer::Stored(Access::Done(())) => Shown::Nothing,
        Answer::Word(word) => Shown::Number(word.into()),
        Answer::Wide(wide) => Shown::Number(wide),
        Answer::Resume(Context { esp, ra }) => {
            Shown::Fields(vec![("esp", Shown::Number(esp.into())), ("ra", Shown::Number(ra.into()))])
        }
        Answer::ToUser(thread) => Shown::Fields(vec![("user", Shown::Number(thread.into()))]),
        Answer::ToGuest(registers, rip) => {
            Shown::Fields(vec![("guest", numbers(&registers)), ("rip", Shown::Number(rip))])
        }
        Answer::ToHost(rdi, rbp) => Shown::Fields(vec![("host", numbers(&[rdi, rbp]))]),
        Answer::Loaded(Access::Done(bytes)) => {
            let bytes = bytes[..chunk as usize].iter().rev();
            Shown::Number(bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
        }
        Answer::Loaded(Access::Fault) | Answer::Stored(Access::Fault) => fault(),
    }
}

/// A visitor that collects the values in no map, by name.
pub struct Scalars {
    /// The prefix of their names.
    pub prefix: String,
    /// The values.
    pub found: Vec<(String, Shown)>,
}

impl Scalars {
    fn see(&mut self, name: &str, value: Shown) {
        self.found.push((format!("{}{name}", self.prefix), value));
    }
}

impl Visit<Sim> for Scalars {
    fn word(&mut self, name: &'static str, word: &mut u32) {
        self.see(name, Shown::Number((*word).into()));
    }
    fn wide(&mut self, name: &'static str, wide: &mut u64) {
        self.see(name, Shown::Number(*wide));
    }
    fn nat(&mut self, name: &'static str, nat: &mut Count) {
        self.see(name, Shown::Number(nat.0));
    }
    fn flag(&mut self, name: &'static str, flag: &mut bool) {
        self.see(name, Shown::Flag(*flag));
    }
}
