//! What is typed at a machine: a script says what is done when the console shows certain texts, and a line brings typed
//! text to the machine's first serial port.

use super::machine::Act;
use super::process::POLL;
use crate::host::error::Error;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The rest of a script.
pub struct Script<'a> {
    rest: &'a [(&'a str, Act<'a>)],
    /// How much of the console has been searched.
    seen: usize,
}

impl<'a> Script<'a> {
    /// A script at its beginning.
    pub const fn new(rest: &'a [(&'a str, Act<'a>)]) -> Script<'a> {
        Script { rest, seen: 0 }
    }

    /// The next action, if it is due, given the console's text so far.
    pub fn due(&mut self, console: &[u8]) -> Option<Act<'a>> {
        let &(text, act) = self.rest.first()?;
        self.seen += end_of(text.as_bytes(), &console[self.seen..])?;
        self.rest = &self.rest[1..];
        Some(act)
    }
}

/// Offset of the end of the first `text` in the console.
fn end_of(text: &[u8], console: &[u8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let start = console.windows(text.len()).position(|window| window == text)?;
    Some(start + text.len())
}

/// The other end of the machine's first serial line.
pub struct Keyboard {
    /// The address to which the emulator connects.
    pub address: SocketAddr,
    listener: TcpListener,
    connection: Option<TcpStream>,
}

/// How long an emulator may take to connect to a line. It connects before the machine runs, unless it fails.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);

impl Keyboard {
    /// A line to which an emulator of this machine can connect.
    pub fn new() -> Result<Keyboard, Error> {
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok(Keyboard { address: listener.local_addr()?, listener, connection: None })
        };
        listen().map_err(Error::stream("open a line to the machine"))
    }

    /// Types a text.
    pub fn type_in(&mut self, text: &str) -> io::Result<()> {
        self.line()?.write_all(text.as_bytes())
    }

    /// The connection that the emulator makes.
    pub fn line(&mut self) -> io::Result<&mut TcpStream> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.accept()?,
        };
        Ok(self.connection.insert(connection))
    }

    fn accept(&self) -> io::Result<TcpStream> {
        let begin = Instant::now();
        loop {
            match self.listener.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && begin.elapsed() < CONNECTS_WITHIN => {
                    thread::sleep(POLL);
                }
                accepted => {
                    let connection = accepted?.0;
                    connection.set_nonblocking(false)?;
                    return Ok(connection);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_script_goes_on_as_soon_as_the_console_shows_the_next_text() {
        let acts = [("", Act::Type("w")), ("a b", Act::Type("x")), ("b", Act::Type("y")), ("c", Act::Interrupt)];
        let mut script = Script::new(&acts);
        let mut left = |console: &str| {
            while script.due(console.as_bytes()).is_some() {}
            script.rest.len()
        };
        assert_eq!(left(""), 3, "what needs no text is done at once");
        assert_eq!([left("a"), left("a "), left("a b"), left("a b."), left("a b.b c")], [3, 3, 2, 2, 0]);
    }

    #[test]
    fn what_is_typed_arrives() {
        let mut keyboard = Keyboard::new().unwrap();
        let mut machine = TcpStream::connect(keyboard.address).unwrap();
        keyboard.type_in("one ").unwrap();
        keyboard.type_in("two").unwrap();
        drop(keyboard);
        let mut text = String::new();
        machine.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two");
    }
}
