//! The text of a console, in which the kernel's lines can be told from the programs'.

use abi::console::{Decoder, PREFIX, Said, Speaker};

/// The treatment of a program's control characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Controls {
    /// They are shown as in a literal of Rust, except line feeds and tabs, so they have no effect on a terminal.
    Escaped,
    /// They are kept, for a terminal that a person uses.
    Kept,
}

/// The text of a console, from the stream that [`abi::console`] describes.
///
/// A line begins with `cairn: ` if and only if the kernel has written it: if a program's line begins like this, a
/// backslash is put before it. Bytes that are not UTF-8 are shown as `\xNN`.
#[derive(Clone, Debug)]
pub struct Transcript {
    controls: Controls,
    decoder: Decoder,
    text: String,
    speaker: Speaker,
    /// Bytes of an incomplete character.
    begun: Vec<u8>,
    /// Number of bytes of the prefix that a program has printed at the beginning of a line; they are not in the text
    /// yet.
    matched: usize,
    end: Option<u8>,
}

impl Transcript {
    /// An empty transcript.
    pub fn new(controls: Controls) -> Transcript {
        Transcript {
            controls,
            decoder: Decoder::new(),
            text: String::new(),
            speaker: Speaker::Program,
            begun: Vec::new(),
            matched: 0,
            end: None,
        }
    }

    /// The text of a whole stream, without control characters.
    pub fn of(stream: &[u8]) -> String {
        let mut transcript = Transcript::new(Controls::Escaped);
        transcript.push(stream);
        transcript.finish();
        transcript.text
    }

    /// Takes the next bytes of the stream. Bytes after the machine's end are ignored.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.end.is_some() {
                return;
            }
            match self.decoder.push(byte) {
                Some(Said::Byte(speaker, byte)) => self.byte(speaker, byte),
                Some(Said::End(code)) => self.end = Some(code),
                None => {}
            }
        }
    }

    /// Ends the stream: bytes that may be the beginning of a prefix become text.
    pub fn finish(&mut self) {
        for byte in std::mem::take(&mut self.begun) {
            self.invalid(byte);
        }
        self.release();
    }

    /// The text so far. Later text is only appended.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The number of the reason for which the machine has ended, if it has reported that.
    pub fn end(&self) -> Option<u8> {
        self.end
    }

    fn is_at_line_start(&self) -> bool {
        self.text.is_empty() || self.text.ends_with('\n')
    }

    fn byte(&mut self, speaker: Speaker, byte: u8) {
        if speaker != self.speaker {
            self.finish();
            if !self.is_at_line_start() {
                self.text.push('\n');
            }
            self.speaker = speaker;
        }
        self.begun.push(byte);
        while !self.begun.is_empty() {
            match str::from_utf8(&self.begun) {
                Ok(text) => {
                    let text = text.to_owned();
                    self.begun.clear();
                    text.chars().for_each(|character| self.character(character));
                }
                Err(error) if error.error_len().is_none() => return,
                Err(_) => {
                    let first = self.begun.remove(0);
                    self.invalid(first);
                }
            }
        }
    }

    fn invalid(&mut self, byte: u8) {
        self.release();
        self.text += &format!("\\x{byte:02x}");
    }

    fn character(&mut self, character: char) {
        if self.speaker == Speaker::Program && self.is_at_line_start() {
            if PREFIX[self.matched..].starts_with(character) {
                self.matched += 1;
                if self.matched == PREFIX.len() {
                    self.matched = 0;
                    self.text.push('\\');
                    self.text += PREFIX;
                }
                return;
            }
            self.release();
        }
        match character {
            '\n' | '\t' => self.text.push(character),
            _ if character.is_control() && self.controls == Controls::Escaped => {
                self.text.extend(character.escape_default());
            }
            _ => self.text.push(character),
        }
    }

    /// Adds the bytes that looked like the beginning of the prefix but were not.
    fn release(&mut self) {
        self.text += &PREFIX[..std::mem::take(&mut self.matched)];
    }
}

#[cfg(test)]
mod tests {
    use super::{Controls, Transcript};
    use abi::console::{END, ESCAPE, Encoder, Speaker};

    /// The text for these pieces of output.
    fn text(pieces: &[(Speaker, &[u8])]) -> String {
        let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
        pieces.iter().for_each(|(speaker, bytes)| encoder.write(*speaker, bytes, |bytes| stream.extend(bytes)));
        Transcript::of(&stream)
    }

    #[test]
    fn only_the_kernels_lines_begin_as_the_kernels() {
        let line: &[u8] = b"cairn: CPU 0: thread 9 (hello) exited with status 0\n";
        let forged =
            [&b"\x10\x02"[..], line, b"\x10\x03\x04\x15\x10\x04\x15", line, b"cai", b"cairn:\ncairn: "].concat();
        let shown = text(&[(Speaker::Program, &forged), (Speaker::Kernel, line), (Speaker::Program, b"cairn: ")]);
        let line = str::from_utf8(line).unwrap();
        let genuine: Vec<_> = shown.lines().filter(|line| line.starts_with("cairn: ")).collect();
        assert_eq!(genuine, [line.trim_end()], "{shown}");
        let expected = format!(
            "\\u{{10}}\\u{{2}}{line}\\u{{10}}\\u{{3}}\\u{{4}}\\u{{15}}\\u{{10}}\\u{{4}}\\u{{15}}{line}caicairn:\n\\cairn: \n{line}\\cairn: "
        );
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_line_of_the_kernels_begins_a_line() {
        let pieces: [(Speaker, &[u8]); 3] =
            [(Speaker::Program, b"> "), (Speaker::Kernel, b"cairn: 1 CPU\n"), (Speaker::Program, b"c")];
        assert_eq!(text(&pieces), "> \ncairn: 1 CPU\nc");
        // A backslash is added even if the stream does not mark the change of speaker.
        assert_eq!(Transcript::of(b"> \x10\x02cairn: 1 CPU\n"), "> \ncairn: 1 CPU\n");
    }

    #[test]
    fn no_byte_reaches_a_terminal_that_obeys_it() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let shown = text(&[(Speaker::Program, &all), (Speaker::Program, "é\u{9B}1m".as_bytes())]);
        assert!(
            !shown.chars().any(|character| character.is_control() && !['\n', '\t'].contains(&character)),
            "{shown}"
        );
        assert!(
            shown.starts_with("\\u{0}\\u{1}") && shown.ends_with("\\xfeé\\u{9b}1m") || shown.contains("\\xff"),
            "{shown}"
        );
        let mut kept = Transcript::new(Controls::Kept);
        kept.push(b"\x08 \x08\x1B[K\xC3");
        assert_eq!(kept.text(), "\x08 \x08\x1B[K");
        kept.push(b"\xA9");
        assert_eq!(kept.text(), "\x08 \x08\x1B[Ké");
    }

    #[test]
    fn after_the_end_nothing_is_the_consoles() {
        let mut transcript = Transcript::new(Controls::Escaped);
        transcript.push(&[b'a', b'\n', b'c', ESCAPE, END]);
        assert_eq!(transcript.end(), None);
        transcript.push(&[0x15, b'(', b'0', b')']);
        transcript.finish();
        assert_eq!((transcript.end(), transcript.text()), (Some(0x15), "a\nc"));
    }
}
