//! The synchronous channels: control blocks and mailboxes, shared by all CPUs.
//!
//! A CPU accesses the control block and the mailbox of a channel only while it holds the channel's lock. This is
//! proved of the layer, and the lock orders the accesses. So both are plain memory: a message is copied as one block,
//! and one store changes a word.
use super::entries::{Entries, Of};
use super::erased::NoLog;
use super::lock_array;
use crate::sync::lock::Lock;
use core::ops::Range;
use domain::{Domain, Storage};
use layer::core::constants::{NUM_CHAN, PAGE_SIZE};
use layer::core::fields::{Mailboxes, SyncChannel, SyncChannels};
use layer::core::machine::{CHANNEL_RANK, ChannelPool, Machine};
use layer::objects::channel::pool::Channels;

/// Memory with one row for each channel, which that channel's lock guards.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<T> {
    rows: *mut T,
}

// SAFETY: The caller of `new` ensures that nothing else uses the memory, and that only one CPU at a
// time accesses a row.
unsafe impl<T: Send> Send for Guarded<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    /// Storage in these rows.
    ///
    /// # Panics
    /// If there is not exactly one row for each channel: a bug.
    ///
    /// # Safety
    /// Only the CPU that holds the lock of a channel loads from its row or stores to it, here or in a copy of this
    /// value. The exception is a time when no other CPU runs: at boot, or while all others wait.
    pub unsafe fn new(rows: &'static mut [T]) -> Self {
        assert_eq!(rows.len(), NUM_CHAN as usize, "each channel has a row");
        Guarded { rows: rows.as_mut_ptr() }
    }

    /// Address of a channel's row.
    ///
    /// # Panics
    /// If there is no such channel.
    #[inline(always)]
    fn row(&self, channel: u32) -> *mut T {
        assert!(channel < NUM_CHAN, "there is no channel {channel}");
        self.rows.wrapping_add(channel as usize)
    }
}

/// The words of a control block: `to`, `senderpaddr`, `count`, `busy`.
pub type Block = [u32; 4];

/// The control blocks of the channels.
pub type Blocks = Guarded<Block>;

impl<D: Domain<Word = u32>> Entries<[u32; 1], SyncChannel<D>> for Blocks {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..NUM_CHAN]
    }
    #[inline(always)]
    fn load(&self, [channel]: [u32; 1]) -> SyncChannel<D> {
        // SAFETY: it is the row of a channel whose lock this CPU holds (`new`).
        let [to, senderpaddr, count, busy] = unsafe { self.row(channel).read() };
        SyncChannel { to, senderpaddr, count, busy }
    }
    #[inline(always)]
    fn store(&mut self, [channel]: [u32; 1], value: SyncChannel<D>) {
        let SyncChannel { to, senderpaddr, count, busy } = value;
        // SAFETY: as in `load`.
        unsafe { self.row(channel).write([to, senderpaddr, count, busy]) }
    }
}

/// A mailbox: one page, so different keys are different bytes.
pub type Mailbox = [u8; PAGE_SIZE as usize];

/// The mailboxes of the channels.
pub type Mail = Guarded<Mailbox>;

impl Mail {
    /// Address of `length` bytes of a mailbox, from byte `at` on.
    ///
    /// # Panics
    /// If the mailbox is shorter, or does not exist.
    #[inline(always)]
    fn at(&self, channel: u32, at: u32, length: u32) -> *mut u8 {
        assert!(at <= PAGE_SIZE && length <= PAGE_SIZE - at, "a mailbox has no {length} bytes from {at} on");
        self.row(channel).cast::<u8>().wrapping_add(at as usize)
    }

    /// The first bytes of a mailbox.
    ///
    /// # Panics
    /// If the mailbox is shorter, or does not exist.
    #[inline(always)]
    pub(super) fn bytes(&self, channel: u32, length: u32) -> &[u8] {
        // SAFETY: `at` returns the address of this many bytes of the mailbox. Nothing changes them during the borrow:
        // the copy is made, and the borrow ends, while this CPU holds the lock.
        unsafe { core::slice::from_raw_parts(self.at(channel, 0, length), length as usize) }
    }

    /// Byte `at` of a mailbox.
    ///
    /// # Panics
    /// When there is no such byte.
    #[inline(always)]
    pub(super) fn byte(&self, channel: u32, at: u32) -> u8 {
        // SAFETY: `at` returns the address of a byte of the mailbox, whose lock this CPU holds (`new`).
        unsafe { self.at(channel, at, 1).read() }
    }

    /// Sets byte `at` of a mailbox.
    ///
    /// # Panics
    /// As for [`Mail::byte`].
    #[inline(always)]
    pub(super) fn set_byte(&mut self, channel: u32, at: u32, byte: u8) {
        // SAFETY: as in `byte`.
        unsafe { self.at(channel, at, 1).write(byte) }
    }

    /// Copies `message` to the beginning of a mailbox.
    ///
    /// # Panics
    /// When the mailbox is shorter, or does not exist.
    ///
    /// # Safety
    /// The message does not lie in a mailbox.
    #[inline(always)]
    pub(super) unsafe fn write(&mut self, channel: u32, message: &[u8]) {
        // SAFETY: `at` returns the address of as many bytes of the mailbox, whose lock this CPU holds (`new`). The
        // caller says that the two do not overlap.
        unsafe { self.at(channel, 0, message.len() as u32).copy_from_nonoverlapping(message.as_ptr(), message.len()) };
    }
}

/// The channels, and their locks.
pub struct Pool {
    locks: &'static [Lock<()>],
    blocks: Blocks,
    mail: Mail,
}

/// The name of a channel's lock in messages.
pub const LOCK: &str = "a channel";

impl Pool {
    /// Channels with these locks, one for each channel.
    pub fn new(locks: &'static [Lock<()>], blocks: Blocks, mail: Mail) -> Self {
        Pool { locks, blocks, mail }
    }

    /// Whether some CPU holds the lock of channel `q`.
    pub fn is_held(&self, q: u32) -> bool {
        self.locks[q as usize].try_lock().is_none()
    }
}

impl<M> ChannelPool<M> for Pool
where
    M: Machine<Log = NoLog> + Domain<Word = u32>,
    M: Storage<SyncChannels, Map = Of<Blocks>> + Storage<Mailboxes, Map = Of<Mail>>,
{
    #[inline(always)]
    fn acquire(&self, by: u32, q: u32) {
        lock_array::kept(by, CHANNEL_RANK, LOCK);
        self.locks[q as usize].hold();
    }
    #[inline(always)]
    fn release(&self, by: u32, q: u32) {
        lock_array::given_back(by, CHANNEL_RANK);
        // SAFETY: the primitives that release a channel's lock, 8 and 20, require that this CPU holds it. It is proved
        // that every caller of them satisfies this.
        unsafe { self.locks[q as usize].give_back() };
    }
    #[inline(always)]
    fn with<R>(&self, work: impl FnOnce(&mut Channels<M>) -> R) -> R {
        let ghost = M::ghost(|| unreachable!("without a log there is no ghost state"));
        work(&mut Channels { pool: Of(self.blocks), mailbox: Of(self.mail), ghost, log: NoLog })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::host::Host;
    use std::vec;

    /// Mailboxes.
    fn mailboxes() -> Mail {
        // SAFETY: the test owns this memory, and no other CPU runs.
        unsafe { Mail::new(vec![[0; PAGE_SIZE as usize]; NUM_CHAN as usize].leak()) }
    }

    #[test]
    fn each_channel_has_its_own_words_and_bytes() {
        // SAFETY: the test owns this memory, and no other CPU runs.
        let mut blocks = unsafe { Blocks::new(vec![[0; 4]; NUM_CHAN as usize].leak()) };
        let block = |count| SyncChannel::<Host> { to: 1, senderpaddr: 2, count, busy: 4 };
        blocks.store([1], block(3));
        let load = |channel| {
            let SyncChannel { to, senderpaddr, count, busy } =
                Entries::<[u32; 1], SyncChannel<Host>>::load(&blocks, [channel]);
            [to, senderpaddr, count, busy]
        };
        assert_eq!([load(0), load(1), load(2)], [[0; 4], [1, 2, 3, 4], [0; 4]]);

        let mut mail = mailboxes();
        mail.set_byte(0, PAGE_SIZE - 1, 7);
        mail.set_byte(1, 0, 8);
        assert_eq!(
            [(0, 0), (0, PAGE_SIZE - 1), (1, 0), (1, 1)].map(|(channel, at)| mail.byte(channel, at)),
            [0, 7, 8, 0]
        );
    }

    #[test]
    #[should_panic(expected = "a mailbox has no 1 bytes from 4096 on")]
    fn a_byte_of_the_next_mailbox_is_out_of_bounds() {
        mailboxes().byte(0, PAGE_SIZE);
    }
}
