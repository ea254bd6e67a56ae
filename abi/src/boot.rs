//! The boot list, `boot.txt` of the boot archive: the programs that each CPU's main thread starts, in this order.
//!
//! A line is `CPU IMAGE QUOTA ARGUMENT...`, separated by spaces or tabs: the number of a CPU, the name of a program,
//! the number of pages that the program may use, and the program's [arguments](mod@crate::arguments), if any. Empty lines
//! and all text from a `#` to the end of a line are ignored.
//!
//! ```
//! let list = "# CPU IMAGE QUOTA ARGUMENT...\n0 hello 40\n1 hello 42 kindly # the second\n";
//! let starts: Result<Vec<_>, _> = abi::boot::parse(list).collect();
//! let starts = starts.unwrap();
//! assert_eq!((starts[1].cpu, starts[1].image, starts[1].quota), (1, "hello", 42));
//! assert!(starts[1].arguments.iter().eq(["kindly"]));
//! ```

use crate::arguments::{self, TooLong};
use core::fmt;

/// The arguments of a line: words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The words of a text, separated by spaces and tabs.
    pub const fn of(text: &'a str) -> Words<'a> {
        Words(text)
    }

    /// Whether there are no words.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// The words, first to last.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0.split_ascii_whitespace()
    }
}

/// One line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start<'a> {
    /// The CPU whose main thread starts the program.
    pub cpu: u32,
    /// The program's name in the boot archive.
    pub image: &'a str,
    /// Pages that the program gets.
    pub quota: u32,
    /// Its arguments.
    pub arguments: Words<'a>,
    /// Number of the line, from 1, for messages.
    pub line: u32,
}

/// An error in a line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootListError<'a> {
    /// Number of the line, from 1.
    pub line: u32,
    /// The problem of the line.
    pub problem: Problem<'a>,
}

/// A problem of a line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// The line has fewer than three words.
    Missing(Field),
    /// A word that should be a number from 0 to 2^32-1 is not.
    NotANumber(Field, &'a str),
    /// The arguments do not fit on a page.
    Arguments(TooLong),
}

/// The words of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The first.
    Cpu,
    /// The second.
    Image,
    /// The third.
    Quota,
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Field::Cpu => "CPU",
            Field::Image => "program",
            Field::Quota => "quota",
        })
    }
}

impl fmt::Display for BootListError<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "boot list, line {}: ", self.line)?;
        match self.problem {
            Problem::Missing(field) => write!(formatter, "the {field} is missing")?,
            Problem::NotANumber(field, word) => write!(formatter, "the {field} '{word}' is not a number")?,
            Problem::Arguments(problem) => write!(formatter, "{problem}")?,
        }
        formatter.write_str("; a line is CPU IMAGE QUOTA ARGUMENT...")
    }
}

impl core::error::Error for BootListError<'_> {}

/// Reads a boot list, line by line.
pub fn parse(list: &str) -> impl Iterator<Item = Result<Start<'_>, BootListError<'_>>> {
    (1..).zip(list.lines()).filter_map(|(line, text)| {
        let text = text.split('#').next().unwrap_or_default().trim_ascii();
        if text.is_empty() {
            return None;
        }
        Some(start(line, text).map_err(|problem| BootListError { line, problem }))
    })
}

/// Reads one non-empty line.
fn start(line: u32, text: &str) -> Result<Start<'_>, Problem<'_>> {
    let mut rest = text;
    let mut word = |field| {
        let (word, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        rest = after.trim_ascii_start();
        if word.is_empty() { Err(Problem::Missing(field)) } else { Ok(word) }
    };
    let cpu = number(Field::Cpu, word(Field::Cpu)?)?;
    let image = word(Field::Image)?;
    let quota = number(Field::Quota, word(Field::Quota)?)?;
    let arguments = Words(rest);
    arguments::write(arguments.iter(), |_, _| ()).map_err(Problem::Arguments)?;
    Ok(Start { cpu, image, quota, arguments, line })
}

/// Reads a decimal number.
fn number(field: Field, word: &str) -> Result<u32, Problem<'_>> {
    word.parse().map_err(|_| Problem::NotANumber(field, word))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{BootListError, Field, Problem, Start, TooLong, Words, parse};
    use std::string::ToString;
    use std::vec::Vec;

    fn read(list: &str) -> Result<Vec<Start<'_>>, BootListError<'_>> {
        parse(list).collect()
    }

    #[test]
    fn lines_comments_and_blanks() {
        let list = "# a list\n\n0 hello 40\r\n  7\ttree  4294967295 # all\n1 a 2 b  c\td # e\n";
        let none = Words::default();
        let expected = [
            Start { cpu: 0, image: "hello", quota: 40, arguments: none, line: 3 },
            Start { cpu: 7, image: "tree", quota: u32::MAX, arguments: none, line: 4 },
            Start { cpu: 1, image: "a", quota: 2, arguments: Words::of("b  c\td"), line: 5 },
        ];
        assert_eq!(read(list), Ok(expected.to_vec()));
        assert!(expected[0].arguments.is_empty() && expected[2].arguments.iter().eq(["b", "c", "d"]));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn errors_name_the_line_and_the_word() {
        let error = |line, problem| Err(BootListError { line, problem });
        assert_eq!(read("0 hello 1\n0\n"), error(2, Problem::Missing(Field::Image)));
        assert_eq!(read("0 hello # 3"), error(1, Problem::Missing(Field::Quota)));
        assert_eq!(read("\n-1 hello 3"), error(2, Problem::NotANumber(Field::Cpu, "-1")));
        assert_eq!(read("0 hello 4294967296"), error(1, Problem::NotANumber(Field::Quota, "4294967296")));
        let long = std::format!("0 hello 3 {}", "x ".repeat(2000));
        assert_eq!(read(&long), error(1, Problem::Arguments(TooLong)));
        let message = read("0 hello 3x").unwrap_err().to_string();
        assert_eq!(message, "boot list, line 1: the quota '3x' is not a number; a line is CPU IMAGE QUOTA ARGUMENT...");
    }
}
