//! Starts thousands of children, one after the other and eight at a time, and must get all pages
//! back.
//!
//! Some children fill pages and end, some wait for a message that never comes, some never end, and some have children
//! themselves. Those that do not end are killed, with all their descendants. With the argument `endless` the program
//! never stops; with `processes NUMBER` it stops when that many of its children have ended. The argument of a child
//! is its role.
#![no_std]
#![no_main]

use abi::{CHILDREN, Cause, Error, PAGE_SIZE, Reason};
use user::channel::Channel;
use user::{args, image, memory, println, program, sys};

program!(main);

const SELF: u32 = image::number("reuse").unwrap();
const ROUNDS: u32 = 300;
/// Pages that a child fills.
const PAGES: u32 = 64;
/// The first of the channels on which no program sends; the CPU's number is added.
const CHANNEL: u32 = 100;

/// The task of a child; its argument is the role's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It fills pages and ends.
    Fills,
    /// It waits for a message.
    Receives,
    /// It runs for ever.
    Spins,
    /// It is stopped by a fault.
    Faults,
    /// It has children that wait for messages, and waits for them.
    Waits,
    /// It has such children, and ends.
    Leaves,
}

use Role::{Faults, Fills, Leaves, Receives, Spins, Waits};

const ROLES: [Role; 6] = [Fills, Receives, Spins, Faults, Waits, Leaves];

impl Role {
    fn name(self) -> &'static str {
        match self {
            Fills => "fills",
            Receives => "receives",
            Spins => "spins",
            Faults => "faults",
            Waits => "waits",
            Leaves => "leaves",
        }
    }
}

/// Pages of a child.
const QUOTA: u32 = 256;
/// Pages of a child that has children.
const LARGE: u32 = 2048;

/// Starts a child.
fn start(role: Role) -> Result<u32, Error> {
    args::spawn(SELF, if matches!(role, Waits | Leaves) { LARGE } else { QUOTA }, &[role.name()])
}

fn main() -> Result<u32, Error> {
    let cpu = sys::who_am_i()?.cpu;
    let name = match args().next() {
        None => return parent(cpu, Until::Rounds(ROUNDS)),
        Some("endless") => return parent(cpu, Until::Never),
        Some("processes") => {
            let number = args().nth(1).and_then(|number| number.parse().ok());
            return parent(cpu, number.map_or(Until::Never, Until::Processes));
        }
        Some(name) => name,
    };
    let Some(role) = ROLES.into_iter().find(|role| role.name() == name) else {
        println!("reuse on CPU {cpu}: there is no role `{name}`");
        return Ok(4);
    };
    match role {
        Fills => fill(),
        Receives => Channel::open(CHANNEL + cpu)?.receive().map(|_| 1),
        Spins => loop {
            // On some machines, an interrupt ends the loop's turn before it yields.
            (0..100_000).for_each(|_| core::hint::spin_loop());
            sys::yield_now()?;
        },
        Faults => {
            // SAFETY: none: the address is outside of every program's memory, so the program ends here.
            unsafe { (8 as *const u32).read_volatile() };
            Ok(1)
        }
        Waits | Leaves => {
            for _ in 0..3 {
                start(Receives)?;
            }
            if role == Waits { sys::wait_any().map(|_| 1) } else { Ok(9) }
        }
    }
}

/// Fills pages, which must be zero before.
fn fill() -> Result<u32, Error> {
    let Some(pages) = memory::take(PAGES) else { return Ok(1) };
    if pages.iter().step_by(64).any(|&byte| byte != 0) {
        println!("reuse: FAILED: a fresh page is not zero");
        return Ok(2);
    }
    pages.iter_mut().step_by(PAGE_SIZE as usize / 4).for_each(|byte| *byte = 77);
    Ok(7)
}

/// When to stop.
#[derive(Clone, Copy)]
enum Until {
    /// After this many rounds.
    Rounds(u32),
    /// When this many children have ended.
    Processes(u32),
    Never,
}

fn parent(cpu: u32, until: Until) -> Result<u32, Error> {
    // The first start takes pages of the stack for the arguments.
    sys::wait(start(Fills)?)?;
    let before = sys::get_quota()?;
    let (mut round, mut processes) = (0, 0);
    loop {
        let is_enough = match until {
            Until::Rounds(rounds) => round >= rounds,
            Until::Processes(number) => processes >= number,
            Until::Never => false,
        };
        if is_enough {
            break;
        }
        // Every 16th round starts eight children, in a different order.
        let many = if round % 16 == 15 { CHILDREN } else { 1 };
        let role = |k: u32| match ROLES[((round / 16 * 5 + round + 7 * k) % ROLES.len() as u32) as usize] {
            // The quota is not enough for eight children with children of their own. On other CPUs, their children
            // would also have no numbers.
            Waits | Leaves if many > 1 || cpu > 0 => Fills,
            role => role,
        };
        let mut children = [0; CHILDREN as usize];
        for (k, child) in (0..many).zip(&mut children) {
            *child = start(role(k))?;
            // The children of a child are not counted: it may be killed before it has started all of them.
            processes += 1;
            // By then the child sleeps, is about to sleep, or has ended.
            (0..round % 5).try_for_each(|_| sys::yield_now())?;
        }
        for (k, &child) in (0..many).zip(&children) {
            let role = role(k);
            if !matches!(role, Fills | Faults) {
                sys::kill(child)?;
            }
            let ended = if round % 3 == 0 && many == 1 { sys::wait_any()? } else { sys::wait(child)? };
            let is_right = match role {
                Fills => (ended.cause, ended.status) == (Cause::Exited, 7),
                Faults => (ended.cause, ended.status) == (Cause::Stopped(Reason::BadAddress), 8),
                // The child may have ended before it was killed.
                Leaves => ended.cause == Cause::Killed || (ended.cause, ended.status) == (Cause::Exited, 9),
                Receives | Spins | Waits => ended.cause == Cause::Killed,
            };
            let is_over = sys::try_wait(child) == Err(Error::InvalId) && sys::kill(child) == Err(Error::InvalId);
            if ended.child != child || !is_right || !is_over {
                println!("reuse on CPU {cpu}: FAILED: in round {round} {child} ended with {ended:?}");
                return Ok(3);
            }
        }
        let left = sys::get_quota()?;
        if left != before {
            println!("reuse on CPU {cpu}: FAILED: {left} pages are left of {before} after round {round}");
            return Ok(3);
        }
        round += 1;
    }
    if sys::wait_any() != Err(Error::InvalId) {
        println!("reuse on CPU {cpu}: FAILED: there is a child left");
        return Ok(3);
    }
    let missing = before - sys::get_quota()?;
    match until {
        Until::Processes(_) => println!("reuse on CPU {cpu}: {processes} processes, {missing} pages missing"),
        _ => println!("reuse on CPU {cpu}: {round} rounds, {missing} pages missing"),
    }
    Ok(0)
}
