//! A storm: on each CPU, eight processes fault, yield, query their quotas, make calls that are refused, and send
//! messages around a ring of all CPUs. Each process checks everything that it computes. A launcher starts the eight
//! processes of a CPU.
//!
//! Arguments: `launch CPUS` for a launcher, `work CPUS NUMBER` for one of the eight workers. With a further
//! argument `endless` the storm goes on for ever.
#![no_std]
#![no_main]

extern crate alloc;

use abi::{CHILDREN, Error, PAGE_SIZE};
use alloc::string::ToString;
use core::fmt;
use user::channel::{Channel, WORDS};
use user::memory::REGION_SIZE;
use user::random::Random;
use user::{args, image, memory, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("storm").unwrap();

/// Pages of a worker.
const QUOTA: u32 = 1100;

/// The argument of a process that runs for ever.
const ENDLESS: &str = "endless";
/// Rounds of a process that does not run for ever.
const ROUNDS: u32 = 40;
/// Pages that a worker fills and checks later.
const PAGES: usize = 256;
/// Pages that are left for the stack.
const RESERVE: u32 = 8;
/// The first of the channels of the rings: one for each worker of each CPU.
const RINGS: u32 = 512;

/// Status: something was not as expected; the console says what.
const FAILED: u32 = 1;

fn main() -> Result<u32, Error> {
    let (role, endless) = (args().next(), args().last() == Some(ENDLESS));
    let mut numbers = args().skip(1).map_while(|number| number.parse().ok());
    match (role, numbers.next(), numbers.next()) {
        (Some("launch"), Some(cpus), None) => launch(cpus, endless).map(|()| 0),
        (Some("work"), Some(cpus), Some(index)) => work(cpus, index, endless),
        _ => Ok(FAILED),
    }
}

/// Starts the workers of this CPU.
fn launch(cpus: u32, endless: bool) -> Result<(), Error> {
    for index in 0..CHILDREN {
        let arguments = ["work", &cpus.to_string(), &index.to_string(), ENDLESS];
        args::spawn(SELF, QUOTA, &arguments[..if endless { 4 } else { 3 }])?;
    }
    Ok(())
}

/// Runs worker `index` of this CPU.
fn work(cpus: u32, index: u32, endless: bool) -> Result<u32, Error> {
    let cpu = sys::who_am_i()?.cpu;
    Ok(match Worker::new(cpus, cpu, index).and_then(|mut worker| worker.work(endless)) {
        Ok(()) => 0,
        Err(failure) => {
            println!("storm {cpu}.{index}: FAILED: {failure:?}");
            FAILED
        }
    })
}

/// An error that a worker has found.
enum Failure {
    /// A call failed that cannot fail.
    Call(Error),
    /// The heap has no page left.
    NoHeap,
    /// A page does not hold what was written to it.
    Page { page: usize, word: usize, expected: u32, got: u32 },
    /// A fresh page is not zero.
    NotZero,
    /// The number of pages left is wrong.
    Quota { expected: u32, left: u32 },
    /// A call that must be refused gave this result.
    Granted(Result<u32, Error>),
    /// A message is not the next one in the sequence.
    Message { round: u32, got: Option<u32>, words: usize },
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Call(error) => write!(formatter, "a call gave {error:?}"),
            Failure::NoHeap => formatter.write_str("no heap"),
            Failure::Page { page, word, expected, got } => {
                write!(formatter, "word {word} of page {page} is {got:#x}, not {expected:#x}")
            }
            Failure::NotZero => formatter.write_str("a fresh page is not zero"),
            Failure::Quota { expected, left } => write!(formatter, "{left} pages are left, not {expected}"),
            Failure::Granted(got) => write!(formatter, "what should be refused gave {got:?}"),
            Failure::Message { round, got, words } => {
                write!(formatter, "message {round} of {words} words begins with {got:x?}")
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Call(error)
    }
}

/// A process of the storm.
struct Worker {
    random: Random,
    /// Its number among all workers, which is part of every word that it writes.
    name: u32,
    /// The channel to the next CPU's worker, and the channel from the previous CPU's worker.
    to: Channel,
    from: Channel,
    /// The buffer for its messages.
    message: &'static mut [u32; WORDS],
    /// Number of its messages so far.
    round: u32,
    /// The pages that it fills, and the number of pages that it has filled.
    pages: &'static mut [u8],
    filled: usize,
}

impl Worker {
    fn new(cpus: u32, cpu: u32, index: u32) -> Result<Worker, Failure> {
        let ring = RINGS + CHILDREN * index;
        // Each channel takes a page, and the messages take one. The pages to fill begin at a region boundary, so
        // their cost is known.
        let (to, from) = (Channel::open(ring + cpu)?, Channel::open(ring + (cpu + cpus - 1) % cpus)?);
        let message = &mut memory::page().ok_or(Failure::NoHeap)?.0;
        memory::take(REGION_SIZE / PAGE_SIZE - 3).ok_or(Failure::NoHeap)?;
        let pages = memory::take(PAGES as u32).ok_or(Failure::NoHeap)?;
        let name = CHILDREN * cpu + index;
        Ok(Worker { random: Random::new(name.into()), name, to, from, message, round: 0, pages, filled: 0 })
    }

    fn work(&mut self, endless: bool) -> Result<(), Failure> {
        // The first messages may take pages, which the accounts of `fill` do not include.
        self.pass_message()?;
        let mut rounds = 0;
        while endless || rounds < ROUNDS {
            rounds += 1;
            self.pass_message()?;
            for _ in 0..4 {
                match self.random.below(8) {
                    0 => self.fill()?,
                    1..=3 => self.look()?,
                    4 | 5 => sys::yield_now()?,
                    _ => self.be_refused()?,
                }
            }
        }
        Ok(())
    }

    /// Sends a message to the next CPU, and receives one from the previous CPU, which must be the next in its
    /// sequence.
    fn pass_message(&mut self) -> Result<(), Failure> {
        let round = self.round;
        let words = 1 + (round.wrapping_mul(round) % (WORDS as u32)) as usize;
        // Long messages are rare, because they are copied word by word.
        let length = if round % 16 == 0 { words } else { 1 + words % 32 };
        for (word, index) in self.message[..length].iter_mut().zip(round..) {
            *word = index;
        }
        self.to.send(&self.message[..length])?;
        let got = self.from.receive()?;
        let right = got.len() == length && got.iter().zip(round..).all(|(&got, word)| got == word);
        if !right {
            return Err(Failure::Message { round, got: got.first().copied(), words: got.len() });
        }
        self.round = round.wrapping_add(1) % (1 << 24);
        Ok(())
    }

    /// The word that the worker writes to a place of a page.
    fn word(&self, page: usize, word: usize) -> u32 {
        self.name << 24 | (page as u32) << 12 | word as u32
    }

    /// Touches a page for the first time and fills it. The page must be zero. It must cost one unit, or two if it
    /// needs a page table.
    fn fill(&mut self) -> Result<(), Failure> {
        let before = sys::get_quota()?;
        if self.filled == PAGES || before < RESERVE {
            return self.look();
        }
        let page = self.filled;
        let at = page * PAGE_SIZE as usize;
        if self.pages[at..at + PAGE_SIZE as usize].iter().step_by(64).any(|&byte| byte != 0) {
            return Err(Failure::NotZero);
        }
        let (left, expected) = (sys::get_quota()?, before - if page == 0 { 2 } else { 1 });
        if left != expected {
            return Err(Failure::Quota { expected, left });
        }
        for word in (0..WORDS).step_by(8) {
            let value = self.word(page, word).to_le_bytes();
            self.pages[at + 4 * word..][..4].copy_from_slice(&value);
        }
        self.filled += 1;
        Ok(())
    }

    /// Checks whether a page holds what was written to it.
    fn look(&mut self) -> Result<(), Failure> {
        let page = self.random.below(self.filled as u32) as usize;
        if page == self.filled {
            return Ok(());
        }
        for word in (0..WORDS).step_by(8) {
            let bytes = &self.pages[page * PAGE_SIZE as usize + 4 * word..][..4];
            let (got, expected) =
                (bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)), self.word(page, word));
            if got != expected {
                return Err(Failure::Page { page, word, expected, got });
            }
        }
        Ok(())
    }

    /// Makes a call that must be refused, and checks that this costs nothing.
    fn be_refused(&mut self) -> Result<(), Failure> {
        let left = sys::get_quota()?;
        let (got, right) = match self.random.below(3) {
            0 => (sys::spawn(SELF, left + 1), Error::Mem),
            1 => (sys::spawn(u32::MAX, 1), Error::InvalId),
            _ => (sys::spawn(SELF, quota::image_frames() - 1), Error::Mem),
        };
        if got != Err(right) {
            return Err(Failure::Granted(got));
        }
        match sys::get_quota()? {
            still if still == left => Ok(()),
            left_now => Err(Failure::Quota { expected: left, left: left_now }),
        }
    }
}
