//! Single bits, and counting them.

use super::execution::Execution;
use super::flags::{sign_extend, when};
use super::memory::{Bus, Size};
use super::registers::rflags::{CF, STATUS, ZF};
use super::trap::Result;
use iced_x86::OpKind;

impl<B: Bus> Execution<'_, B> {
    /// `bt`, `bts`, `btr`, `btc`: CF becomes the bit. `change` computes the new word from the old one and the
    /// bit's mask, or nothing for `bt`. The other flags stay; the architecture guarantees this only for ZF.
    pub(super) fn bit_test(&mut self, change: Option<fn(u64, u64) -> u64>) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let bits = u64::from(size.bits());
        let index = self.read(1)?;
        let mask = 1 << (index % bits);
        let in_memory = self.instruction.op0_kind() == OpKind::Memory;
        let word = if in_memory {
            let address = self.bit_address(size)?;
            let word = self.load(address, size)?;
            if let Some(change) = change {
                self.store(address, size, change(word, mask))?;
            }
            word
        } else {
            let word = self.read(0)?;
            if let Some(change) = change {
                self.write(0, change(word, mask))?;
            }
            word
        };
        self.registers.set_flags(CF, when(word & mask != 0, CF));
        Ok(())
    }

    /// The address of the word that holds the bit. A register counts bits forwards or backwards from the memory
    /// operand. An immediate stays within the operand.
    fn bit_address(&mut self, size: Size) -> Result<u64, B::Fault> {
        let address = self.address()?;
        if self.instruction.op1_kind() != OpKind::Register {
            return Ok(address);
        }
        let index = sign_extend(self.read(1)?, size) as i64;
        let words = index.div_euclid(i64::from(size.bits()));
        let moved = address.wrapping_add((words as u64).wrapping_mul(size.bytes()));
        // The sum wraps at the instruction's address size.
        let narrow = self.instruction.memory_base().size() == 4 || self.instruction.memory_index().size() == 4;
        Ok(if narrow { moved & 0xFFFF_FFFF } else { moved })
    }

    /// `bsf` and `bsr`: the index of the lowest or highest bit. If there is none, ZF is set and the
    /// destination is unchanged. The other flags are undefined.
    pub(super) fn bit_scan(&mut self, index: fn(u64) -> u32) -> Result<(), B::Fault> {
        let source = self.read(1)?;
        if source != 0 {
            self.write(0, index(source).into())?;
        }
        self.registers.set_flags(STATUS, when(source == 0, ZF));
        Ok(())
    }

    /// `tzcnt` and `lzcnt`: the number of zeros below the lowest or above the highest bit. CF is set if there is no
    /// such bit; the result is then the operand's size in bits. `count` takes a value and its size.
    pub(super) fn count_zeros(&mut self, count: fn(u64, Size) -> u32) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let source = self.read(1)?;
        let zeros = count(source, size);
        self.write(0, zeros.into())?;
        self.registers.set_flags(STATUS, when(source == 0, CF) | when(zeros == 0, ZF));
        Ok(())
    }

    /// `popcnt`.
    pub(super) fn count_ones(&mut self) -> Result<(), B::Fault> {
        let source = self.read(1)?;
        self.write(0, source.count_ones().into())?;
        self.registers.set_flags(STATUS, when(source == 0, ZF));
        Ok(())
    }

    /// `bswap`. For 16 bits the result is undefined.
    pub(super) fn swap_bytes(&mut self) -> Result<(), B::Fault> {
        let value = self.read(0)?;
        let swapped = match self.size(0)? {
            Size::Quad => value.swap_bytes(),
            Size::Double => (value as u32).swap_bytes().into(),
            Size::Word | Size::Byte => return self.unimplemented(),
        };
        self.write(0, swapped)
    }
}

/// Zeros below the lowest bit.
pub(super) fn trailing_zeros(value: u64, size: Size) -> u32 {
    value.trailing_zeros().min(size.bits())
}

/// Zeros above the highest bit.
pub(super) fn leading_zeros(value: u64, size: Size) -> u32 {
    value.leading_zeros() - (64 - size.bits())
}
