//! Sends messages that come back, each word one more: from a child of its own, then from another CPU.
//!
//! What an instance has to do is in its quota: see [`role`].
#![no_std]
#![no_main]

use abi::Error;
use user::channel::{Channel, WORDS};
use user::{image, println, program, quota, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("ping-pong").unwrap();

/// The quotas of the instances on CPU 0. Each further CPU has one more, which tells an instance its CPU.
mod role {
    /// Sends back what its parent sends.
    pub const CHILD: u32 = 32;
    /// Plays with its child.
    pub const ALONE: u32 = 64;
    /// Plays with its child, then with the other CPU.
    pub const TOGETHER: u32 = 96;
}

/// Words of the messages of a round: few, many, as many as there can be, and none.
const LENGTHS: [usize; 5] = [1, 2, 333, WORDS, 0];
/// Rounds of a game.
const ROUNDS: u32 = 10;
/// The first of two channels between CPU 0 and CPU 1; those below are for parents and children.
const ACROSS: u32 = 1000;

fn main() -> Result<(), Error> {
    match quota::quota_at_start()? {
        quota if quota < role::ALONE => pong(2 * (quota - role::CHILD)),
        quota if quota < role::TOGETHER => with_child(quota - role::ALONE),
        quota => {
            let cpu = quota - role::TOGETHER;
            with_child(cpu)?;
            if cpu == 0 {
                ping(ACROSS)?
            } else {
                pong(ACROSS)?
            }
            println!("ping-pong {cpu}: {} messages were exchanged with the other CPU", games());
            Ok(())
        }
    }
}

/// Messages of a game.
fn games() -> u32 {
    ROUNDS * LENGTHS.len() as u32
}

/// Plays with a child, on two channels of this CPU's own.
fn with_child(cpu: u32) -> Result<(), Error> {
    sys::spawn(SELF, role::CHILD + cpu)?;
    ping(2 * cpu)?;
    println!("ping-pong {cpu}: {} messages came back from the child", games());
    Ok(())
}

/// Sends messages by way of channel `first`, and receives them back by way of the next.
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

/// Receives messages by way of channel `first`, and sends them back by way of the next, with each word one more.
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
