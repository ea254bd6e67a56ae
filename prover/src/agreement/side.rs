//! The same program in two domains.
use super::concrete::{make, tell, value};
use crate::state::sym::Sym;
use domain::{Count, Data, Domain, Sink};
use layer::core::geometry::X64;
use sim::machine::Sim;
use smt::term::{Range, Term};
use std::cell::Cell;
use symbolic::engine::engine;
use symbolic::word::{SymFlag, SymNat, SymWide, SymWord};

thread_local! {
    /// Whether the symbolic values are unknowns, whose values only the concrete run knows.
    static UNKNOWN: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether symbolic values are made as unknowns or as constants from here on.
pub(crate) fn make_unknown(unknown: bool) {
    UNKNOWN.set(unknown);
}

/// A domain whose values can be made and read.
pub(crate) trait Side: Domain {
    fn word(value: u32) -> Self::Word;
    fn wide(value: u64) -> Self::Wide;
    fn nat(value: u32) -> Self::Nat;
    fn flag(value: bool) -> Self::Flag;
    fn leaves(value: impl Data<Self>) -> Leaves;
    fn see_word(word: Self::Word) -> i128;
    fn see_wide(wide: Self::Wide) -> i128;
    fn see_nat(nat: Self::Nat) -> i128;
    fn see_flag(flag: Self::Flag) -> i128;
}

/// A value as numbers, one for each leaf.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Leaves(pub Vec<(&'static str, i128)>);

impl Side for Sim {
    fn word(value: u32) -> u32 {
        value
    }
    fn wide(value: u64) -> u64 {
        value
    }
    fn nat(value: u32) -> Count {
        value.into()
    }
    fn flag(value: bool) -> bool {
        value
    }
    fn leaves(value: impl Data<Sim>) -> Leaves {
        let mut leaves = Leaves::default();
        value.encode(&mut leaves);
        leaves
    }
    fn see_word(word: u32) -> i128 {
        word.into()
    }
    fn see_wide(wide: u64) -> i128 {
        wide.into()
    }
    fn see_nat(nat: Count) -> i128 {
        nat.0.into()
    }
    fn see_flag(flag: bool) -> i128 {
        flag.into()
    }
}

impl Sink<Sim> for Leaves {
    fn word(&mut self, leaf: &'static str, value: u32) {
        self.0.push((leaf, value.into()));
    }
    fn wide(&mut self, leaf: &'static str, value: u64) {
        self.0.push((leaf, value.into()));
    }
    fn nat(&mut self, leaf: &'static str, value: Count) {
        self.0.push((leaf, value.0.into()));
    }
    fn flag(&mut self, leaf: &'static str, value: bool) {
        self.0.push((leaf, value.into()));
    }
    fn tag(&mut self, leaf: &'static str, variant: u32) {
        self.0.push((leaf, variant.into()));
    }
}

/// A number, as a constant or as an unknown.
fn given(number: u64, range: Range) -> Term {
    if UNKNOWN.get() {
        let term = engine(|e| e.unknown("given", range));
        tell(term, number);
        term
    } else if range == Range::Bool {
        make(|arena| arena.bool(number != 0))
    } else {
        make(|arena| arena.number(number))
    }
}

impl Side for Sym<X64> {
    fn word(value: u32) -> SymWord {
        SymWord(given(value.into(), Range::WORD))
    }
    fn wide(value: u64) -> SymWide {
        SymWide(given(value, Range::WIDE))
    }
    fn nat(value: u32) -> SymNat {
        SymNat(given(value.into(), Range::Nat))
    }
    fn flag(value: bool) -> SymFlag {
        SymFlag(given(value.into(), Range::Bool))
    }
    fn leaves(value: impl Data<Self>) -> Leaves {
        let mut leaves = Leaves::default();
        value.encode(&mut leaves);
        leaves
    }
    fn see_word(word: SymWord) -> i128 {
        value(word.0)
    }
    fn see_wide(wide: SymWide) -> i128 {
        value(wide.0)
    }
    fn see_nat(nat: SymNat) -> i128 {
        value(nat.0)
    }
    fn see_flag(flag: SymFlag) -> i128 {
        value(flag.0)
    }
}

impl Sink<Sym<X64>> for Leaves {
    fn word(&mut self, leaf: &'static str, word: SymWord) {
        self.0.push((leaf, value(word.0)));
    }
    fn wide(&mut self, leaf: &'static str, wide: SymWide) {
        self.0.push((leaf, value(wide.0)));
    }
    fn nat(&mut self, leaf: &'static str, nat: SymNat) {
        self.0.push((leaf, value(nat.0)));
    }
    fn flag(&mut self, leaf: &'static str, flag: SymFlag) {
        self.0.push((leaf, value(flag.0)));
    }
    fn tag(&mut self, leaf: &'static str, variant: u32) {
        self.0.push((leaf, variant.into()));
    }
}
