//! SSE: integer lanes and bits.

use super::execution::Execution;
use super::memory::Bus;
use super::trap::Result;
use iced_x86::{Mnemonic, OpKind};

/// An operation on whole registers, lane by lane.
type Packed = fn(u128, u128) -> u128;

macro_rules! lanes {
    ($($(#[$doc:meta])* $name:ident: $lane:ty, $count:literal;)*) => {
        $($(#[$doc])*
        pub(super) fn $name(a: u128, b: u128, operation: impl Fn($lane, $lane) -> $lane) -> u128 {
            let lane = |value: u128, index: u32| (value >> (index * <$lane>::BITS)) as $lane;
            (0..$count).fold(0, |result, index| {
                let value = operation(lane(a, index), lane(b, index));
                result | u128::from(value) << (index * <$lane>::BITS)
            })
        })*
    };
}

lanes! {
    /// Applies an operation to each byte.
    zip8: u8, 16;
    /// Applies an operation to each 16 bits.
    zip16: u16, 8;
    /// Applies an operation to each 32 bits.
    zip32: u32, 4;
    /// Applies an operation to each 64 bits.
    zip64: u64, 2;
}

/// All ones for true.
macro_rules! truth {
    ($lane:ty, $condition:expr) => {
        if $condition { <$lane>::MAX } else { 0 }
    };
}

/// `psadbw`: in each half, the sum of the absolute differences of the bytes.
fn sum_of_differences(a: u128, b: u128) -> u128 {
    let differences = zip8(a, b, u8::abs_diff).to_le_bytes();
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u128::from(byte)).sum::<u128>();
    sum(&differences[..8]) | sum(&differences[8..]) << 64
}

/// `pmaddwd`: products of signed 16-bit lanes, added in pairs.
fn multiply_add(a: u128, b: u128) -> u128 {
    let product =
        |a: u32, b: u32, shift: u32| i32::from((a >> shift) as i16).wrapping_mul(i32::from((b >> shift) as i16));
    zip32(a, b, |a, b| product(a, b, 0).wrapping_add(product(a, b, 16)) as u32)
}

/// The operation of a mnemonic with two SSE operands, of which the first is replaced by the result.
fn packed(mnemonic: Mnemonic) -> Option<Packed> {
    use Mnemonic::*;
    Some(match mnemonic {
        Pand | Andps | Andpd => |a, b| a & b,
        Pandn | Andnps | Andnpd => |a, b| !a & b,
        Por | Orps | Orpd => |a, b| a | b,
        Pxor | Xorps | Xorpd => |a, b| a ^ b,

        Paddb => |a, b| zip8(a, b, u8::wrapping_add),
        Paddw => |a, b| zip16(a, b, u16::wrapping_add),
        Paddd => |a, b| zip32(a, b, u32::wrapping_add),
        Paddq => |a, b| zip64(a, b, u64::wrapping_add),
        Psubb => |a, b| zip8(a, b, u8::wrapping_sub),
        Psubw => |a, b| zip16(a, b, u16::wrapping_sub),
        Psubd => |a, b| zip32(a, b, u32::wrapping_sub),
        Psubq => |a, b| zip64(a, b, u64::wrapping_sub),
        Paddusb => |a, b| zip8(a, b, u8::saturating_add),
        Paddusw => |a, b| zip16(a, b, u16::saturating_add),
        Psubusb => |a, b| zip8(a, b, u8::saturating_sub),
        Psubusw => |a, b| zip16(a, b, u16::saturating_sub),
        Paddsb => |a, b| zip8(a, b, |a, b| (a as i8).saturating_add(b as i8) as u8),
        Paddsw => |a, b| zip16(a, b, |a, b| (a as i16).saturating_add(b as i16) as u16),
        Psubsb => |a, b| zip8(a, b, |a, b| (a as i8).saturating_sub(b as i8) as u8),
        Psubsw => |a, b| zip16(a, b, |a, b| (a as i16).saturating_sub(b as i16) as u16),

        Pmullw => |a, b| zip16(a, b, u16::wrapping_mul),
        Pmulhw => |a, b| zip16(a, b, |a, b| ((i32::from(a as i16) * i32::from(b as i16)) >> 16) as u16),
        Pmulhuw => |a, b| zip16(a, b, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16),
        Pmuludq => |a, b| zip64(a, b, |a, b| (a & 0xFFFF_FFFF) * (b & 0xFFFF_FFFF)),
        Pmaddwd => multiply_add,
        Psadbw => sum_of_differences,
        Pavgb => |a, b| zip8(a, b, |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8),
        Pavgw => |a, b| zip16(a, b, |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16),
        Pminub => |a, b| zip8(a, b, Ord::min),
        Pmaxub => |a, b| zip8(a, b, Ord::max),
        Pminsw => |a, b| zip16(a, b, |a, b| (a as i16).min(b as i16) as u16),
        Pmaxsw => |a, b| zip16(a, b, |a, b| (a as i16).max(b as i16) as u16),

        Pcmpeqb => |a, b| zip8(a, b, |a, b| truth!(u8, a == b)),
        Pcmpeqw => |a, b| zip16(a, b, |a, b| truth!(u16, a == b)),
        Pcmpeqd => |a, b| zip32(a, b, |a, b| truth!(u32, a == b)),
        Pcmpgtb => |a, b| zip8(a, b, |a, b| truth!(u8, a as i8 > b as i8)),
        Pcmpgtw => |a, b| zip16(a, b, |a, b| truth!(u16, a as i16 > b as i16)),
        Pcmpgtd => |a, b| zip32(a, b, |a, b| truth!(u32, a as i32 > b as i32)),
        _ => return None,
    })
}

/// The operation of a mnemonic that shifts all lanes by one count, which may exceed the lane's width.
fn shift(mnemonic: Mnemonic) -> Option<fn(u128, u32) -> u128> {
    use Mnemonic::*;
    Some(match mnemonic {
        Psllw => |a, count| zip16(a, 0, |a, _| a.checked_shl(count).unwrap_or(0)),
        Pslld => |a, count| zip32(a, 0, |a, _| a.checked_shl(count).unwrap_or(0)),
        Psllq => |a, count| zip64(a, 0, |a, _| a.checked_shl(count).unwrap_or(0)),
        Psrlw => |a, count| zip16(a, 0, |a, _| a.checked_shr(count).unwrap_or(0)),
        Psrld => |a, count| zip32(a, 0, |a, _| a.checked_shr(count).unwrap_or(0)),
        Psrlq => |a, count| zip64(a, 0, |a, _| a.checked_shr(count).unwrap_or(0)),
        Psraw => |a, count| zip16(a, 0, |a, _| (a as i16 >> count.min(15)) as u16),
        Psrad => |a, count| zip32(a, 0, |a, _| (a as i32 >> count.min(31)) as u32),
        // These count bytes.
        Pslldq => |a, count| a.checked_shl(8 * count.min(16)).unwrap_or(0),
        Psrldq => |a, count| a.checked_shr(8 * count.min(16)).unwrap_or(0),
        _ => return None,
    })
}

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction if its mnemonic belongs to this group.
    pub(super) fn sse_integer(&mut self, mnemonic: Mnemonic) -> Option<Result<(), B::Fault>> {
        if let Some(operation) = packed(mnemonic) {
            return Some(self.apply(operation));
        }
        shift(mnemonic).map(|operation| self.shift_lanes(operation))
    }

    /// `op a, b` on whole registers.
    pub(super) fn apply(&mut self, operation: impl Fn(u128, u128) -> u128) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let source = self.read_xmm(1)?;
        self.registers.xmm[to] = operation(self.registers.xmm[to], source);
        Ok(())
    }

    fn shift_lanes(&mut self, operation: fn(u128, u32) -> u128) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let count = match self.instruction.op1_kind() {
            OpKind::Immediate8 => u64::from(self.instruction.immediate8()),
            _ => self.read_xmm(1)? as u64,
        };
        // More than any lane has.
        let count = count.min(128) as u32;
        self.registers.xmm[to] = operation(self.registers.xmm[to], count);
        Ok(())
    }
}
