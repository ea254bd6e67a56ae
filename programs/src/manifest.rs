//! Manifests: how each program is started, and what it is expected to do.
//!
//! Each program has one, `user/programs/NAME/manifest.toml`:
//!
//! ```toml
//! about = "what the program shows, in a line"
//! alone = true                    # started only where it is named, not with all others; false if left out
//!
//! # The main threads of these CPUs start the program, this many times each.
//! [[start]]
//! cpus = [0, 2]                   # which; "all" if left out. CPUs that a machine lacks are skipped
//! machine = { least = 2, most = 7 }  # only on a machine with 2 to 7 CPUs; without this line, on any
//! # machine = { guests = true }   # only on a machine that can run guests
//! count = 2                       # instances on each CPU; 1 if left out
//! quota = { base = 64, cpu = 2, instance = 1 }  # pages: base + 2 * CPU + 1 * instance; or one number
//! arguments = ["worker", "{cpu}"] # of the program; placeholders as in `lines`; none if left out
//! end = { exited = 0 }            # how each instance ends; or:
//! # end = { stopped = "bad address", at = "0x0" }   # a text of `abi::Reason`; `at` may be left out
//! # end = { killed = true }
//!
//! # What the instances on one CPU and their descendants print, whole lines, in this order. Nothing else may
//! # be printed. {cpu} is the CPU's number, {thread} and {quota} are those of its first instance, {{ is {.
//! # A line belongs to one CPU's instances only: it should name the CPU.
//! lines = ["hello from CPU {cpu}"]
//! # What they print besides, each line at any time: what belongs to programs that take turns.
//! any_order = ["hello from a child on CPU {cpu}"]
//!
//! # The programs that each instance starts, and those that these start: [2, 0] is the first child of the
//! # third child. Each has to be listed.
//! descendants = [{ path = [0], end = { exited = 7 } }]
//! # Or they start any number of programs, and nothing is expected of how these end; false if left out.
//! any_descendants = true
//! ```
//!
//! A program without `start` is started only by other programs.

use crate::template::{Template, Values};
use abi::Reason;
use serde::Deserialize;

/// How a program is started, and what it is expected to do.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the program shows.
    pub about: String,
    /// Whether it is started only when it is named.
    #[serde(default)]
    pub alone: bool,
    /// Its instances.
    #[serde(default, rename = "start")]
    pub starts: Vec<Start>,
}

/// Some instances of a program.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The CPUs that they run on.
    #[serde(default)]
    pub cpus: Cpus,
    /// The machines that they run on.
    #[serde(default)]
    pub machine: Machines,
    /// Number of instances on each of these CPUs.
    #[serde(default = "one")]
    pub count: u32,
    /// Pages that each instance may use.
    pub quota: Quota,
    /// The arguments of each instance.
    #[serde(default)]
    pub arguments: Vec<Template>,
    /// How each instance ends.
    pub end: End,
    /// Lines that the instances on one CPU and their descendants print, in this order.
    #[serde(default)]
    pub lines: Vec<Template>,
    /// Further lines that they print, each at any time.
    #[serde(default)]
    pub any_order: Vec<Template>,
    /// The programs that each instance starts.
    #[serde(default)]
    pub descendants: Vec<Descendant>,
    /// Whether they start any number of other programs, whose ends are not judged.
    #[serde(default)]
    pub any_descendants: bool,
}

impl Start {
    /// The name of the guest that an instance runs: its only argument. `None` if it runs none, or several.
    pub fn guest(&self) -> Option<String> {
        let [name] = &self.arguments[..] else { return None };
        let is_one = self.machine.need_guests() && !self.any_descendants;
        is_one.then(|| name.fill(Values { cpu: 0, thread: 0, quota: 0 }))
    }
}

/// A program that an instance starts, directly or not.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descendant {
    /// Index of the child of the instance, from 0; then the index of its child; and so on.
    pub path: Vec<u32>,
    /// Its expected end.
    pub end: End,
    /// Its program, if that is not the instance's own.
    pub program: Option<String>,
}

/// A set of CPUs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(untagged, expecting = "`cpus` is \"all\" or a list of numbers")]
pub enum Cpus {
    /// All CPUs of the machine.
    #[default]
    #[serde(with = "all")]
    All,
    /// The CPUs among these that the machine has.
    List(Vec<u32>),
}

impl Cpus {
    /// Whether this CPU is in the set.
    pub fn contain(&self, cpu: u32) -> bool {
        match self {
            Cpus::All => true,
            Cpus::List(list) => list.contains(&cpu),
        }
    }
}

/// The word `all`.
mod all {
    use serde::{Deserialize, Deserializer, de::Error};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "all" => Ok(()),
            other => Err(D::Error::custom(format!("not \"all\": {other}"))),
        }
    }
}

/// A machine that programs run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Number of its CPUs.
    pub cpus: u32,
    /// Whether its CPUs can run guests.
    pub guests: bool,
}

impl Machine {
    /// A machine that runs no guests: the hosted one.
    pub const fn without_guests(cpus: u32) -> Machine {
        Machine { cpus, guests: false }
    }

    /// A machine that runs guests: an emulated PC.
    pub const fn with_guests(cpus: u32) -> Machine {
        Machine { cpus, guests: true }
    }
}

/// A set of machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machines {
    /// The least number of CPUs.
    least: u32,
    /// The greatest number of CPUs.
    most: u32,
    /// Whether they run guests, if it matters.
    guests: Option<bool>,
}

impl Default for Machines {
    fn default() -> Machines {
        Machines { least: 0, most: u32::MAX, guests: None }
    }
}

impl Machines {
    /// Whether all of them run guests.
    pub fn need_guests(&self) -> bool {
        self.guests == Some(true)
    }

    /// Whether the machine is in the set.
    pub fn contain(&self, machine: Machine) -> bool {
        (self.least..=self.most).contains(&machine.cpus) && self.guests.is_none_or(|guests| guests == machine.guests)
    }
}

/// The quota of an instance, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged, expecting = "`quota` is a number of pages or { base, cpu, instance }")]
pub enum Quota {
    /// The same number for each instance.
    Same(u32),
    /// Different numbers, so that each instance can recognise itself.
    PerInstance {
        /// Pages of the first instance on CPU 0.
        base: u32,
        /// Additional pages for each further CPU.
        #[serde(default)]
        cpu: u32,
        /// Additional pages for each further instance on a CPU.
        #[serde(default)]
        instance: u32,
    },
}

impl Quota {
    /// The quota of instance `index` on this CPU; `None` if it exceeds 32 bits.
    pub fn of(self, on_cpu: u32, index: u32) -> Option<u32> {
        match self {
            Quota::Same(pages) => Some(pages),
            Quota::PerInstance { base, cpu, instance } => {
                let more = cpu.checked_mul(on_cpu)?.checked_add(instance.checked_mul(index)?)?;
                base.checked_add(more)
            }
        }
    }
}

/// How a program is expected to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "WrittenEnd")]
pub enum End {
    /// By `exit` with this status.
    Exited(u32),
    /// Stopped by the kernel.
    Stopped {
        /// The reason.
        reason: Reason,
        /// The address that the console names, if it matters.
        at: Option<u64>,
    },
    /// Killed.
    Killed,
}

/// An expected end in the form of a manifest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEnd {
    exited: Option<u32>,
    stopped: Option<String>,
    at: Option<String>,
    #[serde(default)]
    killed: bool,
}

/// Errors of an expected end.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
enum EndError {
    #[error("an end is {{ exited = STATUS }}, {{ stopped = REASON, at = \"0x...\" }} or {{ killed = true }}")]
    Shape,
    #[error("unknown reason '{0}'; the reasons are: {reasons}", reasons = reasons())]
    Reason(String),
    #[error("`at` is an address such as \"0x1000\", not '{0}'")]
    Address(String),
}

/// All reasons, for a message.
fn reasons() -> String {
    Reason::ALL.iter().map(|reason| reason.text()).collect::<Vec<_>>().join(", ")
}

impl TryFrom<WrittenEnd> for End {
    type Error = EndError;

    fn try_from(written: WrittenEnd) -> Result<End, EndError> {
        match written {
            WrittenEnd { exited: Some(status), stopped: None, at: None, killed: false } => Ok(End::Exited(status)),
            WrittenEnd { exited: None, stopped: Some(text), at, killed: false } => {
                let reason = Reason::from_text(&text).ok_or(EndError::Reason(text))?;
                let at = at.map(|text| address(&text).ok_or(EndError::Address(text))).transpose()?;
                Ok(End::Stopped { reason, at })
            }
            WrittenEnd { exited: None, stopped: None, at: None, killed: true } => Ok(End::Killed),
            _ => Err(EndError::Shape),
        }
    }
}

/// Reads a hexadecimal address.
fn address(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn one() -> u32 {
    1
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// Where the text does not have the form that this module describes; the error names the line.
    pub fn parse(text: &str) -> Result<Manifest, toml::de::Error> {
        toml::from_str(text)
    }

    /// This manifest with one start only: that of the guest with this name, on CPU 0 of a machine with any number of
    /// CPUs. `None` if no start runs this guest.
    pub fn of_guest(&self, name: &str) -> Option<Manifest> {
        let start = self.starts.iter().find(|start| start.guest().is_some_and(|guest| guest == name))?;
        let machine = Machines { guests: Some(true), ..Machines::default() };
        let start = Start { cpus: Cpus::List(vec![0]), machine, ..start.clone() };
        Some(Manifest { starts: vec![start], ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cpus, End, Machine, Manifest, Quota, Start};
    use abi::Reason;

    fn problem(text: &str) -> String {
        Manifest::parse(text).expect_err("this is no manifest").to_string()
    }

    #[test]
    fn a_manifest_with_everything() {
        let text = r#"
            about = "a test"
            alone = true
            [[start]]
            cpus = [0, 2]
            machine = { least = 3 }
            count = 2
            quota = { base = 64, cpu = 2, instance = 1 }
            end = { stopped = "bad address", at = "0xFFFFFFFFFFFFFFF8" }
            lines = ["{cpu}"]
            descendants = [{ path = [2, 0], end = { exited = 7 }, program = "hello" }]
            [[start]]
            cpus = "all"
            machine = { guests = true }
            quota = 5
            end = { exited = 0 }
        "#;
        let manifest = Manifest::parse(text).unwrap();
        assert!(manifest.alone);
        let [first, second] = manifest.starts.as_slice() else { panic!("two starts") };
        assert_eq!(first.cpus, Cpus::List(vec![0, 2]));
        let contains = |start: &Start, cpus, guests| start.machine.contain(Machine { cpus, guests });
        assert_eq!([2, 3, 8].map(|cpus| contains(first, cpus, false)), [false, true, true]);
        assert_eq!([false, true].map(|guests| contains(first, 3, guests)), [true, true]);
        assert_eq!([false, true].map(|guests| contains(second, 1, guests)), [false, true]);
        assert_eq!(first.quota.of(2, 1), Some(69));
        let at = Some(0xFFFF_FFFF_FFFF_FFF8);
        assert_eq!(first.end, End::Stopped { reason: Reason::BadAddress, at });
        assert_eq!(first.descendants[0].path, [2, 0]);
        assert_eq!((&second.cpus, second.count, second.quota), (&Cpus::All, 1, Quota::Same(5)));
    }

    #[test]
    fn one_guest_runs_alone() {
        let start = |machine: &str, argument: &str, cpu: u32| {
            let rest = format!("quota = 1\narguments = [\"{argument}\"]\nend = {{ exited = 0 }}\n");
            format!("[[start]]\ncpus = [{cpu}]\nmachine = {machine}\n{rest}")
        };
        let (several, hosted) = ("any_descendants = true\n", "{ guests = false }");
        let starts = [
            start("{ guests = true }", "all", 0) + several,
            start("{ least = 8, guests = true }", "one", 0),
            start("{ least = 8, guests = true }", "two", 1),
            start(hosted, "three", 0),
        ];
        let manifest = Manifest::parse(&("about = \"\"\n".to_owned() + &starts.concat())).unwrap();
        let guests: Vec<_> = manifest.starts.iter().filter_map(Start::guest).collect();
        assert_eq!(guests, ["one", "two"]);
        assert_eq!(["all", "three", ""].map(|name| manifest.of_guest(name)), [None, None, None]);
        let two = manifest.of_guest("two").unwrap();
        let [start] = &two.starts[..] else { panic!("one start") };
        assert_eq!((&start.cpus, start.guest().as_deref()), (&Cpus::List(vec![0]), Some("two")));
        assert!(start.machine.contain(Machine::with_guests(1)) && !start.machine.contain(Machine::without_guests(1)));
    }

    #[test]
    fn quotas_do_not_wrap() {
        let quota = Quota::PerInstance { base: u32::MAX - 1, cpu: 1, instance: 1 };
        assert_eq!((quota.of(1, 0), quota.of(1, 1)), (Some(u32::MAX), None));
    }

    #[test]
    fn errors_say_what_is_expected_and_where() {
        let start = "about = \"\"\n[[start]]\nquota = 1\n";
        let message = problem(&format!("{start}end = {{ stopped = \"bad luck\" }}"));
        assert!(message.contains("line 4") && message.contains("'bad luck'"), "{message}");
        assert!(message.contains("divide error, "), "{message}");
        let message = problem(&format!("{start}end = {{ exited = 0, at = \"0x0\" }}"));
        assert!(message.contains("exited = STATUS"), "{message}");
        let message = problem(&format!("{start}end = {{ stopped = \"breakpoint\", at = \"12\" }}"));
        assert!(message.contains("'12'"), "{message}");
        let message = problem(&format!("{start}end = {{ exited = 0 }}\ncpus = \"some\""));
        assert!(message.contains("\"all\" or a list"), "{message}");
        let message = problem(&format!("{start}end = {{ exited = 0 }}\nlines = [\"{{who}}\"]"));
        assert!(message.contains("{who}") && message.contains("line 5"), "{message}");
        let message = problem("about = \"\"\nstarts = []");
        assert!(message.contains("starts"), "{message}");
    }
}
