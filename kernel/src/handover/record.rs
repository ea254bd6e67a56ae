//! Records of boot loaders and firmware: little-endian integers at fixed offsets. They are untrusted input: no code
//! here indexes or overflows.

/// The bytes of a record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a>(pub &'a [u8]);

impl Record<'_> {
    /// The byte at `at`, if the record has it.
    pub fn u8(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    /// The 16 bits at `at`, if the record has them.
    pub fn u16(&self, at: usize) -> Option<u16> {
        self.chunk(at).map(u16::from_le_bytes)
    }

    /// The 32 bits at `at`, if the record has them.
    pub fn u32(&self, at: usize) -> Option<u32> {
        self.chunk(at).map(u32::from_le_bytes)
    }

    /// The 64 bits at `at`, if the record has them.
    pub fn u64(&self, at: usize) -> Option<u64> {
        self.chunk(at).map(u64::from_le_bytes)
    }

    fn chunk<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    #[test]
    fn what_is_not_there_is_none() {
        let record = Record(&[1, 2, 3, 4, 5]);
        assert_eq!((record.u8(4), record.u8(5)), (Some(5), None));
        assert_eq!((record.u16(3), record.u16(4)), (Some(0x504), None));
        assert_eq!((record.u32(1), record.u32(2)), (Some(0x504_0302), None));
        assert_eq!((record.u64(0), record.u32(usize::MAX)), (None, None));
    }
}

/// Helpers for the tests of all readers: memory, and damage to it.
#[cfg(test)]
pub(crate) mod fuzz {
    use core::ops::Range;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Reads memory that has these bytes from physical address `base` on, and no memory elsewhere.
    pub fn read_from<'a>(base: u64, bytes: &'a [u8]) -> impl Fn(Range<u64>) -> Option<&'a [u8]> + Clone {
        move |range| {
            let offset = |address: u64| address.checked_sub(base).and_then(|offset| usize::try_from(offset).ok());
            bytes.get(offset(range.start)?..offset(range.end)?)
        }
    }

    /// Numbers at the limits of arithmetic, and their size in bytes.
    fn extreme() -> impl Strategy<Value = (u64, usize)> {
        let near = prop_oneof![Just(0u64), Just(1 << 31), Just(1 << 32), Just(1 << 52), Just(1 << 63)];
        (
            (near, -9i64..9).prop_map(|(near, by)| near.wrapping_add_signed(by)),
            prop_oneof![Just(1), Just(2), Just(4), Just(8)],
        )
    }

    /// These bytes with some damage: bytes and numbers are overwritten with arbitrary values or with limits of a
    /// range.
    pub fn damaged(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![extreme(), (any::<u64>(), 1usize..9)];
        proptest::collection::vec((0..bytes.len(), number), 0..6).prop_map(move |damage| {
            let mut bytes = bytes.clone();
            for (at, (number, length)) in damage {
                // Most fields are aligned.
                let at = if length.is_power_of_two() { at / length * length } else { at };
                bytes[at..].iter_mut().zip(&number.to_le_bytes()[..length]).for_each(|(byte, new)| *byte = *new);
            }
            bytes
        })
    }
}
