//! QEMU.

use super::keyboard::{Keyboard, Script};
use super::machine::{Act, Ended, Outcome, Parts, Run};
use super::process::{Shown, wait};
use crate::host::error::Error;
use crate::host::tools;
use crate::host::watch::Watcher;
use kernel::devices::exit::Reason;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs the machine to its end.
pub fn run(run: &Run) -> Result<Ended, Error> {
    let begin = Instant::now();
    let monitor = Monitor::new();
    let watcher = run.watch.map(Watcher::new).transpose()?;
    let line = watcher.as_ref().map(Watcher::path);
    let keyboard = run.types().then(Keyboard::new).transpose()?;
    let typed = keyboard.as_ref().map(|keyboard| keyboard.address);
    let mut child = command(run, &monitor.path, typed, line).spawn().map_err(Error::start(tools::QEMU))?;
    let (status, timed_out, (console, arrivals), calls) = thread::scope(|scope| {
        let mut actor = Actor { script: Script::new(run.script), monitor: &monitor, keyboard, kept: None };
        let console = child.stdout.take().map(|stdout| {
            let shown = run.console();
            scope.spawn(move || {
                // The actions at the beginning of the script that wait for no text.
                actor.act(&[]);
                collect(stdout, shown, begin, |console| actor.act(console))
            })
        });
        let calls = child.stderr.take().map(|stderr| scope.spawn(move || count(BufReader::new(stderr))));
        let (status, timed_out) = wait(&mut child, begin, run.timeout, |_| monitor.interrupt())?;
        let console = console.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let calls = calls.and_then(|reader| reader.join().ok()).unwrap_or_default();
        Ok((status, timed_out, console, calls))
    })
    .map_err(Error::start(tools::QEMU))?;
    let outcome = match status.code() {
        _ if timed_out => Outcome::TimedOut,
        // `-no-reboot` turns a reset into a normal end.
        Some(0) => Outcome::Reset,
        Some(code) => Reason::from_qemu_status(code).map_or(Outcome::Emulator(status), Outcome::Ended),
        None => Outcome::Emulator(status),
    };
    Ok(Ended { outcome, console, time: begin.elapsed(), arrivals, watched: watcher.map(Watcher::end), calls })
}

fn command(run: &Run, monitor: &Path, typed: Option<SocketAddr>, line: Option<&Path>) -> Command {
    let mut command = Command::new(tools::QEMU);
    if run.counted {
        command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]);
    } else {
        command.args(["-accel", run.parts.accelerator]);
    }
    let Parts { machine, processor, memory, topology, more, .. } = run.parts;
    command.args(["-M", machine, "-cpu", processor, "-m", memory]).args(more);
    command.args(["-display", "none", "-no-reboot", "-nodefaults"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    // The console is port 0xE9 where there is one, and COM1 otherwise.
    if !run.terminal {
        command.args(["-debugcon", "stdio"]);
    }
    match typed {
        None if run.terminal => {
            command.args(["-chardev", "stdio,id=terminal,signal=off", "-serial", "chardev:terminal"])
        }
        None => command.args(["-serial", "null"]),
        Some(typed) => {
            command.arg("-chardev").arg(format!("socket,id=keyboard,host={},port={}", typed.ip(), typed.port()));
            command.args(["-serial", "chardev:keyboard"])
        }
    };
    if let Some(line) = line {
        // COM2.
        command.arg("-chardev").arg(format!("socket,id=watch,path={}", line.display()));
        command.args(["-serial", "chardev:watch"]);
    }
    command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", monitor.display()));
    let arranged = topology.map(|topology| format!(",{topology}")).unwrap_or_default();
    command.arg("-smp").arg(run.cpus.to_string() + &arranged);
    command.arg("-kernel").arg(run.image);
    if let Some(archive) = run.archive {
        command.arg("-initrd").arg(archive);
    }
    if !run.options.is_empty() {
        command.args(["-append", run.options]);
    }
    if run.gdb {
        command.args(["-s", "-S"]);
    }
    if !run.functions.is_empty() {
        // Chained blocks of code would not be logged.
        command.args(["-d", "exec,nochain", "-dfilter", &first_bytes(run.functions)]).stderr(Stdio::piped());
    }
    command.stdin(if run.terminal { Stdio::inherit() } else { Stdio::null() }).stdout(Stdio::piped());
    command
}

/// The first byte of each function, as a filter of QEMU's log. A call of a function begins a block of code there.
fn first_bytes(functions: &[u64]) -> String {
    let ranges: Vec<_> = functions.iter().map(|address| format!("{address:#x}+1")).collect();
    ranges.join(",")
}

/// Counts the executed blocks in QEMU's log, by the addresses at which they begin. Other lines are passed on.
fn count(mut log: impl BufRead) -> BTreeMap<u64, u64> {
    let (mut blocks, mut line) = (BTreeMap::<u64, u64>::new(), Vec::new());
    while let Ok(1..) = log.read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        match block(&text) {
            Some(Block::Begins(address)) => *blocks.entry(address).or_default() += 1,
            Some(Block::WasNotRun(address)) => {
                let count = blocks.entry(address).or_default();
                *count = count.saturating_sub(1);
            }
            None => eprint!("{text}"),
        }
        line.clear();
    }
    blocks
}

/// A line of QEMU's log about the block of code at an address.
#[derive(PartialEq, Eq, Debug)]
enum Block {
    /// The block is the next to run.
    Begins(u64),
    /// QEMU had something else to do: the block has not run after all, and will begin again.
    WasNotRun(u64),
}

/// Reads a line of QEMU's log: `Trace CPU: HOST [BASE/ADDRESS/…] …`, or `Stopped execution of TB chain before HOST
/// [ADDRESS] …`.
fn block(line: &str) -> Option<Block> {
    let inside = line.split_once('[')?.1.split_once(']')?.0;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    if line.starts_with("Trace ") {
        address(inside.split('/').nth(1)?).map(Block::Begins)
    } else if line.starts_with("Stopped execution of TB chain before ") {
        address(inside).map(Block::WasNotRun)
    } else {
        None
    }
}

/// Reads the console to its end, and returns how much of it had arrived at which time. Whenever more has arrived,
/// `each` gets the whole text.
fn collect(
    mut from: impl Read,
    mut shown: Shown,
    begin: Instant,
    mut each: impl FnMut(&[u8]),
) -> (String, Vec<(usize, Duration)>) {
    let mut arrivals = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        shown.push(&chunk[..length]);
        arrivals.push((shown.text().len(), begin.elapsed()));
        each(shown.text().as_bytes());
    }
    (shown.finish(), arrivals)
}

/// Carries out a script on the machine.
struct Actor<'a> {
    script: Script<'a>,
    monitor: &'a Monitor,
    keyboard: Option<Keyboard>,
    /// A connection that must stay open.
    kept: Option<UnixStream>,
}

impl Actor<'_> {
    /// Carries out the actions that are due, given the console's text so far.
    fn act(&mut self, console: &[u8]) {
        while let Some(act) = self.script.due(console) {
            match act {
                // A machine that has ended accepts no input, so this is no error.
                Act::Type(text) => drop(self.keyboard.as_mut().map(|keyboard| keyboard.type_in(text))),
                Act::Interrupt => self.kept = self.monitor.interrupt().ok(),
                Act::Monitor(command) => self.kept = self.monitor.command(command).ok(),
            }
        }
    }
}

/// QEMU's monitor, by the path of its socket. The socket is removed when this is dropped.
struct Monitor {
    path: PathBuf,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // QEMU removes it too when it ends normally.
        let _ = fs::remove_file(&self.path);
    }
}

impl Monitor {
    fn new() -> Monitor {
        // The name is unique in this process and, by the process number, on this machine. It is short, as a socket's
        // path must be.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cairn-{}-{}.monitor", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Monitor { path: env::temp_dir().join(name) }
    }

    /// Sends an NMI, which makes the kernel report what each CPU is doing.
    fn interrupt(&self) -> io::Result<UnixStream> {
        self.command("nmi")
    }

    /// Sends a command. QEMU forgets a command once its connection is closed.
    fn command(&self, command: &str) -> io::Result<UnixStream> {
        let mut connection = UnixStream::connect(&self.path)?;
        connection.write_all(format!("{command}\n").as_bytes())?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_unless_they_were_not_run() {
        let log = "Trace 0: 0x7f03e8000100 [0000000000000000/ffffffff80148300/00c0b2b0/ff000000] palloc\n\
                   Trace 1: 0x7f03e8000100 [0000000000000000/ffffffff80148300/00c0b2b0/ff000000] palloc\n\
                   Trace 1: 0x7f03e8000200 [0000000000000000/ffffffff80148400/00c0b2b0/ff000000] \n\
                   Stopped execution of TB chain before 0x7f03e8000100 [ffffffff80148300] palloc\n";
        let calls = count(log.as_bytes());
        assert_eq!(calls, BTreeMap::from([(0xffff_ffff_8014_8300, 1), (0xffff_ffff_8014_8400, 1)]));
        assert_eq!(block("qemu-system-x86_64: warning: [a/b]"), None);
        assert_eq!(first_bytes(&[0x10, 0x20]), "0x10+1,0x20+1");
    }
}
