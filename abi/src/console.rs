//! The console's protocol: output of the kernel and of programs in one stream of bytes.
//!
//! A reader must never take a program's bytes for the kernel's. So the byte [`ESCAPE`] begins a mark. The second byte
//! of the mark is its meaning, and an escape byte that a program prints is sent twice:
//!
//! | bytes | meaning |
//! | --- | --- |
//! | `ESCAPE KERNEL` | the following bytes are the kernel's |
//! | `ESCAPE PROGRAM` | the following bytes are a program's, as at the beginning |
//! | `ESCAPE ESCAPE` | the byte `ESCAPE` |
//! | `ESCAPE END code` | the machine ends, for the reason with this number |
//!
//! Terminals do not show these bytes.

/// Begins a mark (the control character DLE).
pub const ESCAPE: u8 = 0x10;
/// The kernel's bytes follow (STX).
pub const KERNEL: u8 = 0x02;
/// A program's bytes follow (ETX).
pub const PROGRAM: u8 = 0x03;
/// The machine ends; the number of the reason follows (EOT).
pub const END: u8 = 0x04;

/// The beginning of each line of the kernel.
pub const PREFIX: &str = "cairn: ";

/// The origin of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// The kernel's.
    Kernel,
    /// A program's.
    Program,
}

/// Writes the console's stream.
#[derive(Clone, Debug)]
pub struct Encoder {
    speaker: Speaker,
    at_line_start: bool,
    /// Whether only the first byte of a mark has been written: the writer was stopped between its two bytes.
    in_mark: bool,
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    pub const fn new() -> Encoder {
        Encoder { speaker: Speaker::Program, at_line_start: true, in_mark: false }
    }

    /// Writes bytes of a speaker to `out`, several at a time. If the speaker changes within a line, a new line begins.
    pub fn write(&mut self, speaker: Speaker, bytes: &[u8], mut out: impl FnMut(&[u8])) {
        if self.speaker != speaker {
            self.fresh_line(&mut out);
            self.mark(if speaker == Speaker::Kernel { KERNEL } else { PROGRAM }, &mut out);
            self.speaker = speaker;
        }
        for piece in bytes.split_inclusive(|&byte| byte == ESCAPE || byte == b'\n') {
            // The writer may be stopped within the piece.
            self.at_line_start = false;
            match piece {
                [before @ .., ESCAPE] => {
                    out(before);
                    self.mark(ESCAPE, &mut out);
                }
                _ => out(piece),
            }
            self.at_line_start = piece.ends_with(b"\n");
        }
    }

    /// Continues after a writer was stopped at any point: begins a new line.
    pub fn restart(&mut self, mut out: impl FnMut(&[u8])) {
        // A byte after an escape byte that forms no mark with it counts as itself.
        self.at_line_start &= !core::mem::take(&mut self.in_mark);
        self.fresh_line(&mut out);
        // It is unknown whether the mark of the speaker was written.
        self.speaker = Speaker::Program;
    }

    fn fresh_line(&mut self, out: &mut impl FnMut(&[u8])) {
        if !self.at_line_start {
            out(b"\n");
            self.at_line_start = true;
        }
    }

    fn mark(&mut self, kind: u8, out: &mut impl FnMut(&[u8])) {
        self.in_mark = true;
        out(&[ESCAPE]);
        out(&[kind]);
        self.in_mark = false;
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

/// The item that a byte of the stream completes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A byte from this speaker.
    Byte(Speaker, u8),
    /// The machine ends, for the reason with this number.
    End(u8),
}

/// Reads the console's stream. Every sequence of bytes is a valid stream.
#[derive(Clone, Debug)]
pub struct Decoder {
    speaker: Speaker,
    state: State,
}

/// Progress within a mark.
#[derive(Clone, Copy, Debug)]
enum State {
    Nothing,
    Escape,
    End,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub const fn new() -> Decoder {
        Decoder { speaker: Speaker::Program, state: State::Nothing }
    }

    /// Takes the next byte; returns the item that it completes, if any.
    pub fn push(&mut self, byte: u8) -> Option<Said> {
        match (core::mem::replace(&mut self.state, State::Nothing), byte) {
            (State::Nothing, ESCAPE) => self.state = State::Escape,
            (State::Escape, KERNEL) => self.speaker = Speaker::Kernel,
            (State::Escape, PROGRAM) => self.speaker = Speaker::Program,
            (State::Escape, END) => self.state = State::End,
            (State::End, code) => return Some(Said::End(code)),
            (State::Nothing | State::Escape, byte) => return Some(Said::Byte(self.speaker, byte)),
        }
        None
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn speaker() -> impl Strategy<Value = Speaker> {
        prop_oneof![Just(Speaker::Kernel), Just(Speaker::Program)]
    }

    /// Bytes; those that occur in marks are more frequent.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(ESCAPE), Just(KERNEL), Just(PROGRAM), Just(END), Just(b'\n')];
        proptest::collection::vec(byte, 0..20)
    }

    fn encoded(pieces: &[(Speaker, Vec<u8>)]) -> Vec<u8> {
        let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
        pieces.iter().for_each(|(speaker, bytes)| encoder.write(*speaker, bytes, |bytes| stream.extend(bytes)));
        stream
    }

    fn decoded(stream: &[u8]) -> Vec<Said> {
        let mut decoder = Decoder::new();
        stream.iter().filter_map(|&byte| decoder.push(byte)).collect()
    }

    proptest! {
        #[test]
        fn nobody_speaks_for_another(pieces in proptest::collection::vec((speaker(), bytes()), 0..8)) {
            // Switching to a speaker that writes no bytes has no visible effect. A line that is cut off
            // is followed by a line feed.
            let mut expected: Vec<(Speaker, u8)> = Vec::new();
            let mut last = Speaker::Program;
            for (speaker, bytes) in &pieces {
                if last != *speaker && expected.last().is_some_and(|(_, byte)| *byte != b'\n') {
                    expected.push((last, b'\n'));
                }
                last = *speaker;
                expected.extend(bytes.iter().map(|&byte| (*speaker, byte)));
            }
            let said = decoded(&encoded(&pieces));
            prop_assert!(said.into_iter().eq(expected.into_iter().map(|(speaker, byte)| Said::Byte(speaker, byte))));
        }

        #[test]
        fn who_is_stopped_anywhere_does_not_garble_what_follows(
            pieces in proptest::collection::vec((speaker(), bytes()), 1..6),
            stop in any::<prop::sample::Index>(),
        ) {
            struct Stopped;
            let whole = encoded(&pieces);
            let stop = stop.index(whole.len() + 1);
            let (mut encoder, mut stream) = (Encoder::new(), Vec::new());
            // A panic stops the encoder as an interrupt stops a CPU: between two bytes.
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                for (speaker, bytes) in &pieces {
                    encoder.write(*speaker, bytes, |bytes| {
                        for &byte in bytes {
                            if stream.len() == stop {
                                std::panic::resume_unwind(std::boxed::Box::new(Stopped));
                            }
                            stream.push(byte);
                        }
                    });
                }
            }));
            prop_assert_eq!(run.is_ok(), stop == whole.len());
            encoder.restart(|bytes| stream.extend(bytes));
            let at = decoded(&stream).len();
            encoder.write(Speaker::Kernel, b"cairn: the end\n", |bytes| stream.extend(bytes));
            let said = decoded(&stream);
            prop_assert!(said[at..].iter().copied().eq(b"cairn: the end\n".map(|byte| Said::Byte(Speaker::Kernel, byte))));
            prop_assert!(at == 0 || matches!(said[at - 1], Said::Byte(_, b'\n')));
        }
    }

    #[test]
    fn the_end_comes_with_its_reason() {
        assert_eq!(decoded(&[b'a', ESCAPE, END, 0x10]), [Said::Byte(Speaker::Program, b'a'), Said::End(0x10)]);
        let pieces = [(Speaker::Program, std::vec![END, 0x10, ESCAPE, END, 0x15])];
        assert!(!decoded(&encoded(&pieces)).iter().any(|said| matches!(said, Said::End(_))));
    }
}
