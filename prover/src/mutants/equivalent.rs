//! Equivalent mutants: mutants that survive, each with its reason.
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
use crate::sources::{EXPLANATIONS, Explanation, leak};
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
pub static EQUIVALENT: LazyLock<Vec<Equivalent>> =
    LazyLock::new(|| EXPLANATIONS.iter().filter_map(equivalent).collect());

/// The equivalent mutants of a comment. If a comment cannot be parsed, it explains nothing, so its mutant is
/// reported.
fn equivalent(explanation: &Explanation) -> Option<Equivalent> {
    let Explanation { file, number, line, text } = *explanation;
    let (operator, changes, reason) = parse(text)?;
    Some(Equivalent { file, number, line, operator, changes, reason: leak(reason) })
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
        "event" => Operator::Event,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::explanations_in;

    const BEGIN: &str = "Equivalent mutants (";

    fn explained(file: &'static str, text: &str) -> Vec<Equivalent> {
        explanations_in(file, text).iter().filter_map(equivalent).collect()
    }

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
            assert_eq!(explained("f.rs", &format!("// {BEGIN}{wrong}.\na < b;\n")), [], "{wrong}");
        }
    }

    #[test]
    fn every_explanation_in_the_tree_can_be_read() {
        let all = EXPLANATIONS.iter().filter(|explanation| explanation.text.starts_with(BEGIN)).count();
        assert!(all > 0);
        assert_eq!(EQUIVALENT.len(), all);
    }
}
