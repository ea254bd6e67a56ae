//! The storage of the links of the thread queues.
use super::entries::Entries;
use super::erased::ErasedMap;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};
use domain::{Domain, Storage};
use layer::core::constants::NUM_PROC;
use layer::core::fields::{Next, ThreadGhosts};
use layer::core::machine::{self, Machine};

/// Two words for each thread, in memory of their own: the next thread in its queue, and the CPU that it belongs to.
///
/// The words are atomics, so sharing them needs no `unsafe`; they are relaxed, which is a plain move on this processor.
/// The proofs show which CPU accesses which word, and the lock of the thread's queue orders the accesses.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    next: &'static Words,
    cpus: &'static Words,
}

/// One word for each thread.
pub type Words = [AtomicU32; NUM_PROC as usize];

impl Links {
    /// Links in this memory, which no other map uses.
    pub fn new(next: &'static Words, cpus: &'static Words) -> Self {
        Links { next, cpus }
    }

    /// The next thread after `thread`.
    #[inline(always)]
    pub fn next(&self, thread: u32) -> u32 {
        self.next[thread as usize].load(Ordering::Relaxed)
    }

    /// Puts `next` after `thread`.
    #[inline(always)]
    pub fn set_next(&self, thread: u32, next: u32) {
        self.next[thread as usize].store(next, Ordering::Relaxed);
    }

    /// The CPU that `thread` belongs to.
    #[inline(always)]
    pub fn cpu(&self, thread: u32) -> u32 {
        self.cpus[thread as usize].load(Ordering::Relaxed)
    }

    /// Sets the CPU that `thread` belongs to.
    #[inline(always)]
    pub fn set_cpu(&self, thread: u32, cpu: u32) {
        self.cpus[thread as usize].store(cpu, Ordering::Relaxed);
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 1], Next<D>> for Links {
    #[allow(clippy::single_range_in_vec_init, reason = "a range a coordinate, and there is one")]
    fn keys(&self) -> [Range<u32>; 1] {
        [0..NUM_PROC]
    }
    #[inline(always)]
    fn load(&self, [thread]: [u32; 1]) -> Next<D> {
        Next { thread: self.next(thread), cpu: self.cpu(thread) }
    }
    #[inline(always)]
    fn store(&mut self, [thread]: [u32; 1], value: Next<D>) {
        self.set_next(thread, value.thread);
        self.set_cpu(thread, value.cpu);
    }
}

impl<M: Machine + Domain<Word = u32> + Storage<ThreadGhosts, Map = ErasedMap>> machine::Links<M> for Links {
    #[inline(always)]
    fn next(&self, thread: u32) -> u32 {
        self.next(thread)
    }
    #[inline(always)]
    fn set_next(&self, thread: u32, next: u32) {
        self.set_next(thread, next);
    }
    #[inline(always)]
    fn cpu(&self, thread: u32) -> u32 {
        self.cpu(thread)
    }
    #[inline(always)]
    fn set_cpu(&self, thread: u32, cpu: u32) {
        self.set_cpu(thread, cpu);
    }
    fn update(&self, _: impl FnOnce(&mut ErasedMap)) {}
    fn check(&self, _: impl Fn(&ErasedMap) -> bool) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::host::Host;
    use std::boxed::Box;

    #[test]
    fn a_link_is_one_word() {
        let words = || Box::leak(Box::new([const { AtomicU32::new(0) }; NUM_PROC as usize]));
        let mut links = Links::new(words(), words());
        Entries::<[u32; 1], Next<Host>>::define(&mut links, |[thread]| Next { thread: 10 + thread, cpu: thread });
        links.set_next(2, 99);
        links.set_cpu(3, 7);
        assert_eq!([0, 1, 2, 3].map(|thread| links.cpu(thread)), [0, 1, 2, 7]);
        assert_eq!([0, 1, 2, 3].map(|thread| links.next(thread)), [10, 11, 99, 13]);
    }
}
