//! The general instructions with VEX encodings (BMI1 and BMI2), and ADX and MOVBE.
//!
//! They use no vector registers, so they work even if the operating system has not enabled AVX.

use super::execution::Execution;
use super::flags::{add, of_result, when};
use super::memory::{Bus, Size};
use super::registers::Gpr::Rdx;
use super::registers::rflags::{CF, OF, SF, STATUS, ZF};
use super::trap::{Result, Trap};
use iced_x86::Mnemonic;

/// `pdep`: moves the low bits of `value`, in order, to the positions of the ones in `mask`.
fn deposit(value: u64, mask: u64) -> u64 {
    let mut bits = 0;
    scatter(mask, |bit| {
        bits += 1;
        when(value >> (bits - 1) & 1 != 0, bit)
    })
}

/// `pext`: moves the bits of `value` at the ones of `mask`, in order, to the low bits.
fn extract(value: u64, mask: u64) -> u64 {
    let mut bits = 0;
    scatter(mask, |bit| {
        bits += 1;
        when(value & bit != 0, 1 << (bits - 1))
    })
}

/// The union of the results of `part` for each one in `mask`, from the lowest.
fn scatter(mask: u64, part: impl FnMut(u64) -> u64) -> u64 {
    (0..64).map(|index| 1 << index).filter(|bit| mask & bit != 0).map(part).fold(0, |all, part| all | part)
}

impl<B: Bus> Execution<'_, B> {
    /// Executes an instruction with a VEX encoding. AVX instructions are invalid opcodes, because the kernel does not
    /// enable AVX.
    pub(super) fn vex(&mut self) -> Result<(), B::Fault> {
        use Mnemonic::*;
        match self.instruction.mnemonic() {
            Andn => self.combine(|a, b, _| (!a & b, 0), SF | ZF | CF | OF),
            Bextr => self.combine(bit_field, STATUS),
            Bzhi => self.combine(low_bits, STATUS),
            Blsi => self.lowest_bit(|value| (value & value.wrapping_neg(), value != 0)),
            Blsr => self.lowest_bit(|value| (value & value.wrapping_sub(1), value == 0)),
            Blsmsk => self.lowest_bit(|value| (value ^ value.wrapping_sub(1), value == 0)),
            Mulx => self.multiply_without_flags(),
            Pdep => self.combine(|a, b, _| (deposit(a, b), 0), 0),
            Pext => self.combine(|a, b, _| (extract(a, b), 0), 0),
            Rorx => self.rotate_without_flags(),
            Shlx => self.combine(|a, b, size| (a << (b & u64::from(size.bits() - 1)), 0), 0),
            Shrx => self.combine(|a, b, size| (a >> (b & u64::from(size.bits() - 1)), 0), 0),
            Sarx => self.combine(|a, b, size| (shifted_signed(a, b, size), 0), 0),
            _ => Err(Trap::InvalidOpcode),
        }
    }

    /// `op to, a, b`: the operation returns the result and CF. Of the flags in `changed`, SF and ZF are the result's, and the
    /// others 0.
    fn combine(&mut self, operation: fn(u64, u64, Size) -> (u64, u64), changed: u64) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (a, b) = (self.read(1)?, self.read(2)?);
        let (result, carry) = operation(a, b, size);
        self.write(0, result)?;
        self.registers.set_flags(changed, of_result(result, size) | carry);
        Ok(())
    }

    /// `op to, a`: the operation returns the result, and whether CF is set.
    fn lowest_bit(&mut self, operation: fn(u64) -> (u64, bool)) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (result, carry) = operation(self.read(1)?);
        self.write(0, result)?;
        self.registers.set_flags(STATUS, of_result(result, size) | when(carry, CF));
        Ok(())
    }

    /// `mulx high, low, a`: the product of RDX and `a`. If `high` and `low` are the same register, it gets the high half.
    fn multiply_without_flags(&mut self) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let product = u128::from(self.registers[Rdx] & size.mask()) * u128::from(self.read(2)?);
        self.write(1, product as u64)?;
        self.write(0, (product >> size.bits()) as u64)
    }

    /// `rorx to, a, count`.
    fn rotate_without_flags(&mut self) -> Result<(), B::Fault> {
        let (size, value) = (self.size(0)?, self.read(1)?);
        let count = self.read(2)? as u32;
        let rotated = match size {
            Size::Quad => value.rotate_right(count),
            _ => (value as u32).rotate_right(count).into(),
        };
        self.write(0, rotated)
    }

    /// `adcx` and `adox`: adds with `flag` as the carry, and changes no other flag.
    pub(super) fn add_with(&mut self, flag: u64) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let (a, b) = (self.read(0)?, self.read(1)?);
        let (sum, flags) = add(a, b, self.registers.flag(flag), size);
        self.write(0, sum)?;
        self.registers.set_flags(flag, when(flags & CF != 0, flag));
        Ok(())
    }

    /// `movbe`: copies with the bytes in reverse order.
    pub(super) fn copy_swapped(&mut self) -> Result<(), B::Fault> {
        let unused = 64 - self.size(0)?.bits();
        let value = self.read(1)?;
        self.write(0, value.swap_bytes() >> unused)
    }
}

/// `bextr`: the bits of `a` from a first one on. The first byte of `b` is the first bit, and the second byte the number
/// of bits.
fn bit_field(a: u64, b: u64, _: Size) -> (u64, u64) {
    let (start, length) = (b as u8, (b >> 8) as u8);
    let rest = a.checked_shr(start.into()).unwrap_or(0);
    (if length < 64 { rest & !(u64::MAX << length) } else { rest }, 0)
}

/// `bzhi`: the low bits of `a`. The first byte of `b` is their number. CF is set if `a` has fewer bits.
fn low_bits(a: u64, b: u64, size: Size) -> (u64, u64) {
    let count = u32::from(b as u8);
    if count < size.bits() { (a & !(u64::MAX << count), 0) } else { (a, CF) }
}

/// `sarx`.
fn shifted_signed(a: u64, b: u64, size: Size) -> u64 {
    (super::flags::sign_extend(a, size) as i64 >> (b & u64::from(size.bits() - 1))) as u64
}

#[cfg(test)]
mod tests {
    use super::{deposit, extract};

    #[test]
    fn bits_are_deposited_and_extracted() {
        assert_eq!(deposit(0b1011, 0b0110_1010), 0b0100_1010);
        assert_eq!(extract(deposit(0x1234, 0x0F0F_0F0F), 0x0F0F_0F0F), 0x1234);
        assert_eq!((extract(u64::MAX, u64::MAX), deposit(u64::MAX, 1 << 63)), (u64::MAX, 1 << 63));
    }
}
