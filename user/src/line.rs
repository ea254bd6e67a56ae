//! Editing a line at a terminal: bytes that are typed become lines, with what the terminal has to show for them.

use core::fmt::{self, Write};

/// Bytes of a line, at most. What is typed beyond is ignored.
pub const LONGEST: usize = 78;
/// Lines that are remembered.
pub const REMEMBERED: usize = 16;

/// Column from which on the terminal is asked how wide it is, once a line. On one that is narrower, what is taken back before it was
/// asked for the first time is right in the line, but may stay on the screen.
///
/// The key F3 with modifiers looks like an answer in the first row, in a column up to 16: see [`is_answer`].
const ASK_AT: usize = 17;
/// Saves the cursor, moves it to the right edge, asks where it is, and restores it. The answer is `ESC [ row ; column R`.
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

/// Interrupts what is going on: the byte that a terminal sends for Control-C.
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
        // Only printable bytes of ASCII are ever pushed.
        str::from_utf8(&self.bytes[..self.used]).unwrap_or_default()
    }
}

/// How far a control sequence has come (ECMA-48).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sequence {
    /// There is none.
    No,
    /// The escape byte has come, and perhaps intermediate bytes: a final byte ends it.
    Escape,
    /// `ESC O` has come: one byte more says which key it is.
    Key,
    /// `ESC [` has come (CSI): parameters, intermediates, and the final byte.
    Control(Parameters),
    /// `ESC` and what begins a string that means nothing here: it goes on to its terminator.
    String,
}

/// What has come of a control sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parameters {
    /// The last two numbers; a larger one than a screen has columns is cut off.
    numbers: [u16; 2],
    /// Whether nothing has come yet.
    none: bool,
    /// Whether there was anything but numbers: then the final byte means nothing here.
    other: bool,
}

impl Parameters {
    const NONE: Parameters = Parameters { numbers: [0; 2], none: true, other: false };

    /// With a byte more that is not the final one.
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

/// Whether a row and a column are an answer, and no F3 with modifiers, which is `ESC [ 1 ; m R` with m from 2 to 16: a line that has
/// reached column [`ASK_AT`] is in a column behind these, or in a later row.
fn is_answer([row, column]: [u16; 2]) -> bool {
    row > 1 && column > 1 || usize::from(column) >= ASK_AT
}

/// What a key made of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// It goes on.
    More,
    /// It has ended: [`Editor::line`] is what was typed.
    Line,
    /// It was given up.
    GivenUp,
}

/// The editor: the line that is being typed and those before it.
#[derive(Clone, Debug)]
pub struct Editor {
    /// Columns before the line, where a prompt is.
    prompt: usize,
    line: Line,
    sequence: Sequence,
    /// How many columns the terminal has, if it has said so.
    width: Option<usize>,
    /// Whether the terminal was asked in this line.
    asked: bool,
    after_return: bool,
    /// Whether the line has ended, and the next key begins another.
    ended: bool,
    history: [Line; REMEMBERED],
    /// Lines that were ever put into the history; the newest is the one before.
    count: usize,
    /// How many lines back the one is that is shown; 0 for one that was not remembered.
    back: usize,
}

impl Editor {
    /// An empty line, and none before it. Each is behind a prompt of so many columns.
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

    /// The line as far as it was typed.
    pub fn line(&self) -> &str {
        self.line.text()
    }

    /// A byte was typed. What the terminal is to show goes to `echo`.
    ///
    /// # Errors
    /// Those of `echo`.
    pub fn typed(&mut self, byte: u8, echo: &mut impl Write) -> Result<Typed, fmt::Error> {
        if core::mem::take(&mut self.ended) {
            self.line = Line::EMPTY;
            self.back = 0;
            self.asked = false;
        }
        let after_return = core::mem::replace(&mut self.after_return, byte == key::RETURN);
        // These count wherever they come: whoever types them wants them.
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
                // A control character within a sequence is obeyed, and the sequence goes on; what else is none of it ends it.
                if byte < b' ' { sequence } else { Sequence::No }
            }
        };
        Ok(Typed::More)
    }

    /// A key that does not end the line.
    fn key(&mut self, byte: u8, echo: &mut impl Write) -> fmt::Result {
        match byte {
            key::BACKSPACE | key::DELETE => self.rub_out(self.line.used.min(1), echo),
            key::KILL => self.rub_out(self.line.used, echo),
            b' '..=b'~' => self.append(byte, echo),
            _ => Ok(()),
        }
    }

    /// A control sequence has ended with this byte. Nothing goes on after it.
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

    /// The column at which the next character goes, on a terminal without an edge.
    fn column(&self) -> usize {
        self.prompt + self.line.used
    }

    /// Whether the next character begins a row.
    fn is_at_edge(&self) -> bool {
        self.width.is_some_and(|width| self.column() > 0 && self.column().is_multiple_of(width))
    }

    /// Where the row is full, terminals leave the cursor in it: moves it to the next one, so that it is where the next
    /// character goes.
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

    /// Takes the last bytes of the line back.
    fn rub_out(&mut self, bytes: usize, echo: &mut impl Write) -> fmt::Result {
        for _ in 0..bytes {
            let at_edge = self.is_at_edge();
            self.line.used -= 1;
            match self.width {
                // No backspace goes back to the row before.
                Some(width) if at_edge => write!(echo, "\x1B[A\x1B[{width}G\x1B[K")?,
                _ => echo.write_str("\x08 \x08")?,
            }
        }
        Ok(())
    }

    /// Shows the line that was typed `back` lines ago, if it is remembered; none for 0.
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

    /// Remembers the line, unless it is empty or the same as the one before.
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
