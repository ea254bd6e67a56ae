//! A program in a process of its own: text in, lines out. Nobody waits for it for ever: it is written to and read from by
//! threads of their own, and whoever waits says until when.
use crate::solver::SolverError;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

/// What came of waiting for a line.
pub enum Answer {
    /// The line, without white space around it.
    Line(String),
    /// Nothing, in time.
    Late,
}

/// What happened at the program's end of the pipes.
enum Event {
    /// It printed this.
    Printed(Vec<u8>),
    /// It closed its input, so that this could not be written to it.
    Deaf(io::Error),
    /// It ended, or closed its output.
    Ended,
}

/// Bytes of output that are read at once.
const PIECE: usize = 1 << 16;
/// Pieces of output that are kept for whoever reads them; a program that prints more than is read has to wait.
const PIECES: usize = 16;
/// Bytes of the longest line that is read.
const LONGEST: usize = 1 << 24;
/// How long a program that reads no more may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running program; it is killed when this is dropped.
pub struct Process {
    program: String,
    child: Child,
    /// What is still to be written to it.
    input: Sender<String>,
    events: Receiver<Event>,
    /// Why it could not be written to.
    deaf: Option<io::Error>,
    /// What was received of it.
    received: Vec<u8>,
    /// How much of that was given out.
    given: usize,
    /// How much of that was searched for the end of the line that comes next.
    searched: usize,
}

impl Process {
    /// Starts `program` with these arguments.
    ///
    /// # Errors
    /// [`SolverError::Start`] when it does not start.
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
        // Both end with the process, or when nobody wants anything of it any more.
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

    /// Everything that `program` prints with these arguments and an empty input.
    ///
    /// # Errors
    /// When it does not start, or has not closed its output after `limit`, or prints more than a line may be long.
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

    /// Sends `text`, without waiting until it is read.
    pub fn send(&mut self, text: String) {
        // Where nobody writes it any more there is an event that says why.
        let _ = self.input.send(text);
    }

    /// The next line that it prints, if it does so before `until`.
    ///
    /// # Errors
    /// When it ended, or reads no more and has nothing more to say, or prints a line without end.
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

/// Writes each text; what cannot be written is the last.
fn write_all(mut input: impl Write, texts: &Receiver<String>, deaf: &SyncSender<Event>) {
    for text in texts {
        if let Err(error) = input.write_all(text.as_bytes()).and_then(|()| input.flush()) {
            // Whoever waits no more does not want to know.
            let _ = deaf.send(Event::Deaf(error));
            return;
        }
    }
}

/// Reads until the end.
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
        // It may have ended by itself; either way nothing is left to be done about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
