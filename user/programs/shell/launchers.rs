//! The launchers of this shell.

use abi::{CHILDREN, Error};
use user::channel::Channel;
use user::launcher::{LAUNCHERS, QUOTA, answers, requests};
use user::{image, sys};

/// The image of a launcher.
const LAUNCHER: u32 = image::number("launcher").unwrap();

/// A launcher that was started.
struct Launcher {
    thread: u32,
    requests: Channel,
    answers: Channel,
    /// Programs that it can still start.
    left: u32,
}

/// The launchers, each of which starts eight programs.
pub struct Launchers {
    started: [Option<Launcher>; LAUNCHERS as usize],
}

impl Launchers {
    /// None was started.
    pub fn new() -> Launchers {
        Launchers { started: [const { None }; LAUNCHERS as usize] }
    }

    /// How many programs can still be started.
    pub fn left(&self) -> u32 {
        self.started.iter().map(|launcher| launcher.as_ref().map_or(CHILDREN, |launcher| launcher.left)).sum()
    }

    /// Starts a program, by the first launcher that can, and returns its thread number.
    ///
    /// # Errors
    /// [`Error::Mem`] if none can; those of a channel.
    pub fn start(&mut self, image: u32, quota: u32) -> Result<u32, Error> {
        if quota > QUOTA {
            return Err(Error::Mem);
        }
        for (index, slot) in (0..).zip(&mut self.started) {
            let launcher = match slot {
                Some(launcher) => launcher,
                None => {
                    let thread = sys::spawn(LAUNCHER, QUOTA + index)?;
                    let (requests, answers) = (Channel::open(requests(index))?, Channel::open(answers(index))?);
                    slot.insert(Launcher { thread, requests, answers, left: CHILDREN })
                }
            };
            let info = sys::thread_info(launcher.thread)?;
            if launcher.left > 0 && info.quota - info.usage >= quota {
                return launcher.start(image, quota);
            }
        }
        Err(Error::Mem)
    }

    /// Ends the launchers. What they have started goes on.
    pub fn end(&mut self) -> Result<(), Error> {
        self.started.iter_mut().flatten().try_for_each(|launcher| launcher.requests.send(&[]).map(drop))
    }
}

impl Launcher {
    /// Starts a program.
    fn start(&mut self, image: u32, quota: u32) -> Result<u32, Error> {
        self.requests.send(&[image, quota])?;
        let &[error, thread] = self.answers.receive()? else { return Err(Error::Ipc) };
        match Error::from_number(error) {
            Some(Error::Succ) => {
                self.left -= 1;
                Ok(thread)
            }
            error => Err(error.unwrap_or(Error::Ipc)),
        }
    }
}
