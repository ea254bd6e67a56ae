//! Bytes of users' frames and of mailboxes, as storage, and the copies between them. A message is one row of either, and
//! is copied as one block.
use super::channels::Mail;
use super::frames::Physical;
use super::{Entries, Of, fill_each};
use core::any::Any;
use core::ops::Range;
use domain::Domain;
use layer::core::constants::{NUM_CHAN, PAGE_SIZE};
use layer::core::fields::Byte;

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Physical {
    fn keys(&self) -> [Range<u32>; 2] {
        [self.frames(), 0..PAGE_SIZE]
    }

    #[inline(always)]
    fn load(&self, key: [u32; 2]) -> Byte<D> {
        Byte { value: self.byte(key).into() }
    }

    #[inline(always)]
    fn store(&mut self, key: [u32; 2], value: Byte<D>) {
        self.set_byte(key, value.value as u8);
    }

    #[inline(always)]
    fn fill(&mut self, row: &[u32], value: Byte<D>) {
        match row {
            &[frame] => self.fill_frame(frame, value.value as u8),
            _ => fill_each(self, row, value),
        }
    }

    /// Receives a message: its bytes are copied as one block.
    #[inline]
    fn copy_row(&mut self, frame: u32, length: u32, source: &dyn Any, channel: u32) -> bool {
        let Some(Of(mail)) = source.downcast_ref::<Of<Mail>>() else { return false };
        self.write(frame, 0, mail.bytes(channel, length));
        true
    }

    /// Copies a program's arguments from its parent as one block.
    #[inline]
    fn copy_own_row(&mut self, frame: u32, length: u32, from: u32) -> bool {
        self.copy_frame(frame, length, from);
        true
    }
}

impl<D: Domain<Word = u32>> Entries<[u32; 2], Byte<D>> for Mail {
    fn keys(&self) -> [Range<u32>; 2] {
        [0..NUM_CHAN, 0..PAGE_SIZE]
    }

    #[inline(always)]
    fn load(&self, [channel, at]: [u32; 2]) -> Byte<D> {
        Byte { value: self.byte(channel, at).into() }
    }

    #[inline(always)]
    fn store(&mut self, [channel, at]: [u32; 2], value: Byte<D>) {
        self.set_byte(channel, at, value.value as u8);
    }

    /// Sends a message: its bytes are copied as one block.
    #[inline(always)]
    fn copy_row(&mut self, channel: u32, length: u32, source: &dyn Any, frame: u32) -> bool {
        let Some(Of(memory)) = source.downcast_ref::<Of<Physical>>() else { return false };
        // SAFETY: users' frames are not kernel memory, so the message does not lie in a mailbox.
        unsafe { self.write(channel, memory.bytes(frame, 0..length as usize)) };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::frames::tests::window;
    use crate::storage::host::Host;
    use domain::Map;
    use layer::core::fields::{Mailboxes, PhysicalMemory};
    use std::vec;

    fn mail(bytes: u8) -> Of<Mail> {
        // SAFETY: the test owns this memory, and no other CPU runs.
        Of(unsafe { Mail::new(vec![[bytes; PAGE_SIZE as usize]; NUM_CHAN as usize].leak()) })
    }

    #[inline]
    fn byte(map: &Of<Physical>, key: [u32; 2]) -> u32 {
        Map::<Host, PhysicalMemory>::get(map, key).value
    }

    #[test]
    fn a_message_is_copied_to_and_fro_and_nothing_beside_it() {
        let mut memory = Of(Physical::new(window()));
        Map::<Host, PhysicalMemory>::fill(&mut memory, &[9], Byte { value: 5 });
        let mut boxes = mail(1);
        Map::<Host, Mailboxes>::set(&mut boxes, [1, 6], Byte { value: 77 });
        Map::<Host, PhysicalMemory>::copy_first::<Mailboxes, _>(&mut memory, 9, 8, &boxes, 1);
        assert_eq!([5, 6, 7, 8].map(|at| byte(&memory, [9, at])), [1, 77, 1, 5]);
        assert_eq!([[8, 4095], [10, 0]].map(|key| byte(&memory, key)), [0, 0]);
        Map::<Host, Mailboxes>::copy_first::<PhysicalMemory, _>(&mut boxes, 0, PAGE_SIZE, &memory, 9);
        let mailed = |key| Map::<Host, Mailboxes>::get(&boxes, key).value;
        assert_eq!([[0, 6], [0, 4095], [1, 0], [1, 6]].map(mailed), [77, 5, 1, 77]);
    }

    #[test]
    fn a_frame_is_copied_to_another_and_nothing_beside_it() {
        let mut memory = Of(Physical::new(window()));
        Map::<Host, PhysicalMemory>::fill(&mut memory, &[9], Byte { value: 5 });
        Map::<Host, PhysicalMemory>::set(&mut memory, [9, 6], Byte { value: 77 });
        Map::<Host, PhysicalMemory>::copy_within(&mut memory, 8, 8, 9);
        assert_eq!([5, 6, 7, 8].map(|at| byte(&memory, [8, at])), [5, 77, 5, 0]);
        assert_eq!([[7, 4095], [9, 6], [9, 0]].map(|key| byte(&memory, key)), [0, 77, 5]);
    }
}
