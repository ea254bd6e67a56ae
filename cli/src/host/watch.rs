//! Watches a booted kernel: asks it for checkpoints, and evaluates the invariant on the state that it sends.

use crate::host::error::Error;
use abi::watch::{CHECKPOINT, LAST_CHECKPOINT, READY};
use layer::core::dump::Counts;
use sim::check::live::{self, Checkpoint, Dump, MADE_TRUE, Pages};
use std::env;
use std::fmt;
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How a machine is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Time between two checkpoints.
    pub every: Duration,
    /// When to end the machine, after a last checkpoint.
    pub until: Option<Until>,
}

/// When to end the watch.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time.
    Time(Duration),
    /// When programs have made this many system calls. This is checked at each checkpoint.
    Calls(u64),
}

/// The result of watching a machine.
#[derive(Default, Debug)]
pub struct Watched {
    /// Number of checkpoints.
    pub checkpoints: u32,
    /// How often programs had entered the kernel at the last checkpoint.
    pub counts: Counts,
    /// The use of the pages at the last checkpoint.
    pub pages: Pages,
    /// How many values of the layer were compared with the hardware, at all checkpoints.
    pub compared: u64,
    /// The violations of the first checkpoint that had any, and the errors that made watching impossible, as messages.
    pub violations: Vec<String>,
}

impl fmt::Display for Watched {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Watched { checkpoints, counts: Counts { entries, calls }, pages, compared, violations } = self;
        let plural = if *checkpoints == 1 { "" } else { "s" };
        write!(
            formatter,
            "{checkpoints} checkpoint{plural}, {} violations, {entries} kernel entries, {calls} of them system calls; ",
            violations.len()
        )?;
        write!(formatter, "{pages}\n{compared} values of the layer compared with the hardware\n")?;
        write!(formatter, "not checked, because the reconstructed ghost state makes them true:  ")?;
        let made: Vec<&str> = MADE_TRUE.iter().map(|(number, _)| *number).collect();
        formatter.write_str(&made.join(", "))
    }
}

/// A line to a machine that will be started.
pub struct Watcher {
    path: PathBuf,
    worker: Option<JoinHandle<Watched>>,
    ended: Arc<AtomicBool>,
}

/// Time between two checks whether a checkpoint is due.
const POLL: Duration = Duration::from_millis(20);

impl Watcher {
    /// Creates a line, and a thread that watches the machine that connects to it.
    ///
    /// # Errors
    /// When no socket can be made.
    pub fn new(watch: Watch) -> Result<Watcher, Error> {
        // As for QEMU's monitor, the name is unique, and short, as a socket's path must be.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cairn-{}-{}.watch", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).map_err(Error::file("listen at", &path))?;
        let ended = Arc::new(AtomicBool::new(false));
        let worker = {
            let ended = Arc::clone(&ended);
            thread::spawn(move || match listener.accept() {
                Ok((line, _)) => observe(line, watch, ended),
                Err(error) => failed(&error.into()),
            })
        };
        Ok(Watcher { path, worker: Some(worker), ended })
    }

    /// The path that the machine's line must be connected to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the watch once the machine has ended, and returns the result.
    pub fn end(mut self) -> Watched {
        self.ended.store(true, Ordering::Relaxed);
        // A machine that has never connected is not waited for.
        if let Ok(line) = UnixStream::connect(&self.path) {
            let _ = line.shutdown(Shutdown::Both);
        }
        self.worker.take().and_then(|worker| worker.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(error: &live::DumpError) -> Watched {
    Watched { violations: vec![error.to_string()], ..Watched::default() }
}

/// A line on which each read waits a little first, because an emulator sends byte by byte.
struct Patient<'a>(&'a UnixStream);

/// Time that each read waits before it returns.
const GATHERING: Duration = Duration::from_millis(2);

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        thread::sleep(GATHERING);
        self.0.read(buffer)
    }
}

/// Asks for checkpoints and evaluates them, until the line is closed.
fn observe(line: UnixStream, watch: Watch, ended: Arc<AtomicBool>) -> Watched {
    // A request that is sent before the machine is ready may be lost.
    let mut ready = [0];
    if (&line).read_exact(&mut ready).is_err() || ready != [READY] {
        return Watched::default();
    }
    let (pending, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asker = line.try_clone().map(|line| {
        let (pending, calls) = (Arc::clone(&pending), Arc::clone(&calls));
        thread::spawn(move || ask(line, watch, &pending, &calls, &ended))
    });
    let mut watched = Watched::default();
    let mut from = BufReader::with_capacity(1 << 16, Patient(&line));
    loop {
        let found = match Dump::read(&mut from) {
            Ok(Some(dump)) => Checkpoint::of(&dump),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        match found {
            Ok(found) => {
                watched.checkpoints += 1;
                (watched.counts, watched.pages) = (found.counts, found.pages);
                watched.compared += found.compared;
                calls.store(found.counts.calls, Ordering::Relaxed);
                let facts = found.violations.iter().map(ToString::to_string);
                watched.violations.extend(facts.chain(found.problems.iter().map(ToString::to_string)));
            }
            Err(error) => watched.violations.push(error.to_string()),
        }
        pending.store(false, Ordering::Release);
        if !watched.violations.is_empty() {
            // Only the first state that violates the invariant is reported; later violations may
            // follow from it.
            let _ = (&line).write_all(&[LAST_CHECKPOINT]);
            break;
        }
    }
    let _ = line.shutdown(Shutdown::Both);
    if let Ok(asker) = asker {
        let _ = asker.join();
    }
    watched
}

/// Asks for a checkpoint whenever one is due, until the line is closed.
fn ask(mut line: UnixStream, watch: Watch, pending: &AtomicBool, calls: &AtomicU64, ended: &AtomicBool) {
    let begin = Instant::now();
    let mut last = begin;
    while !ended.load(Ordering::Relaxed) {
        thread::sleep(POLL.min(watch.every));
        if pending.load(Ordering::Acquire) {
            last = Instant::now();
            continue;
        }
        let over = match watch.until {
            Some(Until::Time(time)) => begin.elapsed() >= time,
            Some(Until::Calls(most)) => calls.load(Ordering::Relaxed) >= most,
            None => false,
        };
        if !over && last.elapsed() < watch.every {
            continue;
        }
        pending.store(true, Ordering::Release);
        if line.write_all(&[if over { LAST_CHECKPOINT } else { CHECKPOINT }]).is_err() || over {
            return;
        }
    }
}
