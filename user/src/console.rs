//! Printing to the console.

use crate::sys;
use core::fmt::{self, Write};

/// Bytes that reach the console in one piece. Longer output is written in pieces of this size, and other CPUs may print
/// between them.
pub const PIECE: usize = 256;

/// Output collected until it is written in one system call.
///
/// The alignment keeps a piece within one page, so that one `puts` writes all of it.
#[repr(align(256))]
pub struct Piece {
    bytes: [u8; PIECE],
    used: usize,
}

impl Piece {
    /// No output yet.
    #[allow(clippy::new_without_default, reason = "there is one way to begin")]
    pub const fn new() -> Piece {
        Piece { bytes: [0; PIECE], used: 0 }
    }

    /// Collects bytes. A piece that is full is written.
    pub fn collect(&mut self, mut rest: &[u8]) {
        while !rest.is_empty() {
            let free = &mut self.bytes[self.used..];
            let count = rest.len().min(free.len());
            free[..count].copy_from_slice(&rest[..count]);
            self.used += count;
            rest = &rest[count..];
            if self.used == PIECE {
                self.flush();
            }
        }
    }

    /// Writes the collected output and starts over.
    pub fn flush(&mut self) {
        let mut rest = &self.bytes[..self.used];
        while !rest.is_empty() {
            match sys::puts(rest) {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or(&[]),
                // There is no other console on which the error could be reported.
                _ => break,
            }
        }
        self.used = 0;
    }
}

impl fmt::Write for Piece {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.collect(text.as_bytes());
        Ok(())
    }
}

/// Writes formatted text and then `end` to the console. [`print!`](crate::print) and [`println!`](crate::println)
/// expand to this.
pub fn print(arguments: fmt::Arguments, end: &str) {
    let mut piece = Piece::new();
    // `Piece` never fails, so the error comes from the `Display` of a value; the text so far is
    // printed.
    let _ = fmt::write(&mut piece, arguments);
    let _ = piece.write_str(end);
    piece.flush();
}

/// Writes formatted text to the console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(core::format_args!($($argument)*), "") };
}

/// Writes a formatted line to the console. In the first [`console::PIECE`](crate::console::PIECE) bytes, no output of
/// other programs comes between.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)*) => { $crate::console::print(core::format_args!($($argument)*), "\n") };
}
