//! The commands of the shell.

use abi::boot::Words;
use core::fmt;

/// What the shell prints when it waits for a line.
pub const PROMPT: &str = "cairn> ";

/// A parsed line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// `help`: the list of commands.
    Help,
    /// `ps`: the threads.
    Ps,
    /// `run [-q PAGES] PROGRAM [ARGUMENT...] [&]`: starts a program.
    Run {
        /// Its name.
        name: &'a str,
        /// Its arguments.
        arguments: Words<'a>,
        /// Its quota in pages, if the line has one.
        quota: Option<u32>,
        /// Whether the shell does not wait for the program.
        background: bool,
    },
    /// `kill THREAD`: ends a background program.
    Kill {
        /// Its thread number.
        thread: u32,
    },
    /// `wait [THREAD]`: waits for background programs.
    Wait {
        /// The thread number of one program; all of them where it is left out.
        thread: Option<u32>,
    },
    /// `repeat COUNT COMMAND`: runs a command several times.
    Repeat {
        /// Number of repetitions.
        count: u32,
        /// The command, as a line of its own.
        line: &'a str,
    },
    /// `send CHANNEL WORD…`: sends a message.
    Send {
        /// The channel.
        channel: u32,
        /// The words of the message, as numbers.
        words: Numbers<'a>,
    },
    /// `recv CHANNEL`: receives a message, if there is one.
    Recv {
        /// The channel.
        channel: u32,
    },
    /// `quota`: the tree of quotas.
    Quota,
    /// `mem`: pages of this CPU.
    Mem,
    /// `uptime`: how long the machine has been on.
    Uptime,
    /// `halt`: ends the shell.
    Halt,
}

/// The commands, and what each does.
pub const HELP: &[(&str, &str)] = &[
    ("help", "this list"),
    ("ps", "the threads of this CPU"),
    (
        "run [-q PAGES] PROGRAM [ARGUMENT...] [&]",
        "starts a program and waits for its end, or with & does not wait; Ctrl-C kills it",
    ),
    ("kill THREAD", "ends a background program and all its descendants"),
    ("wait [THREAD]", "waits for the end of a background program, or of all; Ctrl-C stops the waiting"),
    ("repeat COUNT COMMAND", "runs a command this many times, or until Ctrl-C"),
    ("send CHANNEL WORD...", "sends a message of these numbers, as soon as there is room"),
    ("recv CHANNEL", "receives a message, if there is one"),
    ("quota", "the quotas of this CPU, as a tree"),
    ("mem", "the pages of this CPU"),
    ("uptime", "how long the machine has been on"),
    ("halt", "switches the machine off when all programs have ended"),
];

/// Numbers, separated by spaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers<'a>(Words<'a>);

impl Numbers<'_> {
    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|word| number(word).ok())
    }
}

/// Errors of a line. The user is to blame for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem<'a> {
    /// There is no such command.
    Unknown(&'a str),
    /// The line ends too early.
    Missing(&'static str),
    /// The word is neither a decimal number nor, with 0x, a hexadecimal number below 2^32.
    NotANumber(&'a str),
    /// The line has one word too many.
    Excess(&'a str),
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unknown(word) => write!(formatter, "there is no command `{word}`; try help"),
            Problem::Missing(what) => write!(formatter, "the {what} is missing; try help"),
            Problem::NotANumber(word) => write!(formatter, "`{word}` is not a number"),
            Problem::Excess(word) => write!(formatter, "`{word}` is one word too many"),
        }
    }
}

impl<'a> Command<'a> {
    /// Parses a line; `None` if it is empty.
    ///
    /// # Errors
    /// See [`Problem`].
    pub fn parse(line: &'a str) -> Result<Option<Command<'a>>, Problem<'a>> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split_ascii_whitespace();
        let mut word = |what| words.next().ok_or(Problem::Missing(what));
        let command = match verb {
            "" => return Ok(None),
            "help" => Command::Help,
            "ps" => Command::Ps,
            "run" => {
                let (mut name, mut rest) = first_of(rest);
                let mut quota = None;
                if name == "-q" {
                    let (pages, after) = first_of(rest);
                    let pages = if pages.is_empty() { Err(Problem::Missing("number of pages")) } else { number(pages) };
                    quota = Some(pages?);
                    (name, rest) = first_of(after);
                }
                if name.is_empty() {
                    return Err(Problem::Missing("program's name"));
                }
                let before = rest.strip_suffix('&').filter(|before| before.is_empty() || before.ends_with(' '));
                let arguments = Words::of(before.unwrap_or(rest));
                return Ok(Some(Command::Run { name, arguments, quota, background: before.is_some() }));
            }
            "kill" => Command::Kill { thread: number(word("thread's number")?)? },
            "wait" => Command::Wait { thread: words.next().map(number).transpose()? },
            "repeat" => {
                let count = number(word("count")?)?;
                word("command")?;
                return Ok(Some(Command::Repeat { count, line: first_of(rest).1 }));
            }
            "send" => {
                let channel = number(word("channel's number")?)?;
                words.by_ref().try_for_each(|word| number(word).map(drop))?;
                Command::Send { channel, words: Numbers(Words::of(first_of(rest).1)) }
            }
            "recv" => Command::Recv { channel: number(word("channel's number")?)? },
            "quota" => Command::Quota,
            "mem" => Command::Mem,
            "uptime" => Command::Uptime,
            "halt" => Command::Halt,
            _ => return Err(Problem::Unknown(verb)),
        };
        match words.next() {
            Some(excess) => Err(Problem::Excess(excess)),
            None => Ok(Some(command)),
        }
    }
}

/// The first word of a text, and what follows it.
fn first_of(text: &str) -> (&str, &str) {
    let (first, rest) = text.trim_start().split_once(' ').unwrap_or((text.trim_start(), ""));
    (first, rest.trim_start())
}

/// Reads a number.
fn number(word: &str) -> Result<u32, Problem<'_>> {
    let number = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => word.parse(),
    };
    number.map_err(|_| Problem::NotANumber(word))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{Command, HELP, Problem, Words};
    use std::string::ToString;
    use std::vec::Vec;

    fn run<'a>(name: &'a str, quota: Option<u32>, background: bool) -> Result<Option<Command<'a>>, Problem<'a>> {
        Ok(Some(Command::Run { name, arguments: Words::default(), quota, background }))
    }

    #[test]
    fn a_program_gets_the_words_behind_its_name() {
        for (line, expected, is_background) in [
            ("run hello a  b& c", &["a", "b&", "c"][..], false),
            ("run -q 9 hello -q 7 &", &["-q", "7"], true),
            ("run hello & &", &["&"], true),
            ("run hello x&", &["x&"], false),
        ] {
            let Ok(Some(Command::Run { arguments, background, .. })) = Command::parse(line) else { panic!("{line}") };
            assert!(arguments.iter().eq(expected.iter().copied()) && background == is_background, "{line}");
        }
    }

    #[test]
    fn what_help_lists_is_understood() {
        for (usage, _) in HELP {
            let verb = usage.split(' ').next().unwrap();
            assert!(!matches!(Command::parse(verb), Err(Problem::Unknown(_)) | Ok(None)), "{verb}");
        }
    }

    #[test]
    fn lines_with_words() {
        assert_eq!(Command::parse("  "), Ok(None));
        assert_eq!(Command::parse(" ps "), Ok(Some(Command::Ps)));
        assert_eq!(Command::parse("run hello"), run("hello", None, false));
        assert_eq!(Command::parse("run  -q 48 hello"), run("hello", Some(48), false));
        assert_eq!(Command::parse("run hello &"), run("hello", None, true));
        assert_eq!(Command::parse("run -q 0x30 hello &"), run("hello", Some(48), true));
        assert_eq!(Command::parse("kill 73"), Ok(Some(Command::Kill { thread: 73 })));
        assert_eq!(Command::parse("wait"), Ok(Some(Command::Wait { thread: None })));
        assert_eq!(Command::parse("wait 73"), Ok(Some(Command::Wait { thread: Some(73) })));
        let repeat = Command::Repeat { count: 3, line: "run hello &" };
        assert_eq!(Command::parse("repeat  3 run hello & "), Ok(Some(repeat)));
        assert_eq!(Command::parse("recv 7"), Ok(Some(Command::Recv { channel: 7 })));
        for (line, expected) in [("send 7", &[][..]), ("send  7  1 0xff 3 ", &[1, 255, 3])] {
            let Ok(Some(Command::Send { channel: 7, words })) = Command::parse(line) else { panic!("{line}") };
            assert_eq!(words.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(Command::parse("rum hello"), Err(Problem::Unknown("rum")));
        assert_eq!(Command::parse("run"), Err(Problem::Missing("program's name")));
        assert_eq!(Command::parse("run -q x hello"), Err(Problem::NotANumber("x")));
        assert_eq!(Command::parse("run -q 1"), Err(Problem::Missing("program's name")));
        assert_eq!(Command::parse("run -q"), Err(Problem::Missing("number of pages")));
        assert_eq!(Command::parse("kill"), Err(Problem::Missing("thread's number")));
        assert_eq!(Command::parse("wait for"), Err(Problem::NotANumber("for")));
        assert_eq!(Command::parse("wait 1 2"), Err(Problem::Excess("2")));
        assert_eq!(Command::parse("repeat ps"), Err(Problem::NotANumber("ps")));
        assert_eq!(Command::parse("repeat 3"), Err(Problem::Missing("command")));
        assert_eq!(Command::parse("send 7 1 -1"), Err(Problem::NotANumber("-1")));
        assert_eq!(Command::parse("send 4294967296"), Err(Problem::NotANumber("4294967296")));
        assert_eq!(Command::parse("recv"), Err(Problem::Missing("channel's number")));
        assert_eq!(Command::parse("ps all"), Err(Problem::Excess("all")));
        assert_eq!(Problem::Unknown("rum").to_string(), "there is no command `rum`; try help");
    }
}
