//! The synchronous channels: control blocks and mailboxes, shared by all CPUs.
//!
//! They are atomics, so that sharing them needs no `unsafe`, and relaxed ones, which are plain moves here: a CPU touches
//! what belongs to a channel only while it holds the channel's lock, which is proved of the layer, and the lock orders the
//! accesses.
use super::entries::Entries;
use core::ops::Range;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
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

/// The mailboxes of the channels, in memory of their own: a page each.
#[derive(Clone, Copy, Debug)]
pub struct Mail(&'static [AtomicU8]);

impl Mail {
    /// Mailboxes in this memory, which no other map has: whole pages.
    pub fn new(bytes: &'static [AtomicU8]) -> Self {
        Mail(bytes)
    }

    /// The bytes of a channel's mailbox.
    ///
    /// # Panics
    /// When there is no such channel.
    #[inline(always)]
    pub fn bytes(&self, channel: u32) -> &[AtomicU8] {
        let begin = channel as usize * PAGE_SIZE as usize;
        &self.0[begin..begin + PAGE_SIZE as usize]
    }

    #[inline(always)]
    fn byte(&self, [channel, at]: [u32; 2]) -> &AtomicU8 {
        assert!(at < PAGE_SIZE, "a mailbox has no byte {at}");
        &self.0[(channel * PAGE_SIZE + at) as usize]
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Mail {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..self.0.len() as u32 / PAGE_SIZE, 0..PAGE_SIZE]
    }
    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Byte<D> {
        Byte { value: self.byte(key).load(Ordering::Relaxed).into() }
    }
    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Byte<D>) {
        self.byte(key).store(value.value as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::host::Host;
    use std::boxed::Box;
    use std::vec::Vec;

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

        let bytes: Vec<AtomicU8> = (0..2 * PAGE_SIZE).map(|_| AtomicU8::new(0)).collect();
        let mut mail = Mail::new(bytes.leak());
        mail.store([0, PAGE_SIZE - 1], Byte::<Host> { value: 7 });
        mail.store([1, 0], Byte::<Host> { value: 8 });
        let load = |key| Entries::<[u32; 2], Byte<Host>>::load(&mail, key).value;
        assert_eq!([[0, 0], [0, PAGE_SIZE - 1], [1, 0], [1, 1]].map(load), [0, 7, 8, 0]);
    }

    #[test]
    #[should_panic(expected = "a mailbox has no byte 4096")]
    fn a_byte_of_the_next_mailbox_is_out_of_bounds() {
        let bytes: Vec<AtomicU8> = (0..2 * PAGE_SIZE).map(|_| AtomicU8::new(0)).collect();
        let _: Byte<Host> = Mail::new(bytes.leak()).load([0, PAGE_SIZE]);
    }
}
