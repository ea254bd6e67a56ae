//! Eight workers that share a counter and fill a small queue, and one who empties it: nothing is counted or taken twice, and
//! nobody sleeps for ever.
//!
//! A worker is told `work`. Who waits for all of them is told how many of them are its children.
#![no_std]
#![no_main]

use abi::Error;
use user::sync::{Monitor, Queue};
use user::{args, image, println, program, sys};

program!(main);

/// Number of this program.
const SELF: u32 = image::number("monitor").unwrap();

/// Pages of a worker.
const QUOTA: u32 = 33;

const WORKERS: u32 = 8;
/// How often each of them counts.
const TURNS: u32 = 12;
/// The lock: what it guards is what the workers have counted to.
const COUNTER: u32 = 510;
/// The first channel of the queue.
const QUEUE: u32 = 512;
/// What it has room for: less than there are workers.
const ROOM: usize = 3;

fn main() -> Result<(), Error> {
    match args().next().and_then(|children| children.parse().ok()) {
        Some(children) => gather(children),
        None => work(),
    }
}

/// Counts, and puts what it came to into the queue.
fn work() -> Result<(), Error> {
    let (mut counter, mut queue) = (Monitor::<0>::open(COUNTER)?, Queue::open(QUEUE)?);
    for _ in 0..TURNS {
        let turn = {
            let mut counter = counter.lock()?;
            let before = counter[0];
            // Whoever else could count now would count this twice.
            sys::yield_now()?;
            counter[0] = before + 1;
            before
        };
        queue.put(turn)?;
    }
    Ok(())
}

/// Starts the first `children` workers, and takes out what all have put in.
fn gather(children: u32) -> Result<(), Error> {
    for _ in 0..children {
        args::spawn(SELF, QUOTA, &["work"])?;
    }
    let (mut counter, mut queue) = (Monitor::<0>::open(COUNTER)?, Queue::open(QUEUE)?);
    counter.begin(&[0])?;
    queue.begin(ROOM)?;
    let mut seen = [false; (WORKERS * TURNS) as usize];
    for _ in 0..seen.len() {
        let turn = queue.take()?;
        assert!(!core::mem::replace(&mut seen[turn as usize], true), "{turn} was counted twice");
    }
    assert_eq!(counter.lock()?[..], [WORKERS * TURNS]);
    println!("monitor: {WORKERS} workers counted to {}, each number once", WORKERS * TURNS);
    Ok(())
}
