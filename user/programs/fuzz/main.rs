//! Random system calls with random and boundary arguments, from several processes at once. The calls are arbitrary; the
//! kernel must refuse or carry out each of them, and run on. The processes kill and wait for their children, and try
//! the same with other processes. Helpers exit at random. A root starts new helpers in place of those that have ended.
//!
//! Arguments: `root SEED` for a process that a main thread has started and that starts helpers; `helper SEED` for
//! a helper. With `endless` as a third argument a process runs for ever; without arguments it ends at once.
#![no_std]
#![no_main]

extern crate alloc;

mod family;

use abi::{ADR_HIGH, ADR_LOW, CHANNELS, CHILDREN, Call, Error, MESSAGE_WORDS, PAGE_SIZE};
use alloc::string::ToString;
use family::Family;
use user::random::Random;
use user::sys::{self, Registers, syscall};
use user::{args, image, memory, println, program};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("fuzz").unwrap();

/// The argument of a process that runs for ever.
const ENDLESS: &str = "endless";
/// Least pages of a helper, and the most that are added at random.
const QUOTA: u32 = 128;
const MORE: u32 = 256;

/// Helpers of a root.
const HELPERS: usize = CHILDREN as usize - 1;
/// Of this many calls of `exit` that a helper draws, it makes one on average.
const EXITS: u32 = 16;
/// A root prints its counts each time it has made this many kills and waits.
const COUNTS_PER_LINE: u32 = 4;

/// Number of calls of a process that does not run for ever.
const CALLS: u32 = 2000;
/// Pages that a helper keeps for its stack, and that a root keeps for its helpers.
const RESERVE: u32 = 4;
const ROOT_RESERVE: u32 = CHILDREN * (QUOTA + MORE);

/// Status: a result was impossible; the console shows which.
const FAILED: u32 = 1;

/// The most frequent random addresses.
const ADDRESSES: [u32; 12] = [
    0,
    PAGE_SIZE - 1,
    ADR_LOW - 1,
    ADR_LOW,
    ADR_LOW + PAGE_SIZE - 4,
    memory::HEAP_LOW,
    memory::HEAP_HIGH - 4,
    ADR_HIGH - PAGE_SIZE,
    ADR_HIGH - 4,
    ADR_HIGH - 1,
    ADR_HIGH,
    0xFFFF_F000,
];
/// Other numbers at which behaviour may change.
const EDGES: [u32; 14] = [
    0,
    1,
    2,
    CHILDREN - 1,
    CHILDREN,
    CHANNELS - 1,
    CHANNELS,
    MESSAGE_WORDS,
    MESSAGE_WORDS + 1,
    PAGE_SIZE,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFE,
    0xFFFF_FFFF,
];
/// Number of channels that the processes share.
const MEETING: u32 = 16;
/// Start of the stack, directly above the heap: the program receives no message from here on.
const STACK: u32 = ADR_HIGH - 256 * PAGE_SIZE;

fn main() -> Result<u32, Error> {
    let mut args = args();
    let (role, seed) = (args.next(), args.next().and_then(|seed| seed.parse().ok()));
    let endless = args.next() == Some(ENDLESS);
    let Some(seed) = seed else { return Ok(0) };
    let (random, family, left) = (Random::new(seed), Family::new(sys::who_am_i()?), sys::get_quota()?);
    match role {
        Some("root") => {
            println!("fuzz: seed {seed}");
            Ok(Fuzzer { random, waits: false, left, family, reported: 0 }.run(endless))
        }
        Some("helper") => Ok(Fuzzer { random, waits: true, left, family, reported: 0 }.run(endless)),
        _ => Ok(0),
    }
}

/// A process that makes random calls.
struct Fuzzer {
    random: Random,
    /// Whether it may make calls that wait. Roots do not, so that some process always takes messages out of channels
    /// and puts messages there.
    waits: bool,
    /// Pages that were left when it last asked.
    left: u32,
    family: Family,
    /// Number of kills and waits when it last printed its counts.
    reported: u32,
}

impl Fuzzer {
    fn run(mut self, endless: bool) -> u32 {
        let mut calls = 0;
        while endless || calls < CALLS {
            if !self.waits && calls % 64 == 0 {
                self.start_helpers(endless);
            }
            calls += 1;
            if let Err((registers, answer)) = self.call() {
                println!("fuzz: FAILED: {registers:x?} was answered with {answer:x?}");
                return FAILED;
            }
            if calls % 64 == 0 && !self.look_around() {
                return FAILED;
            }
        }
        0
    }

    /// Starts helpers where there are too few, and prints how many children have ended.
    fn start_helpers(&mut self, endless: bool) {
        while self.family.helpers() < HELPERS {
            let arguments = ["helper", &self.random.below(u32::MAX).to_string(), ENDLESS];
            let quota = QUOTA + self.random.below(MORE);
            // The call is refused while other children hold the pages and thread numbers that it needs.
            let Ok(child) = args::spawn(SELF, quota, &arguments[..if endless { 3 } else { 2 }]) else { break };
            self.family.add(child, true);
        }
        let Family { kills, waits, refusals, .. } = self.family;
        if kills + waits >= self.reported + COUNTS_PER_LINE {
            self.reported = kills + waits;
            println!("fuzz on CPU {}: {kills} kills, {waits} waits, {refusals} refusals", self.family.cpu());
        }
    }

    /// Makes a call; if its result is impossible, returns the call and the result.
    fn call(&mut self) -> Result<(), (Registers, Registers)> {
        let mut number = match self.random.below(16) {
            0 => self.random.number() as u32,
            1 => self.random.below(64),
            _ => self.random.choose(Call::ALL) as u32,
        };
        // A root must not exit.
        if number == Call::Exit as u32 && (!self.waits || self.random.below(EXITS) != 0) {
            number = Call::Yield as u32;
        }
        let mut arguments = [(); 5].map(|()| self.argument());
        if number == Call::Spawn as u32 && !self.waits && arguments[1] <= self.left {
            // A root runs for ever, so it does not give all its pages away.
            arguments[1] %= QUOTA + MORE;
        }
        match Call::ALL.iter().find(|&&call| call as u32 == number) {
            // Printing takes long, so the texts are short.
            Some(Call::Puts) => arguments[1] %= 17,
            Some(Call::Spawn) if self.random.below(4) != 0 => number = Call::GetQuota as u32,
            // Few random numbers are addresses of pages, so most children are started without arguments.
            Some(Call::Spawn) if self.random.below(4) != 0 => arguments[2] = 0,
            Some(Call::Send | Call::Recv) => self.meet(&mut number, &mut arguments),
            Some(Call::Kill) => arguments[0] = self.family.name(&mut self.random, false),
            Some(Call::Wait) => {
                arguments[0] = self.family.name(&mut self.random, true);
                // A root does not wait, and a helper seldom: most of their children have no reason to
                // end.
                if !self.waits || self.random.below(4) != 0 {
                    arguments[1] = 0;
                }
            }
            _ => {}
        }
        // Only the low halves of the registers count.
        let junk = |random: &mut Random| if random.below(8) == 0 { random.number() << 32 } else { 0 };
        let mut wide = [0; 5];
        for (wide, argument) in wide.iter_mut().zip(arguments) {
            *wide = u64::from(argument) | junk(&mut self.random);
        }
        let registers = Registers { rax: u64::from(number) | junk(&mut self.random), values: wide };
        // SAFETY: only one of the calls writes to memory, and `meet` keeps it away from all memory that this program
        // uses.
        let answer = unsafe { syscall(registers) };
        let error = u32::try_from(answer.rax).ok().and_then(Error::from_number);
        let call = Call::ALL.iter().copied().find(|&call| call as u32 == number);
        let right = match (error, call) {
            (Some(error), Some(call)) => {
                error != Error::InvalCallnr && self.family.judge(call, [arguments[0], arguments[1]], error, answer)
            }
            (error, None) => error == Some(Error::InvalCallnr),
            (None, _) => false,
        };
        // The quota of a child comes back when the child has ended.
        if number == Call::Wait as u32
            && error == Some(Error::Succ)
            && let Ok(left) = sys::get_quota()
        {
            self.left = left;
        }
        if right { Ok(()) } else { Err((registers, answer)) }
    }

    /// Usually changes a message call so that it meets a process that may be waiting, and keeps it away from the
    /// program's own memory.
    fn meet(&mut self, number: &mut u32, arguments: &mut [u32; 5]) {
        if self.random.below(8) != 0 {
            arguments[0] %= MEETING;
        }
        if !self.waits {
            // A process that does not wait takes a message out first, so that there is room for its
            // own.
            if *number == Call::Send as u32 && self.random.below(4) != 0 {
                *number = Call::Recv as u32;
            }
            if *number == Call::Send as u32 {
                let page = memory::HEAP_HIGH - PAGE_SIZE;
                let values = [arguments[0].into(), page.into(), 0, 0, 0];
                // SAFETY: the call writes to a page that this program uses for nothing else.
                unsafe { syscall(Registers { rax: Call::Recv as u64, values }) };
            } else {
                arguments[3] = 0;
            }
        } else if self.random.below(4) != 0 {
            arguments[3] = 0;
        }
        let at = arguments[1];
        let image = ADR_LOW..ADR_LOW + memory::REGION_SIZE;
        if *number == Call::Recv as u32 && (image.contains(&at) || (STACK..ADR_HIGH).contains(&at)) {
            arguments[1] = if self.random.below(2) == 0 { 0 } else { memory::HEAP_LOW + at % (64 * PAGE_SIZE) };
        }
    }

    /// A random argument.
    fn argument(&mut self) -> u32 {
        match self.random.below(8) {
            0 => self.random.number() as u32,
            1 | 2 => self.random.choose(&EDGES),
            3 => self.random.choose(&ADDRESSES),
            4 | 5 => memory::HEAP_LOW + self.random.below(64 * PAGE_SIZE),
            _ => self.random.below(40),
        }
    }

    /// Touches memory, and asks for the quota; returns whether the answer is possible.
    fn look_around(&mut self) -> bool {
        match sys::get_quota() {
            Ok(left) if left <= self.left => {
                self.left = left;
                if left > if self.waits { RESERVE } else { ROOT_RESERVE }
                    && self.random.below(4) == 0
                    && let Some(page) = memory::take(1)
                {
                    page[self.random.below(PAGE_SIZE) as usize] = 1;
                }
                true
            }
            other => {
                println!("fuzz: FAILED: {} pages were left, then {other:?}", self.left);
                false
            }
        }
    }
}
