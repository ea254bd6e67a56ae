//! A solver's process: text in, lines out, and nobody waits for it for ever.
use crate::solver::SolverError;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What came of waiting for a line.
pub enum Answer {
    /// The line, without white space around it.
    Line(String),
    /// Nothing, in time.
    Late,
}

/// A running solver; it is killed when this is dropped.
pub struct Process {
    child: Child,
    input: ChildStdin,
    /// What it printed, in pieces.
    output: Receiver<Vec<u8>>,
    /// What was received of it.
    received: Vec<u8>,
    /// How much of that was given out.
    given: usize,
    /// How much of that was searched for the end of the line that comes next.
    searched: usize,
}

impl Process {
    /// Starts `program` as a reader of SMT-LIB.
    pub fn start(program: &str) -> Result<Process, SolverError> {
        // cvc5 reads from a pipe unasked.
        let is_cvc5 = Path::new(program).file_name().is_some_and(|name| name.to_string_lossy().contains("cvc5"));
        let arguments: &[&str] = if is_cvc5 { &["--lang=smt2", "--incremental"] } else { &["-in", "-smt2"] };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| SolverError::Start(program.to_string(), error))?;
        let input = child.stdin.take().expect("was piped");
        let mut stdout = child.stdout.take().expect("was piped");
        let (sender, output) = channel();
        // It ends with its process, or when nobody listens any more.
        std::thread::spawn(move || {
            let mut piece = vec![0; 1 << 16];
            while let Ok(bytes @ 1..) = stdout.read(&mut piece) {
                if sender.send(piece[..bytes].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Process { child, input, output, received: Vec::new(), given: 0, searched: 0 })
    }

    /// Sends `text`.
    pub fn send(&mut self, text: &str) -> Result<(), SolverError> {
        self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()).map_err(SolverError::Died)
    }

    /// The next line that it prints, if it does so within `limit`.
    pub fn line(&mut self, limit: Duration) -> Result<Answer, SolverError> {
        loop {
            if let Some(end) = self.received[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.searched + end;
                let line = String::from_utf8_lossy(&self.received[self.given..end]).trim().to_string();
                (self.given, self.searched) = (end + 1, end + 1);
                return Ok(Answer::Line(line));
            }
            self.received.drain(..self.given);
            (self.given, self.searched) = (0, self.received.len());
            match self.output.recv_timeout(limit) {
                Ok(piece) => self.received.extend(piece),
                Err(RecvTimeoutError::Timeout) => return Ok(Answer::Late),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(SolverError::Died(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to be done about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
