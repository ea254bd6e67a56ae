//! Child processes: this process never waits for one without a limit.

use crate::host::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;
use wait_timeout::ChildExt;

/// Time limit of a program, and of a silence if its output is read. Builds and downloads take minutes on a busy
/// machine.
pub const LIMIT: Duration = Duration::from_secs(3600);

/// How long the output may take to arrive after a program has ended. A process that it started may keep the pipe open.
const REST: Duration = Duration::from_secs(5);

/// Waits until `child` has ended; `program` is its name in messages.
///
/// # Errors
/// [`Error::Late`] when it has not ended after `limit`; then it is killed.
pub fn wait(child: &mut Child, program: &str, limit: Duration) -> Result<ExitStatus, Error> {
    match child.wait_timeout(limit).map_err(Error::start(program))? {
        Some(status) => Ok(status),
        None => Err(late(child, program, limit)),
    }
}

/// Runs `command` without input; `program` is its name in messages.
///
/// # Errors
/// When it does not start, or does not end within `limit`.
pub fn status(command: &mut Command, program: &str, limit: Duration) -> Result<ExitStatus, Error> {
    wait(&mut command.stdin(Stdio::null()).spawn().map_err(Error::start(program))?, program, limit)
}

/// Runs `command` without input; `program` is its name in messages.
///
/// # Errors
/// Those of [`status`] within [`LIMIT`], and [`Error::Failed`] when its status is not 0.
pub fn execute(command: &mut Command, program: &str) -> Result<(), Error> {
    if status(command, program, LIMIT)?.success() { Ok(()) } else { Err(Error::Failed { program: program.to_owned() }) }
}

/// Runs `command` without input, and returns its output; `program` is its name in messages.
///
/// # Errors
/// When it does not start, or does not end within `limit`.
pub fn output(command: &mut Command, program: &str, limit: Duration) -> Result<Output, Error> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::start(program))?;
    let (stdout, stderr) = (child.stdout.take().map(whole), child.stderr.take().map(whole));
    let status = wait(&mut child, program, limit)?;
    let arrived = |from: Option<Receiver<_>>| from.and_then(|from| from.recv_timeout(REST).ok()).unwrap_or_default();
    Ok(Output { status, stdout: arrived(stdout), stderr: arrived(stderr) })
}

/// The next line that `child` prints; `None` once it has closed its output.
///
/// # Errors
/// [`Error::Late`] when no line comes within `limit`; then it is killed.
pub fn line(
    lines: &Receiver<String>,
    child: &mut Child,
    program: &str,
    limit: Duration,
) -> Result<Option<String>, Error> {
    match lines.recv_timeout(limit) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => Err(late(child, program, limit)),
    }
}

/// The lines of `from`, one by one as they arrive.
pub fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// All bytes of `from`, once it is closed.
fn whole(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, bytes) = mpsc::channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        // Bytes that cannot be read count as not printed.
        let _ = from.read_to_end(&mut all);
        sender.send(all)
    });
    bytes
}

/// Kills `child`, which has not answered, and returns the error that says so.
pub fn late(child: &mut Child, program: &str, limit: Duration) -> Error {
    // The process may just have ended; in either case nothing is left to do.
    let _ = child.kill();
    let _ = child.wait();
    Error::Late { program: program.to_owned(), limit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const SOON: Duration = Duration::from_millis(200);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn whoever_does_not_end_is_named_and_killed() {
        let begin = Instant::now();
        let error = status(&mut sh("exec sleep 1000"), "sleep", SOON).expect_err("it sleeps").to_string();
        assert_eq!(error, "sleep did not answer within 0.2 s, and was killed");
        assert!(matches!(output(&mut sh("exec sleep 1000"), "sleep", SOON), Err(Error::Late { .. })));
        let mut child = sh("echo one; exec sleep 1000").stdout(Stdio::piped()).spawn().expect("it starts");
        let printed = lines(child.stdout.take().expect("it was piped"));
        assert_eq!(line(&printed, &mut child, "sleep", LIMIT).expect("it prints"), Some("one".to_owned()));
        assert!(matches!(line(&printed, &mut child, "sleep", SOON), Err(Error::Late { .. })));
        assert!(begin.elapsed() < Duration::from_secs(100), "nobody waits for ever");
    }

    #[test]
    fn what_is_printed_arrives_even_if_it_is_much() {
        let output = output(&mut sh("head -c 1000000 /dev/zero; echo no >&2; exit 3"), "sh", LIMIT).expect("it ends");
        assert_eq!((output.stdout.len(), &*output.stderr, output.status.code()), (1_000_000, &b"no\n"[..], Some(3)));
    }
}
