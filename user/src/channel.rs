//! Channels: messages of up to 1,024 words between programs, on one CPU or on several.
//!
//! A channel is a number that the programs have agreed on. It holds one message at a time: a sender waits until there
//! is room, and a receiver waits until there is a message. Every program that knows the number may send and receive.
//!
//! ```ignore
//! let mut channel = Channel::open(7)?;
//! channel.send(&[1, 2, 3])?;
//! let words: &[u32] = channel.receive()?;
//! ```

use crate::memory::{self, Page};
use crate::sys;
use abi::{CHANNELS, Error, MESSAGE_WORDS};

/// The maximum number of words of a message.
pub const WORDS: usize = MESSAGE_WORDS as usize;

/// One program's end of a channel, with a page for the messages that it sends and receives.
#[derive(Debug)]
pub struct Channel {
    number: u32,
    pub(crate) page: &'static mut Page,
}

impl Channel {
    /// Opens the channel with this number. This takes a page of the heap.
    ///
    /// # Errors
    ///
    /// [`Error::InvalChid`] if there is no such channel, [`Error::Mem`] if the heap has no page left.
    pub fn open(number: u32) -> Result<Channel, Error> {
        if number >= CHANNELS {
            return Err(Error::InvalChid);
        }
        Ok(Channel { number, page: memory::page().ok_or(Error::Mem)? })
    }

    /// Switches to another channel with the same page, and closes the previous channel.
    ///
    /// # Errors
    ///
    /// [`Error::InvalChid`] if there is no such channel; nothing has changed then.
    pub fn at(&mut self, number: u32) -> Result<&mut Channel, Error> {
        if number >= CHANNELS {
            return Err(Error::InvalChid);
        }
        self.number = number;
        Ok(self)
    }

    /// Sends a message as soon as there is room, and returns how many words were sent: of a message longer than
    /// [`WORDS`], only the first [`WORDS`].
    ///
    /// # Errors
    ///
    /// [`Error::Mem`] if the quota does not allow the first use of the channel's page.
    pub fn send(&mut self, message: &[u32]) -> Result<usize, Error> {
        let words = message.len().min(WORDS);
        self.page.0[..words].copy_from_slice(&message[..words]);
        self.send_page(words)
    }

    /// Sends the first `words` words of the channel's page as they are.
    pub(crate) fn send_page(&mut self, words: usize) -> Result<usize, Error> {
        sys::send(self.number, self.page, words)
    }

    /// Waits for a message and receives it. The returned words are valid until the channel is used
    /// again.
    ///
    /// # Errors
    ///
    /// As for [`send`](Channel::send).
    pub fn receive(&mut self) -> Result<&[u32], Error> {
        let words = sys::receive(self.number, self.page, WORDS, true)?;
        Ok(&self.page.0[..words])
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// As for [`send`](Channel::send).
    pub fn try_receive(&mut self) -> Result<Option<&[u32]>, Error> {
        match sys::receive(self.number, self.page, WORDS, false) {
            Ok(words) => Ok(Some(&self.page.0[..words])),
            Err(Error::Ipc) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
