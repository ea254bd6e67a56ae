//! Measures single operations: a system call, page faults, yields from `bench-peer`, which is before it in the queue of
//! ready threads, and messages to it and back. Before that it starts as many idle programs as its quota says.
#![no_std]
#![no_main]

use abi::{Call, Error};
use user::bench::{
    CHANNELS, CHILDREN, MESSAGES, SAMPLES, SETTLING, Stamps, call, nothing, print, receiving, sending, store,
};
use user::sys::{Registers, spawn, yield_now};
use user::{image, memory, program, quota};

program!(main);

const PEER: u32 = image::bench_number("bench-peer").unwrap();
const IDLE: u32 = image::bench_number("bench-idle").unwrap();
/// Pages of an idle child, and of `bench-peer`.
const IDLE_QUOTA: u32 = 8;
const PEER_QUOTA: u32 = 64;

/// Status: a call was refused that must succeed.
const REFUSED: u32 = 1;
/// Status: there is no heap.
const NO_HEAP: u32 = 2;

fn main() -> Result<u32, Error> {
    // A separate function, because the rest of the program needs more of the stack.
    measure(nothing().before, quota::quota_at_start()?)
}

/// Measures everything. The first program began at `boot`, and this program has this `quota`.
#[inline(never)]
fn measure(boot: u64, quota: u32) -> Result<u32, Error> {
    print("boot", core::iter::once(boot));
    for _ in 0..quota % CHILDREN {
        spawn(IDLE, IDLE_QUOTA)?;
    }
    for _ in 0..SETTLING {
        yield_now()?;
    }
    let mut ticks = [0; SAMPLES];
    ticks.fill_with(|| nothing().ticks());
    print("overhead", ticks.into_iter());

    for ticks in &mut ticks {
        let (stamps, answer) = system_call(Call::GetQuota);
        if answer.rax != Error::Succ as u64 {
            return Ok(REFUSED);
        }
        *ticks = stamps.ticks();
    }
    print("null_syscall", ticks.into_iter());

    // Touching the first page makes the page table that the others use.
    let Some(pages) = memory::take(SAMPLES as u32 + 1) else { return Ok(NO_HEAP) };
    let mut pages = pages.chunks_exact_mut(abi::PAGE_SIZE as usize);
    pages.next().map(|page| store(&mut page[0]));
    for (page, ticks) in pages.zip(&mut ticks) {
        *ticks = store(&mut page[0]).ticks();
    }
    print("page_fault", ticks.into_iter());

    // `bench-peer` is the last in the queue until this program joins the queue after it.
    spawn(PEER, PEER_QUOTA)?;
    for ticks in &mut ticks {
        *ticks = system_call(Call::Yield).0.after;
    }
    print("yield_to", ticks.into_iter());

    // By then every idle program has ended, and `bench-peer` sleeps.
    for _ in 0..2 * SETTLING {
        yield_now()?;
    }
    let Some(page) = memory::page() else { return Ok(NO_HEAP) };
    let [there, back] = CHANNELS;
    for (words, [name, sends]) in MESSAGES.into_iter().zip(NAMES) {
        page.0[0] = words;
        let mut sent = [0; SAMPLES];
        for (round_trip, sent) in ticks.iter_mut().zip(&mut sent) {
            // SAFETY: the second call writes to the page, which nothing else refers to.
            let (to, from) = unsafe { (call(sending(there, page, words)).0, call(receiving(back, page, words))) };
            if from.1.values[0] != u64::from(words) {
                return Ok(REFUSED);
            }
            *sent = to.ticks();
            // There are two pairs of readings; the cost of one of them is subtracted later.
            *round_trip = to.ticks() + from.0.ticks() - nothing().ticks();
        }
        print(name, ticks.into_iter());
        print(sends, sent.into_iter());
    }
    Ok(0)
}

/// The names of the figures for round trips, and for sending alone while the receiver sleeps.
const NAMES: [[&str; 2]; 2] = [["ipc_round_trip_1", "wakeup"], ["ipc_round_trip_1024", "wakeup_1024"]];

/// Makes a system call without arguments that writes to no memory.
fn system_call(number: Call) -> (Stamps, Registers) {
    // SAFETY: the caller chooses a call that writes to no memory.
    unsafe { call(Registers { rax: number as u64, ..Registers::default() }) }
}
