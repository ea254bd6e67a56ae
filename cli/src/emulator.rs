//! Running an image on an emulated PC.

pub mod bochs;
pub mod qemu;

use crate::error::Error;
use crate::tools;
use crate::watch::{Watch, Watched};
use kernel::devices::exit::Reason;
use programs::Transcript;
use programs::transcript::Controls;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// An emulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Emulator {
    /// QEMU: fast, and boots the image itself.
    Qemu,
    /// Bochs: exact and slow; every run gives the same result, and GRUB boots the image.
    Bochs,
}

impl Emulator {
    /// Whether all programs that it needs are installed.
    pub fn is_there(self) -> bool {
        let programs: &[&str] = match self {
            Emulator::Qemu => &[tools::QEMU],
            Emulator::Bochs => &[tools::BOCHS, tools::GRUB_IMAGE, tools::XORRISO, tools::MTOOLS],
        };
        programs.iter().all(|program| tools::find(program).is_some())
    }

    /// Runs the machine to its end.
    pub fn run(self, run: &Run) -> Result<Ended, Error> {
        match self {
            Emulator::Qemu => qemu::run(run),
            Emulator::Bochs => bochs::run(run),
        }
    }
}

impl fmt::Display for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Emulator::Qemu => "QEMU",
            Emulator::Bochs => "Bochs",
        })
    }
}

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
    /// The acts on the machine: each once the console shows the text after all that it showed before, and at once where
    /// the text is empty. On QEMU only.
    pub script: &'a [(&'a str, Act<'a>)],
    /// Whether to wait for a debugger on TCP port 1234 before the first instruction; on QEMU only.
    pub gdb: bool,
    /// Whether to show the console while the machine runs.
    pub show: bool,
    /// Whether this process's terminal is the machine's console (COM1), in both directions; on QEMU only.
    pub terminal: bool,
    /// How to watch the machine, if its boot archive says that it is watched; on QEMU only.
    pub watch: Option<Watch>,
    /// Whether the time-stamp counter counts executed instructions instead of time; the CPUs then run one at a time. On
    /// Bochs it always does.
    pub counted: bool,
}

impl<'a> Run<'a> {
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
    /// Further arguments for QEMU.
    pub more: &'a [&'a str],
    /// Bytes of text that GRUB hands over together with the boot archive; on Bochs only.
    pub module_text: usize,
}

impl Parts<'_> {
    /// The machine that the kernel is made for.
    pub const USUAL: Parts<'static> =
        Parts { machine: "pc", processor: "max", memory: "2G", topology: None, more: &[], module_text: 0 };
}

/// An act on a machine.
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
}

impl Ended {
    /// When the console first showed `text`.
    pub fn when(&self, text: &str) -> Option<Duration> {
        let end = self.console.find(text)? + text.len();
        self.arrivals.iter().find(|(bytes, _)| *bytes >= end).map(|(_, time)| *time)
    }
}

/// Time between two checks whether an emulator has ended.
const POLL: Duration = Duration::from_millis(5);
/// How long a machine may take to report its state.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Waits for the emulator's end; returns its status, and whether the time was up. If it was, `ask` asks the machine for
/// its state; its result is kept until the emulator has ended.
fn wait<T>(
    child: &mut Child,
    begin: Instant,
    timeout: Option<Duration>,
    ask: impl FnOnce(&Child) -> io::Result<T>,
) -> io::Result<(ExitStatus, bool)> {
    let until = |child: &mut Child, is_over: &dyn Fn() -> bool| {
        while !is_over() {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(POLL);
        }
        io::Result::Ok(None)
    };
    if let Some(status) = until(child, &|| timeout.is_some_and(|timeout| begin.elapsed() >= timeout))? {
        return Ok((status, false));
    }
    let asked = Instant::now();
    if let Ok(_kept) = ask(child)
        && let Some(status) = until(child, &|| asked.elapsed() >= LAST_WORDS)?
    {
        return Ok((status, true));
    }
    child.kill()?;
    Ok((child.wait()?, true))
}

/// The console of a running machine: its text so far, also shown on the terminal if `live`.
pub struct Shown {
    transcript: Transcript,
    live: bool,
}

impl Shown {
    /// An empty console.
    pub fn new(controls: Controls, live: bool) -> Shown {
        Shown { transcript: Transcript::new(controls), live }
    }

    /// Adds bytes that have arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        let before = self.text().len();
        self.transcript.push(bytes);
        self.show(before);
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        self.transcript.text()
    }

    /// Why the image has ended the machine, if it has reported that.
    pub fn reason(&self) -> Option<Reason> {
        self.transcript.end().and_then(Reason::from_code)
    }

    /// Ends the console, and returns its text.
    pub fn finish(mut self) -> String {
        let before = self.text().len();
        self.transcript.finish();
        self.show(before);
        self.transcript.into_text()
    }

    fn show(&self, before: usize) {
        let new = &self.text()[before..];
        if self.live && !new.is_empty() {
            let mut out = io::stdout().lock();
            // A reader that closed our output does not want to see the console.
            let _ = out.write_all(new.as_bytes()).and_then(|()| out.flush());
        }
    }
}
