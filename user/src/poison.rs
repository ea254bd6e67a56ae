//! A lock that outlives its holders: if a holder ends without releasing it, the next holder gets it with a mark that
//! says so.
//!
//! If the holder of a [`Monitor`](crate::sync::Monitor) is stopped or killed, the monitor is lost. Here one program,
//! the [`Keeper`], keeps the guarded value and hands out copies; a holder sends its copy back. Changes that a holder
//! has not sent back are lost, and the next holder finds the previous value, marked as poisoned.
//!
//! The keeper learns from messages that a program has ended. Each program that uses the lock is the child of a watcher,
//! which waits for its end and reports it ([`tell_end`]). A program's own messages come before that report, since a
//! channel has room for one message. Watchers must not be killed; a program that kills one tells the keeper by
//! [`Keeper::ended`].
//!
//! The lock uses the channel `first`, and one more for each client. Clients are numbered from 0.

use crate::channel::{Channel, WORDS};
use abi::Error;
use core::ops::{Deref, DerefMut};

/// The maximum number of clients of a lock.
pub const CLIENTS: u32 = 8;
/// The maximum number of words that a lock can guard.
pub const MOST: usize = WORDS - HEADER;
/// Words of a message before the words that the lock guards. A request begins with the operation and the client, an
/// answer with the mark.
const HEADER: usize = 3;

/// The operations of a request: to lock; to unlock; to report that a client has ended.
mod want {
    pub const LOCK: u32 = 0;
    pub const UNLOCK: u32 = 1;
    pub const ENDED: u32 = 2;
}

/// The channel for answers to a client.
fn answers(first: u32, client: u32) -> Result<u32, Error> {
    if client < CLIENTS { first.checked_add(1 + client).ok_or(Error::InvalChid) } else { Err(Error::InvalId) }
}

/// Sends a message: the operation or 0, the client, the mark, and the guarded words.
fn message(channel: &mut Channel, header: [u32; HEADER], value: &[u32]) -> Result<(), Error> {
    let page = &mut channel.page.0;
    page[..HEADER].copy_from_slice(&header);
    page[HEADER..][..value.len()].copy_from_slice(value);
    channel.send_page(HEADER + value.len()).map(drop)
}

/// The program that keeps a lock.
#[derive(Debug)]
pub struct Keeper {
    channel: Channel,
    first: u32,
    /// The guarded value, and its number of words.
    value: &'static mut [u32; WORDS],
    words: usize,
    is_poisoned: bool,
    holder: Option<u32>,
    /// The clients that wait for the lock, first come, first served.
    waiting: [Option<u32>; CLIENTS as usize],
}

impl Keeper {
    /// Creates the lock with these channels. The lock guards `value` at first. If `value` is too long, only its first
    /// words are used. This takes two pages of the heap.
    ///
    /// # Errors
    ///
    /// [`Error::InvalChid`] if there are too few channels, [`Error::Mem`] if the heap has no page left.
    pub fn new(first: u32, value: &[u32]) -> Result<Keeper, Error> {
        Channel::open(answers(first, CLIENTS - 1)?)?;
        let words = value.len().min(MOST);
        let page = &mut crate::memory::page().ok_or(Error::Mem)?.0;
        page[..words].copy_from_slice(&value[..words]);
        let (waiting, channel) = ([None; CLIENTS as usize], Channel::open(first)?);
        Ok(Keeper { channel, first, value: page, words, is_poisoned: false, holder: None, waiting })
    }

    /// Hands the lock out until this many clients have ended. Malformed requests are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow the use of the lock's pages.
    pub fn serve(&mut self, mut clients: u32) -> Result<(), Error> {
        while clients > 0 {
            let request = self.channel.at(self.first)?.receive()?;
            let &[wanted, client, mark, ref value @ ..] = request else { continue };
            if client >= CLIENTS {
                continue;
            }
            match wanted {
                want::LOCK if !self.waiting.contains(&Some(client)) => {
                    // There is a place for each client, and no client is in the list twice, so
                    // there is room.
                    if let Some(place) = self.waiting.iter_mut().find(|place| place.is_none()) {
                        *place = Some(client);
                    }
                }
                want::UNLOCK if self.holder == Some(client) => {
                    self.words = value.len();
                    self.value[..value.len()].copy_from_slice(value);
                    self.is_poisoned = mark != 0;
                    self.holder = None;
                }
                want::ENDED => {
                    clients -= 1;
                    self.ended(client)?;
                }
                _ => {}
            }
            self.hand_out()?;
        }
        Ok(())
    }

    /// Handles the end of a client: if it held the lock, the next holder finds the lock poisoned.
    ///
    /// # Errors
    ///
    /// As for [`serve`](Self::serve), and [`Error::InvalId`] if there is no such client.
    pub fn ended(&mut self, client: u32) -> Result<(), Error> {
        // Takes out the answer to this client, if it has not received it.
        self.channel.at(answers(self.first, client)?)?.try_receive()?;
        if self.holder == Some(client) {
            self.holder = None;
            self.is_poisoned = true;
        }
        self.remove(client);
        self.hand_out()
    }

    /// Removes a client from the waiting list; those after it move up.
    fn remove(&mut self, client: u32) {
        if let Some(place) = self.waiting.iter().position(|&waiting| waiting == Some(client)) {
            self.waiting[place..].rotate_left(1);
            self.waiting[self.waiting.len() - 1] = None;
        }
    }

    /// Gives the lock to the client that has waited longest, if no client holds it.
    fn hand_out(&mut self) -> Result<(), Error> {
        let (None, Some(client)) = (self.holder, self.waiting[0]) else { return Ok(()) };
        self.remove(client);
        self.holder = Some(client);
        let channel = self.channel.at(answers(self.first, client)?)?;
        message(channel, [0, client, self.is_poisoned.into()], &self.value[..self.words])
    }
}

/// Tells the keeper that a client and all its descendants have ended. The watcher calls it once for each
/// client.
///
/// # Errors
///
/// [`Error::InvalChid`] if there is no such channel, [`Error::Mem`] if the heap has no page left.
pub fn tell_end(first: u32, client: u32) -> Result<(), Error> {
    message(&mut Channel::open(first)?, [want::ENDED, client, 0], &[])
}

/// The lock, for one of its clients.
#[derive(Debug)]
pub struct Mutex {
    channel: Channel,
    first: u32,
    client: u32,
}

impl Mutex {
    /// The lock with these channels, for a client number that no other program uses. This takes a page of the heap.
    ///
    /// # Errors
    ///
    /// As for [`Keeper::new`], and [`Error::InvalId`] if there is no such client.
    pub fn open(first: u32, client: u32) -> Result<Mutex, Error> {
        let channel = Channel::open(answers(first, client)?)?;
        Ok(Mutex { channel, first, client })
    }

    /// Waits until no client holds the lock, and holds it for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow the use of the lock's page.
    pub fn lock(&mut self) -> Result<Guard<'_>, Error> {
        message(self.channel.at(self.first)?, [want::LOCK, self.client, 0], &[])?;
        let words = self.channel.at(answers(self.first, self.client)?)?.receive()?.len();
        Ok(Guard { mutex: self, words: words.max(HEADER) })
    }
}

/// A held lock: a copy of the guarded value. The copy replaces the guarded value when the guard is dropped.
#[derive(Debug)]
pub struct Guard<'a> {
    mutex: &'a mut Mutex,
    /// Number of words of the message.
    words: usize,
}

impl Guard<'_> {
    /// Whether a client has ended while it held the lock, and no client has cleared the mark since. The guarded value
    /// is then the last one before that client.
    pub fn is_poisoned(&self) -> bool {
        self.mutex.channel.page.0[2] != 0
    }

    /// Clears the mark: the next holders do not find the lock poisoned.
    pub fn clear_poison(&mut self) {
        self.mutex.channel.page.0[2] = 0;
    }
}

impl Deref for Guard<'_> {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.mutex.channel.page.0[HEADER..self.words]
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut [u32] {
        &mut self.mutex.channel.page.0[HEADER..self.words]
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let Mutex { channel, first, client } = &mut *self.mutex;
        channel.page.0[..2].copy_from_slice(&[want::UNLOCK, *client]);
        let sent = channel.at(*first).and_then(|channel| channel.send_page(self.words));
        assert_eq!(sent, Ok(self.words), "the page was received into, and the keeper takes every request");
    }
}
