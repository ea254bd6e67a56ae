//! A solver's process: text in, lines out, and nobody waits for it for ever.
use super::SolverError;
use std::io::{self, BufRead, BufReader, Write};
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
    lines: Receiver<io::Result<String>>,
}

impl Process {
    /// Starts `program` as a reader of SMT-LIB.
    pub fn start(program: &str) -> Result<Process, SolverError> {
        let mut child = Command::new(program)
            .args(["-in", "-smt2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| SolverError::Start(program.to_string(), error))?;
        let input = child.stdin.take().expect("was piped");
        let output = BufReader::new(child.stdout.take().expect("was piped"));
        let (sender, lines) = channel();
        // It ends with its process, or when nobody listens any more.
        std::thread::spawn(move || {
            for line in output.lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Process { child, input, lines })
    }

    /// Sends `text`.
    pub fn send(&mut self, text: &str) -> Result<(), SolverError> {
        self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()).map_err(SolverError::Died)
    }

    /// The next line that it prints, if it does so within `limit`.
    pub fn line(&mut self, limit: Duration) -> Result<Answer, SolverError> {
        match self.lines.recv_timeout(limit) {
            Ok(Ok(line)) => Ok(Answer::Line(line.trim().to_string())),
            Ok(Err(error)) => Err(SolverError::Died(error)),
            Err(RecvTimeoutError::Timeout) => Ok(Answer::Late),
            Err(RecvTimeoutError::Disconnected) => Err(SolverError::Died(io::ErrorKind::UnexpectedEof.into())),
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
