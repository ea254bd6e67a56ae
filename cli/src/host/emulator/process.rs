//! The process of an emulator: waits for its end, and shows its console.
use kernel::devices::exit::Reason;
use programs::Transcript;
use programs::transcript::Controls;
use std::io::{self, Write};
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Time between two checks whether an emulator has ended.
pub const POLL: Duration = Duration::from_millis(5);
/// How long a machine may take to report its state.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Waits for the emulator's end; returns its status, and whether the time was up. If it was, `ask` asks the machine for
/// its state. The result of `ask` is kept until the emulator has ended.
pub fn wait<T>(
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
            // If the reader has closed our output, it does not want to see the console.
            let _ = out.write_all(new.as_bytes()).and_then(|()| out.flush());
        }
    }
}
