//! The synchronous channels: control blocks and mailboxes, shared by all CPUs.
//!
//! A CPU touches what belongs to a channel only while it holds the channel's lock, which is proved of the layer, and the lock
//! orders the accesses. Control blocks are atomics, so that sharing them needs no `unsafe`, and relaxed ones, which are plain
//! moves here; mailboxes are plain memory, which is copied faster.
use super::entries::{Entries, Of};
use super::frames::Physical;
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use domain::Domain;
use layer::constants::PAGE_SIZE;
use layer::fields::{Byte, SyncChannel};

/// The words of a control block: `to`, `senderpaddr`, `count`, `busy`.
pub type Block = [AtomicU32; 4];

/// The control blocks of the channels, in memory of their own.
#[derive(Clone, Copy, Debug)]
pub struct Blocks(&'static [Block]);

impl Blocks {
    /// Blocks in this memory, which no other map has.
    pub fn new(blocks: &'static [Block]) -> Self {
        Blocks(blocks)
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 1], SyncChannel<D>> for Blocks {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..self.0.len() as u32]
    }
    #[inline(always)]
    fn load(&self, [channel]: [u32; 1]) -> SyncChannel<D> {
        let [to, senderpaddr, count, busy] =
            self.0[channel as usize].each_ref().map(|word| word.load(Ordering::Relaxed));
        SyncChannel { to, senderpaddr, count, busy }
    }
    #[inline(always)]
    fn store(&mut self, [channel]: [u32; 1], value: SyncChannel<D>) {
        let SyncChannel { to, senderpaddr, count, busy } = value;
        for (word, value) in self.0[channel as usize].iter().zip([to, senderpaddr, count, busy]) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// The mailboxes of the channels: a page each, so that different keys are different bytes.
///
/// They are plain memory, copied in blocks. What makes that right is what makes the words of control blocks right: a CPU
/// touches a mailbox only while it holds the channel's lock.
#[derive(Clone, Copy, Debug)]
pub struct Mail {
    bytes: *mut u8,
    channels: u32,
}

// SAFETY: the memory is the mailboxes' alone, and a mailbox is touched by one CPU at a time: that `new` demands.
unsafe impl Send for Mail {}
// SAFETY: as above.
unsafe impl Sync for Mail {}

impl Mail {
    /// Mailboxes in this memory: whole pages.
    ///
    /// # Safety
    /// A row of this map, or of a copy of it, is loaded from or stored to only by the CPU that holds the lock of that
    /// channel, or by the one that boots while it is alone.
    pub unsafe fn new(bytes: &'static mut [u8]) -> Self {
        Mail { channels: bytes.len() as u32 / PAGE_SIZE, bytes: bytes.as_mut_ptr() }
    }

    /// The place of `length` bytes of a mailbox, from byte `at` on.
    ///
    /// # Panics
    /// When the mailbox does not have them, or does not exist.
    #[inline(always)]
    fn at(&self, channel: u32, at: u32, length: u32) -> *mut u8 {
        assert!(channel < self.channels, "there is no mailbox {channel}");
        assert!(at <= PAGE_SIZE && length <= PAGE_SIZE - at, "a mailbox has no {length} bytes from {at} on");
        self.bytes.wrapping_add((channel * PAGE_SIZE + at) as usize)
    }

    /// The first bytes of a mailbox.
    ///
    /// # Panics
    /// When it has less, or does not exist.
    #[inline(always)]
    pub(super) fn bytes(&self, channel: u32, length: u32) -> &[u8] {
        // SAFETY: `at` gives so many bytes of the mailbox. Nobody changes them meanwhile: the borrow ends before this CPU
        // gives the lock back, as the copy is made under it.
        unsafe { core::slice::from_raw_parts(self.at(channel, 0, length), length as usize) }
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Mail {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..self.channels, 0..PAGE_SIZE]
    }
    #[inline(always)]
    fn load(&self, [channel, at]: [u32; 2]) -> Byte<D> {
        // SAFETY: `at` gives a byte of the mailbox, whose lock this CPU holds.
        Byte { value: unsafe { self.at(channel, at, 1).read() }.into() }
    }
    #[inline(always)]
    fn store(&mut self, [channel, at]: [u32; 2], value: Byte<D>) {
        // SAFETY: as in `load`.
        unsafe { self.at(channel, at, 1).write(value.value as u8) }
    }
    /// A message is sent: it is one block.
    #[inline(always)]
    fn copy_row(&mut self, channel: u32, length: u32, source: &dyn Any, frame: u32) -> bool {
        let Some(Of(memory)) = source.downcast_ref::<Of<Physical>>() else { return false };
        let message = memory.bytes(frame, 0..length as usize);
        // SAFETY: `at` gives as many bytes of the mailbox, whose lock this CPU holds; users' frames are no kernel memory.
        unsafe { self.at(channel, 0, length).copy_from_nonoverlapping(message.as_ptr(), message.len()) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::host::Host;
    use std::boxed::Box;
    use std::vec;

    /// Two mailboxes.
    fn mailboxes() -> Mail {
        // SAFETY: the test has this memory, and no other CPU.
        unsafe { Mail::new(vec![0; 2 * PAGE_SIZE as usize].leak()) }
    }

    #[test]
    fn each_channel_has_its_own_words_and_bytes() {
        let blocks = Box::leak(Box::new([const { [const { AtomicU32::new(0) }; 4] }; 3]));
        let mut blocks = Blocks::new(blocks);
        let block = |count| SyncChannel::<Host> { to: 1, senderpaddr: 2, count, busy: 4 };
        blocks.store([1], block(3));
        let load = |channel| {
            let SyncChannel { to, senderpaddr, count, busy } =
                Entries::<[u32; 1], SyncChannel<Host>>::load(&blocks, [channel]);
            [to, senderpaddr, count, busy]
        };
        assert_eq!([load(0), load(1), load(2)], [[0; 4], [1, 2, 3, 4], [0; 4]]);

        let mut mail = mailboxes();
        mail.store([0, PAGE_SIZE - 1], Byte::<Host> { value: 7 });
        mail.store([1, 0], Byte::<Host> { value: 8 });
        let load = |key| Entries::<[u32; 2], Byte<Host>>::load(&mail, key).value;
        assert_eq!([[0, 0], [0, PAGE_SIZE - 1], [1, 0], [1, 1]].map(load), [0, 7, 8, 0]);
    }

    #[test]
    #[should_panic(expected = "a mailbox has no 1 bytes from 4096 on")]
    fn a_byte_of_the_next_mailbox_is_out_of_bounds() {
        let _: Byte<Host> = mailboxes().load([0, PAGE_SIZE]);
    }
}
