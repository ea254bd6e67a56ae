//! A program in a process of its own: text in, lines out. Separate threads write to it and read from it, and every wait
//! has a deadline, so no caller waits for ever.
use crate::backend::SolverError;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// The result of waiting for a line.
pub enum Answer {
    /// The line, without surrounding white space.
    Line(String),
    /// No line came before the deadline.
    Late,
}

/// An event at the program's end of the pipes.
enum Event {
    /// The program printed this.
    Printed(Vec<u8>),
    /// The program closed its input, so text could not be written to it.
    Deaf(io::Error),
    /// The program ended, or closed its output.
    Ended,
}

/// Maximum number of bytes that are read at once.
const PIECE: usize = 1 << 16;
/// Maximum number of pieces of output that are buffered. A program that prints more must wait.
const PIECES: usize = 16;
/// Maximum length of a line, in bytes.
const LONGEST: usize = 1 << 24;
/// Time that a program has for explaining itself after it has stopped reading.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running program; dropping the value kills it.
pub struct Process {
    program: String,
    child: Child,
    /// Channel to the thread that writes to the program.
    input: Sender<String>,
    events: Receiver<Event>,
    /// The reason for which the program could not be written to.
    deaf: Option<io::Error>,
    /// Output that was received.
    received: Vec<u8>,
    /// Length of the part of `received` that was already returned.
    given: usize,
    /// Length of the part of `received` that was already searched for the end of the next line.
    searched: usize,
}

impl Process {
    /// Starts `program` with these arguments.
    ///
    /// # Errors
    /// [`SolverError::Start`] if it does not start.
    pub fn start(program: &str, arguments: &[&str]) -> Result<Process, SolverError> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| SolverError::Start(program.to_string(), error))?;
        let stdin = child.stdin.take().expect("was piped");
        let stdout = child.stdout.take().expect("was piped");
        let (input, texts) = channel();
        let (printed, events) = sync_channel(PIECES);
        let deaf = printed.clone();
        // Both threads end with the process, or when the value is dropped.
        std::thread::spawn(move || write_all(stdin, &texts, &deaf));
        std::thread::spawn(move || read_all(stdout, &printed));
        Ok(Process {
            program: program.to_string(),
            child,
            input,
            events,
            deaf: None,
            received: Vec::new(),
            given: 0,
            searched: 0,
        })
    }

    /// The whole output of `program` with these arguments and an empty input.
    ///
    /// # Errors
    /// If it does not start, has not closed its output after `limit`, or prints more than the maximum length of a line.
    pub fn output(program: &str, arguments: &[&str], limit: Duration) -> Result<String, SolverError> {
        let until = Instant::now() + limit;
        let mut process = Process::start(program, arguments)?;
        // Without a sender the writing thread closes the pipe.
        process.input = channel().0;
        loop {
            match process.event(until) {
                Ok(Event::Printed(piece)) => process.received.extend(piece),
                Ok(Event::Deaf(_)) => {}
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => return Err(SolverError::Silent(program.to_string(), limit)),
            }
            if process.received.len() > LONGEST {
                return Err(process.endless());
            }
        }
        Ok(String::from_utf8_lossy(&process.received).into_owned())
    }

    /// Sends `text`, without waiting until the program reads it.
    pub fn send(&mut self, text: String) {
        // If the writing thread has ended, an event gives the reason.
        let _ = self.input.send(text);
    }

    /// The next line of output, if the program prints one before `until`.
    ///
    /// # Errors
    /// If it ended, if it no longer reads and prints nothing more, or if it prints a line that is too long.
    pub fn line(&mut self, mut until: Instant) -> Result<Answer, SolverError> {
        loop {
            if let Some(end) = self.received[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.searched + end;
                let line = String::from_utf8_lossy(&self.received[self.given..end]).trim().to_string();
                (self.given, self.searched) = (end + 1, end + 1);
                return Ok(Answer::Line(line));
            }
            self.received.drain(..self.given);
            (self.given, self.searched) = (0, self.received.len());
            if self.received.len() > LONGEST {
                return Err(self.endless());
            }
            if self.deaf.is_some() {
                until = until.min(Instant::now() + LAST_WORDS);
            }
            match self.event(until) {
                Ok(Event::Printed(piece)) => self.received.extend(piece),
                Ok(Event::Deaf(error)) => self.deaf = Some(error),
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.died(io::ErrorKind::UnexpectedEof.into()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return self.deaf.take().map_or(Ok(Answer::Late), |error| Err(self.died(error)));
                }
            }
        }
    }

    fn event(&self, until: Instant) -> Result<Event, RecvTimeoutError> {
        self.events.recv_timeout(until.saturating_duration_since(Instant::now()))
    }

    fn died(&mut self, error: io::Error) -> SolverError {
        SolverError::Died(self.program.clone(), self.deaf.take().unwrap_or(error))
    }

    fn endless(&self) -> SolverError {
        let begin = String::from_utf8_lossy(&self.received[..PIECE]).into_owned();
        SolverError::Nonsense(self.program.clone(), begin)
    }
}

/// Writes each text. After a text that cannot be written, it reports the error and stops.
fn write_all(mut input: impl Write, texts: &Receiver<String>, deaf: &SyncSender<Event>) {
    for text in texts {
        if let Err(error) = input.write_all(text.as_bytes()).and_then(|()| input.flush()) {
            // If the receiver is gone, nobody needs the error.
            let _ = deaf.send(Event::Deaf(error));
            return;
        }
    }
}

/// Reads until the end of the output.
fn read_all(mut output: impl Read, printed: &SyncSender<Event>) {
    let mut piece = vec![0; PIECE];
    while let Ok(bytes @ 1..) = output.read(&mut piece) {
        if printed.send(Event::Printed(piece[..bytes].to_vec())).is_err() {
            return;
        }
    }
    let _ = printed.send(Event::Ended);
}

impl Drop for Process {
    fn drop(&mut self) {
        // The program may have ended already, so errors are ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
