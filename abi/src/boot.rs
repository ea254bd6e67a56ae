//! The boot list, `boot.txt` of the boot archive: what each CPU's main thread starts, in this order.
//!
//! A line says `CPU IMAGE QUOTA`, separated by spaces or tabs: a CPU's number, a program's name, and the
//! number of pages that the program may use. Empty lines and everything from a `#` on are ignored.
//!
//! ```
//! let list = "# CPU IMAGE QUOTA\n0 hello 40\n1 hello 42 # the second\n";
//! let starts: Result<Vec<_>, _> = abi::boot::parse(list).collect();
//! let starts = starts.unwrap();
//! assert_eq!((starts[1].cpu, starts[1].image, starts[1].quota), (1, "hello", 42));
//! ```

use core::fmt;

/// One line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start<'a> {
    /// The CPU whose main thread starts the program.
    pub cpu: u32,
    /// The program's name in the boot archive.
    pub image: &'a str,
    /// Pages that the program gets.
    pub quota: u32,
    /// Number of the line, from 1, for messages.
    pub line: u32,
}

/// What is wrong with a line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error<'a> {
    /// Number of the line, from 1.
    pub line: u32,
    /// What is wrong with it.
    pub problem: Problem<'a>,
}

/// What can be wrong with a line of the boot list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// The line has fewer than three words.
    Missing(Field),
    /// A word that should be a number from 0 to 2^32-1.
    NotANumber(Field, &'a str),
    /// A word after the third.
    Excess(&'a str),
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

impl fmt::Display for Error<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "boot list, line {}: ", self.line)?;
        match self.problem {
            Problem::Missing(field) => write!(formatter, "the {field} is missing")?,
            Problem::NotANumber(field, word) => write!(formatter, "the {field} '{word}' is not a number")?,
            Problem::Excess(word) => write!(formatter, "'{word}' is one word too many")?,
        }
        formatter.write_str("; a line is CPU IMAGE QUOTA")
    }
}

impl core::error::Error for Error<'_> {}

/// Reads a boot list, line by line.
pub fn parse(list: &str) -> impl Iterator<Item = Result<Start<'_>, Error<'_>>> {
    (1..).zip(list.lines()).filter_map(|(line, text)| {
        let text = text.split('#').next().unwrap_or_default();
        let mut words = text.split_ascii_whitespace().peekable();
        words.peek()?;
        Some(start(line, words).map_err(|problem| Error { line, problem }))
    })
}

/// Reads the words of one line.
fn start<'a>(line: u32, mut words: impl Iterator<Item = &'a str>) -> Result<Start<'a>, Problem<'a>> {
    let mut word = |field| words.next().ok_or(Problem::Missing(field));
    let cpu = number(Field::Cpu, word(Field::Cpu)?)?;
    let image = word(Field::Image)?;
    let quota = number(Field::Quota, word(Field::Quota)?)?;
    match words.next() {
        None => Ok(Start { cpu, image, quota, line }),
        Some(excess) => Err(Problem::Excess(excess)),
    }
}

/// Reads a decimal number.
fn number(field: Field, word: &str) -> Result<u32, Problem<'_>> {
    word.parse().map_err(|_| Problem::NotANumber(field, word))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Error, Field, Problem, Start, parse};
    use std::string::ToString;
    use std::vec::Vec;

    fn read(list: &str) -> Result<Vec<Start<'_>>, Error<'_>> {
        parse(list).collect()
    }

    #[test]
    fn lines_comments_and_blanks() {
        let list = "# a list\n\n0 hello 40\r\n  7\ttree  4294967295 # all\n";
        let expected = [
            Start { cpu: 0, image: "hello", quota: 40, line: 3 },
            Start { cpu: 7, image: "tree", quota: u32::MAX, line: 4 },
        ];
        assert_eq!(read(list), Ok(expected.to_vec()));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn errors_name_the_line_and_the_word() {
        let error = |line, problem| Err(Error { line, problem });
        assert_eq!(read("0 hello 1\n0\n"), error(2, Problem::Missing(Field::Image)));
        assert_eq!(read("0 hello # 3"), error(1, Problem::Missing(Field::Quota)));
        assert_eq!(read("\n-1 hello 3"), error(2, Problem::NotANumber(Field::Cpu, "-1")));
        assert_eq!(read("0 hello 4294967296"), error(1, Problem::NotANumber(Field::Quota, "4294967296")));
        assert_eq!(read("0 hello 3 4"), error(1, Problem::Excess("4")));
        let message = read("0 hello 3x").unwrap_err().to_string();
        assert_eq!(message, "boot list, line 1: the quota '3x' is not a number; a line is CPU IMAGE QUOTA");
    }
}
