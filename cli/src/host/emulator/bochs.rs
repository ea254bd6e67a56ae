//! Bochs, which boots from a disc that GRUB makes bootable.

use super::keyboard::{Keyboard, Script};
use super::machine::{Act, Ended, Outcome, Run};
use super::process::{Shown, wait};
use crate::host::archive;
use crate::host::child;
use crate::host::error::Error;
use crate::host::tools;
use kernel::devices::exit::Reason;
use kernel::handover::symbols::Symbols;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// GRUB's first commands; boot options follow.
const GRUB_MENU: &str = "set timeout=0\nmultiboot2 /boot/image";
/// GRUB's command for a boot archive.
const GRUB_MODULE: &str = "module2 /boot/archive ";
/// GRUB hands over a text with the archive: this word, repeated.
const MODULE_WORD: &str = "word ";

/// How long making the disc may take.
const GRUB_LIMIT: Duration = Duration::from_secs(300);

/// Commands for the debugger, which Debian's Bochs always includes.
const DEBUGGER: &str = "c\nquit\n";

/// The debugger's words before the position of each CPU.
const STOPPED: &str = "Next at t=";

/// The log's words about a machine that resets itself.
const TRIPLE_FAULT: &str = "exception(): 3rd";

/// The mark of a line of the log about an error that stops Bochs.
const GIVES_UP: &str = ">>PANIC<<";

/// The machine's BIOS.
pub const BIOS: &str = "/usr/share/bochs/BIOS-bochs-latest";
/// The BIOS of its display.
pub const VGA_BIOS: &str = "/usr/share/vgabios/vgabios.bin";

/// The machine, without its CPUs and files. Of the displays of Debian's Bochs, only this one needs no window system and
/// does not write to the terminal. Its output is not used.
const MACHINE: &str = "\
plugin_ctrl: unmapped=1, biosdev=1, serial=1, iodebug=0, speaker=0, parallel=0, gameport=0, extfpuirq=1
config_interface: textconfig
display_library: rfb, options=\"timeout=0\"
memory: guest=2048, host=2048
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
boot: cdrom
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
mouse: enabled=0
clock: sync=none, time0=1735775948
port_e9_hack: enabled=1
";

/// Runs the machine to its end.
pub fn run(run: &Run) -> Result<Ended, Error> {
    let begin = Instant::now();
    let files = tempfile::tempdir().map_err(Error::file("make a directory in", &std::env::temp_dir()))?;
    let files = files.path();
    make_disc(run, files)?;
    let mut machine = String::from(MACHINE);
    // Bochs measures time in ticks, so the value of `ips` makes no difference.
    let _ = writeln!(
        machine,
        "cpu: model=corei7_skylake_x, count={}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1",
        run.cpus
    );
    let _ = writeln!(machine, "ata0-master: type=cdrom, path={}, status=inserted", files.join("disc").display());
    let _ = writeln!(machine, "romimage: file={BIOS}, options=fastboot\nvgaromimage: file={VGA_BIOS}");
    let _ = writeln!(machine, "log: {}", files.join("log").display());
    let keyboard = (run.terminal || run.types()).then(Keyboard::new).transpose()?;
    let _ = match &keyboard {
        Some(keyboard) => writeln!(machine, "com1: enabled=1, mode=socket-client, dev={}", keyboard.address),
        None => writeln!(machine, "com1: enabled=1, mode=null"),
    };
    write(&files.join("machine"), &machine)?;
    write(&files.join("debugger"), DEBUGGER)?;

    let said = files.join("said");
    let errors = fs::File::create(&said).map_err(Error::file("write", &said))?;
    let mut child = Command::new(tools::BOCHS)
        .args(["-q", "-f", "machine", "-rc", "debugger"])
        .current_dir(files)
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(Error::start(tools::BOCHS))?;
    let stopping = Arc::new(AtomicBool::new(false));
    let (waited, console) = thread::scope(|scope| {
        let console = child.stdout.take().map(|stdout| {
            let stopping = stopping.clone();
            let shown = run.console();
            let typist = Typist { script: Script::new(run.script), keyboard, terminal: run.terminal };
            scope.spawn(move || collect(stdout, run.cpus, shown, &stopping, typist))
        });
        // The debugger, when interrupted, prints the position of each CPU.
        let interrupt = |child: &Child| {
            stopping.store(true, Ordering::Relaxed);
            Command::new("sh").arg("-c").arg(format!("kill -INT {}", child.id())).status()
        };
        let waited = wait(&mut child, begin, run.timeout, interrupt);
        (waited, console.and_then(|reader| reader.join().ok()).unwrap_or_default())
    });
    let (status, timed_out) = waited.map_err(Error::start(tools::BOCHS))?;
    let Console { mut text, reason, last_words } = console;
    let outcome = match reason {
        Some(reason) => Outcome::Ended(reason),
        None if timed_out => {
            text += &explain(&last_words, &archive::symbol_table(run.image)?);
            Outcome::TimedOut
        }
        None => {
            // Bochs prints everything to its standard error until it has opened its log.
            let read = |name| fs::read_to_string(files.join(name)).unwrap_or_default();
            let log = read("said") + &read("log");
            if log.contains(TRIPLE_FAULT) {
                Outcome::Reset
            } else {
                // The last lines of its output contain the reason why it gave up.
                log.lines().filter(|line| line.contains(GIVES_UP)).for_each(|line| eprintln!("Bochs: {line}"));
                Outcome::Emulator(status)
            }
        }
    };
    Ok(Ended {
        outcome,
        console: text,
        time: begin.elapsed(),
        arrivals: Vec::new(),
        watched: None,
        calls: BTreeMap::new(),
    })
}

/// Makes the disc in the directory `files`.
fn make_disc(run: &Run, files: &Path) -> Result<(), Error> {
    let boot = files.join("tree").join("boot");
    let grub = boot.join("grub");
    fs::create_dir_all(&grub).map_err(Error::file("create", &grub))?;
    let copy = |from: &Path, name: &str| fs::copy(from, boot.join(name)).map_err(Error::file("copy", from));
    copy(run.image, "image")?;
    let mut menu = format!("{GRUB_MENU} {}\n", run.options);
    if let Some(archive) = run.archive {
        copy(archive, "archive")?;
        menu += GRUB_MODULE;
        menu += &MODULE_WORD.repeat(run.parts.module_text / MODULE_WORD.len());
        menu += "\n";
    }
    write(&grub.join("grub.cfg"), &(menu + "boot\n"))?;
    let mut grub = Command::new(tools::GRUB_IMAGE);
    // Dates on the disc: the same files make the same disc, so that two runs are equal.
    grub.env("SOURCE_DATE_EPOCH", "1735775948");
    let made = child::output(grub.current_dir(files).args(["-o", "disc", "tree"]), tools::GRUB_IMAGE, GRUB_LIMIT)?;
    if made.status.success() {
        return Ok(());
    }
    eprint!("{}", String::from_utf8_lossy(&made.stderr));
    Err(Error::Failed { program: tools::GRUB_IMAGE.to_owned() })
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))
}

/// Types at the machine.
struct Typist<'a> {
    script: Script<'a>,
    keyboard: Option<Keyboard>,
    /// Whether what is typed at the terminal is to be sent as well.
    terminal: bool,
}

impl Typist<'_> {
    /// Does what is due, given the console's text so far.
    fn act(&mut self, console: &str) {
        let Some(keyboard) = &mut self.keyboard else { return };
        // The machine has begun to speak, so it has opened its end of the line.
        if std::mem::take(&mut self.terminal)
            && let Ok(mut line) = keyboard.line().and_then(|line| line.try_clone())
        {
            // The thread ends with this process, or when the machine has ended and another line is typed.
            thread::spawn(move || io::copy(&mut io::stdin(), &mut line));
        }
        while let Some(act) = self.script.due(console.as_bytes()) {
            // Only texts are typed here. A machine that has ended accepts no input, so this is no error.
            if let Act::Type(text) = act {
                let _ = keyboard.type_in(text);
            }
        }
    }
}

/// The output on the debug port.
#[derive(Default)]
struct Console {
    text: String,
    /// The reason for which the image ended the machine, if the console shows one.
    reason: Option<Reason>,
    /// The output after the machine was stopped, from the debugger's answer on.
    last_words: String,
}

/// Reads the output of Bochs: the debugger's greeting, which ends with a line for each of `cpus`, then the console,
/// then the debugger's answer.
fn collect(mut from: impl Read, cpus: u32, mut shown: Shown, stopping: &AtomicBool, mut typist: Typist<'_>) -> Console {
    // Bytes that may not be the console's: at first the greeting, at the end the debugger's answer.
    let mut rest = Vec::new();
    let mut lines = DebuggerLines::default();
    let mut greeted = false;
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        rest.extend_from_slice(&chunk[..length]);
        if !greeted && let Some(begin) = after_greeting(&rest, cpus) {
            greeted = true;
            rest.drain(..begin);
        }
        // After the machine was asked to stop, new bytes may be the debugger's.
        if greeted && !stopping.load(Ordering::Relaxed) {
            shown.push(&lines.remove(&std::mem::take(&mut rest)));
            typist.act(shown.text());
        }
    }
    let mut last_words = Vec::new();
    if greeted {
        // The last such text is the debugger's; an earlier one could be the output of a program.
        let stopped = rest.windows(STOPPED.len()).rposition(|window| window == STOPPED.as_bytes());
        last_words = rest.split_off(stopped.unwrap_or(rest.len()));
        shown.push(&lines.remove(&rest));
        shown.push(&lines.held);
    }
    let reason = shown.reason();
    Console { text: shown.finish(), reason, last_words: String::from_utf8_lossy(&last_words).into_owned() }
}

/// Removes the lines that the debugger prints when a guest triple-faults: the number of the CPU, the time, and the
/// instruction, as in `(6).[165416935] [0x000040090c06] 0000:7c06 (unk. ctxt): ud2`. They come between any two bytes of
/// the console. A program that prints such a line does not see it on this console.
#[derive(Default)]
struct DebuggerLines {
    /// Bytes that may be the beginning of such a line.
    held: Vec<u8>,
}

impl DebuggerLines {
    /// The beginning of a line of the debugger. A zero byte in it matches a decimal number.
    const BEGINNING: &[u8] = b"(\0).[\0] [0x";

    /// The bytes without such lines. The last of them may be held back.
    fn remove(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        for &byte in bytes {
            self.held.push(byte);
            while !DebuggerLines::may_begin(&self.held) {
                kept.push(self.held.remove(0));
            }
            if byte == b'\n' {
                self.held.clear();
            }
        }
        kept
    }

    /// Whether a line may begin with these bytes, or they are one up to its line feed.
    fn may_begin(held: &[u8]) -> bool {
        let mut held = held.iter().peekable();
        for &expected in DebuggerLines::BEGINNING {
            let is_right = if expected == 0 {
                let digits = std::iter::from_fn(|| held.next_if(|byte| byte.is_ascii_digit())).count();
                digits > 0 || held.peek().is_none()
            } else {
                held.next().is_none_or(|&byte| byte == expected)
            };
            if !is_right {
                return false;
            }
        }
        true
    }
}

/// Offset of the end of the debugger's greeting, if it has ended.
fn after_greeting(bytes: &[u8], cpus: u32) -> Option<usize> {
    let stopped = bytes.windows(STOPPED.len()).position(|window| window == STOPPED.as_bytes())?;
    let mut ends = (stopped..bytes.len()).filter(|&at| bytes[at] == b'\n');
    Some(ends.nth(cpus as usize)? + 1)
}

/// The debugger's answer, the position of each CPU, in the form of the kernel's own reports.
fn explain(answer: &str, symbols: &str) -> String {
    let Some(positions) = answer.strip_prefix(STOPPED) else { return String::new() };
    let symbols = Symbols::new(symbols);
    let mut report = "\ncairn: stopped from outside\n".to_owned();
    for (cpu, address) in positions.lines().filter_map(position) {
        let _ = match symbols.find(address) {
            Some(symbol) => writeln!(report, "  CPU {cpu}: {}+{:#x}", symbol.name, symbol.offset),
            None => writeln!(report, "  CPU {cpu}: {address:#x}"),
        };
    }
    report
}

/// The CPU and its instruction pointer in a line such as `(3) [0x00000010da34] 0008:ffffffff8010da34 (unk. ctxt): …`.
fn position(line: &str) -> Option<(u32, u64)> {
    let (cpu, rest) = line.strip_prefix('(')?.split_once(") [")?;
    let (_, rest) = rest.split_once("] ")?;
    let (_, address) = rest.split_whitespace().next()?.split_once(':')?;
    Some((cpu.parse().ok()?, u64::from_str_radix(address, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use programs::transcript::Controls;

    #[test]
    fn the_debuggers_lines_about_guests_are_removed() {
        const CONSOLE: &[u8] = b"one (1) two(6).[165416935] [0x000040090c06] 0000:7c06 (unk. ctxt): ud2  ; 0f0b\n\
                                 , three (6).[7\n(0).[1] [0x(";
        for size in [1, 2, 7, CONSOLE.len()] {
            let mut lines = DebuggerLines::default();
            let mut kept: Vec<_> = CONSOLE.chunks(size).flat_map(|chunk| lines.remove(chunk)).collect();
            assert_eq!(String::from_utf8_lossy(&kept), "one (1) two, three (6).[7\n");
            kept.append(&mut lines.held);
            assert!(kept.ends_with(b"\n(0).[1] [0x("), "{size}");
        }
    }

    const GREETING: &str = "Bochs\nNext at t=0\n(0) [0x0000fffffff0] f000:fff0 (unk. ctxt): jmpf\n\
                            (1) [0x0000fffffff0] f000:fff0 (unk. ctxt): jmpf\n";

    /// Types nothing.
    const NOBODY: Typist = Typist { script: Script::new(&[]), keyboard: None, terminal: false };

    fn collected(text: &str) -> Console {
        collect(text.as_bytes(), 2, Shown::new(Controls::Escaped, false), &AtomicBool::new(false), NOBODY)
    }

    #[test]
    fn the_console_is_what_is_between_greeting_and_mark() {
        let mark = "\u{10}\u{4}\u{10}";
        let console = collected(&format!("{GREETING}cairn: 2 CPUs\nhello\n{mark}(0).[251437180] out dx, al"));
        assert_eq!((console.text.as_str(), console.reason), ("\\cairn: 2 CPUs\nhello\n", Some(Reason::Done)));
        let console = collected(&format!("{GREETING}\u{10}\u{2}cairn: 2 CPUs\nhel"));
        assert_eq!((console.text.as_str(), console.reason), ("cairn: 2 CPUs\nhel", None));
        assert_eq!(collected("no such machine").text, "");
    }

    #[test]
    fn where_each_cpu_is_is_said_in_the_kernels_words() {
        let answer = "Next at t=139694170\n\
                      (0) [0x00000010da34] 0008:ffffffff8010da34 (unk. ctxt): cmp rax, r9\n\
                      (1) [0x00000010da34] 0023:0000000040001000 (unk. ctxt): pause\n";
        let symbols = "ffffffff8010da00 40 kernel::first\n";
        let report = "\ncairn: stopped from outside\n  CPU 0: kernel::first+0x34\n  CPU 1: 0x40001000\n";
        assert_eq!(explain(answer, symbols), report);
        assert_eq!(explain("", symbols), "");
    }

    #[test]
    fn a_program_that_speaks_like_the_debugger_is_not_believed() {
        let forged = "Next at t=1\n(0) [0x00000010da34] 0008:1 (unk. ctxt): hlt\n";
        // It stops once the greeting and the program's output have been read.
        let stopping = AtomicBool::new(false);
        let first = format!("{GREETING}{forged}");
        let after = ReadThen(forged.as_bytes(), &stopping);
        let console =
            collect(first.as_bytes().chain(after), 2, Shown::new(Controls::Escaped, false), &stopping, NOBODY);
        assert_eq!((console.text.as_str(), console.last_words.as_str()), (forged, forged));
    }

    /// Sets the flag that the machine stops as soon as anything is read.
    struct ReadThen<'a>(&'a [u8], &'a AtomicBool);

    impl Read for ReadThen<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.1.store(true, Ordering::Relaxed);
            self.0.read(into)
        }
    }
}
