//! A line editor for a terminal: turns typed bytes into lines, and into what the terminal must show.

use core::fmt::{self, Write};

/// The maximum number of bytes of a line. Further input is ignored.
pub const LONGEST: usize = 78;
/// Number of remembered lines.
pub const REMEMBERED: usize = 16;

/// Column from which on the editor asks the terminal for its width, once for each line. On a narrower terminal,
/// characters that the user deletes before the first answer are removed from the line, but may stay on the
/// screen.
///
/// On some terminals, the key F3 with modifiers sends what looks like an answer in the first row, in a
/// column up to 16: see [`is_answer`].
const ASK_AT: usize = 17;
/// Saves the cursor, moves it to the right edge, asks where it is, and restores it. The terminal's answer is `ESC [ row
/// ; column R`.
pub const ASK: &str = "\x1B7\x1B[999C\x1B[6n\x1B8";

/// Keys, by the byte that a terminal sends.
mod key {
    pub const INTERRUPT: u8 = 3;
    pub const BACKSPACE: u8 = 8;
    pub const LINE_FEED: u8 = 10;
    pub const RETURN: u8 = 13;
    pub const BELL: u8 = 7;
    pub const KILL: u8 = 21;
    pub const CANCEL: u8 = 24;
    pub const SUBSTITUTE: u8 = 26;
    pub const ESCAPE: u8 = 27;
    pub const DELETE: u8 = 127;
}

/// Ctrl-C: the byte that a terminal sends to interrupt a program.
pub const INTERRUPT: u8 = key::INTERRUPT;

/// A line.
#[derive(Clone, Copy, Debug)]
struct Line {
    bytes: [u8; LONGEST],
    used: usize,
}

impl Line {
    const EMPTY: Line = Line { bytes: [0; LONGEST], used: 0 };

    fn text(&self) -> &str {
        // Only printable ASCII bytes are ever pushed.
        str::from_utf8(&self.bytes[..self.used]).unwrap_or_default()
    }
}

/// The state of a control sequence (ECMA-48).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sequence {
    /// No sequence has begun.
    No,
    /// The escape byte has come, and perhaps intermediate bytes; a final byte ends the sequence.
    Escape,
    /// `ESC O` has come; one more byte names the key.
    Key,
    /// `ESC [` has come (CSI): parameters, intermediates, and the final byte.
    Control(Parameters),
    /// `ESC` and the beginning of a string have come. The string has no meaning here and extends to its terminator.
    String,
}

/// The part of a control sequence that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parameters {
    /// The last two numbers. A number larger than the columns of any screen saturates.
    numbers: [u16; 2],
    /// Whether no byte has come yet.
    none: bool,
    /// Whether anything but numbers has come. Then the final byte has no meaning here.
    other: bool,
}

impl Parameters {
    const NONE: Parameters = Parameters { numbers: [0; 2], none: true, other: false };

    /// The parameters after one more byte, which is not the final one.
    fn with(mut self, byte: u8) -> Parameters {
        self.none = false;
        match byte {
            b'0'..=b'9' if !self.other => {
                self.numbers[1] = self.numbers[1].saturating_mul(10).saturating_add((byte - b'0').into());
            }
            b';' => self.numbers = [self.numbers[1], 0],
            _ => self.other = true,
        }
        self
    }
}

/// Whether a row and a column are an answer. The alternative is the key F3 with modifiers, which is `ESC [ 1 ; m R`
/// with m from 2 to 16. A line that has reached column [`ASK_AT`] is in a higher column than these, or in a later row.
fn is_answer([row, column]: [u16; 2]) -> bool {
    row > 1 && column > 1 || usize::from(column) >= ASK_AT
}

/// The effect of a key on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// The line continues.
    More,
    /// The line has ended; [`Editor::line`] is its text.
    Line,
    /// The user gave the line up.
    GivenUp,
}

/// The editor: the current line and those before it.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Columns before the line, which the prompt takes.
    prompt: usize,
    line: Line,
    sequence: Sequence,
    /// Number of columns of the terminal, if it has answered.
    width: Option<usize>,
    /// Whether the editor has asked the terminal in this line.
    asked: bool,
    after_return: bool,
    /// Whether the line has ended, so that the next key begins another.
    ended: bool,
    history: [Line; REMEMBERED],
    /// Number of lines that were ever put into the history, including those that have been overwritten.
    count: usize,
    /// How many lines back the shown line is; 0 for a line that is not from the history.
    back: usize,
}

impl Editor {
    /// An editor with an empty line and an empty history; the prompt takes this many columns.
    pub const fn new(prompt: usize) -> Editor {
        Editor {
            prompt,
            line: Line::EMPTY,
            sequence: Sequence::No,
            width: None,
            asked: false,
            after_return: false,
            ended: false,
            history: [Line::EMPTY; REMEMBERED],
            count: 0,
            back: 0,
        }
    }

    /// The current line.
    pub fn line(&self) -> &str {
        self.line.text()
    }

    /// Takes a typed byte. The text that the terminal must show goes to `echo`.
    ///
    /// # Errors
    /// The errors of `echo`.
    pub fn typed(&mut self, byte: u8, echo: &mut impl Write) -> Result<Typed, fmt::Error> {
        if core::mem::take(&mut self.ended) {
            self.line = Line::EMPTY;
            self.back = 0;
            self.asked = false;
        }
        let after_return = core::mem::replace(&mut self.after_return, byte == key::RETURN);
        // These keys take effect even within a sequence.
        match byte {
            key::LINE_FEED if after_return => return Ok(Typed::More),
            key::RETURN | key::LINE_FEED => {
                self.sequence = Sequence::No;
                echo.write_char('\n')?;
                self.remember();
                self.ended = true;
                return Ok(Typed::Line);
            }
            key::INTERRUPT => {
                self.sequence = Sequence::No;
                echo.write_str("^C\n")?;
                self.ended = true;
                return Ok(Typed::GivenUp);
            }
            _ => {}
        }
        self.sequence = match (self.sequence, byte) {
            (_, key::ESCAPE) => Sequence::Escape,
            (_, key::CANCEL | key::SUBSTITUTE) => Sequence::No,
            (Sequence::String, key::BELL) => Sequence::No,
            (Sequence::String, _) => Sequence::String,
            (Sequence::Escape, b' '..=b'/') => Sequence::Escape,
            (Sequence::Escape, b'[') => Sequence::Control(Parameters::NONE),
            (Sequence::Escape, b'O') => Sequence::Key,
            (Sequence::Escape, b'P' | b'X' | b']' | b'^' | b'_') => Sequence::String,
            (Sequence::Escape, b'0'..=b'~') => Sequence::No,
            (Sequence::Control(so_far), b' '..=b'?') => Sequence::Control(so_far.with(byte)),
            // The function keys of Linux's console.
            (Sequence::Control(Parameters { none: true, .. }), b'[') => Sequence::Key,
            (Sequence::Key, b'A' | b'B') => self.control(Parameters::NONE, byte, echo)?,
            (Sequence::Control(so_far), b'@'..=b'~') => self.control(so_far, byte, echo)?,
            (Sequence::Key, b' '..=b'~') => Sequence::No,
            (sequence, byte) => {
                self.key(byte, echo)?;
                // A control character within a sequence takes effect, and the sequence continues; any other foreign
                // byte ends it.
                if byte < b' ' { sequence } else { Sequence::No }
            }
        };
        Ok(Typed::More)
    }

    /// Handles a key that does not end the line.
    fn key(&mut self, byte: u8, echo: &mut impl Write) -> fmt::Result {
        match byte {
            key::BACKSPACE | key::DELETE => self.rub_out(self.line.used.min(1), echo),
            key::KILL => self.rub_out(self.line.used, echo),
            b' '..=b'~' => self.append(byte, echo),
            _ => Ok(()),
        }
    }

    /// Handles a control sequence that has ended with this byte. Returns the state outside of a sequence.
    fn control(&mut self, parameters: Parameters, last: u8, echo: &mut impl Write) -> Result<Sequence, fmt::Error> {
        match last {
            _ if parameters.other => {}
            b'A' => self.recall(self.back + 1, echo)?,
            b'B' => self.recall(self.back.saturating_sub(1), echo)?,
            b'R' if self.asked && is_answer(parameters.numbers) => {
                self.width = Some(parameters.numbers[1].into());
                self.leave_edge(echo)?;
            }
            _ => {}
        }
        Ok(Sequence::No)
    }

    /// The column of the next character, on a terminal without an edge.
    fn column(&self) -> usize {
        self.prompt + self.line.used
    }

    /// Whether the next character begins a row.
    fn is_at_edge(&self) -> bool {
        self.width.is_some_and(|width| self.column() > 0 && self.column().is_multiple_of(width))
    }

    /// When the row is full, terminals leave the cursor in that row. Moves the cursor to the next row, where
    /// the next character goes.
    fn leave_edge(&mut self, echo: &mut impl Write) -> fmt::Result {
        if self.is_at_edge() { echo.write_str(" \r") } else { Ok(()) }
    }

    /// Adds a character to the line, if there is room.
    fn append(&mut self, byte: u8, echo: &mut impl Write) -> fmt::Result {
        if self.line.used == LONGEST {
            return Ok(());
        }
        self.line.bytes[self.line.used] = byte;
        self.line.used += 1;
        echo.write_char(byte.into())?;
        self.leave_edge(echo)?;
        if self.column() >= ASK_AT && !core::mem::replace(&mut self.asked, true) {
            echo.write_str(ASK)?;
        }
        Ok(())
    }

    /// Removes the last bytes of the line.
    fn rub_out(&mut self, bytes: usize, echo: &mut impl Write) -> fmt::Result {
        for _ in 0..bytes {
            let at_edge = self.is_at_edge();
            self.line.used -= 1;
            match self.width {
                // A backspace does not go back to the previous row.
                Some(width) if at_edge => write!(echo, "\x1B[A\x1B[{width}G\x1B[K")?,
                _ => echo.write_str("\x08 \x08")?,
            }
        }
        Ok(())
    }

    /// Shows the line that was typed `back` lines ago, if it is remembered; for 0, an empty line.
    fn recall(&mut self, back: usize, echo: &mut impl Write) -> fmt::Result {
        if back > self.count.min(REMEMBERED) {
            return Ok(());
        }
        self.rub_out(self.line.used, echo)?;
        self.back = back;
        if back > 0 {
            let line = self.history[(self.count - back) % REMEMBERED];
            line.text().bytes().try_for_each(|byte| self.append(byte, echo))?;
        }
        Ok(())
    }

    /// Adds the line to the history, unless it is empty or the same as the line before.
    fn remember(&mut self) {
        let before = self.count.checked_sub(1).map(|newest| self.history[newest % REMEMBERED]);
        if self.line.used > 0 && before.is_none_or(|before| before.text() != self.line.text()) {
            self.history[self.count % REMEMBERED] = self.line;
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests;
