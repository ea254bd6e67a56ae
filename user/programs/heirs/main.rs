//! Holders of a lock are stopped and killed while they hold it. The next holder finds the guarded value unchanged, and
//! the lock marked as poisoned.
//!
//! The first instance is the keeper of the lock. It starts watchers, whose arguments are `watch`, the number of a
//! client, and what that client does.
#![no_std]
#![no_main]

extern crate alloc;

use abi::{Cause, Error, Reason};
use alloc::string::ToString;
use user::channel::Channel;
use user::poison::{Keeper, Mutex, tell_end};
use user::{args, image, println, program, sys};

program!(main);

const SELF: u32 = image::number("heirs").unwrap();
/// Pages of a client, and of a watcher together with its client.
const CLIENT: u32 = 48;
const WATCHER: u32 = 100;
/// The first channel of the lock.
const LOCK: u32 = 520;
/// On this channel a client says that it holds the lock; on the next it waits for a message that never comes.
const HOLDS: u32 = 530;
const NEVER: u32 = 531;
/// The initial guarded value, and a value that no program must ever see.
const VALUE: [u32; 2] = [1, 2];
const HALF_DONE: u32 = 99;

fn main() -> Result<u32, Error> {
    let mut args = args();
    let (role, client) = (args.next(), args.next().and_then(|client| client.parse().ok()));
    match (role, client, args.next()) {
        (Some("watch"), Some(client), Some(does)) => watch(client, does),
        (Some("stopped"), Some(client), None) => hold(client, stop),
        (Some("killed"), Some(client), None) => hold(client, wait_for_ever),
        (Some("heir"), Some(client), None) => inherit(client),
        _ => keep(),
    }
}

/// Keeps the lock for two pairs of clients in turn: a client that is stopped and its heir, then a client that is
/// killed and an heir that waits meanwhile.
fn keep() -> Result<u32, Error> {
    let mut keeper = Keeper::new(LOCK, &VALUE)?;
    let mut failures = 0;
    for clients in [&["stopped"][..], &["heir"], &["killed", "heir"]] {
        for (client, does) in (0..).zip(clients) {
            args::spawn(SELF, WATCHER, &["watch", &u32::to_string(&client), does])?;
        }
        keeper.serve(clients.len() as u32)?;
        for _ in clients {
            failures += sys::wait_any()?.status;
        }
    }
    println!("heirs: {failures} failures");
    Ok(failures)
}

/// Starts a client, waits for its end, and tells the keeper. A client that is to be killed is killed as soon as it
/// reports that it holds the lock.
fn watch(client: u32, does: &str) -> Result<u32, Error> {
    let child = args::spawn(SELF, CLIENT, &[does, &client.to_string()])?;
    if does == "killed" {
        Channel::open(HOLDS)?.receive()?;
        sys::kill(child)?;
    }
    let ended = sys::wait(child)?;
    tell_end(LOCK, client)?;
    let is_right = match does {
        "stopped" => ended.cause == Cause::Stopped(Reason::BadAddress),
        "killed" => ended.cause == Cause::Killed,
        _ => (ended.cause, ended.status) == (Cause::Exited, 0),
    };
    Ok((!is_right).into())
}

/// Holds the lock, changes half of the guarded value, and runs `end`, which ends the client.
fn hold(client: u32, end: fn() -> Result<u32, Error>) -> Result<u32, Error> {
    let mut mutex = Mutex::open(LOCK, client)?;
    let mut guard = mutex.lock()?;
    guard[0] = HALF_DONE;
    end()
}

fn stop() -> Result<u32, Error> {
    // SAFETY: none: the address is outside of every program's memory, so the program ends here.
    unsafe { (8 as *const u32).read_volatile() };
    Ok(1)
}

fn wait_for_ever() -> Result<u32, Error> {
    Channel::open(HOLDS)?.send(&[])?;
    Channel::open(NEVER)?.receive()?;
    Ok(1)
}

/// Locks until it finds the lock poisoned by an ended holder. The guarded value must be the initial one; then it
/// clears the mark.
fn inherit(client: u32) -> Result<u32, Error> {
    let mut mutex = Mutex::open(LOCK, client)?;
    loop {
        let mut guard = mutex.lock()?;
        if guard[..] != VALUE {
            println!("heirs: FAILED: {:?} is guarded", &guard[..]);
            return Ok(1);
        }
        if guard.is_poisoned() {
            guard.clear_poison();
            break;
        }
        drop(guard);
        sys::yield_now()?;
    }
    if mutex.lock()?.is_poisoned() {
        println!("heirs: FAILED: it is poisoned still");
        return Ok(1);
    }
    println!("heirs: an heir found the lock poisoned, and what it guards as it was");
    Ok(0)
}
