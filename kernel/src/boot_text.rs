//! `boot.txt` of the boot archive: what the kernel is to do, one instruction a line.
//!
//! ```text
//! # a comment
//! program hello
//! ```

/// Name of the file in the boot archive.
pub const FILE: &str = "boot.txt";

/// One instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instruction<'a> {
    /// Start the program with this file name.
    Program(&'a str),
}

/// A line that is not an instruction (whoever wrote the file is to blame).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadLine<'a> {
    /// Line number, from 1.
    pub number: usize,
    /// The line.
    pub line: &'a str,
}

/// The instructions of `text`, in their order; empty lines and comments are skipped.
pub fn parse(text: &str) -> impl Iterator<Item = Result<Instruction<'_>, BadLine<'_>>> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let instruction = match (words.next()?, words.next(), words.next()) {
            ("program", Some(name), None) => Ok(Instruction::Program(name)),
            _ => Err(BadLine {
                number: index + 1,
                line,
            }),
        };
        Some(instruction)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_programs_and_names_bad_lines() {
        let parsed: std::vec::Vec<_> =
            parse("# all\nprogram hello # twice\n\nprogram\nprogram a b\n").collect();
        assert_eq!(
            parsed,
            [
                Ok(Instruction::Program("hello")),
                Err(BadLine {
                    number: 4,
                    line: "program"
                }),
                Err(BadLine {
                    number: 5,
                    line: "program a b"
                }),
            ]
        );
    }
}
