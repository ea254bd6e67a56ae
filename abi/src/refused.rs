//! The console's line for a program of the boot list that could not be started.
//!
//! ```text
//! cairn: CPU 3: hog not started: no quota, child slot or thread number left
//! ```
use crate::Error;
use core::fmt;

/// A program that a CPU's main thread could not start, as one line of the console (without the line feed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused<'a> {
    /// The CPU.
    pub cpu: u32,
    /// The program's name in the boot archive.
    pub name: &'a str,
    /// The reason.
    pub error: Error,
}

/// The text between the program's name and the reason.
const NOT_STARTED: &str = " not started: ";

impl Refused<'_> {
    /// Whether a line of the console has this form.
    pub fn is_line(line: &str) -> bool {
        line.starts_with("cairn: CPU ") && line.contains(NOT_STARTED)
    }
}

impl fmt::Display for Refused<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.error {
            Error::Mem => "no quota, child slot or thread number left",
            Error::InvalId => "no such program",
            Error::InvalAddr => "an image that cannot be loaded",
            // `spawn` returns no other errors.
            _ => "no reason",
        };
        write!(formatter, "cairn: CPU {}: {}{NOT_STARTED}{reason}", self.cpu, self.name)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Refused;
    use crate::Error;
    use std::string::ToString;

    #[test]
    fn the_line_reads_as_documented() {
        let line = Refused { cpu: 3, name: "hog", error: Error::Mem }.to_string();
        assert_eq!(line, "cairn: CPU 3: hog not started: no quota, child slot or thread number left");
        assert!(Refused::is_line(&line));
        assert!(!Refused::is_line("cairn: CPU 3: thread 40 (hog) killed") && !Refused::is_line("hog not started: no"));
    }
}
