//! The console, the serial line, and spurious interrupts.

use crate::commands::boots::behaviour::{BUSY_LIMIT, Behaviour, USUAL};
use crate::host::emulator::machine::Act;

/// More characters than the UART, the layer's UART and the layer's console hold, except the last of them.
const LONG_LINE: &str = concat!(
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\n",
);

/// The behaviours, in the order in which they are tried.
pub const BEHAVIOURS: &[Behaviour] = &[
    Behaviour {
        name: "console",
        image: "try-console",
        cpus: 8,
        count: Some(("abcdefghijklmnopqrstuvwxyz", 400)),
        lines: |line| line.starts_with("cairn: ") || is_whole(line),
        ..USUAL
    },
    Behaviour {
        name: "serial",
        image: "try-serial",
        timeout: BUSY_LIMIT,
        script: &[
            ("type now", Act::Type("hello, kernel\n")),
            ("<hello, kernel>", Act::Type(LONG_LINE)),
            ("56789>", Act::Type("bye\n")),
        ],
        texts: &["<hello, kernel>", "<0123456789012345678901234567890123456789", "<bye>", "0 characters were lost"],
        count: Some(("0123456789", LONG_LINE.len() / 10)),
        ..USUAL
    },
    // More than a FIFO holds, and typed while the firmware still runs.
    Behaviour {
        name: "typed-before-boot",
        image: "try-serial",
        timeout: BUSY_LIMIT,
        script: &[("", Act::Type("typed before the kernel ran\n")), ("kernel ran>", Act::Type("bye\n"))],
        texts: &["type now", "<typed before the kernel ran>", "<bye>", "0 characters were lost"],
        ..USUAL
    },
    Behaviour {
        name: "spurious-interrupts",
        image: "try-spurious",
        texts: &["3 interrupts that nobody asked for"],
        ..USUAL
    },
];

/// Whether a line of the image `try-console` is whole: it begins and ends with the same CPU's number.
fn is_whole(line: &str) -> bool {
    let number = line.strip_prefix("<CPU ").and_then(|rest| rest.split_once(" line ")).map(|(number, _)| number);
    let last = line
        .strip_suffix('>')
        .and_then(|rest| rest.rsplit_once("abcdefghijklmnopqrstuvwxyz "))
        .map(|(_, number)| number);
    number.is_some() && number == last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_lines_are_not_whole() {
        assert!(is_whole("<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 3>"));
        assert!(!is_whole("<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 4>"));
        assert!(!is_whole("<CPU 3 li<CPU 3 line 07 abcdefghijklmnopqrstuvwxyz 3>"));
        assert!(!is_whole(""));
    }
}
