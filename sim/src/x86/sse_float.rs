//! SSE: floating-point arithmetic and comparison.
//!
//! The host computes, rounding to nearest, which is the initial setting of MXCSR. Programming languages do not
//! determine which NaN results, so it is chosen here as the processor does.

use super::execution::Execution;
use super::memory::Bus;
use super::registers::INITIAL_MXCSR;
use super::registers::rflags::{CF, PF, STATUS, ZF};
use super::sse_move::replace_low;
use super::trap::Result;
use iced_x86::Mnemonic;
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Sub};

/// The bits of MXCSR that change results or unmask exceptions; the others are the exceptions' flags.
const CONTROL: u32 = 0xFFC0;

/// `f32` and `f64`, by their bits.
pub(super) trait Float:
    Copy + PartialOrd + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// The bit that makes a NaN quiet.
    const QUIET: u64;
    /// The NaN that results from an invalid operation.
    const DEFAULT_NAN: u64;

    /// The number with these bits.
    fn of(bits: u64) -> Self;
    /// The bits of this number.
    fn bits(self) -> u64;
    /// The square root.
    fn root(self) -> Self;
    /// Whether the number is a NaN.
    fn nan(self) -> bool;
}

macro_rules! float {
    ($float:ty, $bits:ty, $quiet:literal, $nan:literal) => {
        impl Float for $float {
            const QUIET: u64 = $quiet;
            const DEFAULT_NAN: u64 = $nan;

            fn of(bits: u64) -> Self {
                <$float>::from_bits(bits as $bits)
            }

            fn bits(self) -> u64 {
                self.to_bits().into()
            }

            fn root(self) -> Self {
                self.sqrt()
            }

            fn nan(self) -> bool {
                self.is_nan()
            }
        }
    };
}

float!(f32, u32, 0x0040_0000, 0xFFC0_0000);
float!(f64, u64, 0x0008_0000_0000_0000, 0xFFF8_0000_0000_0000);

/// An operation that returns the first NaN among its operands, made quiet.
fn arithmetic<F: Float>(a: u64, b: u64, operation: impl Fn(F, F) -> F) -> u64 {
    for bits in [a, b] {
        if F::of(bits).nan() {
            return bits | F::QUIET;
        }
    }
    let result = operation(F::of(a), F::of(b));
    if result.nan() { F::DEFAULT_NAN } else { result.bits() }
}

/// An operation of two lanes.
type Operation = fn(u64, u64) -> u64;

/// The operation on the bits of lanes of type `F`.
fn operation<F: Float>(name: Name) -> Operation {
    match name {
        Name::Sum => |a, b| arithmetic(a, b, F::add),
        Name::Difference => |a, b| arithmetic(a, b, F::sub),
        Name::Product => |a, b| arithmetic(a, b, F::mul),
        Name::Quotient => |a, b| arithmetic(a, b, F::div),
        // The root of the source alone, so the first operand does not matter.
        Name::Root => |_, b| arithmetic(b, b, |b: F, _| b.root()),
        // The result is the second operand unless the first is less, or greater. This also holds for NaN and zeros.
        Name::Least => |a, b| if F::of(a) < F::of(b) { a } else { b },
        Name::Greatest => |a, b| if F::of(a) > F::of(b) { a } else { b },
    }
}

/// The arithmetic operations.
#[derive(Clone, Copy)]
enum Name {
    Sum,
    Difference,
    Product,
    Quotient,
    Root,
    Least,
    Greatest,
}

/// The lanes that an instruction uses.
#[derive(Clone, Copy)]
enum Lanes {
    /// All 32-bit lanes.
    Singles,
    /// The lowest 32-bit lane.
    Single,
    /// All 64-bit lanes.
    Doubles,
    /// The lowest 64-bit lane.
    Double,
}

/// The operation and the lanes of a mnemonic.
fn meaning(mnemonic: Mnemonic) -> Option<(Name, Lanes)> {
    use Lanes::*;
    use Mnemonic::*;
    use Name::*;
    Some(match mnemonic {
        Addps => (Sum, Singles),
        Addss => (Sum, Single),
        Addpd => (Sum, Doubles),
        Addsd => (Sum, Double),
        Subps => (Difference, Singles),
        Subss => (Difference, Single),
        Subpd => (Difference, Doubles),
        Subsd => (Difference, Double),
        Mulps => (Product, Singles),
        Mulss => (Product, Single),
        Mulpd => (Product, Doubles),
        Mulsd => (Product, Double),
        Divps => (Quotient, Singles),
        Divss => (Quotient, Single),
        Divpd => (Quotient, Doubles),
        Divsd => (Quotient, Double),
        Sqrtps => (Root, Singles),
        Sqrtss => (Root, Single),
        Sqrtpd => (Root, Doubles),
        Sqrtsd => (Root, Double),
        Minps => (Least, Singles),
        Minss => (Least, Single),
        Minpd => (Least, Doubles),
        Minsd => (Least, Double),
        Maxps => (Greatest, Singles),
        Maxss => (Greatest, Single),
        Maxpd => (Greatest, Doubles),
        Maxsd => (Greatest, Double),
        _ => return None,
    })
}

/// Whether the low three bits of a comparison's predicate hold.
fn compare(ordering: Option<Ordering>, predicate: u8) -> bool {
    let holds = match predicate & 3 {
        0 => ordering == Some(Ordering::Equal),
        1 => ordering == Some(Ordering::Less),
        2 => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        _ => ordering.is_none(),
    };
    // The upper four predicates are the negations of the lower four.
    holds != (predicate & 4 != 0)
}

impl Lanes {
    /// Applies an operation to all lanes, or to the lowest. If only the lowest lane is used, the
    /// other lanes are those of `a`.
    fn apply(self, a: u128, b: u128, single: Operation, double: Operation) -> u128 {
        let each32 = |a, b| super::sse_integer::zip32(a, b, |a, b| single(a.into(), b.into()) as u32);
        match self {
            Lanes::Singles => each32(a, b),
            Lanes::Single => replace_low(a, single(a as u32 as u64, b as u32 as u64).into(), 32),
            Lanes::Doubles => super::sse_integer::zip64(a, b, double),
            Lanes::Double => replace_low(a, double(a as u64, b as u64).into(), 64),
        }
    }
}

impl<B: Bus> Execution<'_, B> {
    /// Executes the instruction if its mnemonic belongs to this group.
    pub(super) fn sse_float(&mut self, mnemonic: Mnemonic) -> Option<Result<(), B::Fault>> {
        use Mnemonic::*;
        if let Some((name, lanes)) = meaning(mnemonic) {
            let (single, double) = (operation::<f32>(name), operation::<f64>(name));
            return Some(self.float(|a, b| lanes.apply(a, b, single, double)));
        }
        Some(match mnemonic {
            Cmpps => self.float_compare(Lanes::Singles),
            Cmpss => self.float_compare(Lanes::Single),
            Cmppd => self.float_compare(Lanes::Doubles),
            Cmpsd => self.float_compare(Lanes::Double),
            Ucomiss | Comiss => self.float_flags::<f32>(),
            Ucomisd | Comisd => self.float_flags::<f64>(),
            _ => return None,
        })
    }

    /// Refuses the arithmetic if the host's arithmetic does not follow MXCSR. Otherwise marks the exception
    /// flags as unknown. Called when nothing else can fail.
    pub(super) fn float_begins(&mut self) -> Result<(), B::Fault> {
        if self.registers.mxcsr & CONTROL != INITIAL_MXCSR & CONTROL {
            return self.unimplemented();
        }
        self.registers.mxcsr_flags_unknown = true;
        Ok(())
    }

    fn float(&mut self, operation: impl Fn(u128, u128) -> u128) -> Result<(), B::Fault> {
        let to = self.xmm(0)?;
        let source = self.read_xmm(1)?;
        self.float_begins()?;
        self.registers.xmm[to] = operation(self.registers.xmm[to], source);
        Ok(())
    }

    /// `cmpps` and similar: all ones in the lanes where the predicate holds.
    fn float_compare(&mut self, lanes: Lanes) -> Result<(), B::Fault> {
        fn truth<F: Float>(a: u64, b: u64, predicate: u8) -> u64 {
            if compare(F::of(a).partial_cmp(&F::of(b)), predicate) { u64::MAX } else { 0 }
        }
        macro_rules! predicates {
            ($float:ty: $($predicate:literal)*) => {
                [$((|a, b| truth::<$float>(a, b, $predicate)) as Operation),*]
            };
        }
        const SINGLE: [Operation; 8] = predicates!(f32: 0 1 2 3 4 5 6 7);
        const DOUBLE: [Operation; 8] = predicates!(f64: 0 1 2 3 4 5 6 7);
        let predicate = usize::from(self.instruction.immediate8() & 7);
        self.float(|a, b| lanes.apply(a, b, SINGLE[predicate], DOUBLE[predicate]))
    }

    /// `ucomis` and `comis`: compares the lowest lanes. They differ only in an exception, which is masked.
    fn float_flags<F: Float>(&mut self) -> Result<(), B::Fault> {
        let a = self.registers.xmm[self.xmm(0)?] as u64;
        let b = self.read_xmm(1)? as u64;
        self.float_begins()?;
        let flags = match F::of(a).partial_cmp(&F::of(b)) {
            Some(Ordering::Greater) => 0,
            Some(Ordering::Less) => CF,
            Some(Ordering::Equal) => ZF,
            None => ZF | PF | CF,
        };
        self.registers.set_flags(STATUS, flags);
        Ok(())
    }
}
