//! SSE: rearranging lanes.

use super::execution::Execution;
use super::memory::Bus;
use super::trap::Result;
use iced_x86::{Mnemonic, OpKind};

/// Lane `index` of `bits` bits.
fn lane(value: u128, index: u32, bits: u32) -> u128 {
    value >> (index * bits) & (u128::MAX >> (128 - bits))
}

/// The register with these lanes of `bits` bits, the first lowest.
fn collect(lanes: impl Iterator<Item = u128>, bits: u32) -> u128 {
    (0..).zip(lanes).fold(0, |result, (index, lane): (u32, u128)| result | lane << (index * bits))
}

/// Interleaves the lanes of one half of `a` and `b`; the half that begins at bit `start`.
fn interleave(a: u128, b: u128, bits: u32, start: u32) -> u128 {
    let half = 64 / bits;
    let pairs = (0..half).flat_map(|index| [lane(a >> start, index, bits), lane(b >> start, index, bits)]);
    collect(pairs, bits)
}

/// The lanes of `a`, then those of `b`, each narrowed to half its bits.
fn pack(a: u128, b: u128, bits: u32, narrow: impl Fn(i32) -> u32) -> u128 {
    let lanes = 128 / bits;
    let unused = 32 - bits;
    let signed = |value: u128| ((value as u32) << unused) as i32 >> unused;
    let mask = u128::MAX >> (128 - bits / 2);
    let narrowed = [a, b].into_iter().flat_map(|value| {
        let narrow = &narrow;
        (0..lanes).map(move |index| u128::from(narrow(signed(lane(value, index, bits)))) & mask)
    });
    collect(narrowed, bits / 2)
}

/// The four lanes of `value`, of `bits` bits, that the bit pairs of `order` select.
fn select(value: u128, order: u8, bits: u32) -> impl Iterator<Item = u128> {
    (0..4).map(move |index| lane(value, u32::from(order >> (2 * index) & 3), bits))
}

/// The operation of a mnemonic with two SSE operands, of which the first is replaced by the result.
fn merge(mnemonic: Mnemonic) -> Option<fn(u128, u128) -> u128> {
    use Mnemonic::*;
    Some(match mnemonic {
        Punpcklbw => |a, b| interleave(a, b, 8, 0),
        Punpcklwd => |a, b| interleave(a, b, 16, 0),
        Punpckldq | Unpcklps => |a, b| interleave(a, b, 32, 0),
        Punpcklqdq | Unpcklpd => |a, b| interleave(a, b, 64, 0),
        Punpckhbw => |a, b| interleave(a, b, 8, 64),
        Punpckhwd => |a, b| interleave(a, b, 16, 64),
        Punpckhdq | Unpckhps => |a, b| interleave(a, b, 32, 64),
        Punpckhqdq | Unpckhpd => |a, b| interleave(a, b, 64, 64),
        Packsswb => |a, b| pack(a, b, 16, |lane| lane.clamp(-0x80, 0x7F) as u32),
        Packuswb => |a, b| pack(a, b, 16, |lane| lane.clamp(0, 0xFF) as u32),
        Packssdw => |a, b| pack(a, b, 32, |lane| lane.clamp(-0x8000, 0x7FFF) as u32),
        _ => return None,
    })
}

/// The operation of a mnemonic with two SSE operands and an order. It returns the new value of the
/// first operand.
fn ordered(mnemonic: Mnemonic) -> Option<fn(u128, u128, u8) -> u128> {
    use Mnemonic::*;
    const LOW: u128 = u64::MAX as u128;
    Some(match mnemonic {
        Pshufd => |_, b, order| collect(select(b, order, 32), 32),
        Pshuflw => |_, b, order| b & !LOW | collect(select(b, order, 16), 16),
        Pshufhw => |_, b, order| b & LOW | collect(select(b >> 64, order, 16), 16) << 64,
        Shufps => |a, b, order| collect(select(a, order, 32).take(2).chain(select(b, order, 32).skip(2)), 32),
        Shufpd => |a, b, order| {
            let lanes = [lane(a, u32::from(order & 1), 64), lane(b, u32::from(order >> 1 & 1), 64)];
            collect(lanes.into_iter(), 64)
        },
        _ => return None,
    })
}

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction if its mnemonic belongs to this group.
    pub(super) fn sse_shuffle(&mut self, mnemonic: Mnemonic) -> Option<Result<(), B::Fault>> {
        if let Some(operation) = merge(mnemonic) {
            return Some(self.apply(operation));
        }
        if let Some(operation) = ordered(mnemonic) {
            let order = self.instruction.immediate8();
            return Some(self.apply(|a, b| operation(a, b, order)));
        }
        match mnemonic {
            Mnemonic::Pextrw => Some(self.extract()),
            Mnemonic::Pinsrw => Some(self.insert()),
            _ => None,
        }
    }

    /// `pextrw`: a 16-bit lane to a general register.
    fn extract(&mut self) -> Result<(), B::Fault> {
        if self.instruction.op0_kind() != OpKind::Register {
            // SSE4.1 has a form with memory.
            return self.unimplemented();
        }
        let value = self.registers.xmm[self.xmm(1)?];
        let index = u32::from(self.instruction.immediate8() & 7);
        self.write(0, lane(value, index, 16) as u64)
    }

    /// `pinsrw`: a 16-bit lane from a general register or memory.
    fn insert(&mut self) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let value = u128::from(self.read(1)? & 0xFFFF);
        let shift = 16 * u32::from(self.instruction.immediate8() & 7);
        let old = self.registers.xmm[to];
        self.registers.xmm[to] = old & !(0xFFFF << shift) | value << shift;
        Ok(())
    }
}
