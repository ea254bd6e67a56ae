//! Eight producers and one consumer use one channel: every value arrives once, and those of each producer arrive in
//! order.
//!
//! A producer has the arguments `produce` and its number. The consumer has `consume` and the number of producers that
//! it starts.
#![no_std]
#![no_main]

extern crate alloc;

use abi::Error;
use alloc::string::ToString;
use user::channel::Channel;
use user::{args, image, println, program};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("producers").unwrap();

/// Pages of a producer.
const QUOTA: u32 = 33;

const PRODUCERS: usize = 8;
/// Messages of each producer.
const MESSAGES: u32 = 40;
/// The channel.
const CHANNEL: u32 = 500;

fn main() -> Result<(), Error> {
    let mut args = args();
    match (args.next(), args.next().and_then(|number| number.parse().ok())) {
        (Some("produce"), Some(producer)) => produce(producer),
        (Some("consume"), Some(children)) => consume(children),
        _ => Err(Error::InvalId),
    }
}

/// Message `turn` of a producer: the producer's number, the turn, and further words that are computed from these.
fn message(producer: u32, turn: u32, words: &mut [u32; 64]) -> &[u32] {
    let length = 2 + (producer + 3 * turn) as usize % (words.len() - 2);
    words[0] = producer;
    words[1] = turn;
    for (word, value) in words[2..length].iter_mut().zip(1u32..) {
        *word = producer.wrapping_mul(0x9E37_79B9) ^ turn << 8 ^ value;
    }
    &words[..length]
}

/// Sends its messages.
fn produce(producer: u32) -> Result<(), Error> {
    let mut channel = Channel::open(CHANNEL)?;
    let mut words = [0; 64];
    for turn in 0..MESSAGES {
        let message = message(producer, turn, &mut words);
        assert_eq!(channel.send(message)?, message.len());
    }
    Ok(())
}

/// Starts the first `children` producers, and receives the messages of all producers.
fn consume(children: u32) -> Result<(), Error> {
    for producer in 0..children {
        args::spawn(SELF, QUOTA, &["produce", &producer.to_string()])?;
    }
    let mut channel = Channel::open(CHANNEL)?;
    let mut turns = [0; PRODUCERS];
    let mut words = [0; 64];
    for _ in 0..PRODUCERS as u32 * MESSAGES {
        let received = channel.receive()?;
        let producer = received[0];
        let turn = &mut turns[producer as usize];
        assert_eq!(received, message(producer, *turn, &mut words));
        *turn += 1;
    }
    assert_eq!(turns, [MESSAGES; PRODUCERS]);
    assert_eq!(channel.try_receive()?, None);
    println!("producers: {MESSAGES} messages of each of {PRODUCERS} producers, each once and in order");
    Ok(())
}
