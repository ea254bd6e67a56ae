//! Parsing the requests of a session.
use super::error::{Wrong, near};
use super::line::{Line, Name, Part, Text, cut};
use crate::machine::platform::Memory;
use layer::catalogue::{Kind, Primitive, Shape};
use layer::core::call::Chunk;
use layer::core::constants::{MAX_PAGE, PAGE_SIZE, SAVED, TOTAL_CPU, UCTXT_SIZE, vmx_slot};
use std::collections::BTreeMap;

/// The request of a line.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// A call.
    Call {
        /// The CPU.
        cpu: u32,
        /// The primitive.
        primitive: Primitive,
        /// The arguments by name, as in [`arguments`](crate::counterexample::arguments::arguments).
        values: BTreeMap<String, u64>,
    },
    /// The value of a place in the state.
    State {
        /// The CPU in whose state the place is.
        cpu: u32,
        /// The name of the place.
        place: Text<'a>,
    },
    /// The evaluation of every clause of the invariant.
    Check {
        /// The only CPU to check, if given.
        cpu: Option<u32>,
    },
    /// A new machine.
    Machine {
        /// The memory.
        memory: Memory,
        /// The number of CPUs.
        cpus: u32,
        /// Whether each CPU runs `sched_init`.
        booted: bool,
    },
    /// The possible requests.
    Help,
}

/// The keys that name a request, each with its optional keys.
const REQUESTS: [(&str, &[&str]); 5] =
    [("call", &["cpu", "args"]), ("state", &["cpu"]), ("check", &["cpu"]), ("machine", &[]), ("help", &[])];

/// Examples of valid lines.
const EXAMPLE: &str =
    r#"an object such as {"cpu":0,"call":"palloc","args":[1]}, {"state":"AC[1]"}, {"check":true} or {"help":true}"#;

/// Parses the request of a line.
///
/// # Errors
/// What is wrong with the line.
pub fn parse<'a>(line: &'a str, primitives: &[Primitive]) -> Result<Request<'a>, Wrong> {
    let line = Line(line);
    let whole: Part<'a> = serde_json::from_str(line.0).map_err(|error| line.syntax(&error, EXAMPLE))?;
    let members = line.members(whole, EXAMPLE)?;
    let request = |name: &str| REQUESTS.iter().find(|request| request.0 == name);
    let mut asked = members.iter().filter_map(|(name, part)| Some((request(name)?, *part)));
    let Some(((request, others), part)) = asked.next() else {
        let wrong = Wrong::new("the line has no request").expected(EXAMPLE);
        let stray =
            members.iter().find_map(|(name, _)| Some((name, near(name, REQUESTS.iter().map(|request| request.0))?)));
        return Err(match stray {
            Some((name, meant)) => line.at(name, wrong).near(Some(meant)),
            None => wrong,
        });
    };
    if let Some(((other, _), part)) = asked.next() {
        return Err(line.at(
            part.get(),
            Wrong::new(format!("the line has two requests, {request} and {other}")).expected("one of them"),
        ));
    }
    let known = || [*request].into_iter().chain(others.iter().copied());
    for (name, _) in &members {
        if !known().any(|known| known == name) {
            let expected = known().collect::<Vec<_>>().join(", ");
            let wrong = Wrong::new(format!("`{}` has no meaning for {request}", cut(name)));
            return Err(line.at(name, wrong.expected(expected).near(near(name, known()))));
        }
    }
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted).map(|(_, part)| *part);
    let cpu = member("cpu").map(|part| line.number(part, (TOTAL_CPU - 1).into(), "cpu")).transpose()?;
    let cpu = cpu.map(|cpu| cpu as u32);
    match *request {
        "call" => line.call(cpu.unwrap_or(0), part, member("args"), primitives),
        "state" => Ok(Request::State {
            cpu: cpu.unwrap_or(0),
            place: line.text(part, "the name of a place, such as \"AC[1]\"")?,
        }),
        "machine" => line.machine(part),
        request => {
            if part.get() != "true" {
                return Err(
                    line.at(part.get(), Wrong::new(format!("{request} is not {}", cut(part.get()))).expected("true"))
                );
            }
            Ok(if request == "check" { Request::Check { cpu } } else { Request::Help })
        }
    }
}

impl<'a> Line<'a> {
    fn call(
        self,
        cpu: u32,
        name: Part<'a>,
        given: Option<Part<'a>>,
        primitives: &[Primitive],
    ) -> Result<Request<'a>, Wrong> {
        let Text { content, .. } = self.text(name, "the name of a primitive, such as \"palloc\"")?;
        let callable = || primitives.iter().filter(|primitive| primitive.kind != Kind::Internal);
        let Some(primitive) = callable().find(|primitive| primitive.name == content) else {
            let known = callable().map(|primitive| primitive.name);
            let wrong = if primitives.iter().any(|primitive| primitive.name == content) {
                Wrong::new(format!("{content} is an internal function, and cannot be called"))
            } else {
                Wrong::new(format!("there is no primitive `{}`", cut(&content)))
            };
            let expected = r#"the name of a primitive; {"help":true} lists them"#;
            return Err(self.at(name.get(), wrong.expected(expected).near(near(&content, known))));
        };
        let values = self.arguments(primitive, given, name)?;
        Ok(Request::Call { cpu, primitive: *primitive, values })
    }

    /// The arguments of a call: an array in the order of the table, or an object by name.
    fn arguments(
        self,
        primitive: &Primitive,
        given: Option<Part<'a>>,
        call: Part<'a>,
    ) -> Result<BTreeMap<String, u64>, Wrong> {
        let names = argument_names(primitive);
        let mut parts: BTreeMap<&str, Part<'a>> = BTreeMap::new();
        let takes = || signature(primitive);
        if let Some(given) = given {
            if let Some(list) = self.list(given) {
                if let Some(extra) = list.get(names.len()) {
                    let wrong = Wrong::new(format!("{} are too many arguments", list.len()));
                    return Err(self.at(extra.get(), wrong.expected(takes())));
                }
                parts.extend(names.iter().copied().zip(list));
            } else {
                for (name, part) in self.members(given, &format!("an array or an object: {}", takes()))? {
                    // The bytes of a store can also be given as its value.
                    let meant = if name == "value" && !names.contains(&"value") { "bytes" } else { &*name };
                    let Some(known) = names.iter().find(|known| **known == meant) else {
                        let wrong = Wrong::new(format!("{} has no argument `{}`", primitive.name, cut(&name)));
                        return Err(self.at(&name, wrong.expected(takes()).near(near(&name, names.iter().copied()))));
                    };
                    if parts.insert(*known, part).is_some() {
                        return Err(self.at(&name, Wrong::new(format!("{known} occurs twice")).expected("one of them")));
                    }
                }
            }
        }
        let mut values = BTreeMap::new();
        for &name in &names {
            match parts.get(name) {
                Some(part) => self.argument((name, primitive.shape(name)), part, &mut values)?,
                None if is_optional(primitive, name) => {}
                None => {
                    let wrong = Wrong::new(format!("{} needs {name}", primitive.name)).of(name).expected(takes());
                    return Err(self.at(given.unwrap_or(call).get(), wrong));
                }
            }
        }
        Ok(values)
    }

    /// Parses one argument. `values` contains the earlier arguments.
    fn argument(
        self,
        (name, shape): (&str, Option<Shape>),
        part: Part<'a>,
        values: &mut BTreeMap<String, u64>,
    ) -> Result<(), Wrong> {
        let wide = |part, name: &str| self.number(part, u64::MAX, name);
        match shape {
            None => {
                values.insert(name.to_string(), wide(part, name)?);
            }
            Some(Shape::Word) => {
                values.insert(name.to_string(), self.number(part, u32::MAX.into(), name)?);
            }
            Some(Shape::Wide) => {
                values.insert(name.to_string(), wide(part, name)?);
            }
            Some(Shape::Chunk) => {
                let size = self.number(part, u64::MAX, name)?;
                if !Chunk::ALL.into_iter().any(|chunk| chunk as u64 == size) {
                    let wrong = Wrong::new(format!("{size} is not the size of an access")).of(name);
                    return Err(self.at(part.get(), wrong.expected("1, 2, 4 or 8 bytes")));
                }
                values.insert(name.to_string(), size);
            }
            Some(Shape::Context) => self.several(name, part, &["rs.esp", "rs.ra"], u32::MAX.into(), values)?,
            Some(Shape::Host) => {
                // They are stored in the same places as the guest's registers.
                let mut host = BTreeMap::new();
                self.several(name, part, &["host.rdi", "host.rbp"], u64::MAX, &mut host)?;
                for (name, slot) in [("host.rdi", vmx_slot::RDI), ("host.rbp", vmx_slot::RBP)] {
                    let place = SAVED.iter().position(|&saved| saved == slot);
                    values.extend(place.zip(host.get(name)).map(|(place, &value)| (format!("guest{place}"), value)));
                }
            }
            Some(Shape::Registers) => self.array(name, part, "register", UCTXT_SIZE as usize, u64::MAX, values)?,
            Some(Shape::Guest) => self.array(name, part, "guest", SAVED.len(), u64::MAX, values)?,
            Some(Shape::Bytes) => {
                let size = values.get("chunk").copied().unwrap_or(1);
                if self.list(part).is_some() {
                    self.array(name, part, "byte", size as usize, u8::MAX.into(), values)?;
                } else {
                    let most = u64::MAX >> (64 - 8 * size);
                    let value = self.number(part, most, name)?.to_le_bytes();
                    values.extend((0..size as usize).map(|k| (format!("byte{k}"), value[k].into())));
                }
            }
        }
        Ok(())
    }

    fn machine(self, part: Part<'a>) -> Result<Request<'a>, Wrong> {
        const MEMBERS: [&str; 3] = ["memory", "cpus", "booted"];
        let expected = r#"an object such as {"memory":"2GiB","cpus":8,"booted":true}, or a part of it"#;
        let (mut memory, mut cpus, mut booted) = (Memory::default(), TOTAL_CPU, false);
        for (name, part) in self.members(part, expected)? {
            match &*name {
                "memory" => memory = self.memory(part)?,
                "cpus" => {
                    cpus = self.number(part, TOTAL_CPU.into(), "cpus")? as u32;
                    if cpus == 0 {
                        let wrong = Wrong::new("a machine has at least one CPU").of("cpus");
                        return Err(self.at(part.get(), wrong.expected(format!("1 to {TOTAL_CPU}"))));
                    }
                }
                "booted" => {
                    booted = serde_json::from_str(part.get()).map_err(|_| {
                        let wrong = Wrong::new(format!("{} is not true or false", cut(part.get()))).of("booted");
                        self.at(part.get(), wrong.expected("true: every CPU runs sched_init; or false"))
                    })?;
                }
                _ => {
                    let wrong = Wrong::new(format!("a machine has no `{}`", cut(&name))).expected(expected);
                    return Err(self.at(&name, wrong.near(near(&name, MEMBERS.into_iter()))));
                }
            }
        }
        Ok(Request::Machine { memory, cpus, booted })
    }

    /// A size in bytes, or a string with a unit.
    fn memory(self, part: Part<'a>) -> Result<Memory, Wrong> {
        const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let most = u64::from(MAX_PAGE) * u64::from(PAGE_SIZE);
        let expected = "pages of 4 KiB, up to 4 GiB: a number of bytes, or a string such as \"2GiB\" or \"1280MiB\"";
        let with_unit = |text: &str| {
            let (digits, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
            digits.trim().parse::<u64>().ok()?.checked_mul(unit)
        };
        let text: Option<Name<'a>> = serde_json::from_str(part.get()).ok();
        let bytes = match text.and_then(|Name(text)| with_unit(&text)) {
            Some(bytes) => bytes,
            None => self.number(part, most, "memory").map_err(|wrong| wrong.expected(expected))?,
        };
        let page = u64::from(PAGE_SIZE);
        if bytes == 0 || bytes > most || !bytes.is_multiple_of(page) {
            let wrong = Wrong::new(format!("there is no machine with {bytes} bytes")).of("memory");
            return Err(self.at(part.get(), wrong.expected(expected)));
        }
        Ok(Memory::all((bytes / page) as u32))
    }
}

/// The address of the instruction, which is an argument of every accessor, after the others.
const PLACE: &str = "place";

/// The names of a primitive's arguments.
fn argument_names(primitive: &Primitive) -> Vec<&'static str> {
    let place = (primitive.kind == Kind::Accessor).then_some(PLACE);
    primitive.arguments.iter().map(|argument| argument.name).chain(place).collect()
}

/// Whether a missing argument is 0.
fn is_optional(primitive: &Primitive, name: &str) -> bool {
    !matches!(primitive.shape(name), Some(Shape::Word | Shape::Wide | Shape::Chunk | Shape::Bytes))
}

/// A primitive with its arguments. The arguments in brackets are optional.
pub fn signature(primitive: &Primitive) -> String {
    let arguments: Vec<String> = argument_names(primitive)
        .into_iter()
        .map(|name| if is_optional(primitive, name) { format!("[{name}]") } else { name.to_string() })
        .collect();
    format!("{}({})", primitive.name, arguments.join(", "))
}
