//! The programs that this shell has started and not waited for.

use crate::keys::Keys;
use abi::boot::Words;
use abi::{CHILDREN, Cause, Error};
use user::line::LONGEST;
use user::sys::{self, Ended};
use user::{args, image, println};

/// A program that was started and not waited for.
#[derive(Clone, Copy)]
struct Job {
    thread: u32,
    name: &'static str,
}

/// The jobs: at most as many as a program can have children at a time.
pub struct Jobs([Option<Job>; CHILDREN as usize]);

/// How waiting ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The awaited program has ended.
    Ended,
    /// The user typed Ctrl-C.
    Interrupted,
}

impl Jobs {
    /// A list without jobs.
    pub fn new() -> Jobs {
        Jobs([None; CHILDREN as usize])
    }

    /// Starts a program, and returns its thread number.
    ///
    /// # Errors
    /// The errors of [`args::spawn`], and [`Error::InvalId`] if there is no such program.
    pub fn start(&mut self, name: &str, quota: u32, arguments: Words) -> Result<u32, Error> {
        let image = image::number(name).ok_or(Error::InvalId)?;
        let slot = self.0.iter_mut().find(|slot| slot.is_none()).ok_or(Error::Mem)?;
        let mut all = [""; LONGEST / 2];
        let count = all.iter_mut().zip(arguments.iter()).map(|(to, argument)| *to = argument).count();
        let thread = args::spawn(image, quota, &all[..count])?;
        *slot = Some(Job { thread, name: image::NAMES[image as usize] });
        Ok(thread)
    }

    /// Prints for each program that has ended since the last call how it ended.
    pub fn report(&mut self) {
        while let Ok(ended) = sys::try_wait_any() {
            self.forget(ended);
        }
    }

    /// Waits for the end of a program and prints how it ended. Ctrl-C kills the program, with all its descendants.
    ///
    /// # Errors
    /// The errors of [`sys::wait`].
    pub fn run_to_end(&mut self, thread: u32, keys: &mut Keys) -> Result<Waited, Error> {
        let waited = until_end(|| sys::try_wait(thread), keys)?;
        if let Some(ended) = waited {
            self.forget(ended);
            return Ok(Waited::Ended);
        }
        println!("^C");
        match sys::kill(thread) {
            // The program may have ended in between.
            Ok(()) | Err(Error::InvalId) => self.forget(sys::wait(thread)?),
            Err(error) => return Err(error),
        }
        Ok(Waited::Interrupted)
    }

    /// Waits for the end of a program, or of all, and prints how each ended. Ctrl-C only ends the waiting.
    ///
    /// # Errors
    /// The errors of [`sys::wait`].
    pub fn wait(&mut self, thread: Option<u32>, keys: &mut Keys) -> Result<Waited, Error> {
        while thread.is_some() || self.0.iter().any(Option::is_some) {
            let Some(ended) = until_end(|| thread.map_or_else(sys::try_wait_any, sys::try_wait), keys)? else {
                println!("^C");
                return Ok(Waited::Interrupted);
            };
            self.forget(ended);
            if thread.is_some() {
                break;
            }
        }
        Ok(Waited::Ended)
    }

    /// Removes a program that was waited for, and prints how it ended.
    fn forget(&mut self, Ended { child, status, cause }: Ended) {
        let slot = self.0.iter_mut().find(|slot| slot.is_some_and(|job| job.thread == child));
        let name = slot.and_then(Option::take).map_or("a program", |job| job.name);
        match cause {
            Cause::Exited => println!("{name} ({child}) exited with status {status}"),
            Cause::Killed => println!("{name} ({child}) was killed"),
            Cause::Stopped(reason) => println!("{name} ({child}) was stopped: {reason} at {status:#x}"),
        }
    }
}

/// Waits until `look` finds a program that has ended; `None` if the user types Ctrl-C first.
///
/// # Errors
/// The errors of `look`, except [`Error::Ipc`], which means that no program has ended.
fn until_end(look: impl Fn() -> Result<Ended, Error>, keys: &mut Keys) -> Result<Option<Ended>, Error> {
    loop {
        match look() {
            Ok(ended) => return Ok(Some(ended)),
            Err(Error::Ipc) => {}
            Err(error) => return Err(error),
        }
        sys::yield_now()?;
        if keys.interrupted()? {
            return Ok(None);
        }
    }
}
