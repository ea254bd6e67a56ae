//! `cairn call`: calls primitives of the layer interactively, one call per line.

mod prompt;

use crate::host::error::Error;
use sim::session::{LONGEST_LINE, Session};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

/// Call primitives on the hosted machine; each call is a line of JSON
///
/// Each line of the standard input is answered by a line of JSON on the standard output:
///
///   {"cpu":0,"call":"palloc","args":[1]}   what the call gave, changed and logged, or the named Stuck
///   {"state":"AC[1]"}                      a field, a row or range of it, or a scalar
///   {"check":true}                         every clause of the invariant
///   {"machine":{"memory":"2GiB","cpus":8}} another machine, as the first line only
///   {"help":true}                          all calls with their arguments, fields and scalars
///
/// A terminal gets a prompt with completion and history. A line that is not a valid request is answered by {"error":…}
/// and changes nothing. The exit status is 0 at the end of the input, even if lines were refused, and 1 if the input
/// cannot be read or the output cannot be written.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(rustdoc::broken_intra_doc_links, reason = "it is the text of --help: brackets are JSON's")]
pub struct Arguments {}

/// Answers the lines that are typed, until the input ends.
pub fn run(_: &Arguments) -> Result<ExitCode, Error> {
    let mut session = Session::new();
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        prompt::run(&mut session)?;
    } else {
        answer(&mut session, &mut io::stdin().lock(), &mut io::stdout().lock())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers every line of `input`.
fn answer(session: &mut Session, input: &mut impl BufRead, output: &mut impl Write) -> Result<(), Error> {
    let mut line = Vec::new();
    while read_line(input, &mut line).map_err(Error::stream("read the standard input"))? {
        if let Some(reply) = session.line(&line) {
            // Flush the reply, because the caller may wait for it before it sends the next line.
            let written = writeln!(output, "{reply}").and_then(|()| output.flush());
            written.map_err(Error::stream("write to the standard output"))?;
        }
    }
    Ok(())
}

/// Reads a line without its line feed; false at the end of the input. Of a line that is too long, it keeps one byte
/// more than the limit, so that the caller notices.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let most = LONGEST_LINE as u64 + 2;
    if input.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else {
        let rest = |buffer: &[u8]| buffer.iter().position(|&byte| byte == b'\n');
        loop {
            let buffer = input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let (end, length) = (rest(buffer), buffer.len());
            input.consume(end.map_or(length, |end| end + 1));
            if end.is_some() {
                break;
            }
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn answers(input: &[u8]) -> Vec<Value> {
        let mut output = Vec::new();
        answer(&mut Session::new(), &mut &*input, &mut output).expect("both ends are memory");
        let text = String::from_utf8(output).expect("JSON is UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(answers(b"{\"state\":\"cid\"}\n\n# passed over\r\n{\"state\":\"cid\"}").len(), 2);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_error() {
        let long = [&vec![b' '; 3 * LONGEST_LINE][..], b"{\"state\":\"cid\"}\n{\"state\":\"cid\"}\n"].concat();
        let answers = answers(&long);
        assert_eq!(answers.len(), 2);
        assert!(answers[0]["error"].is_string() && answers[1]["value"] == 0);
    }

    #[test]
    fn what_is_no_text_is_an_error_and_the_next_line_is_read() {
        let answers = answers(b"\xff\xfe\n\0\n{\"state\":\"cid\"}\n");
        assert!(answers[0]["error"].is_string() && answers[1]["error"].is_string());
        assert_eq!(answers[2]["value"], 0);
    }
}
