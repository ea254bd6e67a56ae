//! A shell on the console: programs, threads, quotas, messages. It must run on the CPU with the serial port.
//!
//! The console has one stream of keys. While a program runs in the foreground, the shell takes all keys: Ctrl-C kills
//! the program with all its descendants, and other keys are kept for the next line. A program that reads the console
//! itself takes keys away from the shell. This includes Ctrl-C, which the program must then handle. Unix does the same
//! where a program has put its terminal into raw mode.
#![no_std]
#![no_main]

mod jobs;
mod keys;
mod tables;

use abi::Error;
use jobs::{Jobs, Waited};
use keys::Keys;
use user::channel::{Channel, WORDS};
use user::command::{Command, HELP, Numbers, PROMPT};
use user::line::{Editor, Typed};
use user::{print, println, program, sys};

program!(main);

/// Default quota of a program, in pages.
const QUOTA: u32 = 64;

fn main() -> Result<(), Error> {
    println!("Cairn's shell; help lists the commands");
    let mut shell = Shell { keys: Keys::new(), jobs: Jobs::new(), channel: Channel::open(0)? };
    let mut editor = Editor::new(PROMPT.len());
    loop {
        shell.jobs.report();
        print!("{PROMPT}");
        while !ends_line(&mut editor, shell.keys.next()?) {}
        match shell.obey(editor.line()) {
            Ok(Then::Continue | Then::Stop) => {}
            Ok(Then::Halt) => break,
            Err(error) => println!("refused: {}", reason(error)),
        }
    }
    println!("the machine goes off when all programs have ended");
    Ok(())
}

/// The state of the shell.
struct Shell {
    keys: Keys,
    jobs: Jobs,
    /// A page for messages.
    channel: Channel,
}

/// What the shell does after a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Run the next command.
    Continue,
    /// Read the next line: a repeated command is not repeated further.
    Stop,
    /// End the shell.
    Halt,
}

impl From<Waited> for Then {
    fn from(waited: Waited) -> Then {
        match waited {
            Waited::Ended => Then::Continue,
            Waited::Interrupted => Then::Stop,
        }
    }
}

impl Shell {
    /// Carries out a line.
    ///
    /// # Errors
    /// The errors of the calls that the command makes.
    fn obey(&mut self, line: &str) -> Result<Then, Error> {
        let command = match Command::parse(line) {
            Ok(Some(command)) => command,
            Ok(None) => return Ok(Then::Continue),
            Err(problem) => {
                println!("{problem}");
                return Ok(Then::Stop);
            }
        };
        match command {
            Command::Help => HELP.iter().for_each(|(usage, about)| println!("{usage:<42} {about}")),
            Command::Ps => tables::threads()?,
            Command::Quota => tables::quotas()?,
            Command::Mem => tables::memory()?,
            Command::Uptime => sys::uptime().map(|ms| println!("up {}.{:03} s", ms / 1000, ms % 1000))?,
            Command::Run { name, arguments, quota, background } => {
                let thread = self.jobs.start(name, quota.unwrap_or(QUOTA), arguments)?;
                if background {
                    println!("thread {thread} runs {name}");
                } else {
                    return self.jobs.run_to_end(thread, &mut self.keys).map(Then::from);
                }
            }
            Command::Kill { thread } => sys::kill(thread)?,
            Command::Wait { thread } => return self.jobs.wait(thread, &mut self.keys).map(Then::from),
            Command::Repeat { count, line } => return self.repeat(count, line),
            Command::Send { channel, words } => send(self.channel.at(channel)?, words)?,
            Command::Recv { channel } => receive(self.channel.at(channel)?)?,
            Command::Halt => return Ok(Then::Halt),
        }
        Ok(Then::Continue)
    }

    /// Carries out a line `count` times, or until it is refused or interrupted.
    fn repeat(&mut self, count: u32, line: &str) -> Result<Then, Error> {
        for _ in 0..count {
            let then = self.obey(line)?;
            if then != Then::Continue {
                return Ok(then);
            }
            if self.keys.interrupted()? {
                println!("^C");
                return Ok(Then::Stop);
            }
            self.jobs.report();
        }
        Ok(Then::Continue)
    }
}

/// Takes a key; returns whether the key ended a line that is to be carried out, which may be empty.
fn ends_line(editor: &mut Editor, key: u8) -> bool {
    // Printing does not fail.
    match editor.typed(key, &mut Screen) {
        Ok(Typed::Line) => true,
        Ok(Typed::GivenUp) => {
            print!("{PROMPT}");
            false
        }
        _ => false,
    }
}

/// The terminal.
struct Screen;

impl core::fmt::Write for Screen {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        match text.as_bytes() {
            // The echo of a key. A byte that the serial line does not take is lost, as in longer text.
            &[byte] => drop(sys::putc(byte)),
            _ => print!("{text}"),
        }
        Ok(())
    }
}

/// The reason for which a call was refused, as text.
fn reason(error: Error) -> &'static str {
    match error {
        Error::Mem => "no quota, no child or no thread number is left",
        Error::Ipc => "there is no message",
        Error::InvalChid => "there is no such channel",
        Error::InvalId => "there is no such program",
        Error::InvalCallnr => "the kernel has no such call",
        Error::InvalAddr => "an image that cannot be loaded",
        Error::NoChar | Error::SendFail | Error::NoDevice => "the serial port is elsewhere",
        Error::NoGuests => "this CPU runs no guests",
        Error::Busy => "the virtual machine of this CPU belongs to another program",
        Error::InvalHvm | Error::InvalReg | Error::InvalSeg | Error::InvalEvent => {
            "the virtual machine has no such thing"
        }
        Error::Succ => "no reason",
    }
}

/// Sends a message.
fn send(channel: &mut Channel, words: Numbers) -> Result<(), Error> {
    let mut message = [0; WORDS];
    let mut count = 0;
    for (to, word) in message.iter_mut().zip(words.iter()) {
        *to = word;
        count += 1;
    }
    println!("sent {} words", channel.send(&message[..count])?);
    Ok(())
}

/// Receives a message, if there is one.
fn receive(channel: &mut Channel) -> Result<(), Error> {
    let message = channel.try_receive()?.ok_or(Error::Ipc)?;
    print!("{} words:", message.len());
    message.iter().for_each(|word| print!(" {word}"));
    println!();
    Ok(())
}
