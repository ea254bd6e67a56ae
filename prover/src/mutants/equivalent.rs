//! Equivalent mutants: mutants that survive, each with the reason.
//!
//! The reason is a comment in the code, above the line that it explains:
//!
//! ```text
//! // Equivalent mutants (`<`: true, off by one): the running thread is one (H18).
//! let (frame, _) = message_frame(cpu, va)?;
//! ```
//!
//! In brackets are the operator of the line and the changes that survive. A write has the name of its leaf:
//! `write slot`.
use crate::sources::{files, path};
use std::sync::LazyLock;
use symbolic::mutant::{Change, Operator};

/// The equivalent mutants of one operator of one line.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Equivalent {
    /// The file, relative to the root of the tree.
    pub file: &'static str,
    /// The number of the line, from 1.
    pub number: u32,
    /// The text of the line, without white space around it.
    pub line: &'static str,
    /// The operator.
    pub operator: Operator,
    /// The changes that survive.
    pub changes: Vec<Change>,
    /// Why no proof can tell the difference.
    pub reason: &'static str,
}

/// All equivalent mutants that the sources explain.
pub static EQUIVALENT: LazyLock<Vec<Equivalent>> = LazyLock::new(|| {
    let code = ["layer/src", "syscall/src"].map(|directory| files(&path(directory))).concat();
    let root = path("");
    let of = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy();
        explained(leak(&name), &text)
    };
    code.iter().flat_map(of).collect()
});

/// How a comment with an explanation begins.
const BEGIN: &str = "// Equivalent mutants (";

/// The explanations in the text of a file. A comment that cannot be read explains nothing, so its mutant is reported.
fn explained(file: &'static str, text: &str) -> Vec<Equivalent> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_comment = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("//"));
    let begins = |at: usize| lines.get(at).is_some_and(|line| line.starts_with(BEGIN));
    let mut found = Vec::new();
    for start in (0..lines.len()).filter(|&at| begins(at)) {
        let end = (start + 1..).find(|&at| !is_comment(at) || begins(at)).unwrap_or(start);
        let code = (end..).find(|&at| !is_comment(at)).unwrap_or(end);
        let comment = lines[start..end].iter().map(|line| line.trim_start_matches('/').trim()).collect::<Vec<_>>();
        let Some(line) = lines.get(code) else { continue };
        if let Some((operator, changes, reason)) = parse(&comment.join(" ")) {
            let (number, line, reason) = (code as u32 + 1, leak(line), leak(reason));
            found.push(Equivalent { file, number, line, operator, changes, reason });
        }
    }
    found
}

/// Operator, changes and reason of a comment.
fn parse(comment: &str) -> Option<(Operator, Vec<Change>, &str)> {
    let (which, reason) = comment.strip_prefix("Equivalent mutants (")?.split_once("): ")?;
    let (operator, changes) = which.split_once(": ")?;
    let changes: Option<Vec<Change>> = changes.split(", ").map(change).collect();
    Some((self::operator(operator)?, changes?, reason.trim_end_matches('.')))
}

fn operator(word: &str) -> Option<Operator> {
    Some(match word {
        "`==`" => Operator::Equal,
        "`<`" => Operator::Less,
        "`<=`" => Operator::AtMost,
        "flag" => Operator::Flag,
        "`+`" => Operator::Add,
        "`-`" => Operator::Subtract,
        "`*`" => Operator::Multiply,
        "`/`" => Operator::Divide,
        "`%`" => Operator::Remainder,
        "write" => Operator::Write(""),
        "search" => Operator::First,
        _ => Operator::Write(leak(word.strip_prefix("write ")?)),
    })
}

fn change(word: &str) -> Option<Change> {
    Some(match word {
        "negated" => Change::Opposite,
        "true" => Change::Yes,
        "false" => Change::No,
        "off by one" => Change::Boundary,
        "one more" => Change::OneMore,
        "first operand" => Change::FirstOperand,
        "lost" => Change::Lost,
        "later" => Change::Later,
        _ => return None,
    })
}

/// The text for the rest of the run: reports refer to it.
fn leak(text: &str) -> &'static str {
    text.to_string().leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_of_the_next_line_of_code() {
        let text = "fn f() {\n    // Equivalent mutants (`<`: true, off by one): the running\n    // thread is one (H18).\n    \
                    // Equivalent mutants (write slot: lost): nobody reads it.\n    a < b;\n}\n";
        let [less, write] = &explained("f.rs", text)[..] else { panic!("two explanations") };
        let (changes, reason) = (vec![Change::Yes, Change::Boundary], "the running thread is one (H18)");
        assert_eq!((less.file, less.number, less.line, less.reason), ("f.rs", 5, "a < b;", reason));
        assert_eq!((less.operator, &less.changes), (Operator::Less, &changes));
        assert_eq!((write.number, write.operator), (5, Operator::Write("slot")));
        assert_eq!((&*write.changes, write.reason), (&[Change::Lost][..], "nobody reads it"));
    }

    #[test]
    fn what_cannot_be_read_explains_nothing() {
        for wrong in ["`<`: maybe): x", "`&`: true): x", "`<`): x", "`<`: true: x"] {
            assert_eq!(explained("f.rs", &format!("{BEGIN}{wrong}.\na < b;\n")), [], "{wrong}");
        }
    }

    #[test]
    fn every_explanation_in_the_tree_can_be_read() {
        let begun = |file: &std::path::PathBuf| {
            let text = std::fs::read_to_string(file).expect("a source can be read");
            text.lines().filter(|line| line.trim().starts_with(BEGIN)).count()
        };
        let all: usize =
            ["layer/src", "syscall/src"].iter().flat_map(|of| files(&path(of))).map(|file| begun(&file)).sum();
        assert!(all > 0);
        assert_eq!(EQUIVALENT.len(), all);
    }
}
