//! An interactive session with the layer: calls of primitives, as lines of JSON, on the CPUs of one hosted machine.
//!
//! Each line is answered by one line. No line ends the session, and an invalid line changes nothing. No CPU runs
//! between two lines. So a call finds every lock free, and its interference is the effect of other lines.
mod difference;
mod error;
mod line;
mod machine;
mod place;
mod request;
mod show;
#[cfg(test)]
mod tests;

use crate::check::facts::Violation;
use crate::machine::Sim;
use crate::machine::lock::Waiting;
use crate::machine::panics::Panic;
use crate::machine::platform::Memory;
use difference::Difference;
use error::Wrong;
use layer::catalogue::{Kind, Primitive, primitives};
use layer::core::constants::{PAGE_SIZE, TOTAL_CPU};
use layer::core::fields::FIELDS;
use layer::core::stuck::Stuck;
use layer::invariant::{by_construction, facts};
use layer::spec::fact::Class;
use line::Text;
use machine::{Hosted, Nothing};
use request::Request;
use serde::Serialize;
use show::Shown;

/// A session: a machine, and the requests for it line by line.
#[derive(Default)]
pub struct Session {
    /// The machine, created by the first line that needs it.
    machine: Option<Hosted>,
}

/// The longest line that is accepted, in bytes.
pub const LONGEST_LINE: usize = 1 << 20;

/// The answer to a line.
#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Done {
        cpu: u32,
        call: &'static str,
        result: Shown,
        changed: Vec<Difference>,
        events: Vec<Event>,
    },
    Stuck {
        cpu: u32,
        call: &'static str,
        stuck: String,
        description: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// The call would wait for a lock.
    Waits {
        cpu: u32,
        call: &'static str,
        waits: Lock,
        description: &'static str,
        hint: String,
    },
    Panic {
        cpu: u32,
        call: &'static str,
        panic: Panicked,
    },
    State {
        cpu: u32,
        state: String,
        value: Shown,
    },
    Check {
        check: Vec<Clause>,
        broken: usize,
    },
    Machine {
        machine: About,
    },
    Help {
        help: [&'static str; 6],
        calls: Vec<String>,
        fields: Vec<&'static str>,
        scalars: Vec<String>,
    },
}

#[derive(Serialize)]
struct Event {
    object: &'static str,
    row: u32,
    by: u32,
    event: String,
    #[serde(flatten)]
    parameters: Shown,
}

/// The lock of a channel.
#[derive(Serialize)]
struct Lock {
    channel: u32,
    holder: u32,
}

/// A panic of the code, which is always a bug.
#[derive(Serialize)]
struct Panicked {
    message: String,
    at: String,
    description: &'static str,
}

/// A clause of the invariant, and where it is violated.
#[derive(Serialize)]
struct Clause {
    number: &'static str,
    name: &'static str,
    holds: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    by_construction: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    broken: Vec<Break>,
}

#[derive(Serialize)]
struct Break {
    cpu: u32,
    /// Some of the keys.
    keys: Vec<Vec<u32>>,
    /// The number of keys.
    places: usize,
}

#[derive(Serialize)]
struct About {
    memory: u64,
    frames: u32,
    cpus: u32,
    booted: bool,
}

const HELP: [&str; 6] = [
    r#"{"cpu":0,"call":"palloc","args":[1]} makes a call; args may be an object by name; numbers may be "0x…""#,
    r#"{"cpu":0,"state":"AC[1].usage"} reads a field, a row or a range of it (HP[262144][0..16]), or a scalar (cid)"#,
    r#"{"check":true} evaluates every clause of the invariant, on every CPU or, with "cpu", on one"#,
    r#"{"machine":{"memory":"2GiB","cpus":8,"booted":true}} chooses the machine, as the first line only"#,
    "calls list their arguments; arguments in brackets are optional, and 0 by default",
    "empty lines and lines that begin with # are ignored",
];

const OTHERS_REST: &str = "Another CPU holds the lock. A CPU does nothing but its calls, so this one would wait for ever; nothing has changed";
const OUR_BUG: &str = "a bug of Cairn: a call returns a result or a named Stuck, and never panics; nothing has changed";

impl Session {
    /// A session without a machine.
    pub fn new() -> Self {
        Session::default()
    }

    /// Executes a line and returns the answer. `None` for an empty line or a comment.
    pub fn line(&mut self, line: &[u8]) -> Option<String> {
        let reply = match self.obey(line)? {
            Ok(reply) => serde_json::to_string(&reply),
            Err(wrong) => serde_json::to_string(&wrong),
        };
        Some(reply.unwrap_or_else(|error| format!(r#"{{"error":"the answer cannot be written: {error}"}}"#)))
    }

    fn obey(&mut self, line: &[u8]) -> Option<Result<Reply, Wrong>> {
        if line.len() > LONGEST_LINE {
            let wrong = Wrong::new(format!("the line has more than {LONGEST_LINE} bytes")).at(LONGEST_LINE);
            return Some(Err(wrong.expected("shorter lines")));
        }
        let line = match std::str::from_utf8(line) {
            Ok(line) => line.trim_end(),
            Err(error) => {
                let before = String::from_utf8_lossy(&line[..error.valid_up_to()]).chars().count();
                return Some(Err(Wrong::new("the line is not UTF-8").at(before + 1).expected("a line of JSON")));
            }
        };
        if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
            return None;
        }
        let rows = primitives::<Sim>();
        let table: Vec<Primitive> = rows.iter().map(|row| row.0).collect();
        Some(request::parse(line, &table).and_then(|request| self.answer(request)))
    }

    fn answer(&mut self, request: Request<'_>) -> Result<Reply, Wrong> {
        match request {
            Request::Machine { memory, cpus, booted } => {
                if self.machine.is_some() {
                    return Err(Wrong::new("a machine exists already").expected(
                        "machine only as the first line: any other first request creates the default machine",
                    ));
                }
                let mut machine = Hosted::new(memory, cpus);
                if booted {
                    machine.boot().map_err(|nothing| {
                        Wrong::new(match nothing {
                            Nothing::Stuck(stuck) => {
                                format!("the machine does not boot: {stuck:?}: {}", stuck.description())
                            }
                            Nothing::Waits(waiting) => format!("the machine does not boot: {waiting}: {OUR_BUG}"),
                            Nothing::Panic(Panic { message, at, .. }) => {
                                format!("the machine does not boot: {message} at {at}: {OUR_BUG}")
                            }
                        })
                    })?;
                }
                let frames = machine.memory().frames;
                let memory = u64::from(frames) * u64::from(PAGE_SIZE);
                self.machine = Some(machine);
                Ok(Reply::Machine { machine: About { memory, frames, cpus, booted } })
            }
            Request::Call { cpu, primitive, values } => self.call(cpu, &primitive, &values),
            Request::State { cpu, place: Text { content, column } } => {
                let machine = self.machine();
                let mut state = machine.state(cpu).ok_or_else(|| no_cpu(cpu, machine.cpus()))?;
                let value = place::read(&mut state, &content).map_err(|wrong| Wrong {
                    column: Some(
                        column + content.get(..wrong.column.unwrap_or(0)).map_or(0, |before| before.chars().count()),
                    ),
                    ..wrong
                })?;
                Ok(Reply::State { cpu, state: content.into_owned(), value })
            }
            Request::Check { cpu } => self.check(cpu),
            Request::Help => {
                let calls = primitives::<Sim>();
                let calls = calls.iter().map(|row| &row.0).filter(|primitive| primitive.kind != Kind::Internal);
                Ok(Reply::Help {
                    help: HELP,
                    calls: calls
                        .map(|row| {
                            format!(
                                "{} -> {}",
                                request::signature(row),
                                if row.result.is_empty() { "nothing" } else { row.result }
                            )
                        })
                        .collect(),
                    fields: FIELDS.to_vec(),
                    scalars: scalars(),
                })
            }
        }
    }

    /// The machine. If no machine was chosen, the default one.
    fn machine(&mut self) -> &mut Hosted {
        self.machine.get_or_insert_with(|| Hosted::new(Memory::default(), TOTAL_CPU))
    }

    fn call(
        &mut self,
        cpu: u32,
        primitive: &Primitive,
        values: &std::collections::BTreeMap<String, u64>,
    ) -> Result<Reply, Wrong> {
        let arguments = crate::counterexample::arguments::arguments(primitive, values)
            .map_err(|error| Wrong::new(error.to_string()))?;
        let rows = primitives::<Sim>();
        let Some((_, contract)) = rows.iter().find(|row| row.0.name == primitive.name) else {
            return Err(Wrong::new(format!("there is no primitive {}", primitive.name)));
        };
        let machine = self.machine();
        let done = machine.call(cpu, contract, &arguments).ok_or_else(|| no_cpu(cpu, machine.cpus()))?;
        let call = primitive.name;
        Ok(match done {
            Ok(done) => {
                let events = done.events.iter().map(|appended| {
                    let (event, parameters) = appended.parameters();
                    let machine::Appended { object, row, by, .. } = *appended;
                    Event { object, row, by, event, parameters: Shown::Fields(parameters) }
                });
                let result = show::answer(&done.answer, arguments.chunk);
                Reply::Done { cpu, call, result, events: events.collect(), changed: done.changed }
            }
            Err(Nothing::Stuck(stuck)) => Reply::Stuck {
                cpu,
                call,
                stuck: format!("{stuck:?}"),
                description: stuck.description(),
                hint: self.hint(cpu, stuck),
            },
            Err(Nothing::Waits(Waiting { channel, holder, .. })) => Reply::Waits {
                cpu,
                call,
                waits: Lock { channel, holder },
                description: OTHERS_REST,
                hint: format!(r#"{{"cpu":{holder},"call":"release_lock_CHAN","args":[{channel}]}}"#),
            },
            Err(Nothing::Panic(Panic { message, at, .. })) => {
                Reply::Panic { cpu, call, panic: Panicked { message, at, description: OUR_BUG } }
            }
        })
    }

    /// A hint if the CPU has not run `sched_init`, because then nearly every call gets stuck.
    fn hint(&mut self, cpu: u32, stuck: Stuck) -> Option<String> {
        let early = !self.machine().is_set_up(cpu) && stuck != Stuck::NotBoot && stuck != Stuck::BadMemory;
        early.then(|| format!(r#"CPU {cpu} has not run sched_init: {{"cpu":{cpu},"call":"sched_init","args":[0]}}"#))
    }

    fn check(&mut self, cpu: Option<u32>) -> Result<Reply, Wrong> {
        let machine = self.machine();
        let all = machine.cpus();
        let mut violations: Vec<Violation> = Vec::new();
        for cpu in cpu.map_or(0..all, |cpu| cpu..cpu + 1) {
            match machine.check(cpu).ok_or_else(|| no_cpu(cpu, all))? {
                Ok(found) => violations.extend(found),
                Err(Panic { message, at, .. }) => return Err(Wrong::new(format!("{message} at {at}: {OUR_BUG}"))),
            }
        }
        // E does not hold between two primitives.
        let between_primitives = facts::<Sim>().filter(|fact| fact.class <= Class::Derived);
        let evaluated = between_primitives.map(|fact| {
            let of_fact =
                violations.iter().filter(|violation| (violation.number, violation.name) == (fact.number, fact.name));
            let broken: Vec<Break> = of_fact
                .map(|violation| Break { cpu: violation.cpu, keys: violation.keys.clone(), places: violation.places })
                .collect();
            Clause { number: fact.number, name: fact.name, holds: broken.is_empty(), by_construction: false, broken }
        });
        let constructed = by_construction().map(|(number, name)| Clause {
            number,
            name,
            holds: true,
            by_construction: true,
            broken: Vec::new(),
        });
        let check: Vec<Clause> = evaluated.chain(constructed).collect();
        let broken = check.iter().filter(|clause| !clause.holds).count();
        Ok(Reply::Check { check, broken })
    }
}

fn no_cpu(cpu: u32, cpus: u32) -> Wrong {
    Wrong::new(format!("there is no CPU {cpu}")).of("cpu").expected(match cpus {
        1 => "0: this machine has one CPU".to_string(),
        more => format!("0 to {}: this machine has {more} CPUs", more - 1),
    })
}

/// The names that a line can contain: requests, calls, and fields.
pub fn words() -> Vec<String> {
    let calls = primitives::<Sim>();
    let calls = calls.iter().filter(|row| row.0.kind != Kind::Internal).map(|row| row.0.name.to_string());
    let mut words: Vec<String> = calls.collect();
    words.extend(scalars().into_iter().chain(FIELDS.iter().map(ToString::to_string)));
    words.extend(
        ["call", "state", "check", "machine", "help", "cpu", "args", "memory", "cpus", "booted"].map(str::to_string),
    );
    words
}

/// The names of the values in no map.
fn scalars() -> Vec<String> {
    let state = Hosted::new(Memory::default(), 1).state(0);
    let scalars = state.map(|mut state| difference::scalars(&mut state)).unwrap_or_default();
    scalars.into_iter().map(|(name, _)| name).collect()
}
