extern crate std;
use super::{ASK_AT, Editor, LONGEST, REMEMBERED, Typed};
use core::fmt::Write;
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// The prompt before each line.
const PROMPT: &str = "> ";

/// A terminal emulator from a library, which reports where its cursor is. Its screen must show the
/// edited line.
struct Terminal {
    screen: vt100::Parser,
    /// Its answers that the editor has not read yet.
    answers: Vec<u8>,
}

/// Number of rows of a terminal.
const ROWS: u16 = 24;

impl Terminal {
    fn new(columns: u16) -> Terminal {
        Terminal { screen: vt100::Parser::new(ROWS, columns, 0), answers: Vec::new() }
    }

    /// The rows, without blanks at their ends.
    fn rows(&self) -> Vec<String> {
        let screen = self.screen.screen();
        screen.rows(0, screen.size().1).map(|row| row.trim_end().to_string()).collect()
    }

    /// The last rows up to the cursor's, at most this many, and the cursor's column.
    fn bottom(&self, rows: usize) -> (Vec<String>, usize) {
        let (row, column) = self.screen.screen().cursor_position();
        let end = usize::from(row) + 1;
        (self.rows()[end.saturating_sub(rows)..end].to_vec(), column.into())
    }
}

impl core::fmt::Write for Terminal {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        // A line feed goes to the beginning of the next row, as on the serial line.
        let text = text.replace('\n', "\r\n");
        let mut pieces = text.split("\x1B[6n").peekable();
        while let Some(piece) = pieces.next() {
            self.screen.process(piece.as_bytes());
            if pieces.peek().is_some() {
                let (row, column) = self.screen.screen().cursor_position();
                self.answers.extend(format!("\x1B[{};{}R", row + 1, column + 1).into_bytes());
            }
        }
        Ok(())
    }
}

/// Types keys at a terminal, which answers before the next key; returns the lines that result. `each` is called
/// whenever a line continues.
fn typed_at(terminal: &mut Terminal, keys: &[u8], mut each: impl FnMut(&Editor, &Terminal)) -> Vec<String> {
    let mut editor = Editor::new(PROMPT.len());
    let mut lines = Vec::new();
    terminal.write_str(PROMPT).unwrap();
    for &key in keys {
        let answer = core::mem::take(&mut terminal.answers);
        for byte in answer.into_iter().chain([key]) {
            match editor.typed(byte, terminal).unwrap() {
                Typed::More => {}
                Typed::Line => {
                    lines.push(editor.line().to_string());
                    terminal.write_str(PROMPT).unwrap();
                }
                Typed::GivenUp => {
                    let (row, _) = terminal.screen.screen().cursor_position();
                    // The edge of the terminal may cut off the text.
                    assert!(terminal.rows()[..row.into()].concat().ends_with("^C"));
                    terminal.write_str(PROMPT).unwrap();
                }
            }
        }
        if !editor.ended {
            each(&editor, terminal);
        }
    }
    lines
}

/// The lines that result from these keys.
fn lines(keys: &str) -> Vec<String> {
    typed_at(&mut Terminal::new(80), keys.as_bytes(), |_, _| ())
}

/// Checks that a terminal shows the line after the prompt, row by row, and the cursor after the
/// line.
fn expect_shown(editor: &Editor, terminal: &Terminal, columns: usize) {
    // The editor does not know the answers that the terminal has not given yet.
    if !terminal.answers.is_empty() {
        return;
    }
    if editor.width.is_none() && columns < ASK_AT {
        assert!(editor.column() < ASK_AT, "the answer was not understood");
        return;
    }
    let text = String::from(PROMPT) + editor.line();
    let mut expected: Vec<String> =
        text.as_bytes().chunks(columns).map(|row| String::from_utf8(row.to_vec()).unwrap()).collect();
    if text.len().is_multiple_of(columns) {
        expected.push(String::new());
    }
    let expected: Vec<_> = expected.iter().map(|row| row.trim_end().to_string()).collect();
    let shown = terminal.bottom(expected.len());
    assert_eq!(shown, (expected, text.len() % columns), "{:?} in {columns} columns", editor.line());
}

/// A row in the middle of a line may look like a prompt.
#[test]
fn a_line_may_hold_a_prompt() {
    let mut terminal = Terminal::new(10);
    let keys = "x".repeat(ASK_AT) + "\r" + &"x".repeat(18) + "> xx";
    typed_at(&mut terminal, keys.as_bytes(), |editor, terminal| expect_shown(editor, terminal, 10));
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
    // Neither empty lines nor the same line twice are remembered.
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

#[test]
fn control_sequences_are_passed_over_to_their_ends() {
    for sequence in [
        "[?1;2c",
        "[>41;354;0c",
        "[?A",
        "[1 A",
        "[200~",
        "[0;0;0M",
        "[[A",
        "[!p",
        "[\"q",
        "OP",
        "(B",
        "#8",
        "%G",
        "c",
        "=",
        "\u{1B}[Z",
        "]0;title\u{7}",
        "]0;title\u{1B}\\",
        "P1$r0m\u{1B}\\",
        "_x\u{1B}\\",
        "[12\u{18}",
        "]x\u{1A}",
        "[65535;65536;99999999R",
    ] {
        assert_eq!(lines(&format!("a\u{1B}{sequence}b\r")), ["ab"], "{sequence:?}");
    }
}

#[test]
fn return_and_interrupt_count_within_a_sequence() {
    for begun in ["\u{1B}", "\u{1B}[", "\u{1B}[1;", "\u{1B}O", "\u{1B}(", "\u{1B}]0;x", "\u{1B}P"] {
        assert_eq!(lines(&format!("a{begun}\rb\r")), ["a", "b"], "{begun:?}");
        assert_eq!(lines(&format!("a{begun}\nb\r")), ["a", "b"], "{begun:?}");
        assert_eq!(lines(&format!("a{begun}\u{3}b\r")), ["b"], "{begun:?}");
    }
    // Another control character takes effect, and the sequence continues.
    assert_eq!(lines("ab\u{1B}[1\u{8};2cd\r"), ["ad"]);
}

/// Columns of the narrowest terminal that has enough rows for the longest line.
const NARROWEST: usize = (LONGEST + PROMPT.len()) / (ROWS as usize - 2) + 1;

#[test]
fn a_function_key_is_no_answer() {
    // F3 with every modifier is typed before and after the terminal has been asked. The keys after F3 have the same
    // effect as without it.
    for modifiers in 2..=16 {
        let keys = "x".repeat(ASK_AT) + &format!("\u{1B}[1;{modifiers}R") + &"x".repeat(30) + &"\u{8}".repeat(40);
        let mut terminal = Terminal::new(20);
        typed_at(&mut terminal, keys.as_bytes(), |editor, terminal| expect_shown(editor, terminal, 20));
    }
}

#[test]
fn a_line_that_reaches_the_edge_is_rubbed_out() {
    for columns in NARROWEST..LONGEST + PROMPT.len() + 2 {
        let keys = "x".repeat(LONGEST) + &"\u{8}".repeat(LONGEST) + "y";
        let mut terminal = Terminal::new(columns as u16);
        typed_at(&mut terminal, keys.as_bytes(), |editor, terminal| expect_shown(editor, terminal, columns));
    }
}

/// The characters that are typed, according to the parser of a library.
#[derive(Default)]
struct Printed(String);

impl vte::Perform for Printed {
    fn print(&mut self, character: char) {
        if (' '..='~').contains(&character) {
            self.0.push(character);
        }
    }
}

/// Pieces of sequences, in any order, except those with a meaning on a keyboard (`ESC O`, `ESC [ [`), and arrows.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,3}",
        Just("\u{1B}".to_string()),
        "\u{1B}\\[[0-9:;<=>?]{0,3}[ -/]{0,2}[C-Z\\\\^-~]",
        "\u{1B}[ -/]{0,2}[0-9:-?@c]",
        "\u{1B}[\\]P_^X][a-z0-9;]{0,4}(\u{1B}\\\\|\u{18})",
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_same_is_printed_as_by_another_parser(keys in pieces()) {
        let mut printed = Printed::default();
        let mut parser = vte::Parser::new();
        parser.advance(&mut printed, keys.as_bytes());
        prop_assume!(printed.0.len() < LONGEST);
        let mut editor = Editor::new(0);
        for byte in keys.bytes() {
            editor.typed(byte, &mut String::new()).unwrap();
        }
        prop_assert_eq!(editor.line(), printed.0, "{:?}", keys);
    }

    #[test]
    fn whatever_is_edited_is_shown(
        columns in NARROWEST..100,
        keys in proptest::collection::vec(prop_oneof![
            8 => (b' '..=b'~').prop_map(|key| std::vec![key]),
            2 => (1usize..60).prop_map(|many| std::vec![b'x'; many]),
            4 => (1usize..40).prop_map(|many| std::vec![8; many]),
            1 => Just(std::vec![21]),
            1 => Just(std::vec![13]),
            1 => Just(std::vec![3]),
            2 => Just(b"\x1B[A".to_vec()),
            1 => Just(b"\x1B[B".to_vec()),
        ], 0..40),
    ) {
        let mut terminal = Terminal::new(columns as u16);
        // This line makes the width of a narrow terminal known.
        let known = if columns < ASK_AT { "x".repeat(ASK_AT) + "\r" } else { String::new() };
        let keys = [known.into_bytes(), keys.concat()].concat();
        typed_at(&mut terminal, &keys, |editor, terminal| expect_shown(editor, terminal, columns));
    }
}
