//! The links of the thread queues.
use super::entries::Entries;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use domain::Domain;
use layer::fields::Next;

/// The thread behind each thread: one word a thread, in memory of its own.
///
/// They are atomics, so that sharing them needs no `unsafe`, and relaxed ones, which are plain moves here: which CPU
/// may touch which word is the layer's business, and the lock of the queue that a thread is in orders the accesses.
#[derive(Clone, Copy, Debug)]
pub struct Links(&'static [AtomicU32]);

impl Links {
    /// Links in this memory, which no other map has.
    pub fn new(words: &'static [AtomicU32]) -> Self {
        Links(words)
    }

    /// The thread behind `thread`.
    pub fn next(&self, thread: u32) -> u32 {
        self.0[thread as usize].load(Ordering::Relaxed)
    }

    /// Puts `next` behind `thread`.
    pub fn set_next(&self, thread: u32, next: u32) {
        self.0[thread as usize].store(next, Ordering::Relaxed);
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 1], Next<D>> for Links {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..self.0.len() as u32]
    }
    fn load(&self, [thread]: [u32; 1]) -> Next<D> {
        Next { thread: self.next(thread) }
    }
    fn store(&mut self, [thread]: [u32; 1], value: Next<D>) {
        self.set_next(thread, value.thread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::host::Host;
    use std::boxed::Box;

    #[test]
    fn a_link_is_one_word() {
        let mut links = Links::new(Box::leak(Box::new([const { AtomicU32::new(0) }; 4])));
        Entries::<[u32; 1], Next<Host>>::define(&mut links, |[thread]| Next { thread: 10 + thread });
        links.set_next(2, 99);
        assert_eq!([0, 1, 2, 3].map(|thread| links.next(thread)), [10, 11, 99, 13]);
    }
}
