//! Obeys what is typed on the console: programs, threads, quotas, messages. It has to run on the CPU with the serial port.
#![no_std]
#![no_main]

mod keys;
mod launchers;
mod tables;

use abi::{Error, ThreadState};
use keys::Keys;
use launchers::Launchers;
use user::channel::{Channel, WORDS};
use user::command::{Command, HELP, PROMPT, Words};
use user::image;
use user::line::{Editor, Typed};
use user::{print, println, program, sys};

program!(main);

/// Pages of a program where nothing else is said.
const QUOTA: u32 = 64;

fn main() -> Result<(), Error> {
    println!("Cairn's shell; help says what can be said");
    let (mut keys, mut launchers, mut editor) = (Keys::new(), Launchers::new(), Editor::new(PROMPT.len()));
    let mut channel = Channel::open(0)?;
    loop {
        print!("{PROMPT}");
        while !ends_line(&mut editor, keys.next()?) {}
        let command = match Command::parse(editor.line()) {
            Ok(Some(command)) => command,
            Ok(None) => continue,
            Err(problem) => {
                println!("{problem}");
                continue;
            }
        };
        let obeyed = match command {
            Command::Help => {
                HELP.iter().for_each(|(usage, about)| println!("{usage:<24} {about}"));
                Ok(())
            }
            Command::Ps => tables::threads(),
            Command::Quota => tables::quotas(),
            Command::Mem => tables::memory(),
            Command::Uptime => sys::uptime().map(|ms| println!("up {}.{:03} s", ms / 1000, ms % 1000)),
            Command::Run { name, quota, background } => {
                run(name, quota.unwrap_or(QUOTA), background, &mut launchers, &mut keys)
            }
            Command::Send { channel: number, words } => channel.at(number).and_then(|channel| send(channel, words)),
            Command::Recv { channel: number } => channel.at(number).and_then(receive),
            Command::Halt => break,
        };
        if let Err(error) = obeyed {
            println!("refused: {}", reason(error));
        }
    }
    println!("the machine goes off when all programs have ended");
    launchers.end()
}

/// Takes a key; whether it ended a line that is to be obeyed, if only an empty one.
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
        print!("{text}");
        Ok(())
    }
}

/// Why a call was refused, in words.
fn reason(error: Error) -> &'static str {
    match error {
        Error::Mem => "no quota, no child or no thread number is left",
        Error::Ipc => "there is no message",
        Error::InvalChid => "there is no such channel",
        Error::InvalId => "there is no such program",
        Error::InvalCallnr => "the kernel has no such call",
        Error::InvalAddr => "an image that cannot be loaded",
        Error::NoChar | Error::SendFail | Error::NoDevice => "the serial port is elsewhere",
        Error::Succ => "no reason",
    }
}

/// Starts a program and, unless it is to stay in the background, waits for its end or for an interrupt.
fn run(name: &str, quota: u32, background: bool, launchers: &mut Launchers, keys: &mut Keys) -> Result<(), Error> {
    let thread = launchers.start(image::number(name).ok_or(Error::InvalId)?, quota)?;
    println!("thread {thread} runs {name}; {} children are left", launchers.left());
    if background {
        return Ok(());
    }
    while sys::thread_info(thread)?.state != ThreadState::Ended {
        if keys.interrupted()? {
            println!("^C: {name} goes on in the background");
            break;
        }
        sys::yield_now()?;
    }
    Ok(())
}

/// Sends a message.
fn send(channel: &mut Channel, words: Words) -> Result<(), Error> {
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
