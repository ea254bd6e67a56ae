//! The memory interface of the interpreter.

use super::trap::{Result, Trap};

/// Bytes of an access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub enum Size {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    Word = 2,
    /// 32 bits.
    Double = 4,
    /// 64 bits.
    Quad = 8,
}

impl Size {
    /// The size with this number of bytes.
    pub const fn from_bytes(bytes: usize) -> Option<Size> {
        Some(match bytes {
            1 => Size::Byte,
            2 => Size::Word,
            4 => Size::Double,
            8 => Size::Quad,
            _ => return None,
        })
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self as u64
    }

    /// Bits.
    pub const fn bits(self) -> u32 {
        8 * self as u32
    }

    /// All bits of a value of this size.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The highest bit of a value of this size.
    pub const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }
}

/// A stamp of some bytes of code: see [`Bus::code_stamp`].
pub type CodeStamp = [u64; 2];

/// The memory that a program sees: an address space.
///
/// Loads and stores are naturally aligned, so none crosses a page. Addresses are canonical.
pub trait Bus {
    /// Why an access was refused. In that case the instruction has no effect, and can be executed
    /// again.
    type Fault;

    /// Copies the bytes from `address` on into `buffer`, for execution, and returns how many: at least one,
    /// at most to the end of the page.
    ///
    /// # Errors
    ///
    /// If there is nothing to execute at `address`.
    fn fetch(&mut self, address: u64, buffer: &mut [u8; 15]) -> core::result::Result<usize, Self::Fault>;

    /// A stamp of the `length` bytes from `address` on as code. If a later stamp is equal, the program may execute
    /// these addresses and the bytes are the same, whatever was written, mapped or unmapped in between. `None` means
    /// that nothing is known, so the bytes must be fetched.
    ///
    /// The caller passes 1 to 15 bytes, on one page.
    ///
    /// # Errors
    ///
    /// The errors of [`fetch`](Self::fetch) at `address`.
    fn code_stamp(&mut self, address: u64, length: u64) -> core::result::Result<Option<CodeStamp>, Self::Fault>;

    /// The value at `address`, little-endian, zero-extended.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn load(&mut self, address: u64, size: Size) -> core::result::Result<u64, Self::Fault>;

    /// Stores the low bytes of `value` at `address`, little-endian.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the memory is unchanged.
    fn store(&mut self, address: u64, size: Size, value: u64) -> core::result::Result<(), Self::Fault>;

    /// Checks that a [`store`](Self::store) to that place would succeed now. If a store has several pieces, all are
    /// checked before the first is stored.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    fn probe_store(&mut self, address: u64, size: Size) -> core::result::Result<(), Self::Fault>;
}

/// A part of an access that is naturally aligned.
struct Piece {
    /// The offset from the access's address, in bytes.
    offset: u64,
    size: Size,
}

/// Divides an access into as few naturally aligned pieces as possible, in the order of their addresses.
fn pieces(address: u64, bytes: u64) -> impl Iterator<Item = Piece> {
    let mut offset = 0;
    core::iter::from_fn(move || {
        let rest = bytes - offset;
        let fits = |size: &Size| size.bytes() <= rest && address.wrapping_add(offset).is_multiple_of(size.bytes());
        let sizes = [Size::Quad, Size::Double, Size::Word, Size::Byte];
        // The loop ends when nothing is left.
        let size = sizes.into_iter().find(fits)?;
        let piece = Piece { offset, size };
        offset += size.bytes();
        Some(piece)
    })
}

/// Whether all addresses of an access of up to 16 bytes are canonical. Addresses wrap around to 0.
pub fn is_canonical(address: u64, bytes: u64) -> bool {
    let is_sign_extended = |address: u64| (address as i64) << 16 >> 16 == address as i64;
    is_sign_extended(address) && is_sign_extended(address.wrapping_add(bytes - 1))
}

/// Loads up to 16 bytes at any alignment. The address is canonical.
pub(super) fn load<B: Bus>(bus: &mut B, address: u64, bytes: u64) -> Result<u128, B::Fault> {
    if let Some(size) = aligned(address, bytes) {
        return bus.load(address, size).map(u128::from).map_err(Trap::Fault);
    }
    let mut value = 0;
    for Piece { offset, size } in pieces(address, bytes) {
        let part = bus.load(address.wrapping_add(offset), size).map_err(Trap::Fault)?;
        value |= u128::from(part) << (8 * offset);
    }
    Ok(value)
}

/// Whether a store of up to 16 bytes at any alignment would succeed. The address is canonical.
pub(super) fn probe<B: Bus>(bus: &mut B, address: u64, bytes: u64) -> Result<(), B::Fault> {
    pieces(address, bytes)
        .try_for_each(|Piece { offset, size }| bus.probe_store(address.wrapping_add(offset), size))
        .map_err(Trap::Fault)
}

/// Stores up to 16 bytes at any alignment, all or nothing. The address is canonical.
pub(super) fn store<B: Bus>(bus: &mut B, address: u64, bytes: u64, value: u128) -> Result<(), B::Fault> {
    if let Some(size) = aligned(address, bytes) {
        return bus.store(address, size, value as u64).map_err(Trap::Fault);
    }
    probe(bus, address, bytes)?;
    for Piece { offset, size } in pieces(address, bytes) {
        let part = (value >> (8 * offset)) as u64 & size.mask();
        bus.store(address.wrapping_add(offset), size, part).map_err(Trap::Fault)?;
    }
    Ok(())
}

/// The size of an access that is a single piece.
fn aligned(address: u64, bytes: u64) -> Option<Size> {
    Size::from_bytes(bytes as usize).filter(|_| address.is_multiple_of(bytes))
}

#[cfg(test)]
mod tests {
    use super::{is_canonical, pieces};

    #[test]
    fn pieces_are_aligned_adjacent_and_complete() {
        for address in 0..32 {
            for bytes in [1, 2, 4, 8, 16] {
                let mut next = 0;
                for piece in pieces(address, bytes) {
                    assert_eq!(piece.offset, next);
                    assert_eq!((address + piece.offset) % piece.size.bytes(), 0);
                    next += piece.size.bytes();
                }
                assert_eq!(next, bytes);
            }
        }
    }

    #[test]
    fn an_aligned_access_is_one_piece_and_a_crossing_one_splits_at_the_page() {
        assert_eq!(pieces(8, 8).count(), 1);
        assert_eq!(pieces(16, 16).count(), 2);
        assert!(pieces(0x1FFB, 8).any(|piece| 0x1FFB + piece.offset == 0x2000));
    }

    #[test]
    fn the_hole_between_the_halves_is_not_canonical() {
        assert!(is_canonical(0, 1) && is_canonical(0x7FFF_FFFF_FFFF, 1));
        assert!(!is_canonical(0x7FFF_FFFF_FFFF, 2) && !is_canonical(0x8000_0000_0000, 1));
        assert!(!is_canonical(0xFFFF_7FFF_FFFF_FFFF, 2) && is_canonical(0xFFFF_8000_0000_0000, 1));
        assert!(is_canonical(u64::MAX, 1) && is_canonical(u64::MAX, 2));
    }
}
