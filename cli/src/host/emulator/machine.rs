//! An emulated machine: its parts, what happens on it, and how its run ended.
use super::process::Shown;
use crate::host::watch::{Watch, Watched};
use kernel::devices::exit::Reason;
use programs::transcript::Controls;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

/// A run to make.
pub struct Run<'a> {
    /// The image.
    pub image: &'a Path,
    /// The boot archive.
    pub archive: Option<&'a Path>,
    /// Number of CPUs.
    pub cpus: u32,
    /// Time after which the machine is asked for its state, and ended.
    pub timeout: Option<Duration>,
    /// Boot options, as the kernel reads them.
    pub options: &'a str,
    /// The parts of the machine; on QEMU only, except where stated otherwise.
    pub parts: Parts<'a>,
    /// The actions on the machine. Each is carried out once the console shows its text after all that it showed before,
    /// or at once if the text is empty. On QEMU only.
    pub script: &'a [(&'a str, Act<'a>)],
    /// Whether to wait for a debugger on TCP port 1234 before the first instruction; on QEMU only.
    pub gdb: bool,
    /// Whether to show the console while the machine runs.
    pub show: bool,
    /// Whether this terminal shows the console, and what is typed at it goes to COM1: on QEMU at once, on Bochs when a
    /// line ends.
    pub terminal: bool,
    /// How to watch the machine, if its boot archive says that it is watched; on QEMU only.
    pub watch: Option<Watch>,
    /// Whether the time-stamp counter counts executed instructions instead of time; the CPUs then run one at a time. On
    /// Bochs it always does.
    pub counted: bool,
    /// Addresses of functions whose calls are counted; on QEMU only, and slow.
    pub functions: &'a [u64],
}

impl<'a> Run<'a> {
    /// Whether the script types anything.
    pub fn types(&self) -> bool {
        self.script.iter().any(|(_, act)| matches!(act, Act::Type(_)))
    }

    /// The console, before the machine has said anything. At a terminal, its control characters take effect.
    pub fn console(&self) -> Shown {
        let controls = if self.terminal { Controls::Kept } else { Controls::Escaped };
        Shown::new(controls, self.show || self.terminal)
    }

    /// The image on the usual machine with one CPU, without anything else.
    pub fn of(image: &'a Path) -> Run<'a> {
        Run {
            image,
            archive: None,
            cpus: 1,
            timeout: None,
            options: "",
            parts: Parts::USUAL,
            script: &[],
            gdb: false,
            show: false,
            terminal: false,
            watch: None,
            counted: false,
            functions: &[],
        }
    }
}

/// The parts of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The kind of machine, in QEMU's terms.
    pub machine: &'a str,
    /// The kind of its processors, in QEMU's terms.
    pub processor: &'a str,
    /// The size of its memory, in QEMU's terms.
    pub memory: &'a str,
    /// The arrangement of its CPUs, if they are not all in one socket, in QEMU's terms.
    pub topology: Option<&'a str>,
    /// How the CPUs are emulated, in QEMU's terms.
    pub accelerator: &'a str,
    /// Further arguments for QEMU.
    pub more: &'a [&'a str],
    /// Bytes of text that GRUB hands over together with the boot archive; on Bochs only.
    pub module_text: usize,
}

impl Parts<'_> {
    /// The machine that the kernel is made for.
    pub const USUAL: Parts<'static> = Parts {
        machine: "pc",
        processor: "max",
        memory: "2G",
        topology: None,
        accelerator: "tcg,thread=multi",
        more: &[],
        module_text: 0,
    };

    /// A machine whose CPUs run guests. With a thread for each CPU, QEMU 7.2 sometimes walks the host's page tables as if
    /// they were the guest's, directly after an exit: it reports a second exit, for a nested fault at the host's address,
    /// and the guest's registers are lost. One thread for all CPUs has not shown this.
    pub const GUESTS: Parts<'static> = Parts { accelerator: "tcg,thread=single", ..Parts::USUAL };
}

/// An action on a machine.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Type this text on its first serial line.
    Type(&'a str),
    /// Ask the machine for its state, which ends it.
    Interrupt,
    /// Give this command to the emulator's monitor.
    Monitor(&'a str),
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The image ended the machine for this reason.
    Ended(Reason),
    /// The machine reset itself: a triple fault, or something wrote to a reset register.
    Reset,
    /// The time was up. The console then shows what each CPU was running, if that could be found out.
    TimedOut,
    /// The emulator ended by itself with this status; its own message has been shown.
    Emulator(ExitStatus),
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Outcome::Ended(reason) => formatter.write_str(reason.text()),
            Outcome::Reset => formatter.write_str("the machine reset itself (triple fault)"),
            Outcome::TimedOut => formatter.write_str("time-out"),
            Outcome::Emulator(status) => write!(formatter, "the emulator failed with {status}"),
        }
    }
}

/// A run that has ended.
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// The text on the console.
    pub console: String,
    /// How long the run took.
    pub time: Duration,
    /// The result of watching it.
    pub watched: Option<Watched>,
    /// How many bytes of the console had arrived at which time; on QEMU only.
    pub arrivals: Vec<(usize, Duration)>,
    /// How often each function of [`Run::functions`] was called, by its address.
    pub calls: BTreeMap<u64, u64>,
}

impl Ended {
    /// When the console first showed `text`.
    pub fn when(&self, text: &str) -> Option<Duration> {
        let end = self.console.find(text)? + text.len();
        self.arrivals.iter().find(|(bytes, _)| *bytes >= end).map(|(_, time)| *time)
    }
}
