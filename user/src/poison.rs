//! A lock that outlives its holders: where one ends without giving it back, the next one gets it with a mark that says so.
//!
//! A [`Monitor`](crate::sync::Monitor) is gone with a holder that is stopped or killed. Here one program, the [`Keeper`], keeps
//! what the lock guards and hands out copies; who holds the lock sends its copy back. What a holder has changed and not sent
//! back is lost, and the next one finds the value as it was, marked as poisoned.
//!
//! The keeper learns from messages that a program has ended: each program that uses the lock is the child of a watcher, which
//! waits for its end and says so ([`tell_end`]). A program's own messages come before that one, since a channel has room for one
//! message. Watchers must not be killed; who kills one tells the keeper by [`Keeper::ended`].
//!
//! The lock uses the channel `first`, and one more for each client; clients have numbers from 0 on.

use crate::channel::{Channel, WORDS};
use abi::Error;
use core::ops::{Deref, DerefMut};

/// Clients that a lock can have.
pub const CLIENTS: u32 = 8;
/// Words that a lock can guard.
pub const MOST: usize = WORDS - HEADER;
/// Words before those that are guarded: in a request what is wanted and who wants it, in an answer the mark.
const HEADER: usize = 3;

/// What a request wants: the lock; to give it back; to say that a client has ended.
mod want {
    pub const LOCK: u32 = 0;
    pub const UNLOCK: u32 = 1;
    pub const ENDED: u32 = 2;
}

/// The channel for answers to a client.
fn answers(first: u32, client: u32) -> Result<u32, Error> {
    if client < CLIENTS { first.checked_add(1 + client).ok_or(Error::InvalChid) } else { Err(Error::InvalId) }
}

/// A message: what is wanted or nothing, who is meant, the mark, and what is guarded.
fn message(channel: &mut Channel, header: [u32; HEADER], value: &[u32]) -> Result<(), Error> {
    let page = &mut channel.page.0;
    page[..HEADER].copy_from_slice(&header);
    page[HEADER..][..value.len()].copy_from_slice(value);
    channel.send_page(HEADER + value.len()).map(drop)
}

/// Who keeps a lock.
#[derive(Debug)]
pub struct Keeper {
    channel: Channel,
    first: u32,
    /// What is guarded, and how many words it has.
    value: &'static mut [u32; WORDS],
    words: usize,
    is_poisoned: bool,
    holder: Option<u32>,
    /// Who waits for it, first come, first served.
    waiting: [Option<u32>; CLIENTS as usize],
}

impl Keeper {
    /// The lock with these channels, which guards `value` at first: of a longer one than fits, its first words. It takes two
    /// pages of the heap.
    ///
    /// # Errors
    ///
    /// [`Error::InvalChid`] if there are not so many channels, [`Error::Mem`] if the heap has no page left.
    pub fn new(first: u32, value: &[u32]) -> Result<Keeper, Error> {
        Channel::open(answers(first, CLIENTS - 1)?)?;
        let words = value.len().min(MOST);
        let page = &mut crate::memory::page().ok_or(Error::Mem)?.0;
        page[..words].copy_from_slice(&value[..words]);
        let (waiting, channel) = ([None; CLIENTS as usize], Channel::open(first)?);
        Ok(Keeper { channel, first, value: page, words, is_poisoned: false, holder: None, waiting })
    }

    /// Hands the lock out until so many clients have ended. Requests that make no sense are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow to use the lock's pages.
    pub fn serve(&mut self, mut clients: u32) -> Result<(), Error> {
        while clients > 0 {
            let request = self.channel.at(self.first)?.receive()?;
            let &[wanted, client, mark, ref value @ ..] = request else { continue };
            if client >= CLIENTS {
                continue;
            }
            match wanted {
                want::LOCK if !self.waiting.contains(&Some(client)) => {
                    // There are as many places as clients, and none is there twice.
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

    /// A client has ended: if it held the lock, whoever has it next finds it poisoned.
    ///
    /// # Errors
    ///
    /// As for [`serve`](Self::serve), and [`Error::InvalId`] if there is no such client.
    pub fn ended(&mut self, client: u32) -> Result<(), Error> {
        // What it was to be told, if it did not come to that.
        self.channel.at(answers(self.first, client)?)?.try_receive()?;
        if self.holder == Some(client) {
            self.holder = None;
            self.is_poisoned = true;
        }
        self.remove(client);
        self.hand_out()
    }

    /// A client waits no more; those behind it move up.
    fn remove(&mut self, client: u32) {
        if let Some(place) = self.waiting.iter().position(|&waiting| waiting == Some(client)) {
            self.waiting[place..].rotate_left(1);
            self.waiting[self.waiting.len() - 1] = None;
        }
    }

    /// Who waits longest gets the lock, if nobody holds it.
    fn hand_out(&mut self) -> Result<(), Error> {
        let (None, Some(client)) = (self.holder, self.waiting[0]) else { return Ok(()) };
        self.remove(client);
        self.holder = Some(client);
        let channel = self.channel.at(answers(self.first, client)?)?;
        message(channel, [0, client, self.is_poisoned.into()], &self.value[..self.words])
    }
}

/// Tells the keeper that a client has ended, and that all that descend from it have: once for each.
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
    /// The lock with these channels, for a client that nobody else is. It takes a page of the heap.
    ///
    /// # Errors
    ///
    /// As for [`Keeper::new`], and [`Error::InvalId`] if there is no such client.
    pub fn open(first: u32, client: u32) -> Result<Mutex, Error> {
        let channel = Channel::open(answers(first, client)?)?;
        Ok(Mutex { channel, first, client })
    }

    /// Waits until nobody holds the lock, and holds it for as long as the guard lives.
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow to use the lock's page.
    pub fn lock(&mut self) -> Result<Guard<'_>, Error> {
        message(self.channel.at(self.first)?, [want::LOCK, self.client, 0], &[])?;
        let words = self.channel.at(answers(self.first, self.client)?)?.receive()?.len();
        Ok(Guard { mutex: self, words: words.max(HEADER) })
    }
}

/// A lock that is held: a copy of what it guards. It is what the lock guards as soon as the guard is dropped, and not before.
#[derive(Debug)]
pub struct Guard<'a> {
    mutex: &'a mut Mutex,
    /// Words of the message.
    words: usize,
}

impl Guard<'_> {
    /// Whether somebody has ended while it held the lock, and nobody has said since that all is well: what is guarded is as it
    /// was before.
    pub fn is_poisoned(&self) -> bool {
        self.mutex.channel.page.0[2] != 0
    }

    /// All is well: those who hold the lock next do not find it poisoned.
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
