//! Records of boot loaders and firmware: little-endian integers at fixed places. They are untrusted input: nothing here
//! indexes or overflows.

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
