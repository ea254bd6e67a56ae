//! Eight workers share a counter and fill a small queue, and one program empties it. No number is counted or taken
//! twice, and no program sleeps for ever.
//!
//! A worker has the argument `work`. The argument of the program that empties the queue is the number of workers that
//! it starts.
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
/// Number of times that each worker counts.
const TURNS: u32 = 12;
/// The lock, which guards the workers' count.
const COUNTER: u32 = 510;
/// The first channel of the queue.
const QUEUE: u32 = 512;
/// The queue's capacity: less than the number of workers.
const ROOM: usize = 3;

fn main() -> Result<(), Error> {
    match args().next().and_then(|children| children.parse().ok()) {
        Some(children) => gather(children),
        None => work(),
    }
}

/// Counts, and puts each count into the queue.
fn work() -> Result<(), Error> {
    let (mut counter, mut queue) = (Monitor::<0>::open(COUNTER)?, Queue::open(QUEUE)?);
    for _ in 0..TURNS {
        let turn = {
            let mut counter = counter.lock()?;
            let before = counter[0];
            // If another worker could count at this point, it would count the same number twice.
            sys::yield_now()?;
            counter[0] = before + 1;
            before
        };
        queue.put(turn)?;
    }
    Ok(())
}

/// Starts the first `children` workers, and takes the words of all workers out of the queue.
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
