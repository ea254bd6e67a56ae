//! Mailboxes: messages, which are copied from users' frames and to them.
use super::Physical;
use crate::home::channels::Mail;
use crate::home::{Entries, Of};
use core::any::Any;
use core::ops::Range;
use domain::Domain;
use layer::fields::Byte;

/// The mailboxes of the channels, byte by byte as [`Mail`] has them, and a block at a time to and from [`Physical`].
#[derive(Clone, Copy, Debug)]
pub struct Mailboxes(pub Mail);

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Mailboxes {
    fn keys(&self) -> [Range<u32>; 2] {
        Entries::<_, Byte<D>>::keys(&self.0)
    }
    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Byte<D> {
        self.0.load(key)
    }
    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Byte<D>) {
        self.0.store(key, value);
    }
    #[inline(always)]
    fn copy_row(&mut self, channel: u32, length: u32, source: &dyn Any, frame: u32) -> bool {
        let Some(Of(memory)) = source.downcast_ref::<Of<Physical>>() else { return false };
        let (from, to) = (memory.bytes(frame, 0..length as usize), &self.0.bytes(channel)[..length as usize]);
        // SAFETY: both are valid for their length, and no frame is the kernel's memory. The bytes are this CPU's alone, as
        // each of them would be: the layer copies messages only while it holds the channel's lock.
        unsafe { to.as_ptr().cast::<u8>().cast_mut().copy_from_nonoverlapping(from.as_ptr(), to.len()) };
        true
    }
}
