//! SSE: conversions between numbers.

use super::execution::Execution;
use super::flags::sign_extend;
use super::memory::{Bus, Size};
use super::sse_float::Float;
use super::sse_move::replace_low;
use super::trap::Result;
use iced_x86::Mnemonic;

/// Lane `index` of 32 bits.
fn lane32(value: u128, index: u32) -> u32 {
    (value >> (32 * index)) as u32
}

/// Lane `index` of 64 bits.
fn lane64(value: u128, index: u32) -> u64 {
    (value >> (64 * index)) as u64
}

/// A register with these 32-bit lanes, the first lowest.
fn from32<const N: usize>(lanes: [u32; N]) -> u128 {
    lanes.iter().rev().fold(0, |result, &lane| result << 32 | u128::from(lane))
}

/// A register with these 64-bit lanes.
fn from64(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The bits of a single as the bits of a double. A NaN keeps its sign and payload and becomes quiet.
fn widen(single: u32) -> u64 {
    let number = f32::from_bits(single);
    if number.is_nan() {
        let (sign, payload) = (u64::from(single) >> 31 << 63, u64::from(single & 0x007F_FFFF) << 29);
        sign | 0x7FF0_0000_0000_0000 | f64::QUIET | payload
    } else {
        f64::from(number).to_bits()
    }
}

/// The bits of a double as those of the nearest single.
fn narrow(double: u64) -> u32 {
    let number = f64::from_bits(double);
    if number.is_nan() {
        let (sign, payload) = ((double >> 63) as u32, (double >> 29) as u32 & 0x007F_FFFF);
        sign << 31 | 0x7F80_0000 | f32::QUIET as u32 | payload
    } else {
        (number as f32).to_bits()
    }
}

/// How a number is rounded to an integer.
#[derive(Clone, Copy)]
enum Rounding {
    /// To the nearest integer, and to the even one if two are equally near: the rounding mode of
    /// MXCSR.
    Nearest,
    /// Towards zero.
    Truncate,
}

/// A number as a signed integer of this size. If the number does not fit or is a NaN: the least
/// integer.
fn to_integer(number: f64, rounding: Rounding, size: Size) -> u64 {
    let rounded = match rounding {
        Rounding::Nearest => number.round_ties_even(),
        Rounding::Truncate => number.trunc(),
    };
    let limit = size.sign() as f64;
    if rounded >= -limit && rounded < limit { rounded as i64 as u64 & size.mask() } else { size.sign() }
}

/// Four integers from four singles.
fn integers_of_singles(value: u128, rounding: Rounding) -> u128 {
    let convert = |index| {
        let number = f64::from(f32::from_bits(lane32(value, index)));
        to_integer(number, rounding, Size::Double) as u32
    };
    from32([0, 1, 2, 3].map(convert))
}

/// Two integers from two doubles; the upper half is zero.
fn integers_of_doubles(value: u128, rounding: Rounding) -> u128 {
    let convert = |index| to_integer(f64::from_bits(lane64(value, index)), rounding, Size::Double) as u32;
    from32([0, 1].map(convert))
}

/// The conversion of a mnemonic that replaces the first operand by the converted second one.
fn whole(mnemonic: Mnemonic) -> Option<fn(u128) -> u128> {
    use Mnemonic::*;
    Some(match mnemonic {
        Cvtdq2ps => |b| from32([0, 1, 2, 3].map(|index| (lane32(b, index) as i32 as f32).to_bits())),
        Cvtps2dq => |b| integers_of_singles(b, Rounding::Nearest),
        Cvttps2dq => |b| integers_of_singles(b, Rounding::Truncate),
        Cvtpd2dq => |b| integers_of_doubles(b, Rounding::Nearest),
        Cvttpd2dq => |b| integers_of_doubles(b, Rounding::Truncate),
        Cvtps2pd => |b| from64(widen(lane32(b, 0)), widen(lane32(b, 1))),
        Cvtpd2ps => |b| from32([narrow(lane64(b, 0)), narrow(lane64(b, 1))]),
        Cvtdq2pd => |b| {
            let convert = |index| f64::from(lane32(b, index) as i32).to_bits();
            from64(convert(0), convert(1))
        },
        _ => return None,
    })
}

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction if its mnemonic belongs to this group.
    pub(super) fn sse_convert(&mut self, mnemonic: Mnemonic) -> Option<Result<(), B::Fault>> {
        use Mnemonic::*;
        if let Some(convert) = whole(mnemonic) {
            return Some(self.convert(|_, b| convert(b)));
        }
        Some(match mnemonic {
            Cvtss2sd => self.convert(|a, b| replace_low(a, widen(b as u32).into(), 64)),
            Cvtsd2ss => self.convert(|a, b| replace_low(a, narrow(b as u64).into(), 32)),
            Cvtsi2sd => self.convert_from_integer(|value| (value as f64).to_bits(), 64),
            Cvtsi2ss => self.convert_from_integer(|value| (value as f32).to_bits().into(), 32),
            Cvtsd2si => self.convert_to_integer(f64::of, Rounding::Nearest),
            Cvttsd2si => self.convert_to_integer(f64::of, Rounding::Truncate),
            Cvtss2si => self.convert_to_integer(|bits| f32::of(bits).into(), Rounding::Nearest),
            Cvttss2si => self.convert_to_integer(|bits| f32::of(bits).into(), Rounding::Truncate),
            _ => return None,
        })
    }

    fn convert(&mut self, operation: impl Fn(u128, u128) -> u128) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let source = self.read_xmm(1)?;
        self.float_begins()?;
        self.registers.xmm[to] = operation(self.registers.xmm[to], source);
        Ok(())
    }

    /// From a general register or memory to the lowest lane.
    fn convert_from_integer(&mut self, convert: fn(i64) -> u64, bits: u32) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let size = self.size(1)?;
        let value = sign_extend(self.read(1)?, size) as i64;
        self.float_begins()?;
        self.registers.xmm[to] = replace_low(self.registers.xmm[to], convert(value).into(), bits);
        Ok(())
    }

    /// From the lowest lane or memory to a general register.
    fn convert_to_integer(&mut self, number: fn(u64) -> f64, rounding: Rounding) -> Result<(), B::Fault> {
        let size = self.size(0)?;
        let value = self.read_xmm(1)? as u64;
        self.float_begins()?;
        self.write(0, to_integer(number(value), rounding, size))
    }
}
