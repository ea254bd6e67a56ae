//! QEMU.

use super::{Ended, Outcome, Run, Typing, show, wait};
use crate::error::Error;
use crate::tools;
use crate::watch::Watcher;
use kernel::exit::Reason;
use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use user::command::PROMPT;

/// Runs the machine to its end.
pub fn run(run: &Run) -> Result<Ended, Error> {
    let begin = Instant::now();
    let monitor = Monitor::new();
    let watcher = run.watch.map(Watcher::new).transpose()?;
    let line = watcher.as_ref().map(Watcher::path);
    let mut child = command(run, &monitor.path, line).spawn().map_err(Error::start(tools::QEMU))?;
    let typist = Typist::new(run.typing, child.stdin.take());
    let console = child.stdout.take().map(|stdout| {
        let live = run.show;
        thread::spawn(move || collect(stdout, live, begin, typist))
    });
    // An NMI makes the kernel say what each CPU is doing. QEMU forgets what a connection sent once that is closed.
    let (status, timed_out) =
        wait(&mut child, begin, run.timeout, |_| monitor.send("nmi\n")).map_err(Error::start(tools::QEMU))?;
    let (console, arrivals) = console.and_then(|reader| reader.join().ok()).unwrap_or_default();
    let outcome = match status.code() {
        _ if timed_out => Outcome::TimedOut,
        // `-no-reboot` turns a reset into a normal end.
        Some(0) => Outcome::Reset,
        Some(code) => Reason::from_qemu_status(code).map_or(Outcome::Emulator(status), Outcome::Ended),
        None => Outcome::Emulator(status),
    };
    Ok(Ended { outcome, console, time: begin.elapsed(), arrivals, watched: watcher.map(Watcher::end) })
}

fn command(run: &Run, monitor: &Path, line: Option<&Path>) -> Command {
    let mut command = Command::new(tools::QEMU);
    if run.counted {
        command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]);
    } else {
        command.args(["-accel", "tcg,thread=multi"]);
    }
    command.args(["-M", "pc", "-cpu", "max", "-m", "2G"]);
    command.args(["-display", "none", "-no-reboot", "-nodefaults"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    if *run.typing == Typing::Nobody {
        command.args(["-debugcon", "stdio", "-serial", "null"]);
    } else {
        // Without port 0xE9, the console is COM1.
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    }
    if let Some(line) = line {
        // COM2.
        command.arg("-chardev").arg(format!("socket,id=watch,path={}", line.display()));
        command.args(["-serial", "chardev:watch"]);
    }
    command.arg("-monitor").arg(format!("unix:{},server=on,wait=off", monitor.display()));
    command.args(["-smp", &run.cpus.to_string()]);
    command.arg("-kernel").arg(run.image);
    if let Some(archive) = run.archive {
        command.arg("-initrd").arg(archive);
    }
    if run.gdb {
        command.args(["-s", "-S"]);
    }
    match run.typing {
        Typing::Nobody => command.stdin(Stdio::null()).stdout(Stdio::piped()),
        Typing::Terminal => command.stdin(Stdio::inherit()).stdout(Stdio::inherit()),
        Typing::Lines(_) => command.stdin(Stdio::piped()).stdout(Stdio::piped()),
    };
    command
}

/// Types lines at prompts.
struct Typist {
    lines: std::vec::IntoIter<String>,
    keyboard: Option<ChildStdin>,
    /// How much of the console was looked at.
    seen: usize,
}

impl Typist {
    fn new(typing: &Typing, keyboard: Option<ChildStdin>) -> Typist {
        let lines = if let Typing::Lines(lines) = typing { lines.clone() } else { Vec::new() };
        Typist { lines: lines.into_iter(), keyboard, seen: 0 }
    }

    /// The console shows all this: types a line for each prompt that is new.
    fn look(&mut self, console: &[u8]) {
        let find = |rest: &[u8]| rest.windows(PROMPT.len()).position(|window| window == PROMPT.as_bytes());
        while let Some(at) = find(&console[self.seen..]) {
            self.seen += at + PROMPT.len();
            if let (Some(keyboard), Some(line)) = (&mut self.keyboard, self.lines.next()) {
                // A machine that has gone reads nothing more, which its end will say.
                let _ = keyboard.write_all(line.as_bytes()).and_then(|()| keyboard.flush());
            }
        }
    }
}

/// Reads the console to its end, and says how much of it had come when.
fn collect(mut from: impl Read, live: bool, begin: Instant, mut typist: Typist) -> (String, Vec<(usize, Duration)>) {
    let mut all = Vec::new();
    let mut arrivals = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let bytes = &chunk[..length];
        all.extend_from_slice(bytes);
        typist.look(&all);
        arrivals.push((all.len(), begin.elapsed()));
        if live {
            show(bytes);
        }
    }
    (String::from_utf8_lossy(&all).into_owned(), arrivals)
}

/// The socket of QEMU's monitor; removed when dropped.
struct Monitor {
    path: PathBuf,
}

impl Monitor {
    fn new() -> Monitor {
        // Unique in this process and, by its number, on this machine; short, as a socket's path must be.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cairn-{}-{}.monitor", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Monitor { path: env::temp_dir().join(name) }
    }

    fn send(&self, line: &str) -> io::Result<UnixStream> {
        let mut connection = UnixStream::connect(&self.path)?;
        connection.write_all(line.as_bytes())?;
        Ok(connection)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // QEMU removes it too when it ends normally.
        let _ = fs::remove_file(&self.path);
    }
}
