//! Arithmetic on words of bits. Each result is as wide as needed, so nothing overflows.
use super::gates::Gates;
use batsat::Lit;

/// A number in two's complement, least significant bit first. The last bit is the sign, and every number
/// has it.
#[derive(Clone, Debug)]
pub struct Word(Vec<Lit>);

impl Word {
    /// Number of bits, including the sign.
    pub fn width(&self) -> usize {
        self.0.len()
    }

    /// The bits, including the sign.
    pub fn bits(&self) -> &[Lit] {
        &self.0
    }

    /// The bit at `index` of the sign-extended word.
    pub fn bit(&self, index: usize) -> Lit {
        self.0[index.min(self.0.len() - 1)]
    }

    fn sign(&self) -> Lit {
        self.bit(usize::MAX)
    }

    /// The word with these bits; redundant sign bits are dropped.
    fn of(mut bits: Vec<Lit>) -> Word {
        while let [.., a, b] = bits[..]
            && a == b
        {
            bits.pop();
        }
        Word(bits)
    }

    fn shifted(&self, by: u32, zero: Lit) -> Word {
        Word::of(std::iter::repeat_n(zero, by as usize).chain(self.0.iter().copied()).collect())
    }
}

impl Gates {
    /// A constant.
    pub fn number(&self, value: u64) -> Word {
        Word::of((0..=u64::BITS).map(|i| self.constant(i < u64::BITS && value >> i & 1 == 1)).collect())
    }

    /// An arbitrary number from 0 with at most `width` bits.
    pub fn unknown(&mut self, width: usize) -> Word {
        let mut bits: Vec<Lit> = (0..width).map(|_| self.fresh()).collect();
        bits.push(self.constant(false));
        Word(bits)
    }

    /// `a + b`.
    pub fn add(&mut self, a: &Word, b: &Word) -> Word {
        let carry = self.constant(false);
        self.sum(a, b, false, carry)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: &Word, b: &Word) -> Word {
        let carry = self.constant(true);
        self.sum(a, b, true, carry)
    }

    fn sum(&mut self, a: &Word, b: &Word, negated: bool, mut carry: Lit) -> Word {
        let mut bits = Vec::new();
        for i in 0..=a.width().max(b.width()) {
            let (x, y) = (a.bit(i), b.bit(i) ^ negated);
            bits.push(self.xor3(x, y, carry));
            carry = self.majority(x, y, carry);
        }
        Word::of(bits)
    }

    /// `a * c`.
    pub fn mul(&mut self, a: &Word, c: u64) -> Word {
        let zero = self.constant(false);
        let mut product = Word(vec![zero]);
        let (mut rest, mut place) = (u128::from(c), 0);
        while rest != 0 {
            let zeros = rest.trailing_zeros();
            place += zeros;
            rest >>= zeros;
            let part = a.shifted(place, zero);
            // A run of ones is the difference of two powers of two.
            if rest & 2 == 0 {
                product = self.add(&product, &part);
                rest -= 1;
            } else {
                product = self.sub(&product, &part);
                rest += 1;
            }
        }
        product
    }

    /// The quotient of `a` by `c`, rounded down, and the remainder; `c` is not 0.
    pub fn div_rem(&mut self, a: &Word, c: u64) -> (Word, Word) {
        let zero = self.constant(false);
        let floor = c.ilog2() as usize;
        if c.is_power_of_two() {
            let quotient = Word(a.bits().get(floor..).filter(|bits| !bits.is_empty()).unwrap_or(&[a.sign()]).to_vec());
            let remainder = (0..floor).map(|i| a.bit(i)).chain([zero]).collect();
            return (quotient, Word::of(remainder));
        }
        // Quotient and remainder are fresh numbers with a == quotient * c + remainder and remainder < c.
        let digits = a.width().saturating_sub(1 + floor);
        let sign = if self.value_of(a.sign()) == Some(false) { zero } else { self.fresh() };
        let quotient = Word::of((0..digits).map(|_| self.fresh()).chain([sign]).collect());
        let remainder = self.unknown(floor + 1);
        let divisor = self.number(c);
        let small = self.less(&remainder, &divisor);
        self.clause(&[small]);
        let product = self.mul(&quotient, c);
        let sum = self.add(&product, &remainder);
        let equal = self.equal(&sum, a);
        self.clause(&[equal]);
        (quotient, remainder)
    }

    /// `if c { a } else { b }`.
    pub fn either(&mut self, c: Lit, a: &Word, b: &Word) -> Word {
        let width = a.width().max(b.width());
        Word::of((0..width).map(|i| self.choose(c, a.bit(i), b.bit(i))).collect())
    }

    /// `a == b`.
    pub fn equal(&mut self, a: &Word, b: &Word) -> Lit {
        let width = a.width().max(b.width());
        let same = (0..width).map(|i| !self.xor(a.bit(i), b.bit(i))).collect();
        self.all(same)
    }

    /// `a < b`.
    pub fn less(&mut self, a: &Word, b: &Word) -> Lit {
        let width = a.width().max(b.width());
        let mut less = self.constant(false);
        for i in 0..width - 1 {
            less = self.majority(!a.bit(i), b.bit(i), less);
        }
        self.majority(a.sign(), !b.sign(), less)
    }
}
