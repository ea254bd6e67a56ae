//! The prompt at a terminal.

use crate::host::error::Error;
use crate::host::workspace;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use sim::session::{Session, words};
use std::io;

/// Reads lines until the end of the input or an interrupt, and prints the replies.
pub fn run(session: &mut Session) -> Result<(), Error> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor: Editor<Words, FileHistory> =
        Editor::with_config(config).map_err(|error| failed(error, "start the prompt"))?;
    editor.set_helper(Some(Words(words())));
    let history = workspace::target().join("call-history");
    // The history file does not exist before the first use, and the prompt works without it.
    let _ = editor.load_history(&history);
    println!(r#"{{"help":true}} lists the requests; Tab completes names; Ctrl-D ends"#);
    loop {
        match editor.readline("cairn> ") {
            Ok(line) => session.line(line.as_bytes()).into_iter().for_each(|reply| println!("{reply}")),
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => break,
            Err(error) => return Err(failed(error, "read the standard input")),
        }
    }
    let _ = editor.save_history(&history);
    Ok(())
}

fn failed(error: ReadlineError, doing: &'static str) -> Error {
    Error::stream(doing)(match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    })
}

/// The names that may occur in a line.
struct Words(Vec<String>);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        let before = &line[..at];
        let start = before.rfind(|letter| !is_name(letter)).map_or(0, |end| end + 1);
        let begun = before[start..].to_lowercase();
        let found = self.0.iter().filter(|word| word.to_lowercase().starts_with(&begun)).cloned();
        Ok((start, found.collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_where_the_cursor_is() {
        let words = Words(words());
        let history = rustyline::history::DefaultHistory::new();
        let complete = |line: &str| words.complete(line, line.len(), &Context::new(&history)).expect("it only looks");
        let (start, found) = complete(r#"{"call":"pall"#);
        assert_eq!((start, found), (9, vec!["palloc".to_string()]));
        assert!(complete(r#"{"state":"ac"#).1.contains(&"AC.charged".to_string()));
        assert!(complete(r#"{"é":"nonsense"#).1.is_empty());
    }
}
