//! Sends messages and gets each word back increased by one: first from a child, then from another
//! CPU.
//!
//! A child has the argument `child`. A program that also exchanges messages with the other CPU has the
//! argument `together`.
#![no_std]
#![no_main]

use abi::Error;
use user::channel::{Channel, WORDS};
use user::{args, image, println, program, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("ping-pong").unwrap();

/// Pages of a child.
const QUOTA: u32 = 33;

/// Words of the messages of a round: few, many, the most possible, and none.
const LENGTHS: [usize; 5] = [1, 2, 333, WORDS, 0];
/// Rounds of a game.
const ROUNDS: u32 = 10;
/// The first of two channels between CPU 0 and CPU 1; the channels below it are for parents and children.
const ACROSS: u32 = 1000;

fn main() -> Result<(), Error> {
    let cpu = sys::who_am_i()?.cpu;
    let role = args().next();
    if role == Some("child") {
        return pong(2 * cpu);
    }
    with_child(cpu)?;
    if role == Some("together") {
        if cpu == 0 {
            ping(ACROSS)?
        } else {
            pong(ACROSS)?
        }
        println!("ping-pong {cpu}: {} messages were exchanged with the other CPU", games());
    }
    Ok(())
}

/// Number of messages of a game.
fn games() -> u32 {
    ROUNDS * LENGTHS.len() as u32
}

/// Plays with a child, on two channels of this CPU's own.
fn with_child(cpu: u32) -> Result<(), Error> {
    args::spawn(SELF, QUOTA, &["child"])?;
    ping(2 * cpu)?;
    println!("ping-pong {cpu}: {} messages came back from the child", games());
    Ok(())
}

/// Sends messages on channel `first`, and receives them back on the next.
fn ping(first: u32) -> Result<(), Error> {
    let (mut there, mut back) = (Channel::open(first)?, Channel::open(first + 1)?);
    let mut message = [0; WORDS];
    for round in 0..ROUNDS {
        for length in LENGTHS {
            let word = |index: usize| (round << 16) + index as u32;
            (0..length).for_each(|index| message[index] = word(index));
            assert_eq!(there.send(&message[..length])?, length);
            let answer = back.receive()?;
            assert_eq!(answer.len(), length);
            assert!((0..length).all(|index| answer[index] == word(index) + 1));
        }
    }
    assert_eq!(back.try_receive()?, None);
    Ok(())
}

/// Receives messages on channel `first`, and sends them back on the next, with each word one more.
fn pong(first: u32) -> Result<(), Error> {
    let (mut there, mut back) = (Channel::open(first)?, Channel::open(first + 1)?);
    let mut answer = [0; WORDS];
    for _ in 0..games() {
        let message = there.receive()?;
        let length = message.len();
        (0..length).for_each(|index| answer[index] = message[index] + 1);
        assert_eq!(back.send(&answer[..length])?, length);
    }
    Ok(())
}
