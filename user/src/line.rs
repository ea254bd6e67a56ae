//! Editing a line at a terminal: bytes that are typed become lines, with what the terminal has to show for them.

use core::fmt::{self, Write};

/// Bytes of a line, at most. What is typed beyond is ignored.
pub const LONGEST: usize = 78;
/// Lines that are remembered.
pub const REMEMBERED: usize = 16;

/// Keys, by the byte that a terminal sends.
mod key {
    pub const INTERRUPT: u8 = 3;
    pub const BACKSPACE: u8 = 8;
    pub const LINE_FEED: u8 = 10;
    pub const RETURN: u8 = 13;
    pub const KILL: u8 = 21;
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

/// How far an escape sequence has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    /// There is none.
    No,
    /// The escape byte has come.
    Begun,
    /// And a bracket: the next letter says what it is.
    Bracket,
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
    line: Line,
    escape: Escape,
    after_return: bool,
    /// Whether the line has ended, and the next key begins another.
    ended: bool,
    history: [Line; REMEMBERED],
    /// Lines that were ever put into the history; the newest is the one before.
    count: usize,
    /// How many lines back the one is that is shown; 0 for one that was not remembered.
    back: usize,
}

impl Default for Editor {
    fn default() -> Editor {
        Editor::new()
    }
}

impl Editor {
    /// An empty line, and none before it.
    pub const fn new() -> Editor {
        Editor {
            line: Line::EMPTY,
            escape: Escape::No,
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
        }
        let after_return = core::mem::replace(&mut self.after_return, byte == key::RETURN);
        match (core::mem::replace(&mut self.escape, Escape::No), byte) {
            (Escape::Begun, b'[' | b'O') => self.escape = Escape::Bracket,
            (Escape::Bracket, b'A') => self.recall(self.back + 1, echo)?,
            (Escape::Bracket, b'B') => self.recall(self.back.saturating_sub(1), echo)?,
            // Numbers of keys that have no letter.
            (Escape::Bracket, b'0'..=b'9' | b';') => self.escape = Escape::Bracket,
            (Escape::Bracket, _) => {}
            (Escape::Begun, b' '..=b'~') => {}
            (_, key::ESCAPE) => self.escape = Escape::Begun,
            (_, key::LINE_FEED) if after_return => {}
            (_, key::RETURN | key::LINE_FEED) => {
                echo.write_char('\n')?;
                self.remember();
                self.ended = true;
                return Ok(Typed::Line);
            }
            (_, key::INTERRUPT) => {
                echo.write_str("^C\n")?;
                self.ended = true;
                return Ok(Typed::GivenUp);
            }
            (_, key::BACKSPACE | key::DELETE) => self.rub_out(self.line.used.min(1), echo)?,
            (_, key::KILL) => self.rub_out(self.line.used, echo)?,
            (_, b' '..=b'~') if self.line.used < LONGEST => {
                self.line.bytes[self.line.used] = byte;
                self.line.used += 1;
                echo.write_char(byte.into())?;
            }
            _ => {}
        }
        Ok(Typed::More)
    }

    /// Takes the last bytes of the line back.
    fn rub_out(&mut self, bytes: usize, echo: &mut impl Write) -> fmt::Result {
        self.line.used -= bytes;
        (0..bytes).try_for_each(|_| echo.write_str("\u{8} \u{8}"))
    }

    /// Shows the line that was typed `back` lines ago, if it is remembered; none for 0.
    fn recall(&mut self, back: usize, echo: &mut impl Write) -> fmt::Result {
        if back > self.count.min(REMEMBERED) {
            return Ok(());
        }
        self.rub_out(self.line.used, echo)?;
        self.back = back;
        if back > 0 {
            self.line = self.history[(self.count - back) % REMEMBERED];
        }
        echo.write_str(self.line.text())
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
mod tests {
    extern crate std;
    use super::{Editor, LONGEST, REMEMBERED, Typed};
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// A terminal that knows line feeds and backspaces.
    #[derive(Default)]
    struct Terminal {
        rows: Vec<String>,
        row: Vec<char>,
        column: usize,
    }

    impl core::fmt::Write for Terminal {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            for character in text.chars() {
                match character {
                    '\n' => {
                        self.rows.push(self.row.drain(..).collect::<String>().trim_end().to_string());
                        self.column = 0;
                    }
                    '\u{8}' => self.column -= 1,
                    _ => {
                        self.row.resize(self.row.len().max(self.column + 1), ' ');
                        self.row[self.column] = character;
                        self.column += 1;
                    }
                }
            }
            Ok(())
        }
    }

    /// The lines that come of these keys, and what the terminal shows of them.
    fn lines(keys: &str) -> Vec<String> {
        let (mut editor, mut terminal, mut lines) = (Editor::new(), Terminal::default(), Vec::new());
        for byte in keys.bytes() {
            match editor.typed(byte, &mut terminal).unwrap() {
                Typed::More => {}
                Typed::Line => {
                    assert_eq!(
                        terminal.rows.last().unwrap(),
                        editor.line().trim_end(),
                        "what is shown is what there is"
                    );
                    lines.push(editor.line().to_string());
                }
                Typed::GivenUp => assert!(terminal.rows.last().unwrap().ends_with("^C")),
            }
        }
        lines
    }

    #[test]
    fn every_way_to_end_a_line_ends_one() {
        assert_eq!(lines("a\rb\nc\r\nd\n\re\r\r"), ["a", "b", "c", "d", "", "e", ""]);
    }

    #[test]
    fn what_is_rubbed_out_is_gone() {
        assert_eq!(lines("\u{8}hullo\u{8}\u{8}\u{8}\u{7F}ello\r"), ["hello"]);
        assert_eq!(lines("nonsense\u{15}sense\r"), ["sense"]);
        assert_eq!(lines("nonsense\u{3}sense\r"), ["sense"]);
    }

    #[test]
    fn lines_come_back() {
        let (up, down) = ("\u{1B}[A", "\u{1B}OB");
        assert_eq!(lines(&format!("one\rtwo\r{up}\r{up}{up}\r")), ["one", "two", "two", "one"]);
        assert_eq!(lines(&format!("one\rtwo\r{up}{up}{up}{up}{down}!\r")), ["one", "two", "two!"]);
        assert_eq!(lines(&format!("one\rtw{up}{down}\r")), ["one", ""]);
        // Neither empty lines nor the same twice.
        assert_eq!(lines(&format!("one\rtwo\rtwo\r\r{up}{up}\r")), ["one", "two", "two", "", "one"]);
        assert_eq!(lines(&format!("{up}{down}x\r")), ["x"]);
    }

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let typed: String = (0..REMEMBERED + 3).map(|n| format!("{n}\r")).collect();
        let lines = lines(&(typed + &"\u{1B}[A".repeat(REMEMBERED + 9) + "\r"));
        assert_eq!(lines.last().unwrap(), "3");
    }

    #[test]
    fn other_keys_do_nothing() {
        assert_eq!(lines("a\u{1B}[3~b\u{1B}[C\u{1B}[1;5Dc\t\u{1B}x\u{0}é\r"), ["abc"]);
    }

    #[test]
    fn a_line_has_an_end() {
        let typed = "x".repeat(LONGEST + 5);
        assert_eq!(lines(&format!("{typed}\u{8}y\r")), ["x".repeat(LONGEST - 1) + "y"]);
    }
}
