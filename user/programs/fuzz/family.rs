//! The relatives of a process, and which results of `kill` and `wait` are therefore possible.

use abi::{CHILDREN, Call, Cause, Error, Reason, THREADS, child};
use user::random::Random;
use user::sys::{Identity, Registers};

/// A child that has not been waited for.
#[derive(Clone, Copy)]
struct Child {
    thread: u32,
    /// Whether the child is a helper. A helper may exit at random, but has no reason to be stopped.
    is_helper: bool,
    /// Whether it was killed. It may have ended before that.
    is_killed: bool,
}

/// A process, its children, and their fates.
pub struct Family {
    me: Identity,
    children: [Option<Child>; CHILDREN as usize],
    /// Number of children that were killed.
    pub kills: u32,
    /// Number of children that were waited for.
    pub waits: u32,
    /// Number of calls that named no process that the caller may kill or wait for.
    pub refusals: u32,
}

impl Family {
    /// A process without children.
    pub fn new(me: Identity) -> Family {
        Family { me, children: [None; CHILDREN as usize], kills: 0, waits: 0, refusals: 0 }
    }

    /// Adds a child that was started.
    pub fn add(&mut self, thread: u32, is_helper: bool) {
        if let Some(place) = self.children.iter_mut().find(|place| place.is_none()) {
            *place = Some(Child { thread, is_helper, is_killed: false });
        }
    }

    /// Number of children that are helpers.
    pub fn helpers(&self) -> usize {
        self.children.iter().flatten().filter(|child| child.is_helper).count()
    }

    /// The CPU.
    pub fn cpu(&self) -> u32 {
        self.me.cpu
    }

    /// A random thread number, mostly of a child. If 0 stands for `any` child in the call, it may be 0; otherwise it
    /// may be the process itself, its parent, or a stranger.
    pub fn name(&self, random: &mut Random, any: bool) -> u32 {
        match random.below(8) {
            0..=1 if any => 0,
            0..=3 => match self.children[random.below(CHILDREN) as usize] {
                Some(child) => child.thread,
                None => child(self.me.thread, random.below(CHILDREN)),
            },
            4 => self.me.thread,
            5 => self.me.parent,
            _ => random.below(THREADS),
        }
    }

    fn find(&mut self, thread: u32) -> Option<&mut Option<Child>> {
        self.children.iter_mut().find(|place| place.is_some_and(|child| child.thread == thread))
    }

    /// Records the result of a call; returns whether that result is possible.
    pub fn judge(&mut self, call: Call, asked: [u32; 2], error: Error, answer: Registers) -> bool {
        let [named, waits] = asked;
        let [first, status, cause, ..] = answer.values.map(|value| value as u32);
        match (call, error) {
            (Call::Spawn, Error::Succ) => {
                self.add(first, false);
                true
            }
            (Call::Kill, Error::Succ) => {
                self.kills += 1;
                let child = self.find(named).and_then(|place| place.as_mut());
                child.map(|child| child.is_killed = true).is_some()
            }
            // The child may have ended.
            (Call::Kill, error) => {
                self.refusals += 1;
                error == Error::InvalId
            }
            (Call::Wait, Error::Succ) => {
                self.waits += 1;
                let child = self.find(first).and_then(Option::take);
                (named == 0 || named == first) && child.is_some_and(|child| child.may_end(cause, status))
            }
            (Call::Wait, error) => {
                let is_there =
                    if named == 0 { self.children.iter().any(Option::is_some) } else { self.find(named).is_some() };
                self.refusals += u32::from(!is_there);
                if is_there { error == Error::Ipc && waits == 0 } else { error == Error::InvalId }
            }
            _ => true,
        }
    }
}

impl Child {
    /// Whether the child may have ended in this way.
    fn may_end(self, cause: u32, status: u32) -> bool {
        match Cause::from_number(cause) {
            Some(Cause::Killed) => self.is_killed && status == 0,
            // The calls of the child may use up its quota.
            Some(Cause::Stopped(reason)) => !self.is_helper || reason == Reason::OutOfQuota,
            Some(Cause::Exited) => true,
            None => false,
        }
    }
}
