//! Synchronisation of programs: a sleeping lock, condition variables, a bounded queue.
//!
//! Programs share no memory, so the value that a lock guards is passed on in a message. The message lies in the lock's
//! channel while no program holds the lock. To lock, a program receives the message, and sleeps until it is there. To
//! unlock, it sends the message back. All programs agree on the channels' numbers, and one of them sets the initial
//! guarded value.
//!
//! ```ignore
//! // One program, and for ever:
//! Monitor::<0>::open(40)?.begin(&[0])?;
//! // Everybody:
//! let mut counter = Monitor::<0>::open(40)?;
//! counter.lock()?[0] += 1;
//! ```
//!
//! A program that ends or is killed while it holds a lock of this module takes the guarded value with it: the programs
//! that wait for the lock wait for ever. A program that is killed while it waits for a lock or a condition takes
//! nothing with it. But the condition still counts the program, so one notification may have no receiver, and stays in
//! the condition's channel. Messages in channels stay there, even if their sender has ended. [`poison`](crate::poison)
//! has a lock that outlives its holders.

use crate::channel::{Channel, WORDS};
use abi::{CHANNELS, Error};
use core::ops::{Deref, DerefMut};

/// A sleeping lock with the value that it guards, up to [`WORDS`] words less one for each condition, and with condition
/// variables.
///
/// It uses the channel `first` and the next one for each condition.
#[derive(Debug)]
pub struct Monitor<const CONDITIONS: usize> {
    channel: Channel,
    first: u32,
}

impl<const CONDITIONS: usize> Monitor<CONDITIONS> {
    /// Opens the monitor with these channels. This takes a page of the heap.
    ///
    /// # Errors
    ///
    /// [`Error::InvalChid`] if there are too few channels, [`Error::Mem`] if the heap has no page left.
    pub fn open(first: u32) -> Result<Self, Error> {
        if first.checked_add(CONDITIONS as u32).is_none_or(|last| last >= CHANNELS) {
            return Err(Error::InvalChid);
        }
        Ok(Monitor { channel: Channel::open(first)?, first })
    }

    /// Sets the initial guarded value. If `value` is too long, only its first words are used. No program may have
    /// locked the monitor before, and exactly one program calls this, once.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow the use of the monitor's page.
    pub fn begin(&mut self, value: &[u32]) -> Result<(), Error> {
        let words = value.len().min(WORDS - CONDITIONS);
        let page = &mut self.channel.page.0;
        page[..CONDITIONS].fill(0);
        page[CONDITIONS..][..words].copy_from_slice(&value[..words]);
        self.own()?.send_page(CONDITIONS + words).map(drop)
    }

    /// Waits until no program holds the lock, and holds it for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow the use of the monitor's page.
    pub fn lock(&mut self) -> Result<Guard<'_, CONDITIONS>, Error> {
        let words = self.own()?.receive()?.len();
        Ok(Guard { monitor: self, words })
    }

    /// The lock's channel.
    fn own(&mut self) -> Result<&mut Channel, Error> {
        self.channel.at(self.first)
    }

    /// The channel of a condition.
    fn of_condition(&mut self, condition: usize) -> Result<&mut Channel, Error> {
        self.channel.at(self.first + 1 + condition as u32)
    }
}

/// A monitor that is held: access to the guarded value.
#[derive(Debug)]
pub struct Guard<'a, const CONDITIONS: usize> {
    monitor: &'a mut Monitor<CONDITIONS>,
    /// Words of the message: the number of waiting programs for each condition, then the guarded words.
    words: usize,
}

impl<const CONDITIONS: usize> Guard<'_, CONDITIONS> {
    /// Releases the lock, sleeps until a program notifies `condition`, and locks again. Other programs may have held
    /// the lock in between, so the caller must check its condition again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalId`] if there is no such condition; the lock is still held.
    pub fn wait(&mut self, condition: usize) -> Result<(), Error> {
        *self.waiting(condition)? += 1;
        self.monitor.own()?.send_page(self.words)?;
        self.monitor.of_condition(condition)?.receive()?;
        self.words = self.monitor.own()?.receive()?.len();
        Ok(())
    }

    /// Wakes one program that waits for `condition`, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn notify_one(&mut self, condition: usize) -> Result<(), Error> {
        let waiting = self.waiting(condition)?;
        if *waiting == 0 {
            return Ok(());
        }
        *waiting -= 1;
        // If the previous notification has not been received yet, this call waits. It does not wait for a program
        // that needs the lock.
        self.monitor.of_condition(condition)?.send_page(0)?;
        Ok(())
    }

    /// Wakes every program that waits for `condition`.
    ///
    /// # Errors
    ///
    /// As for [`wait`](Self::wait).
    pub fn notify_all(&mut self, condition: usize) -> Result<(), Error> {
        while *self.waiting(condition)? > 0 {
            self.notify_one(condition)?;
        }
        Ok(())
    }

    /// The number of programs that wait for `condition`.
    fn waiting(&mut self, condition: usize) -> Result<&mut u32, Error> {
        self.monitor.channel.page.0[..CONDITIONS].get_mut(condition).ok_or(Error::InvalId)
    }
}

impl<const CONDITIONS: usize> Deref for Guard<'_, CONDITIONS> {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.monitor.channel.page.0[CONDITIONS..self.words]
    }
}

impl<const CONDITIONS: usize> DerefMut for Guard<'_, CONDITIONS> {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.monitor.channel.page.0[CONDITIONS..self.words]
    }
}

impl<const CONDITIONS: usize> Drop for Guard<'_, CONDITIONS> {
    fn drop(&mut self) {
        let sent = self.monitor.own().and_then(|channel| channel.send_page(self.words));
        assert_eq!(
            sent,
            Ok(self.words),
            "the lock's page was received into, and its channel is empty while it is held"
        );
    }
}

/// Condition: a word has been put into the queue.
const NOT_EMPTY: usize = 0;
/// Condition: a word has been taken out.
const NOT_FULL: usize = 1;
/// Words before the queue's words: the index of the oldest word, and the number of words.
const HEADER: usize = 2;

/// A queue of words with a fixed capacity. A program sleeps while the queue is full when it puts a word in, or
/// empty when it takes one out. It uses three channels.
#[derive(Debug)]
pub struct Queue(Monitor<2>);

impl Queue {
    /// The maximum number of words that a queue can have room for.
    pub const MOST: usize = WORDS - 2 - HEADER;

    /// Opens the queue with the channels `first` to `first + 2`. This takes a page of the heap.
    ///
    /// # Errors
    ///
    /// As for [`Monitor::open`].
    pub fn open(first: u32) -> Result<Queue, Error> {
        Monitor::open(first).map(Queue)
    }

    /// Makes the queue empty, with room for `room` words, up to [`MOST`](Self::MOST). Exactly one program calls this,
    /// once.
    ///
    /// # Errors
    ///
    /// As for [`Monitor::begin`].
    pub fn begin(&mut self, room: usize) -> Result<(), Error> {
        self.0.begin(&[0; WORDS][..HEADER + room.min(Self::MOST)])
    }

    /// Puts a word in, as soon as there is room.
    ///
    /// # Errors
    ///
    /// As for [`Monitor::lock`].
    pub fn put(&mut self, word: u32) -> Result<(), Error> {
        let mut queue = self.0.lock()?;
        let room = queue.len() - HEADER;
        while queue[1] as usize == room {
            queue.wait(NOT_FULL)?;
        }
        let at = (queue[0] + queue[1]) as usize % room;
        queue[HEADER + at] = word;
        queue[1] += 1;
        queue.notify_one(NOT_EMPTY)
    }

    /// Takes the oldest word out, as soon as there is one.
    ///
    /// # Errors
    ///
    /// As for [`Monitor::lock`].
    pub fn take(&mut self) -> Result<u32, Error> {
        let mut queue = self.0.lock()?;
        let room = queue.len() - HEADER;
        while queue[1] == 0 {
            queue.wait(NOT_EMPTY)?;
        }
        let word = queue[HEADER + queue[0] as usize];
        queue[0] = (queue[0] + 1) % room as u32;
        queue[1] -= 1;
        queue.notify_one(NOT_FULL)?;
        Ok(word)
    }
}
